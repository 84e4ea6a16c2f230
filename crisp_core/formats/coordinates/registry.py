"""Coordinates in and out, in every format that pickers use; one table in memory.

The table has the columns micrograph (stem), x, y (float, pixels of the full-resolution micrograph, (0, 0) is the centre
of the first pixel, rows in the order of the file) and score (NaN where there is none). Reading changes no origin:
`to_top_left` does, and `check_origin` says whether the origin that somebody stated can be true.
"""

import csv
import json
import math
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from difflib import SequenceMatcher
from functools import cache
from heapq import nlargest
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from crisp_core.errors import UserError
from crisp_core.formats.arrays import Grid
from crisp_core.formats.cs_files import LOCATION_FIELDS, SCORE_FIELD, located, read_cs
from crisp_core.formats.star import (
    COLUMNS,
    FLOAT_FORMAT,
    LIST_LABEL,
    MAGNIFICATION_LABELS,
    NAME_LABEL,
    NO_SCORE,
    PIXEL_SIZE_LABELS,
    X_LABEL,
    autopick_table,
    coordinates_block,
    coordinates_of_block,
    coordinates_table,
    micrograph_stem,
    number_column,
    origins_angstrom,
    read_blocks,
    read_coordinate_list,
    read_text,
    write_blocks,
    write_coordinates_star,
)
from crisp_core.geometry import Shape, flipped_y, rescaled_xy

FORMATS = ("relion", "relion-particles", "eman", "eman-json", "cryoppp", "topaz", "cryolo", "cryosparc", "table")
ONE_MICROGRAPH = ("relion", "eman", "eman-json", "cryoppp", "cryolo")
ORIGINS = ("top-left", "bottom-left")
PICK_SUFFIX = re.compile(r"_((auto|manual)picks?|info)$")
CRYOSPARC_UID = re.compile(r"^\d{21}_")
CRYOPPP_HEADER = ("x-coordinate", "y-coordinate", "diameter")
# beyond any image, and within what a float holds
LARGEST_NUMBER = 1e300
TOPAZ_HEADER = ("image_name", "x_coord", "y_coord")
# Fifth column of an EMAN box where it is no score: the two ends of a helix, and a box of none.
HELIX_ENDS = (-1.0, -2.0)
BOX_KINDS = (*HELIX_ENDS, -3.0, 0.0, NO_SCORE)
# Share of a file's coordinates on a micrograph that must lie on it for the others to be left out as slips.
MOSTLY_INSIDE = 0.9
# How far the true orientation must beat the stated one, in standard errors, and by which factor in mean contrast.
ORIGIN_T, ORIGIN_FACTOR = 5.0, 2.0


def read_coordinates(path: str | Path, *, format: str = "auto", micrograph: str | None = None) -> pd.DataFrame:
    """Read one coordinate file.

    Parameters
    ----------
    path : str or Path
        File of one micrograph, or of many where the format names micrographs; RELION's list of coordinate files
        (`autopick.star`) stands for all files that it names.
    format : str
        One of `FORMATS` or auto, which goes by suffix (`.star`: relion, `.box`: eman, `.json`: eman-json, `.cbox`:
        cryolo, `.cs`: cryosparc) and, for `.csv`, `.tsv` and `.txt`, by the header line.
    micrograph : str, optional
        The micrograph, for formats that do not name it; the file's own stem (without `_autopick`, `_manualpick` or
        `_info`) otherwise.

    Returns
    -------
    pd.DataFrame
        Columns micrograph, x, y, score; with CryoPPP also diameter_px. An empty table if the file has no rows.

    Raises
    ------
    UserError
        If the file cannot be read, has other columns than the format, text where a number belongs, or rows that are
        no single particles of a micrograph (filaments, tomograms).
    """
    if is_coordinate_list(path):
        listed = [read_coordinates(file, format=format, micrograph=name) for file, name in listed_files(path).items()]
        return pd.concat(listed, ignore_index=True)
    path = Path(path)
    kind = detect_format(path) if format == "auto" else format
    if kind not in FORMATS:
        raise UserError(f"{path}: unknown coordinate format '{kind}'; use auto or one of {', '.join(FORMATS)}")
    stem = micrograph or PICK_SUFFIX.sub("", micrograph_stem(path.name))
    readers: dict[str, Callable[[Path, str], pd.DataFrame]] = {
        "relion": _read_relion,
        "relion-particles": _read_relion,
        "eman": _read_eman,
        "eman-json": _read_eman_json,
        "cryoppp": _read_cryoppp,
        "topaz": _read_topaz,
        "cryolo": _read_cryolo,
        "cryosparc": _read_cryosparc,
        "table": _read_table,
    }
    return readers[kind](path, stem)


