"""The coordinate formats, and reading and writing a file in any of them.

Reading changes no origin: `placing.to_top_left` does, and `origin.check_origin` judges whether the stated origin can be
right.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from crisp_core.errors import UserError
from crisp_core.formats.coordinates.cryolo import CRYOLO
from crisp_core.formats.coordinates.cryoppp import CRYOPPP
from crisp_core.formats.coordinates.cryosparc import CRYOSPARC
from crisp_core.formats.coordinates.eman import EMAN, EMAN_JSON
from crisp_core.formats.coordinates.format import CoordinateFormat
from crisp_core.formats.coordinates.names import stem_of_picks
from crisp_core.formats.coordinates.plain import TABLE
from crisp_core.formats.coordinates.relion import RELION, RELION_PARTICLES
from crisp_core.formats.coordinates.table import coordinates_table
from crisp_core.formats.coordinates.text_tables import header_cells
from crisp_core.formats.coordinates.topaz import TOPAZ
from crisp_core.formats.relion_autopick import is_coordinate_list, listed_files

# Of several formats with the suffix of a file, the first whose header test accepts it is taken.
COORDINATE_FORMATS: tuple[CoordinateFormat, ...] = (
    RELION,
    RELION_PARTICLES,
    EMAN,
    EMAN_JSON,
    CRYOPPP,
    TOPAZ,
    CRYOLO,
    CRYOSPARC,
    TABLE,
)
BY_NAME = {format.name: format for format in COORDINATE_FORMATS}
# Names of the formats, as `coordinates/format` in the config has them.
FORMATS = tuple(BY_NAME)


def read_coordinates(path: str | Path, *, format: str = "auto", micrograph: str | None = None) -> pd.DataFrame:
    """Read one coordinate file.

    Parameters
    ----------
    path : str or Path
        File of one micrograph, or of many where the format names micrographs; RELION's list of coordinate files
        (`autopick.star`) is read as all the files that it names.
    format : str
        One of `FORMATS`, or auto; see `detect_format`.
    micrograph : str, optional
        Stem of the micrograph, for files that do not name it; by default the file's own stem (without `_autopick`,
        `_manualpick` or `_info`).

    Returns
    -------
    pd.DataFrame
        Columns micrograph, x, y, score; with CryoPPP also diameter_px. An empty table if the file has no rows.

    Raises
    ------
    UserError
        If the file cannot be read, has other columns than the format, text in a column of numbers, or rows that are
        not single particles of a micrograph (filaments, tomograms).
    """
    if is_coordinate_list(path):
        listed = [read_coordinates(file, format=format, micrograph=name) for file, name in listed_files(path).items()]
        return pd.concat(listed, ignore_index=True) if listed else coordinates_table([], np.array([]), np.array([]))
    path = Path(path)
    return _format_of(path, format).read(path, micrograph or stem_of_picks(file_stem(path)))


def write_coordinates(path: str | Path, table: pd.DataFrame, *, format: str, size_px: float | None = None) -> None:
    """Write coordinates.

    Parameters
    ----------
    path : str or Path
        File to write.
    table : pd.DataFrame
        Columns micrograph, x, y, score; of one micrograph for a format with `one_micrograph`.
    format : str
        One of `FORMATS` but cryosparc, which `crisp_core.formats.cryosparc_picks.write_picks` writes.
    size_px : float, optional
        Side of the box (eman, cryolo) or diameter (cryoppp) in pixels; these formats need it. EMAN's corners are
        integers, so a centre moves by up to half a pixel.

    Raises
    ------
    UserError
        If the file cannot hold a micrograph's name.
    """
    chosen = format_named(format)
    if chosen.write is None:
        raise ValueError(f"format {format} is not written here; see crisp_core.formats.cryosparc_picks.write_picks")
    if chosen.one_micrograph and table["micrograph"].nunique() > 1:
        raise ValueError(f"format {format} holds one micrograph per file")
    if chosen.needs_size and size_px is None:
        raise ValueError(f"format {format} needs size_px")
    chosen.write(Path(path), table, float(size_px or 0))


def names_micrographs(path: str | Path, *, format: str = "auto") -> bool:
    """Whether a coordinate file names the micrographs of its particles, so that it may hold many.

    Parameters
    ----------
    path : str or Path
        Coordinate file; False if its format is unknown or it cannot be read.
    format : str
        One of `FORMATS`, or auto.
    """
    try:
        chosen = _format_of(Path(path), format)
        if chosen.names_micrographs is not None:
            return chosen.names_micrographs(Path(path))
    except UserError:
        return False
    return not chosen.one_micrograph


def file_stem(path: str | Path) -> str:
    """Name of a coordinate file without folders and the suffix of its format."""
    path = Path(path)
    known = any(path.suffix.lower() in format.suffixes for format in COORDINATE_FORMATS)
    return path.stem if known else path.name


def format_named(name: str) -> CoordinateFormat:
    """Return the format of this name, one of `FORMATS`; ValueError if there is none."""
    if name not in BY_NAME:
        raise ValueError(f"unknown coordinate format '{name}'; use auto or one of {', '.join(FORMATS)}")
    return BY_NAME[name]


def detect_format(path: str | Path) -> CoordinateFormat:
    """Format of a coordinate file, by its suffix and, for text tables, its header line.

    Raises
    ------
    UserError
        If no format has the suffix or accepts the header.
    """
    suffix = Path(path).suffix.lower()
    candidates = [format for format in COORDINATE_FORMATS if suffix in format.suffixes]
    if not candidates:
        *known, last = dict.fromkeys(suffix for format in COORDINATE_FORMATS for suffix in format.suffixes)
        raise UserError(f"{path}: unknown suffix '{suffix}'; use {', '.join(known)} or {last}")
    if candidates[0].accepts_header is None:
        return candidates[0]
    header = header_cells(path)
    for format in candidates:
        if format.accepts_header is None or format.accepts_header(header):
            return format
    raise UserError(
        f"{path}: its first line names no coordinate columns ({' '.join(header)}); "
        "start the file with a line 'x,y' or 'x,y,score,micrograph'"
    )


def _format_of(path: Path, name: str) -> CoordinateFormat:
    if name == "auto":
        return detect_format(path)
    try:
        return format_named(name)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
