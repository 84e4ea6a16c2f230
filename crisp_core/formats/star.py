"""STAR files as RELION 3.1 and later read and write them, through the starfile library.

Written files start with `# version 30001`, have LF line ends and no time stamp, so equal tables give equal bytes.

Source: Zivanov et al. 2020, IUCrJ 7:253 (optics groups); RELION 3.1 and 5 source, `metadata_label.h`.
"""

import linecache
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple, TypeAlias, overload

import numpy as np
import pandas as pd
import starfile

from crisp_core.errors import UserError, opening

VERSION_LINE = "# version 30001"
COLUMNS = ("micrograph", "x", "y", "score")
# What RELION's manual picking and CASSPER write where there is no figure of merit.
NO_SCORE = -999.0
NAME_LABELS = (
    "rlnMicrographName",
    "rlnImageName",
    "rlnMicrographCoordinates",
    "rlnOpticsGroupName",
    "rlnMicrographMovieName",
    "rlnCtfImage",
)
FILE_SUFFIXES = tuple(
    ".mrc .mrcs .map .tif .tiff .eer .png .jpg .jpeg .h5 .hdf5 .gz .bz2".split()
    + ".star .box .cbox .csv .tsv .txt .json .cs".split()
)
CTF_LABELS = {
    "rlnDefocusU": "defocus_u_angstrom",
    "rlnDefocusV": "defocus_v_angstrom",
    "rlnDefocusAngle": "defocus_angle_deg",
}
PHASE_LABEL, PHASE_COLUMN = "rlnPhaseShift", "phase_shift_deg"
X_LABEL, Y_LABEL, SCORE_LABEL, NAME_LABEL = (
    "rlnCoordinateX",
    "rlnCoordinateY",
    "rlnAutopickFigureOfMerit",
    "rlnMicrographName",
)
LIST_LABEL = "rlnMicrographCoordinates"
# Columns of a star file whose rows are not single particles of a micrograph.
HELICAL_LABELS = ("rlnHelicalTubeID", "rlnHelicalTrackLengthAngst")
TOMOGRAM_LABELS = (
    "rlnCoordinateZ",
    "rlnTomoName",
    "rlnTomoParticleName",
    "rlnTomoParticleId",
    "rlnCenteredCoordinateZAngst",
)
# What an optics group says of the microscope, as `optics_table` takes it.
MICROSCOPE_LABELS = {
    "rlnVoltage": "voltage_kv",
    "rlnSphericalAberration": "spherical_aberration_mm",
    "rlnAmplitudeContrast": "amplitude_contrast",
}
# Å/px of the micrographs in an optics table, the most telling first.
PIXEL_SIZE_LABELS = ("rlnMicrographPixelSize", "rlnImagePixelSize", "rlnMicrographOriginalPixelSize")
# Pixel size of RELION 3.0 and earlier: micrometres on the detector, divided by the magnification.
MAGNIFICATION_LABELS = ("rlnDetectorPixelSize", "rlnMagnification")
# Nine significant digits bring every 32-bit number back exactly.
FLOAT_FORMAT = "%.9g"

# What the starfile library or pandas takes for a missing value.
NO_VALUE = ("nan", "NaN", "<NA>", "NA", "N/A", "n/a", "NULL", "null", "None")
# What opens a block, a loop, a label or a text at the beginning of a line.
KEYWORD = re.compile(r"_|data_|loop_|save_|;", re.IGNORECASE)

Block: TypeAlias = pd.DataFrame | dict[str, object]


class MicrographsCtf(NamedTuple):
    """CTF of micrographs, and the optics groups that they belong to.

    `micrographs` has the columns micrograph (stem), defocus_u_angstrom, defocus_v_angstrom (underfocus positive),
    defocus_angle_deg, perhaps phase_shift_deg, and optics_group. `groups` has rlnOpticsGroupName, rlnOpticsGroup
    (1, 2, …) and those of `MICROSCOPE_LABELS` that the file gives, in kV, mm and as a fraction.
    """

    micrographs: pd.DataFrame
    groups: pd.DataFrame


def read_text(path: str | Path) -> str:
    """Return the text of a file (UTF-8).

    Raises
    ------
    UserError
        If the file is missing, may not be read, or is not text.
    """
    try:
        with opening(path):
            return Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(
            f"{path}: is not a text file of UTF-8; check that the path names coordinates or a STAR file, and save a "
            "table of another encoding (UTF-16, Latin-1) as UTF-8"
        ) from None