def is_coordinate_list(path: str | Path) -> bool:
    """Whether a file is RELION's list of coordinate files, which has the column rlnMicrographCoordinates."""
    return Path(path).suffix.lower() == ".star" and _has_line(path, LIST_LABEL, at_least=1)


def says_pixel_size(path: str | Path) -> bool:
    """Whether a file is a STAR file with a column for a pixel size; cheap, for one of many files."""
    labels = (*PIXEL_SIZE_LABELS, *MAGNIFICATION_LABELS)
    return Path(path).suffix.lower() == ".star" and any(_has_line(path, label, at_least=1) for label in labels)


def listed_files(path: str | Path) -> dict[str, str]:
    """Coordinate files that RELION's list names, with the micrograph of each.

    Their paths count from the folder of RELION's project: the working directory or, going up from the list, the first
    folder in which a file is there.

    Returns
    -------
    dict
        Micrograph (stem) by path.

    Raises
    ------
    UserError
        If the list cannot be read, names a file twice, or names another list.
    """
    folders = [Path(), *Path(path).parents]
    found = {}
    for file, micrograph in read_coordinate_list(path).items():
        places = [folder / file for folder in folders if (folder / file).is_file()]
        found[str(places[0] if places else file)] = micrograph
    lists = [file for file in found if is_coordinate_list(file)]
    if lists:
        raise UserError(f"{path}: names the list {lists[0]}; give files of coordinates in it")
    return found


def _has_line(path: str | Path, label: str, *, at_least: int) -> bool:
    """Whether a STAR file opens a column of this name in so many blocks; False where it cannot be read."""
    wanted = f"_{label}".encode()
    try:
        with open(path, "rb") as file:
            found = (1 for line in file if wanted in line and line.split(None, 1)[0] == wanted)
            return sum(islice(found, at_least)) == at_least
    except OSError:
        return False


def read_origins(path: str | Path, *, pixel_size: float) -> np.ndarray:
    """Origins that a refinement gave the particles of a star file.

    RELION's origin is the shift that brings the particle to the middle of its box, so its centre on the micrograph is
    the coordinate minus the origin.

    Parameters
    ----------
    path : str or Path
        RELION's star of particles (3.0, 3.1 or 5).
    pixel_size : float
        Å/px of the micrographs.

    Returns
    -------
    np.ndarray
        `(n, 2)` as (x, y) in pixels of the micrographs, in the order of `read_coordinates`.

    Raises
    ------
    UserError
        If the file is no star file with coordinates, or has no origins.
    """
    if Path(path).suffix.lower() != ".star":
        raise UserError(
            f"{path}: is no star file, so it has none of the origins that subtract_origins wants; leave that out"
        )
    blocks = read_blocks(path)
    block = coordinates_block(path, blocks)
    if not any(set(block) >= {f"rlnOriginX{unit}", f"rlnOriginY{unit}"} for unit in ("", "Angst")):
        raise UserError(
            f"{path}: has no origins (rlnOriginXAngst); give refined particles, or leave out subtract_origins"
        )
    labels = ("rlnOriginXAngst", "rlnOriginYAngst")
    return np.column_stack([origins_angstrom(path, block, x, blocks.get("optics")) for x in labels]) / pixel_size


