"""STAR files as RELION 3.1 and later read and write them, through the starfile library.

Written files start with `# version 30001`, have LF line ends and no time stamp, so equal tables give equal bytes.

Source: Zivanov et al. 2020, IUCrJ 7:253 (optics groups); RELION 3.1 and 5 source, `metadata_label.h`.
"""

import linecache
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

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
# Nine significant digits bring every 32-bit number back exactly.
FLOAT_FORMAT = "%.9g"

# What the starfile library takes for a missing value.
NO_VALUE = ("nan", "NaN", "<NA>")
# What opens a block, a loop, a label or a text at the beginning of a line.
KEYWORD = re.compile(r"_|data_|loop_|save_|;", re.IGNORECASE)

Block = pd.DataFrame | dict[str, object]


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
        raise UserError(f"{path}: is not a text file; check that the path names coordinates or a STAR file") from None


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
        If the file cannot be read, holds no block, has rows of different lengths or a label twice in one block.
    """
    read_text(path)
    linecache.clearcache()  # starfile reads through it, and after a failed read it would still hold the old text
    try:
        blocks = starfile.read(path, always_dict=True, parse_as_string=list(NAME_LABELS))
    except (ValueError, TypeError, KeyError, IndexError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: is not a valid STAR file ({reason}); correct it or export it again") from None
    if not blocks:
        raise UserError(f"{path}: holds no STAR data block; check that it is a STAR file and not empty")
    for block in blocks.values():
        if isinstance(block, pd.DataFrame) and block.columns.has_duplicates:
            label = block.columns[block.columns.duplicated()][0]
            raise UserError(f"{path}: label {label} stands twice in one block; remove one of the two columns")
    return blocks


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
    if label not in table:
        raise UserError(f"{path}: has no column {label}; export it with that column, or give another file")
    numbers = pd.to_numeric(table[label], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    given = np.ones(len(table), dtype=bool) if required else table[label].notna().to_numpy()
    wrong = np.flatnonzero(~np.isfinite(numbers) & given)
    if len(wrong):
        value = str(table[label].iloc[wrong[0]])
        raise UserError(
            f"{path}: {_line_with(path, value)}{label} is '{value}', which is not a number; correct or remove the line"
        )
    return numbers


def optics_table(
    *,
    voltage_kv: float,
    spherical_aberration_mm: float,
    amplitude_contrast: float,
    micrograph_pixel_size: float,
    pixel_size: float,
    box_px: int,
) -> pd.DataFrame:
    """One optics group: `micrograph_pixel_size` and the particles' `pixel_size` in Å/px, their box in pixels."""
    return pd.DataFrame(
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


def particles_table(
    coordinates: pd.DataFrame,
    *,
    stack: str,
    micrograph_paths: Mapping[str, str],
    ctf: pd.DataFrame | None = None,
    optics_group: int = 1,
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
        As `read_micrographs_ctf` returns it; its CTF columns go to every particle.
    optics_group : int
        Number of the particles' optics group.

    Raises
    ------
    UserError
        If a micrograph has no path or no CTF.
    """
    micrographs = coordinates["micrograph"].astype(str)
    table = pd.DataFrame(
        {
            "rlnCoordinateX": coordinates["x"].to_numpy(dtype=float),
            "rlnCoordinateY": coordinates["y"].to_numpy(dtype=float),
            "rlnImageName": [f"{i:06d}@{stack}" for i in range(1, len(coordinates) + 1)],
            "rlnMicrographName": _paths_of(micrographs, micrograph_paths),
            "rlnOpticsGroup": np.full(len(coordinates), optics_group, dtype=int),
            "rlnAutopickFigureOfMerit": coordinates["score"].fillna(NO_SCORE).to_numpy(dtype=float),
        }
    )
    return table if ctf is None else pd.concat([table, _ctf_columns(micrographs, ctf)], axis=1)


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
    score_label, name_label = "rlnAutopickFigureOfMerit", "rlnMicrographName"
    x, y = (number_column(path, block, label) for label in ("rlnCoordinateX", "rlnCoordinateY"))
    score = np.full(len(block), np.nan)
    if score_label in block:
        score = number_column(path, block, score_label, required=False)
    if micrograph is None and name_label not in block:
        raise UserError(f"{path}: has no column {name_label}; export it with that column, or give another file")
    names = [micrograph_stem(name) for name in block[name_label]] if micrograph is None else [micrograph] * len(block)
    table = coordinates_table(names, x, y, score)
    used = ["rlnCoordinateX", "rlnCoordinateY", score_label, name_label]
    more = block.drop(columns=used, errors="ignore").reset_index(drop=True)
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


def read_micrographs_ctf(path: str | Path) -> pd.DataFrame:
    """Read the CTF of micrographs from RELION's `micrographs_ctf.star` (3.1 and later, or 3.0).

    Returns
    -------
    pd.DataFrame
        Columns micrograph (stem), defocus_u_angstrom, defocus_v_angstrom (underfocus positive), defocus_angle_deg and,
        if the file has it, phase_shift_deg.

    Raises
    ------
    UserError
        If the file cannot be read, lacks a column, has text for a number or the same micrograph twice.
    """
    tables = [block for block in read_blocks(path).values() if isinstance(block, pd.DataFrame)]
    micrographs = next((block for block in tables if "rlnMicrographName" in block), None)
    if micrographs is None:
        raise UserError(f"{path}: has no column rlnMicrographName; give the star file of RELION's CTF job")
    labels = CTF_LABELS | ({PHASE_LABEL: PHASE_COLUMN} if PHASE_LABEL in micrographs else {})
    stems = pd.Series([micrograph_stem(name) for name in micrographs["rlnMicrographName"]], dtype="str")
    if stems.duplicated().any():
        stem = stems[stems.duplicated()].iloc[0]
        raise UserError(f"{path}: micrograph {stem} stands twice; give a file with one line per micrograph")
    numbers = {column: number_column(path, micrographs, label) for label, column in labels.items()}
    return pd.DataFrame({"micrograph": stems, **numbers})


def _ctf_columns(micrographs: pd.Series, ctf: pd.DataFrame) -> pd.DataFrame:
    missing = set(micrographs) - set(ctf["micrograph"])
    if missing:
        raise UserError(
            f"the CTF table has no line for micrograph {min(missing)} ({len(missing)} in all); "
            "give a micrographs_ctf.star that has every micrograph, or none"
        )
    labels = CTF_LABELS | ({PHASE_LABEL: PHASE_COLUMN} if PHASE_COLUMN in ctf else {})
    rows = ctf.set_index("micrograph").loc[micrographs]
    return pd.DataFrame({label: rows[column].to_numpy(dtype=float) for label, column in labels.items()})


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
        If it is empty, has a blank, a quote or #, means a missing value, or leads through `..`.
    """
    if not name or re.search(r"[\s\"'#\x00-\x1f\x7f]", name):
        raise UserError(f"{path}: a STAR file cannot hold the name '{name}'; rename it without blanks, quotes or #")
    if name in NO_VALUE:
        raise UserError(f"{path}: in a STAR file the name '{name}' means that there is none; rename it")
    if ".." in re.split(r"[/\\@]", name):
        raise UserError(f"{path}: RELION does not follow '..' in '{name}'; link the files into the project directory")


def _line_with(path: str | Path, value: str) -> str:
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if value in line.split():
            return f"line {number}: "
    return ""