def micrograph_stem(name: str) -> str:
    """Name without folders and known file suffixes; other dots belong to the stem (`May08_04.33.57`)."""
    stem = re.split(r"[/\\]", str(name))[-1]
    while stem.lower().endswith(FILE_SUFFIXES):
        stem = stem[: stem.rindex(".")]
    return stem


def read_blocks(path: str | Path) -> dict[str, Block]:
    """Read every block of a STAR file: loops as tables, single values as dictionaries, keyed by name without `data_`.

    Raises
    ------
    UserError
        If the file cannot be read, holds no block, has rows of different lengths, a block of a name twice, a block
        without columns or a label twice in one block.
    """
    _check_block_names(path, read_text(path))
    linecache.clearcache()  # starfile reads through it, and after a failed read it would still hold the old text
    try:
        blocks = starfile.read(path, always_dict=True, parse_as_string=list(NAME_LABELS))
    except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: is not a valid STAR file ({reason}); correct it or export it again") from None
    if not blocks:
        raise UserError(f"{path}: holds no STAR data block; check that it is a STAR file and not empty")
    for block in blocks.values():
        if isinstance(block, pd.DataFrame) and block.columns.has_duplicates:
            label = block.columns[block.columns.duplicated()][0]
            raise UserError(f"{path}: label {label} stands twice in one block; remove one of the two columns")
    return blocks


def _check_block_names(path: str | Path, text: str) -> None:
    """Refuse blocks that the starfile library loses: all but the last of one name, and those without columns."""
    opened = re.split(r"^[ \t]*data_", text, flags=re.MULTILINE)[1:]
    names = [(block.split(None, 1) or [""])[0] if block[:1].strip() else "" for block in opened]
    for name, block in zip(names, opened, strict=True):
        if names.count(name) > 1:
            raise UserError(
                f"{path}: holds {names.count(name)} blocks named data_{name}, of which a reader sees one; "
                "give the files that were joined one by one, or name each block after its micrograph"
            )
        if not re.search(r"^[ \t]*(loop_|_)", block, flags=re.MULTILINE):
            raise UserError(
                f"{path}: block data_{name} has no columns; export the file again, or remove it (a list of no "
                f"particles still names its columns _{X_LABEL} and _{Y_LABEL})"
            )


@overload
def as_table(block: Block) -> pd.DataFrame: ...


@overload
def as_table(block: None) -> None: ...


def as_table(block: Block | None) -> pd.DataFrame | None:
    """Return a block as a table, also one that lists single values; None where there is none."""
    return pd.DataFrame([block]) if isinstance(block, dict) else block


def write_blocks(path: str | Path, blocks: Mapping[str, Block]) -> None:
    """Write blocks to a STAR file.

    Raises
    ------
    UserError
        If a name has a blank, a quote or `#` in it, is empty or leads through `..`, if a line would begin with a word
        of the format (`data_…`), or if a label stands twice.
    """
    for block in blocks.values():
        if isinstance(block, pd.DataFrame):
            _check_table(path, block)
    # The first line is the library's comment with the time of day.
    content = starfile.to_string(dict(blocks), float_format=FLOAT_FORMAT).split("\n", 1)[1].lstrip("\n")
    Path(path).write_text(f"{VERSION_LINE}\n\n{content.rstrip()}\n\n", encoding="utf-8", newline="\n")


def number_column(path: str | Path, table: pd.DataFrame, label: str, *, required: bool = True) -> np.ndarray:
    """Column of a STAR table as floats; a missing value is NaN where it is not required.

    Raises
    ------
    UserError
        If the column is missing, or holds text, infinity or (if required) nothing; the line is named.
    """
    numbers = _numbers_or_nan(path, table, label)
    given = np.ones(len(table), dtype=bool) if required else table[label].notna().to_numpy()
    wrong = np.flatnonzero(~np.isfinite(numbers) & given)
    if len(wrong):
        value = str(table[label].iloc[wrong[0]])
        raise UserError(
            f"{path}: {_line_with(path, value)}{label} is '{value}', which is not a number; correct or remove the line"
        )
    return numbers