def detect_format(path: str | Path) -> str:
    """Format of a coordinate file, by its suffix and, for text tables, its header line.

    Raises
    ------
    UserError
        If the suffix or the header belongs to no known format.
    """
    suffix = Path(path).suffix.lower()
    by_suffix = {".star": "relion", ".box": "eman", ".json": "eman-json", ".cbox": "cryolo", ".cs": "cryosparc"}
    if suffix in by_suffix:
        return by_suffix[suffix]
    if suffix not in (".csv", ".tsv", ".txt"):
        known = ", ".join([*by_suffix, ".csv", ".tsv"])
        raise UserError(f"{path}: unknown suffix '{suffix}'; use {known} or .txt")
    header = _header(path)
    if set(CRYOPPP_HEADER[:2]) <= set(header):
        return "cryoppp"
    if set(TOPAZ_HEADER) <= set(header):
        return "topaz"
    if {"x", "y"} <= set(header):
        return "table"
    raise UserError(
        f"{path}: its first line names no coordinate columns ({' '.join(header)}); "
        "start the file with a line 'x,y' or 'x,y,score,micrograph'"
    )


def names_micrographs(path: str | Path, *, format: str = "auto") -> bool:
    """Whether a coordinate file says itself on which micrographs its particles are, so that it may hold many.

    Parameters
    ----------
    path : str or Path
    format : str
        As for `read_coordinates`; a file of no known format names none.
    """
    try:
        kind = detect_format(path) if format == "auto" else format
        if kind == "table":
            return "micrograph" in _header(path)
        if kind == "relion":
            # several blocks of coordinates are named after their micrographs
            return _has_line(path, NAME_LABEL, at_least=1) or _has_line(path, X_LABEL, at_least=2)
    except UserError:
        return False
    return kind not in ONE_MICROGRAPH


def write_coordinates(path: str | Path, table: pd.DataFrame, *, format: str, size_px: float | None = None) -> None:
    """Write coordinates.

    Parameters
    ----------
    path : str or Path
        File to write.
    table : pd.DataFrame
        Columns micrograph, x, y, score.
    format : str
        One of `FORMATS` but cryosparc (`crisp_core.formats.cryosparc.write_picks`). Those of `ONE_MICROGRAPH` hold
        one micrograph per file.
    size_px : float, optional
        Side of the box (eman, cryolo) or diameter (cryoppp) in pixels; these formats need it. EMAN's corners are
        integers, so a centre moves by up to half a pixel.

    Raises
    ------
    UserError
        If a micrograph's name cannot stand in the file.
    """
    if format not in FORMATS or format == "cryosparc":
        raise ValueError(f"unknown format {format}; one of {FORMATS} but cryosparc, see crisp_core.formats.cryosparc")
    if format in ONE_MICROGRAPH and table["micrograph"].nunique() > 1:
        raise ValueError(f"format {format} holds one micrograph per file")
    if format in ("eman", "cryoppp", "cryolo") and size_px is None:
        raise ValueError(f"format {format} needs size_px")
    if format == "relion":
        write_blocks(path, {"": autopick_table(table)})
    elif format == "relion-particles":
        write_coordinates_star(path, table[list(COLUMNS)])
    elif format == "cryolo":
        _write_cryolo(path, table, float(size_px or 0))
    elif format == "eman-json":
        _write_eman_json(path, table)
    else:
        _write_text(path, table, format, size_px)


def split_inside(
    table: pd.DataFrame, shapes: Mapping[str, Shape], *, source: str | Path, margin_px: float = 1.0
) -> tuple[pd.DataFrame, str]:
    """Rows of a table that lie on their micrograph, and one line about those that lie outside.

    Parameters
    ----------
    table : pd.DataFrame
        Columns micrograph, x, y; of one file.
    shapes : Mapping[str, Shape]
        Height and width of each micrograph in pixels, by stem.
    source : str or Path
        The coordinate file, for the messages.
    margin_px : float
        How far outside the outermost pixels' centres a coordinate may lie: other programs round to the box's corner.

    Returns
    -------
    tuple of DataFrame and str
        The text is empty where nothing lies outside.

    Raises
    ------
    UserError
        If more than a tenth lies outside (`MOSTLY_INSIDE`), or several coordinates lie within one pixel.
    """
    sides = ({stem: shape[axis] for stem, shape in shapes.items()} for axis in (0, 1))
    heights, widths = (table["micrograph"].map(side).astype(float) for side in sides)
    inside = table["x"].between(-margin_px, widths - 1 + margin_px)
    inside &= table["y"].between(-margin_px, heights - 1 + margin_px)
    xy = table[["x", "y"]].to_numpy(dtype=float)
    if len(xy) > 1 and ((xy >= 0) & (xy <= 1)).all() and (xy % 1).any():
        raise UserError(
            f"{source}: all {len(xy)} coordinates lie between 0 and 1, so they are fractions of the micrograph; "
            "multiply x by its width and y by its height in pixels"
        )
    if inside.all():
        return table, ""
    row = table[~inside].iloc[0]
    height, width = shapes[row["micrograph"]]
    found = (
        f"{source}: {(~inside).sum()} of {len(table)} coordinates lie outside the micrograph, for instance "
        f"({row['x']:g}, {row['y']:g}) in {row['micrograph']} of {width} × {height} pixels"
    )
    if inside.mean() < MOSTLY_INSIDE:
        raise UserError(f"{found}; give coordinates in pixels of this very image (not binned)")
    return table[inside], f"{found}; left out, the others are used"


