"""Files that cryoSPARC imports: particle stacks with their star file, coordinates alone, and picks (.cs with .csg).

Sources: cryoSPARC guide, "Import Particle Stack" and "Manipulating .cs files"; the .csg is laid out as those that
cryoSPARC 3 and 4 export.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import mrcfile
import numpy as np
import pandas as pd

from crisp_core.errors import UserError, opening
from crisp_core.formats.coordinates.names import match_names
from crisp_core.formats.coordinates.table import NO_SCORE
from crisp_core.formats.cs_files import LOCATION_FIELDS, SCORE_FIELD, read_cs, text_field, write_cs
from crisp_core.formats.relion_labels import CTF_LABELS
from crisp_core.formats.star import as_table, read_blocks, write_blocks
from crisp_core.formats.star_names import check_name
from crisp_core.formats.stems import micrograph_stem
from crisp_core.geometry import Shape

OPTICS_LABELS = (
    "rlnOpticsGroup",
    "rlnOpticsGroupName",
    "rlnVoltage",
    "rlnSphericalAberration",
    "rlnAmplitudeContrast",
    "rlnImagePixelSize",
    "rlnImageSize",
    "rlnImageDimensionality",
)
PARTICLE_LABELS = ("rlnImageName", "rlnMicrographName", "rlnCoordinateX", "rlnCoordinateY", "rlnOpticsGroup")
IMAGE_NAME = r"(\d{6,})@(.+)"
EXPOSURE_FIELDS = ("uid", "micrograph_blob/path", "micrograph_blob/shape")
PICK_TYPES = [("uid", "<u8"), ("location/micrograph_uid", "<u8"), ("location/exp_group_id", "<u4")]
CSG = """created: 1970-01-01 00:00:00
group:
  description: Particles picked by CRISP
  name: particles
  title: Particles picked
  type: particle
results:
  location:
    metafile: '>{name}'
    num_items: {n}
    type: particle.location
  pick_stats:
    metafile: '>{name}'
    num_items: {n}
    type: particle.pick_stats