def _numbers_or_nan(path: str | Path, table: pd.DataFrame, label: str) -> np.ndarray:
    """Column of a STAR table as floats, NaN where it holds no finite number."""
    if label not in table:
        raise UserError(f"{path}: has no column {label}; export it with that column, or give another file")
    numbers = pd.to_numeric(table[label], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def optics_table(
    *,
    voltage_kv: float,
    spherical_aberration_mm: float,
    amplitude_contrast: float,
    micrograph_pixel_size: float,
    pixel_size: float,
    box_px: int,
    groups: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Optics of particles.

    Parameters
    ----------
    voltage_kv, spherical_aberration_mm, amplitude_contrast : float
        kV, mm, fraction.
    micrograph_pixel_size, pixel_size : float
        Å/px of the micrographs and of the particle images.
    box_px : int
        Side of the particle images.
    groups : pd.DataFrame, optional
        Of a `MicrographsCtf`: one row for each, with its number and name; what it says of the microscope goes first.
        Without, one group.
    """
    table = pd.DataFrame(
        {
            "rlnOpticsGroupName": ["opticsGroup1"],
            "rlnOpticsGroup": [1],
            "rlnVoltage": [float(voltage_kv)],
            "rlnSphericalAberration": [float(spherical_aberration_mm)],
            "rlnAmplitudeContrast": [float(amplitude_contrast)],
            "rlnMicrographOriginalPixelSize": [float(micrograph_pixel_size)],
            "rlnImagePixelSize": [float(pixel_size)],
            "rlnImageSize": [int(box_px)],
            "rlnImageDimensionality": [2],
        }
    )
    if groups is None:
        return table
    return table.loc[[0] * len(groups)].reset_index(drop=True).assign(**{label: groups[label] for label in groups})


def used_groups(optics: pd.DataFrame, numbers: pd.Series) -> tuple[pd.DataFrame, pd.Series]:
    """Rows of `optics` that are in use, numbered 1, 2, … in their order, and `numbers` to go with them.

    Parameters
    ----------
    optics : pd.DataFrame
        With rlnOpticsGroup.
    numbers : pd.Series
        rlnOpticsGroup of each particle or micrograph. Where there is none at all, every group stays.
    """
    used = optics[optics["rlnOpticsGroup"].isin(numbers)] if len(numbers) else optics
    new = pd.Series(range(1, len(used) + 1), index=used["rlnOpticsGroup"].to_numpy())
    return used.assign(rlnOpticsGroup=new.to_numpy()).reset_index(drop=True), numbers.map(new).astype(int)


def joined_particles(batches: Sequence[Mapping[str, pd.DataFrame]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Optics and particles of several files with the blocks optics and particles, each with its own optics groups.

    Groups of one name are one, and numbered 1, 2, … as the particles come; those without particles are left out.
    """
    batches = [batch for batch in batches if len(batch["particles"])] or batches[:1]
    optics = pd.concat([batch["optics"] for batch in batches]).drop_duplicates("rlnOpticsGroupName")
    names = [
        batch["particles"]["rlnOpticsGroup"].map(batch["optics"].set_index("rlnOpticsGroup")["rlnOpticsGroupName"])
        for batch in batches
    ]
    group_of = pd.concat(names, ignore_index=True)
    order = list(dict.fromkeys(group_of)) or batches[0]["optics"]["rlnOpticsGroupName"].tolist()
    numbers = {name: number for number, name in enumerate(order, start=1)}
    used = optics.set_index("rlnOpticsGroupName", drop=False).loc[order].reset_index(drop=True)
    particles = pd.concat([batch["particles"] for batch in batches], ignore_index=True)
    return (
        used.assign(rlnOpticsGroup=list(numbers.values())),
        particles.assign(rlnOpticsGroup=group_of.map(numbers).astype(int)),
    )


def particles_table(
    coordinates: pd.DataFrame,
    *,
    stack: str,
    micrograph_paths: Mapping[str, str],
    ctf: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Particles of one stack, in the order of the stack; tables of several stacks can be concatenated.

    Parameters
    ----------
    coordinates : pd.DataFrame
        Columns micrograph, x, y (full-resolution pixels, top-left), score.
    stack : str
        Path of the `.mrcs` file, relative to the project directory.
    micrograph_paths : Mapping[str, str]
        Path of each micrograph, by stem.
    ctf : pd.DataFrame, optional
        Of a `MicrographsCtf`; its CTF columns go to every particle, and its optics_group, 1 where it has none.

    Raises
    ------
    UserError
        If a micrograph has no path or no CTF.
    """
    micrographs = coordinates["micrograph"].astype(str)
    rows = None if ctf is None else _ctf_rows(micrographs, ctf)
    groups = None if rows is None or "optics_group" not in rows else rows["optics_group"].to_numpy(dtype=int)
    table = pd.DataFrame(
        {
            "rlnCoordinateX": coordinates["x"].to_numpy(dtype=float),
            "rlnCoordinateY": coordinates["y"].to_numpy(dtype=float),
            "rlnImageName": [f"{i:06d}@{stack}" for i in range(1, len(coordinates) + 1)],
            "rlnMicrographName": _paths_of(micrographs, micrograph_paths),
            "rlnOpticsGroup": 1 if groups is None else groups,
            "rlnAutopickFigureOfMerit": coordinates["score"].fillna(NO_SCORE).to_numpy(dtype=float),
        }
    )
    return table if rows is None else table.assign(**_ctf_columns(rows))


def write_particles_star(path: str | Path, optics: pd.DataFrame, particles: pd.DataFrame) -> None:
    """Write `data_optics` and `data_particles`.

    Raises
    ------
    UserError
        If a name or label is one that RELION cannot read, or the same image stands twice.
    """
    if particles["rlnImageName"].duplicated().any():
        name = particles.loc[particles["rlnImageName"].duplicated(), "rlnImageName"].iloc[0]
        raise UserError(f"{path}: image {name} stands twice; give every batch its own stack")
    write_blocks(path, {"optics": optics, "particles": particles})


def write_coordinates_star(path: str | Path, table: pd.DataFrame) -> None:
    """Write the picks of many micrographs, in full-resolution pixels; columns beyond the four keep their names.

    A missing score becomes −999. Coordinates and scores keep nine significant digits.

    Raises
    ------
    UserError
        If a micrograph's name cannot stand in a STAR file.
    """
    standard = pd.DataFrame(
        {
            "rlnCoordinateX": table["x"].astype(float),
            "rlnCoordinateY": table["y"].astype(float),
            "rlnMicrographName": table["micrograph"].astype(str),
            "rlnAutopickFigureOfMerit": table["score"].astype(float).fillna(NO_SCORE),
        }
    )
    more = table.drop(columns=list(COLUMNS))
    write_blocks(path, {"particles": pd.concat([standard, more], axis=1)})


def read_coordinates_star(path: str | Path) -> pd.DataFrame:
    """Read what `write_coordinates_star` wrote: micrograph, x, y, score and the columns beyond.

    Raises
    ------
    UserError
        If the file cannot be read, lacks a column or has text where a number belongs.
    """
    blocks = read_blocks(path)
    picks = blocks.get("particles")
    if not isinstance(picks, pd.DataFrame):
        raise UserError(f"{path}: has no block data_particles; run the step that writes it again")
    return coordinates_of_block(path, picks, keep_more=True)


def coordinates_block(path: str | Path, blocks: Mapping[str, Block]) -> pd.DataFrame:
    """Return the rows of a STAR file that are particles on micrographs.

    Parameters
    ----------
    path : str or Path
        The file, for messages.
    blocks : mapping of str to table or dictionary
        Of `read_blocks`. Several blocks of coordinates are joined; if they do not name micrographs, each block's own
        name is its micrograph (`data_mic0`).

    Raises
    ------
    UserError
        If no block has coordinates, only some of several name micrographs, or the rows are of filaments or tomograms.
    """
    # a block of one row may come without loop_, as single values
    tables = {name: as_table(block) for name, block in blocks.items()}
    for table in tables.values():
        _check_single_particles(path, table)
    found = {name: table for name, table in tables.items() if X_LABEL in table}
    if not found:
        raise UserError(f"{path}: has no column {X_LABEL}; export it with that column, or give a star file of picks")
    named = [NAME_LABEL in table for table in found.values()]
    if len(found) > 1 and not any(named):
        found = {name: table.assign(**{NAME_LABEL: name}) for name, table in found.items()}
    elif not all(named) and len(found) > 1:
        raise UserError(
            f"{path}: some of its {len(found)} blocks of coordinates have the column {NAME_LABEL} and others don't; "
            "add it to all, or give one file per micrograph"
        )
    return pd.concat(found.values(), ignore_index=True)


def _check_single_particles(path: str | Path, table: pd.DataFrame) -> None:
    for labels, kind in ((HELICAL_LABELS, "filaments"), (TOMOGRAM_LABELS, "tomograms")):
        for label in labels:
            # some programs write the column also where it says nothing
            if label in table and not table[label].isin([0, "0"]).mask(table[label].isna(), True).all():
                raise UserError(
                    f"{path}: has the column {label}, so its rows belong to {kind}, which CRISP does not pick; "
                    "give coordinates of single particles on micrographs"
                )


def read_coordinate_list(path: str | Path) -> dict[str, str]:
    """Read RELION's list of coordinate files (`autopick.star`, block data_coordinate_files).

    Returns
    -------
    dict
        Micrograph (stem) by coordinate file, as the list names it.

    Raises
    ------
    UserError
        If the file cannot be read, has no such list, or names a file twice.
    """
    tables = (as_table(block) for block in read_blocks(path).values())
    table = next((table for table in tables if {NAME_LABEL, LIST_LABEL} <= set(table)), None)
    if table is None:
        raise UserError(f"{path}: has no columns {NAME_LABEL} and {LIST_LABEL}; give RELION's autopick.star")
    if table[LIST_LABEL].duplicated().any():
        repeated = table.loc[table[LIST_LABEL].duplicated(), LIST_LABEL].iloc[0]
        raise UserError(f"{path}: names {repeated} twice; give each micrograph its own coordinate file")
    return {file: micrograph_stem(name) for file, name in zip(table[LIST_LABEL], table[NAME_LABEL], strict=True)}


def coordinates_of_block(
    path: str | Path, block: pd.DataFrame, *, micrograph: str | None = None, keep_more: bool = False
) -> pd.DataFrame:
    """Return micrograph, x, y, score of a STAR table with rlnCoordinateX and rlnCoordinateY.

    Parameters
    ----------
    path : str or Path
        The file, for messages.
    block : pd.DataFrame
        Table of particles or picks. rlnAutopickFigureOfMerit is the score; without it, or where it is −999, NaN.
    micrograph : str, optional
        The micrograph of every row; without it, the stem of rlnMicrographName.
    keep_more : bool
        Keep the other columns under their own names.

    Raises
    ------
    UserError
        If a column is missing or has text where a number belongs.
    """
    x, y = (number_column(path, block, label) for label in (X_LABEL, Y_LABEL))
    score = np.full(len(block), np.nan)
    if SCORE_LABEL in block:
        score = number_column(path, block, SCORE_LABEL, required=False)
    if micrograph is None and NAME_LABEL not in block:
        raise UserError(f"{path}: has no column {NAME_LABEL}; export it with that column, or give another file")
    names = [micrograph_stem(name) for name in block[NAME_LABEL]] if micrograph is None else [micrograph] * len(block)
    table = coordinates_table(names, x, y, score)
    more = block.drop(columns=[X_LABEL, Y_LABEL, SCORE_LABEL, NAME_LABEL], errors="ignore").reset_index(drop=True)
    return pd.concat([table, more], axis=1) if keep_more else table


def coordinates_table(
    micrographs: Iterable[str], x: np.ndarray, y: np.ndarray, score: np.ndarray | None = None
) -> pd.DataFrame:
    """Return the table that every reader returns; scores of −999 and absent scores are NaN."""
    x = np.asarray(x, dtype=float)
    score = np.full(len(x), np.nan) if score is None else np.asarray(score, dtype=float)
    names = pd.Series(list(micrographs), dtype="str")
    score = np.where(score == NO_SCORE, np.nan, score)
    return pd.DataFrame({"micrograph": names, "x": x, "y": np.asarray(y, dtype=float), "score": score})


def autopick_table(table: pd.DataFrame) -> pd.DataFrame:
    """Picks of one micrograph as RELION's autopicking writes them (class and angle 0: no template)."""
    return pd.DataFrame(
        {
            "rlnCoordinateX": table["x"].to_numpy(dtype=float),
            "rlnCoordinateY": table["y"].to_numpy(dtype=float),
            "rlnAutopickFigureOfMerit": table["score"].fillna(NO_SCORE).to_numpy(dtype=float),
            "rlnClassNumber": np.zeros(len(table), dtype=int),
            "rlnAnglePsi": np.zeros(len(table)),
        }
    )


def write_autopick(
    path: str | Path, directory: str | Path, table: pd.DataFrame, micrograph_paths: Mapping[str, str]
) -> None:
    """Write picks for RELION's extraction: a list at `path` and `<stem>_autopick.star` per micrograph in `directory`.

    Parameters
    ----------
    path : str or Path
        The list, with block `data_coordinate_files`.
    directory : str or Path
        Where the micrographs' files go, as the list shall name it (relative to the project directory).
    table : pd.DataFrame
        Columns micrograph, x, y, score.
    micrograph_paths : Mapping[str, str]
        Path of every micrograph, by stem; one without picks gets an empty file.

    Raises
    ------
    UserError
        If a pick's micrograph has no path, or a name cannot stand in a STAR file.
    """
    _paths_of(table["micrograph"].astype(str), micrograph_paths)
    Path(directory).mkdir(parents=True, exist_ok=True)
    files = [(PurePosixPath(directory) / f"{stem}_autopick.star").as_posix() for stem in micrograph_paths]
    listed = pd.DataFrame({"rlnMicrographName": list(micrograph_paths.values()), "rlnMicrographCoordinates": files})
    write_blocks(path, {"coordinate_files": listed.astype("str")})
    picks = dict(list(table.groupby("micrograph", sort=False)))
    for stem, file in zip(micrograph_paths, files, strict=True):
        write_blocks(file, {"": autopick_table(picks.get(stem, table.iloc[:0]))})


def read_micrographs_ctf(path: str | Path) -> MicrographsCtf:
    """Read the CTF of micrographs from RELION's `micrographs_ctf.star` (3.1 and later, or 3.0).

    RELION 3.0 has no optics groups: micrographs whose microscope is the same become one.

    Raises
    ------
    UserError
        If the file cannot be read, lacks a column, has the same micrograph twice, or optics groups that do not fit its
        micrographs.

    Notes
    -----
    Text and infinity are NaN: one micrograph whose CTF could not be estimated makes no file useless.
    """
    blocks, micrographs = _blocks_of_micrographs(path)
    labels = CTF_LABELS | ({PHASE_LABEL: PHASE_COLUMN} if PHASE_LABEL in micrographs else {})
    stems = pd.Series([micrograph_stem(name) for name in micrographs["rlnMicrographName"]], dtype="str")
    if stems.duplicated().any():
        stem = stems[stems.duplicated()].iloc[0]
        raise UserError(f"{path}: micrograph {stem} stands twice; give a file with one line per micrograph")
    numbers = {column: _numbers_or_nan(path, micrographs, label) for label, column in labels.items()}
    groups, group_of = _optics_groups(path, blocks.get("optics"), micrographs)
    return MicrographsCtf(pd.DataFrame({"micrograph": stems, **numbers, "optics_group": group_of}), groups)


def read_ctf_sources(path: str | Path) -> pd.DataFrame:
    """Files that the CTFs of a `micrographs_ctf.star` were estimated from.

    Returns
    -------
    pd.DataFrame
        In the order of `read_micrographs_ctf`: micrograph (stem), file (as the star names it) and pixel_size, Å/px of
        that file, NaN where the star does not say it.

    Raises
    ------
    UserError
        If the file cannot be read, or has no micrographs.
    """
    blocks, micrographs = _blocks_of_micrographs(path)
    files = micrographs["rlnMicrographName"].astype("str")
    stems = pd.Series([micrograph_stem(name) for name in files], dtype="str")
    sizes = _pixel_size_of_micrographs(path, micrographs, blocks.get("optics"))
    return pd.DataFrame({"micrograph": stems, "file": files.to_numpy(), "pixel_size": sizes})


def _blocks_of_micrographs(path: str | Path) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """All blocks as tables, and the one that lists micrographs."""
    blocks = {name: as_table(block) for name, block in read_blocks(path).items()}
    micrographs = next((block for block in blocks.values() if "rlnMicrographName" in block), None)
    if micrographs is None:
        raise UserError(f"{path}: has no column rlnMicrographName; give the star file of RELION's CTF job")
    return blocks, micrographs


def _pixel_size_of_micrographs(path: str | Path, micrographs: pd.DataFrame, optics: pd.DataFrame | None) -> np.ndarray:
    """Å/px of every micrograph; that of its movie (rlnMicrographOriginalPixelSize) where nothing else is given."""
    if set(MAGNIFICATION_LABELS) <= set(micrographs):
        detector, magnification = (_numbers_or_nan(path, micrographs, label) for label in MAGNIFICATION_LABELS)
        sizes = 1e4 * detector / np.where(magnification > 0, magnification, np.nan)
        return np.where(sizes > 0, sizes, np.nan)
    table, rows = micrographs, slice(None)
    if optics is not None and "rlnOpticsGroup" in micrographs:
        numbers, group_of = _group_numbers(path, optics, micrographs)
        table, rows = optics, group_of.map(pd.Series(range(len(numbers)), index=numbers)).to_numpy(dtype=int)
    for label in PIXEL_SIZE_LABELS:
        if label in table:
            sizes = _numbers_or_nan(path, table, label)[rows]
            return np.where(sizes > 0, sizes, np.nan)
    return np.full(len(micrographs), np.nan)


def micrograph_pixel_sizes(path: str | Path) -> dict[float, str]:
    """Pixel sizes (Å/px) of the micrographs that a STAR file of coordinates states, each with the label that does.

    The pixel size of particle images is not one of them: they may be rescaled.

    Raises
    ------
    UserError
        If the file cannot be read, or has no coordinates.
    """
    blocks = read_blocks(path)
    rows, optics = coordinates_block(path, blocks), as_table(blocks.get("optics"))
    if optics is not None and "rlnOpticsGroup" in rows and "rlnOpticsGroup" in optics:
        optics = optics[optics["rlnOpticsGroup"].isin(rows["rlnOpticsGroup"])]
    tables = [rows] if optics is None else [optics, rows]
    of_images = "rlnImageName" in rows or any("rlnImageSize" in table for table in tables)
    for label in (label for label in PIXEL_SIZE_LABELS if not (of_images and label == "rlnImagePixelSize")):
        for table in tables:
            if label in table:
                return _positive(_numbers_or_nan(path, table, label), label)
    if of_images or not set(MAGNIFICATION_LABELS) <= set(rows):
        return {}
    detector, magnification = (_numbers_or_nan(path, rows, label) for label in MAGNIFICATION_LABELS)
    return _positive(
        1e4 * detector / np.where(magnification > 0, magnification, np.nan), " and ".join(MAGNIFICATION_LABELS)
    )


def _positive(sizes: np.ndarray, label: str) -> dict[float, str]:
    return dict.fromkeys(np.unique(sizes[sizes > 0].round(6)).tolist(), label)


def write_micrographs_ctf(
    path: str | Path, ctf: MicrographsCtf, micrograph_paths: Mapping[str, str], *, pixel_size: float
) -> None:
    """Write what `read_micrographs_ctf` reads, as RELION 3.1 and later do.

    Parameters
    ----------
    path : str or Path
        File to write.
    ctf : MicrographsCtf
    micrograph_paths : Mapping[str, str]
        Path of each micrograph, by stem.
    pixel_size : float
        Å/px of the micrographs.

    Raises
    ------
    UserError
        If a micrograph has no path, or a name cannot stand in a STAR file.
    """
    table = ctf.micrographs
    sizes = dict.fromkeys(("rlnMicrographOriginalPixelSize", "rlnMicrographPixelSize"), float(pixel_size))
    names = pd.Series(_paths_of(table["micrograph"], micrograph_paths), dtype="str")
    numbers = table["optics_group"].to_numpy(dtype=int)
    micrographs = pd.DataFrame({"rlnMicrographName": names, "rlnOpticsGroup": numbers} | _ctf_columns(table))
    write_blocks(path, {"optics": ctf.groups.assign(**sizes), "micrographs": micrographs})


def origins_angstrom(path: str | Path, particles: pd.DataFrame, label: str, optics: Block | None) -> np.ndarray:
    """Origins of particles in Å, from a refinement's STAR file.

    Parameters
    ----------
    path : str or Path
        The file, for messages.
    particles : pd.DataFrame
        RELION 3.0 and earlier have origins in pixels of the particle's image, without `Angst`. 0 without either.
    label : str
        rlnOriginXAngst or rlnOriginYAngst.
    optics : table or dictionary, optional
        The block data_optics.

    Raises
    ------
    UserError
        If a number, or the pixel size that pixels need, is missing.
    """
    in_pixels = label.removesuffix("Angst")
    if label in particles:
        return number_column(path, particles, label)
    if in_pixels not in particles:
        return np.zeros(len(particles))
    return number_column(path, particles, in_pixels) * _image_pixel_size(path, particles, optics)


def _image_pixel_size(path: str | Path, particles: pd.DataFrame, optics: Block | None) -> np.ndarray:
    """Pixel size of every particle's image, Å/px."""
    if {"rlnDetectorPixelSize", "rlnMagnification"} <= set(particles):
        micrometres = number_column(path, particles, "rlnDetectorPixelSize")
        magnification = number_column(path, particles, "rlnMagnification")
        if not (magnification > 0).all():
            raise UserError(f"{path}: rlnMagnification is not greater than 0 everywhere; correct it")
        return 1e4 * micrometres / magnification
    optics = as_table(optics)
    if optics is not None and "rlnOpticsGroup" in particles:
        numbers, group_of = _group_numbers(path, optics, particles)
        return group_of.map(pd.Series(number_column(path, optics, "rlnImagePixelSize"), index=numbers)).to_numpy()
    return number_column(path, particles, "rlnImagePixelSize")


def _group_numbers(path: str | Path, optics: pd.DataFrame, rows: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Numbers of the groups in data_optics, each once, and of those that the rows of another block belong to."""
    numbers = pd.Series(number_column(path, optics, "rlnOpticsGroup"))
    group_of = pd.Series(number_column(path, rows, "rlnOpticsGroup"))
    if numbers.duplicated().any():
        raise UserError(f"{path}: optics group {numbers[numbers.duplicated()].iloc[0]:g} stands twice; remove one")
    unknown = group_of[~group_of.isin(numbers)]
    if len(unknown):
        raise UserError(f"{path}: a row is of optics group {unknown.iloc[0]:g}, which data_optics lacks; add it")
    return numbers, group_of


def _optics_groups(
    path: str | Path, optics: pd.DataFrame | None, micrographs: pd.DataFrame
) -> tuple[pd.DataFrame, pd.Series]:
    """Optics groups of a file of micrographs, numbered 1, 2, …, and the number of each micrograph's."""
    if optics is None or "rlnOpticsGroup" not in micrographs:
        return _groups_of_equal_microscope(path, micrographs)
    numbers, group_of = _group_numbers(path, optics, micrographs)
    given = {label: number_column(path, optics, label) for label in MICROSCOPE_LABELS if label in optics}
    names = pd.Series([f"opticsGroup{number:g}" for number in numbers], dtype="str")
    if "rlnOpticsGroupName" in optics:
        names = optics["rlnOpticsGroupName"].astype("str").fillna(names)
    groups = pd.DataFrame({"rlnOpticsGroupName": names, "rlnOpticsGroup": numbers, **given})
    for name in names:
        check_name(path, name)
    if names.duplicated().any():
        raise UserError(f"{path}: two optics groups have the same rlnOpticsGroupName; name them differently")
    return used_groups(groups, group_of)


def _groups_of_equal_microscope(path: str | Path, micrographs: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    given = [label for label in MICROSCOPE_LABELS if label in micrographs]
    values = pd.DataFrame({label: number_column(path, micrographs, label) for label in given}, index=micrographs.index)
    microscopes = list(values.itertuples(index=False, name=None))
    numbers = {microscope: i for i, microscope in enumerate(dict.fromkeys(microscopes), start=1)}
    count = list(numbers.values())
    names = {"rlnOpticsGroupName": [f"opticsGroup{i}" for i in count], "rlnOpticsGroup": count}
    columns: dict[str, Sequence[float]] = {label: [] for label in given}
    if numbers:
        columns = dict(zip(given, zip(*numbers, strict=True), strict=True))
    return pd.DataFrame(names | columns), pd.Series([numbers[microscope] for microscope in microscopes], dtype=int)


def _ctf_rows(micrographs: pd.Series, ctf: pd.DataFrame) -> pd.DataFrame:
    missing = set(micrographs) - set(ctf["micrograph"])
    if missing:
        raise UserError(
            f"the CTF table has no line for micrograph {min(missing)} ({len(missing)} in all); "
            "give a micrographs_ctf.star that has every micrograph, or none"
        )
    return ctf.set_index("micrograph").loc[micrographs]


def _ctf_columns(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    labels = CTF_LABELS | ({PHASE_LABEL: PHASE_COLUMN} if PHASE_COLUMN in rows else {})
    return {label: rows[column].to_numpy(dtype=float) for label, column in labels.items()}


def _paths_of(micrographs: pd.Series, micrograph_paths: Mapping[str, str]) -> list[str]:
    missing = set(micrographs) - set(micrograph_paths)
    if missing:
        raise UserError(f"no path is known for micrograph {min(missing)}; it is not in the dataset's micrographs.tsv")
    return [str(micrograph_paths[stem]) for stem in micrographs]


def _check_table(path: str | Path, table: pd.DataFrame) -> None:
    if table.columns.has_duplicates:
        label = table.columns[table.columns.duplicated()][0]
        raise UserError(f"{path}: label {label} would stand twice; rename one of the columns")
    for column in table.select_dtypes(["object", "str"]):
        for name in table[column].dropna().unique():
            check_name(path, str(name))
            if column == table.columns[0] and KEYWORD.match(str(name)):
                raise UserError(f"{path}: a line of a STAR file cannot begin with '{name}'; rename it")


def check_name(path: str | Path, name: str) -> None:
    """Refuse a name that RELION cannot read in a STAR file.

    Parameters
    ----------
    path : str or Path
        The file, for the message.
    name : str
        What shall stand in a cell.

    Raises
    ------
    UserError
        If it is empty or a dot, has a blank, a quote or #, means a missing value, or leads through `..`.
    """
    if name in ("", ".") or re.search(r"[\s\"'#\x00-\x1f\x7f]", name):
        raise UserError(f"{path}: a STAR file cannot hold the name '{name}'; rename it without blanks, quotes or #")
    if name in NO_VALUE:
        raise UserError(f"{path}: the name '{name}' means in a table that there is none; rename it")
    if ".." in re.split(r"[/\\@]", name):
        raise UserError(f"{path}: RELION does not follow '..' in '{name}'; link the files into the project directory")


def _line_with(path: str | Path, value: str) -> str:
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if value in line.split():
            return f"line {number}: "
    return ""