def to_top_left(table: pd.DataFrame, heights: Mapping[str, int], *, origin: str) -> pd.DataFrame:
    """Coordinates counted from the top-left, from those counted from `origin` (one of `ORIGINS`).

    Parameters
    ----------
    table : pd.DataFrame
        Columns micrograph, x, y.
    heights : Mapping[str, int]
        Height of each micrograph in pixels, by stem.
    origin : str
        top-left changes nothing; bottom-left turns y into height − 1 − y.

    Raises
    ------
    UserError
        If the origin is unknown.
    """
    if origin not in ORIGINS:
        raise UserError(f"origin: '{origin}' is not known; write one of {', '.join(ORIGINS)}")
    if origin == "top-left":
        return table.copy()
    rows = table["micrograph"].map(dict(heights)).to_numpy(dtype=float)
    return table.assign(y=flipped_y(table["y"].to_numpy(), rows))


def onto_grids(table: pd.DataFrame, grids: Mapping[str, Grid]) -> pd.DataFrame:
    """Full-resolution coordinates in pixels of each micrograph's grid; rows of other micrographs are left out."""
    parts = [table.iloc[:0]]
    for micrograph, rows in table.groupby("micrograph", sort=False):
        if micrograph in grids:
            grid = grids[micrograph]
            x, y = rescaled_xy(rows[["x", "y"]].to_numpy(), grid.full_shape, grid.shape).T
            parts.append(rows.assign(x=x, y=y))
    return pd.concat(parts, ignore_index=True)


def match_names(names: Sequence[str], micrographs: Sequence[str], *, required: bool = True) -> pd.DataFrame:
    """Find the micrograph that each name means.

    Folders and file suffixes don't count, `_autopick` and `_manualpick` don't, nor does cryoSPARC's prefix of 21 digits
    on either side, nor whether Unicode composes an accented letter. An equal name goes first; a name that could mean
    several micrographs matches none.

    Parameters
    ----------
    names : sequence of str
        Names in coordinate or CTF files.
    micrographs : sequence of str
        Stems or paths of the dataset's micrographs.
    required : bool
        Whether it is a mistake that no name matches.

    Returns
    -------
    pd.DataFrame
        Columns name and micrograph, one row per name; micrograph is an empty string where nothing matches.

    Raises
    ------
    UserError
        If there are names, none of them matches and one must.
    """
    exact = {micrograph_stem(micrograph): micrograph for micrograph in micrographs}
    keys = pd.Series(list(micrographs), index=[_name_key(micrograph) for micrograph in micrographs], dtype="str")
    unique = keys[~keys.index.duplicated(keep=False)].to_dict()
    found = [exact.get(micrograph_stem(name), unique.get(_name_key(name), "")) for name in names]
    if required and len(names) and not any(found):
        example = f"'{nearest_name(names[0], micrographs)}'" if len(micrographs) else "(none)"
        raise UserError(
            f"none of {len(names)} names matches a micrograph: '{names[0]}' …, while micrographs are called "
            f"{example} …; rename the files, so that the names before the suffix agree"
        )
    return pd.DataFrame({"name": pd.Series(list(names), dtype="str"), "micrograph": pd.Series(found, dtype="str")})