version: v3.3.0
"""


def check_import(star: str | Path, *, project: str | Path = ".") -> None:
    """Refuse a STAR file of particles that cryoSPARC's "Import Particle Stack" cannot read; see `import_problems`.

    Raises
    ------
    UserError
        With the first problem and how many more there are.
    """
    problems = import_problems(star, project=project)
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise UserError(f"{star}: {problems[0]}{more}")


def import_problems(star: str | Path, *, project: str | Path = ".") -> list[str]:
    """List all problems of a STAR file of particles, and of its stacks, for cryoSPARC's "Import Particle Stack".

    Parameters
    ----------
    star : str or Path
        Star file with data_optics and data_particles (RELION 3.1 and later).
    project : str or Path
        Directory from which the stacks' paths start: the "particle data path" of the import.

    Returns
    -------
    list of str
        One line per problem, with its cure; empty if the file can be imported.

    Raises
    ------
    UserError
        If the file cannot be read as a STAR file, or has a label twice in one block.
    """
    blocks = read_blocks(star)
    optics, particles = (as_table(blocks.get(name)) for name in ("optics", "particles"))
    if optics is None or particles is None:
        missing = "data_optics" if optics is None else "data_particles"
        return [f"has no block {missing}; write it as RELION 3.1 and later do"]
    problems = _missing_labels(optics, OPTICS_LABELS) + _missing_labels(particles, PARTICLE_LABELS)
    given = [label in particles for label in CTF_LABELS]
    if any(given) and not all(given):
        problems.append(f"has some of {' '.join(CTF_LABELS)} and not all; give every CTF column or none")
    if problems:
        return problems
    problems = _optics_problems(optics, particles) + _number_problems(particles) + _name_problems(star, particles)
    return problems or _stack_problems(particles, optics, Path(project))


def _missing_labels(table: pd.DataFrame, labels: tuple[str, ...]) -> list[str]:
    return [f"has no column {label}; write the file with it" for label in labels if label not in table]


def _optics_problems(optics: pd.DataFrame, particles: pd.DataFrame) -> list[str]:
    groups = pd.to_numeric(optics["rlnOpticsGroup"], errors="coerce").tolist()
    problems = []
    if groups != list(range(1, len(groups) + 1)):
        problems.append("rlnOpticsGroup in data_optics is not 1, 2, …; number the groups so")
    if optics["rlnOpticsGroupName"].duplicated().any():
        problems.append("two optics groups have the same rlnOpticsGroupName; name them differently")
    unknown = set(pd.to_numeric(particles["rlnOpticsGroup"], errors="coerce")) - set(groups)
    if unknown:
        problems.append(f"particles are of optics group {min(unknown):g}, which data_optics lacks; add it there")
    for label in OPTICS_LABELS[2:]:
        values = pd.to_numeric(optics[label], errors="coerce").to_numpy(dtype=float)
        positive = values >= 0 if label in ("rlnSphericalAberration", "rlnAmplitudeContrast") else values > 0
        if not (np.isfinite(values) & positive).all():
            problems.append(f"{label} in data_optics is not a number, or negative or 0; correct it")
    return problems


def _number_problems(particles: pd.DataFrame) -> list[str]:
    labels = [label for label in ("rlnCoordinateX", "rlnCoordinateY", *CTF_LABELS) if label in particles]
    numbers = {label: pd.to_numeric(particles[label], errors="coerce").to_numpy(dtype=float) for label in labels}
    return [
        f"{label} of particle {np.flatnonzero(~np.isfinite(values))[0] + 1} is not a number; correct it"
        for label, values in numbers.items()
        if not np.isfinite(values).all()
    ]


def _name_problems(star: str | Path, particles: pd.DataFrame) -> list[str]:
    problems = []
    images, micrographs = (particles[label].astype(str) for label in ("rlnImageName", "rlnMicrographName"))
    wrong = images[~images.str.fullmatch(IMAGE_NAME)]
    if len(wrong):
        problems.append(f"rlnImageName '{wrong.iloc[0]}' is not of the form 000001@stack.mrcs; write it so")
    if images.duplicated().any():
        problems.append(f"two particles have the image {images[images.duplicated()].iloc[0]}; remove one of the two")
    stacks = pd.Series(images.str.split("@", n=1).str[-1].unique(), dtype="str")
    problems += [
        f"stack '{name}' does not have the suffix .mrcs; rename it" for name in stacks if not name.endswith(".mrcs")
    ]
    for name in [*stacks, *micrographs.unique()]:
        if name.startswith("/") or re.match(r"[A-Za-z]:\\", name):
            problems.append(f"path '{name}' is not relative to the project directory; shorten it")
        try:
            check_name(star, name)
        except UserError as error:
            problems.append(str(error).removeprefix(f"{star}: "))
    stems = pd.Series([micrograph_stem(name) for name in micrographs.unique()], dtype="str")
    if stems.duplicated().any():
        stem = stems[stems.duplicated()].iloc[0]
        problems.append(
            f"two micrographs have the name {stem}, and cryoSPARC compares names without folders; rename one"
        )
    return problems


def _stack_problems(particles: pd.DataFrame, optics: pd.DataFrame, project: Path) -> list[str]:
    parts = particles["rlnImageName"].astype(str).str.extract(IMAGE_NAME)
    sizes = particles["rlnOpticsGroup"].astype(int).map(optics.set_index("rlnOpticsGroup")["rlnImageSize"])
    problems = []
    for name, rows in parts.groupby(1, sort=False).groups.items():
        try:
            nx, ny, n = _stack_shape(project / name)
        except UserError as error:
            problems.append(str(error))
            continue
        numbers = parts.loc[rows, 0].astype(int)
        if numbers.min() < 1 or numbers.max() > n:
            problems.append(f"stack {name} has {n} images, and the star file numbers beyond them; write both again")
        elif len(numbers) != n:
            problems.append(f"stack {name} has {n} images and {len(numbers)} rows in the star file; write both again")
        if {nx, ny} != set(sizes.loc[rows].astype(int)):
            problems.append(f"stack {name} has images of {nx} × {ny} pixels, unlike rlnImageSize; correct data_optics")
    return problems


def _stack_shape(path: Path) -> tuple[int, int, int]:
    try:
        with opening(path), mrcfile.open(path, header_only=True, permissive=False) as stack:
            return int(stack.header.nx), int(stack.header.ny), int(stack.header.nz)
    except ValueError:
        raise UserError(f"{path}: is not an MRC file; extract the particles again") from None


def write_coordinates_only(path: str | Path, coordinates: pd.DataFrame, micrograph_paths: Mapping[str, str]) -> None:
    """Write the coordinates of all micrographs to one star file, for cryoSPARC's import without images.

    Parameters
    ----------
    path : str or Path
        Star file to write.
    coordinates : pd.DataFrame
        Columns micrograph, x, y (full-resolution pixels, from the file's first row: cryoSPARC flips by itself), score.
    micrograph_paths : mapping of str to str
        Path of each micrograph, by stem; cryoSPARC matches the name without folders.

    Raises
    ------
    UserError
        If a micrograph has no path, or a STAR file cannot hold its name.
    """
    missing = set(coordinates["micrograph"]) - set(micrograph_paths)
    if missing:
        raise UserError(f"{path}: the path of micrograph {min(missing)} is unknown; give all micrographs of the picks")
    table = pd.DataFrame(
        {
            "rlnCoordinateX": coordinates["x"].astype(float),
            "rlnCoordinateY": coordinates["y"].astype(float),
            "rlnMicrographName": coordinates["micrograph"].map(dict(micrograph_paths)).astype("str"),
            "rlnAutopickFigureOfMerit": coordinates["score"].astype(float).fillna(NO_SCORE),
        }
    )
    write_blocks(path, {"particles": table})


def write_picks(
    path: str | Path, coordinates: pd.DataFrame, *, exposures: str | Path, shapes: Mapping[str, Shape]
) -> pd.DataFrame:
    """Write picks as cryoSPARC's own particle locations: a .cs file and, next to it, the .csg that imports it.

    Parameters
    ----------
    path : str or Path
        File to write, `.cs`; the group goes to the same name with `.csg`.
    coordinates : pd.DataFrame
        Columns micrograph, x, y (full-resolution pixels, from the file's first row), score.
    exposures : str or Path
        The .cs file of the exposures, exported from the cryoSPARC project that shall import the picks: it has the
        UID, path and shape of each micrograph, which the picks refer to.
    shapes : mapping of str to (height, width)
        Shape of each picked micrograph in pixels, by stem. It may be binned and its exposure not.

    Returns
    -------
    pd.DataFrame
        Table of names as `match_names` makes it; picks on a micrograph without exposure are left out.

    Raises
    ------
    UserError
        If the exposures cannot be read or lack a field, or no micrograph matches one.

    Notes
    -----
    Fractions are 32-bit, so a coordinate moves by up to 2e-4 px on 4096 pixels. UIDs follow from the exposure's UID and
    the pick's row, so equal input gives equal bytes; the date in the .csg is fixed for the same reason.
    """
    if Path(path).suffix != ".cs":
        raise ValueError(f"{path} does not have the suffix .cs")
    picked = list(dict.fromkeys(coordinates["micrograph"]))
    given, names = match_exposures(exposures, picked, required=False)
    paths = text_field(given, "micrograph_blob/path")
    row_of = dict(zip(names["name"], names["micrograph"].map({p: i for i, p in enumerate(paths)}), strict=True))
    rows = coordinates["micrograph"].map(row_of)
    picks = _pick_rows(coordinates[rows.notna()], given[rows.dropna().astype(int).to_numpy()], shapes)
    write_cs(path, picks)
    text = CSG.format(name=Path(path).name, n=len(picks))
    Path(path).with_suffix(".csg").write_text(text, encoding="utf-8", newline="\n")
    return names


def match_exposures(
    exposures: str | Path, micrographs: Sequence[str], *, required: bool = True
) -> tuple[np.ndarray, pd.DataFrame]:
    """Read exposures, and match the micrographs with their paths.

    Parameters
    ----------
    exposures : str or Path
        The .cs file of the exposures.
    micrographs : sequence of str
        Stems of the micrographs.
    required : bool
        Whether at least one micrograph must match.

    Returns
    -------
    tuple of np.ndarray and pd.DataFrame
        Rows of the file, and the table of names of `match_names`.

    Raises
    ------
    UserError
        If the file cannot be read or lacks a field, or no micrograph matches an exposure.
    """
    given = read_cs(exposures, EXPOSURE_FIELDS, cure="export the exposures with their micrograph_blob")
    try:
        return given, match_names(micrographs, text_field(given, "micrograph_blob/path"), required=required)
    except UserError as error:
        raise UserError(f"{exposures}: {error}") from None


def _pick_rows(coordinates: pd.DataFrame, exposures: np.ndarray, shapes: Mapping[str, Shape]) -> np.ndarray:
    """Structured array of picks; row i of `exposures` is the micrograph of row i of `coordinates`."""
    paths = np.array([name.encode() for name in text_field(exposures, "micrograph_blob/path")], dtype=np.bytes_)
    places = zip(LOCATION_FIELDS, [paths.dtype if len(paths) else "S1", ("<u4", 2), "<f4", "<f4"], strict=True)
    types = [(field, *(kind if isinstance(kind, tuple) else (kind,))) for field, kind in places]
    picks = np.zeros(len(coordinates), dtype=[*PICK_TYPES, *types, (SCORE_FIELD, "<f4")])
    height, width = np.reshape([shapes[name] for name in coordinates["micrograph"]], (-1, 2)).T
    picks["uid"] = [_uid(uid, row) for row, uid in enumerate(exposures["uid"].tolist())]
    picks["location/micrograph_uid"] = exposures["uid"]
    if "mscope_params/exp_group_id" in (exposures.dtype.names or ()):
        picks["location/exp_group_id"] = exposures["mscope_params/exp_group_id"]
    picks["location/micrograph_path"] = paths
    picks["location/micrograph_shape"] = exposures["micrograph_blob/shape"]
    picks["location/center_x_frac"] = coordinates["x"].to_numpy(dtype=float) / width
    picks["location/center_y_frac"] = 1 - coordinates["y"].to_numpy(dtype=float) / height
    picks[SCORE_FIELD] = coordinates["score"]
    return picks


def _uid(exposure_uid: int, row: int) -> int:
    return int.from_bytes(hashlib.blake2b(f"{exposure_uid} {row}".encode(), digest_size=8).digest(), "little")
