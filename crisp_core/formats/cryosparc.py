"""Star files that cryoSPARC imports: particle stacks, and coordinates alone; `cryosparc_picks` has its own files.

Source: cryoSPARC guide, "Import Particle Stack".
"""

import re
from collections.abc import Mapping
from pathlib import Path

import mrcfile
import numpy as np
import pandas as pd

from crisp_core.errors import UserError, opening
from crisp_core.formats.coordinates.table import NO_SCORE
from crisp_core.formats.relion_labels import CTF_LABELS
from crisp_core.formats.star import as_table, read_blocks, write_blocks
from crisp_core.formats.star_names import check_name
from crisp_core.formats.stems import micrograph_stem

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