def nearest_name(name: str, micrographs: Sequence[str]) -> str:
    """Micrograph whose name is most like a name that matches none; upper and lower case are the same here.

    Names of a dataset often differ in a running number only. So a name that continues the other after a letter or
    digit (`m7_DW`, `m7`) goes before one that merely has as many letters in common (`m8`).

    Parameters
    ----------
    name : str
    micrographs : sequence of str
        At least one.
    """
    key = _name_key(name).lower()

    def common_start(micrograph: str) -> tuple[bool, int]:
        short, long = sorted((key, _name_key(micrograph).lower()), key=len)
        continued = long.startswith(short) and not long[len(short) : len(short) + 1].isalnum()
        return continued, sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(short, long, strict=False)))

    # the full comparison is slow
    likely = nlargest(20, micrographs, key=common_start)
    return max(likely, key=lambda m: (common_start(m), SequenceMatcher(None, key, _name_key(m).lower()).ratio()))


def contrast_kernel(radius_px: float) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of the disc and of the ring whose means `origin_contrast` compares, as two square masks."""
    reach = max(2, int(np.ceil(radius_px)))
    distance = np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1])
    return distance <= reach / 2, (distance > reach / 2) & (distance <= reach)


def origin_contrast(image: np.ndarray, xy: np.ndarray, *, radius_px: float) -> np.ndarray:
    """Local contrast at each centre: mean in a disc minus mean in the ring around it.

    The disc has half the particle's radius and the ring is the rest of the particle. Of the rings tried on EMPIAR-10017
    and -10146 this one still tells the orientations apart when the radius is half or one and a half times the true one.

    Parameters
    ----------
    image : np.ndarray
        `(y, x)` image at any resolution.
    xy : np.ndarray
        `(n, 2)` centres as (x, y) in pixels of this image, rounded to the nearest pixel.
    radius_px : float
        Particle radius in pixels of this image.

    Returns
    -------
    np.ndarray
        `(n,)` contrasts in units of the image's standard deviation; beyond the edge the nearest pixel counts.
    """
    disc, ring = (part.ravel() for part in contrast_kernel(radius_px))
    reach = max(2, int(np.ceil(radius_px)))
    dy, dx = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1)
    x, y = np.rint(np.asarray(xy, dtype=float).reshape(-1, 2)).astype(int).T
    height, width = image.shape
    means = [
        image[
            np.clip(y[:, None] + dy[part], 0, height - 1),
            np.clip(x[:, None] + dx[part], 0, width - 1),
        ].mean(axis=1, dtype=float)
        for part in (disc, ring)
    ]
    return (means[0] - means[1]) / (np.std(image, dtype=float) or 1.0)


def origin_statistic(stated: np.ndarray, flipped: np.ndarray) -> float:
    """How clearly the stated orientation beats the flipped one, in standard errors; negative if it loses.

    Particles may be dark or bright, so magnitudes of the mean contrasts are compared, as in Welch's t:
    (|mean stated| − |mean flipped|) / √(variance stated / n + variance flipped / n). 0 with fewer than two particles.
    """
    if min(len(stated), len(flipped)) < 2:
        return 0.0
    error = np.sqrt(np.var(stated, ddof=1) / len(stated) + np.var(flipped, ddof=1) / len(flipped))
    difference = abs(np.mean(stated)) - abs(np.mean(flipped))
    return float(difference / error) if error > 0 else 0.0


def check_origin(stated: np.ndarray, flipped: np.ndarray, *, source: str | Path) -> None:
    """Refuse a stated origin when the picture clearly says the other one.

    The flipped orientation wins clearly when it is ahead by more than 5 standard errors and its mean contrast is more
    than twice the stated one's; with few particles or none visible, nothing is refused.

    Parameters
    ----------
    stated, flipped : np.ndarray
        `origin_contrast` at the coordinates as stated, and at those turned upside down.
    source : str or Path
        The coordinate file or dataset, for the message.

    Raises
    ------
    UserError
        If the flipped orientation clearly wins.
    """
    statistic = origin_statistic(stated, flipped)
    if statistic < -ORIGIN_T and abs(np.mean(flipped)) > ORIGIN_FACTOR * abs(np.mean(stated)):
        raise UserError(
            f"{source}: its coordinates fit the micrographs upside down (contrast {np.mean(flipped):.3f} flipped, "
            f"{np.mean(stated):.3f} as stated, {-statistic:.0f} standard errors); "
            "set origin to the other of top-left and bottom-left in the dataset's entry"
        )


@cache
def _name_key(name: str) -> str:
    # macOS writes é as e and an accent
    return unicodedata.normalize("NFC", PICK_SUFFIX.sub("", CRYOSPARC_UID.sub("", micrograph_stem(name))))


def _separator(first_line: str) -> str | None:
    return "," if "," in first_line else "\t" if "\t" in first_line else None


def _header(path: str | Path) -> list[str]:
    lines = read_text(path).splitlines()
    if not lines or not lines[0].strip():
        raise UserError(
            f"{path}: has no header line; write one (for instance 'x,y'), also where there are no particles"
        )
    return [cell.strip().lower() for cell in _split(path, lines[0], _separator(lines[0]))]


def _split(path: str | Path, line: str, separator: str | None) -> list[str]:
    try:
        return line.split() if separator is None else next(csv.reader([line], delimiter=separator))
    except csv.Error as error:
        raise UserError(f"{path}: has a line that is no row of a table ({error}); export it again") from None


def _cells(path: Path, lines: Sequence[str], separator: str | None, columns: Sequence[str], first: int) -> pd.DataFrame:
    """Cells as text; the index is the number of the line in the file."""
    rows = {n: _split(path, line, separator) for n, line in enumerate(lines, start=first) if line.strip()}
    for number, row in rows.items():
        if len(row) != len(columns):
            raise UserError(
                f"{path}: line {number} has {len(row)} columns and not {len(columns)}; correct or remove the line"
            )
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(columns), dtype="str")


def _text_table(path: Path, needed: Sequence[str]) -> pd.DataFrame:
    """Table with a header line; names of columns in lower case."""
    lines = read_text(path).splitlines()
    header = _header(path)
    missing = [column for column in needed if column not in header]
    if missing:
        raise UserError(f"{path}: has no column {missing[0]} (it has {' '.join(header)}); name it in the first line")
    repeated = [column for column in header if header.count(column) > 1]
    if repeated:
        raise UserError(f"{path}: column {repeated[0]} stands twice in the first line; remove one of the two")
    return _cells(path, lines[1:], _separator(lines[0]), header, first=2)


def _numbers(path: Path, table: pd.DataFrame, column: str, *, required: bool = True) -> np.ndarray:
    text = table[column].str.strip()
    numbers = pd.to_numeric(text, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    absent = (
        np.zeros(len(table), dtype=bool) if required else text.str.lower().isin(["", "nan", "na", "<na>"]).to_numpy()
    )
    wrong = np.flatnonzero(~np.isfinite(numbers) & ~absent)
    if len(wrong):
        raise UserError(
            f"{path}: line {table.index[wrong[0]]}: {column} is '{text.iloc[wrong[0]]}', which is not a number; "
            "correct or remove the line"
        )
    return numbers


def _score(path: Path, table: pd.DataFrame) -> np.ndarray | None:
    return _numbers(path, table, "score", required=False) if "score" in table else None


def _read_relion(path: Path, stem: str) -> pd.DataFrame:
    block = coordinates_block(path, read_blocks(path))
    return coordinates_of_block(path, block, micrograph=None if NAME_LABEL in block else stem)


def _read_eman(path: Path, stem: str) -> pd.DataFrame:
    lines = read_text(path).splitlines()
    first = next((line.split() for line in lines if line.strip()), [""] * 4)
    if len(first) not in (4, 5):
        raise UserError(f"{path}: an EMAN box line has 4 or 5 columns (x y width height score), this has {len(first)}")
    columns = ["x", "y", "width", "height", "score"][: len(first)]
    table = _cells(path, lines, None, columns, first=1)
    x, y, width, height = (_numbers(path, table, column) for column in columns[:4])
    _check_sides(path, width, height)
    score = _score(path, table)
    if score is not None and set(HELIX_ENDS) <= set(score) <= set(BOX_KINDS):
        raise _no_particles(path, "its fifth column is −1 and −2, the two ends of a helix")
    return coordinates_table([stem] * len(table), x + width / 2, y + height / 2, score)


def _check_sides(path: Path, width: np.ndarray, height: np.ndarray) -> None:
    """Refuse boxes without a side, whose corner says nothing of their centre."""
    wrong = np.flatnonzero((width <= 0) | (height <= 0))
    if len(wrong):
        i = wrong[0]
        raise UserError(
            f"{path}: box {i + 1} is {width[i]:g} × {height[i]:g} pixels, so that its centre is unknown; "
            "write the boxes again with their size"
        )


def _no_particles(path: str | Path, found: str) -> UserError:
    return UserError(
        f"{path}: {found}; CRISP picks no filaments and no tomograms, give coordinates of single particles"
    )


def _check_no_depth(path: Path, table: pd.DataFrame, column: str) -> None:
    """Refuse coordinates in a volume; a depth that is missing or 0 everywhere says nothing."""
    if column in table and pd.to_numeric(table[column], errors="coerce").fillna(0).ne(0).any():
        raise _no_particles(path, f"has the column {column}, so its coordinates are those of a tomogram")


def _read_eman_json(path: Path, stem: str) -> pd.DataFrame:
    """Boxes of EMAN2's `info/*_info.json`: [x, y, kind, score …], the centre of each."""
    try:
        content = json.loads(read_text(path))
        if isinstance(content, dict) and content.get("boxes_3d") and not content.get("boxes"):
            raise _no_particles(path, 'its boxes are "boxes_3d", those of a tomogram')
        boxes = content["boxes"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError(
            f'{path}: is not a JSON file with "boxes"; give an _info.json of EMAN2 with boxed particles'
        ) from None
    boxes = boxes if isinstance(boxes, list) else [boxes]
    for number, box in enumerate(boxes, start=1):
        if not (isinstance(box, list) and len(box) > 2 and all(map(_is_number, box[:2])) and isinstance(box[2], str)):
            raise UserError(f'{path}: box {number} is not of the form [x, y, "kind", …]; box the particles in 2D again')
    scores = [box[3] if len(box) > 3 and _is_number(box[3]) else np.nan for box in boxes]
    x, y = ([box[axis] for box in boxes] for axis in (0, 1))
    return coordinates_table([stem] * len(boxes), np.array(x, float), np.array(y, float), np.array(scores, float))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST_NUMBER


def _read_cryosparc(path: Path, stem: str) -> pd.DataFrame:
    cure = "export picked or extracted particles from cryoSPARC together with their passthrough fields"
    rows = read_cs(path, LOCATION_FIELDS, cure=cure)
    fields = rows.dtype.names or ()
    if any(field.startswith("filament/") for field in fields):
        raise _no_particles(path, "has the fields filament/…, so its particles are segments of filaments")
    table = located(rows)
    if not np.isfinite(table[["x", "y"]]).all(axis=None):
        raise UserError(f"{path}: a location is not a number; export the particles again")
    score = rows[SCORE_FIELD] if SCORE_FIELD in fields else None
    if score is not None and np.isinf(score).any():
        raise UserError(f"{path}: a score is infinite; export the particles again")
    return coordinates_table(table["micrograph"], table["x"].to_numpy(), table["y"].to_numpy(), score)


def _read_cryoppp(path: Path, stem: str) -> pd.DataFrame:
    table = _text_table(path, CRYOPPP_HEADER[:2])
    x, y = (_numbers(path, table, column) for column in CRYOPPP_HEADER[:2])
    coordinates = coordinates_table([stem] * len(table), x, y)
    return coordinates.assign(diameter_px=_numbers(path, table, "diameter")) if "diameter" in table else coordinates


def _read_topaz(path: Path, stem: str) -> pd.DataFrame:
    table = _text_table(path, TOPAZ_HEADER)
    _check_no_depth(path, table, "z_coord")
    x, y = (_numbers(path, table, column) for column in TOPAZ_HEADER[1:])
    return coordinates_table([micrograph_stem(n) for n in table["image_name"]], x, y, _score(path, table))


def _read_table(path: Path, stem: str) -> pd.DataFrame:
    table = _text_table(path, ("x", "y"))
    _check_no_depth(path, table, "z")
    names = [micrograph_stem(n) for n in table["micrograph"]] if "micrograph" in table else [stem] * len(table)
    return coordinates_table(names, _numbers(path, table, "x"), _numbers(path, table, "y"), _score(path, table))


def _read_cryolo(path: Path, stem: str) -> pd.DataFrame:
    block = read_blocks(path).get("cryolo")
    if not isinstance(block, pd.DataFrame):
        raise UserError(f"{path}: has no block data_cryolo; give a .cbox file of crYOLO 1.8 or later")
    _check_no_depth(path, block, "CoordinateZ")
    if "filamentid" in block and block["filamentid"].notna().any():
        raise _no_particles(path, "has the column filamentid, so its boxes are segments of filaments")
    corner_x, corner_y, width, height = (
        number_column(path, block, label) for label in ("CoordinateX", "CoordinateY", "Width", "Height")
    )
    _check_sides(path, width, height)
    score = number_column(path, block, "Confidence", required=False) if "Confidence" in block else None
    return coordinates_table([stem] * len(block), corner_x + width / 2, corner_y + height / 2, score)


def _write_cryolo(path: str | Path, table: pd.DataFrame, size_px: float) -> None:
    boxes = pd.DataFrame(
        {
            "CoordinateX": table["x"].to_numpy(dtype=float) - size_px / 2,
            "CoordinateY": table["y"].to_numpy(dtype=float) - size_px / 2,
            "CoordinateZ": np.nan,
            "Width": size_px,
            "Height": size_px,
            "Depth": np.nan,
            "EstWidth": size_px,
            "EstHeight": size_px,
            "Confidence": table["score"].to_numpy(dtype=float),
            "NumBoxes": np.nan,
            "Angle": np.nan,
        }
    )
    write_blocks(path, {"global": {"version": "1.0"}, "cryolo": boxes})


def _write_eman_json(path: str | Path, table: pd.DataFrame) -> None:
    """Boxes as e2boxer keeps them: with a score as its neural network's, without as boxed by hand."""
    rows = table[["x", "y", "score"]].astype(float).itertuples(index=False)
    boxes = [[x, y, "manual"] if math.isnan(score) else [x, y, "auto_convnet", score] for x, y, score in rows]
    Path(path).write_text(json.dumps({"boxes": boxes}) + "\n", encoding="utf-8", newline="\n")


def _write_text(path: str | Path, table: pd.DataFrame, format: str, size_px: float | None) -> None:
    x, y, score = (table[column].to_numpy(dtype=float) for column in ("x", "y", "score"))
    columns: dict[Any, Any]
    separator, header = ("," if format in ("cryoppp", "table") and Path(path).suffix != ".tsv" else "\t"), True
    if format == "eman":
        side = round(size_px or 0)
        corners = [np.rint(values - side / 2).astype(int) for values in (x, y)]
        columns = dict(enumerate([*corners, side, side]))
        columns |= {4: np.where(np.isnan(score), NO_SCORE, score)} if np.isfinite(score).any() else {}
        header = False
    elif format == "cryoppp":
        columns = {"X-Coordinate": x, "Y-Coordinate": y, "Diameter": size_px}
    elif format == "topaz":
        columns = dict(zip((*TOPAZ_HEADER, "score"), (table["micrograph"].to_numpy(), x, y, score), strict=True))
    else:
        columns = dict(zip(COLUMNS, (table["micrograph"].to_numpy(), x, y, score), strict=True))
    for name in table["micrograph"].unique():
        if not name or len(str(name).splitlines()) > 1 or "\0" in name:
            raise UserError(f"{path}: a table cannot hold the micrograph {name!r}; rename it without line breaks")
    frame = pd.DataFrame(columns, index=range(len(table)))
    frame.to_csv(
        path, sep=separator, header=header, index=False, float_format=FLOAT_FORMAT, na_rep="nan", lineterminator="\n"
    )
