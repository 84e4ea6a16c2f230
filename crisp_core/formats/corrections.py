"""Corrections of picks by a person: corrections.json of the report page, version 1 (docs/corrections.md)."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from crisp_core.errors import UserError
from crisp_core.formats.text import read_text
from crisp_core.mistakes import one_line
from crisp_core.sections import Count, PixelSize, Positive, Section, mistake

FORMAT, VERSION = "CRISP corrections", 1
# no coordinate is larger, in px; RELION's own limit of a micrograph is far below
LARGEST_PX = 1e6
# positions of one point in two lists, in px: the page writes two decimals
SAME_PX = 0.05


def _time(text: str) -> str:
    try:
        zone = datetime.fromisoformat(text).tzinfo
    except ValueError:
        zone = None
    if zone is None:
        raise mistake(f"{text!r} is not a time with its zone; give one such as 2026-11-28T20:15:00Z")
    return text


def _row(length: int) -> BeforeValidator:
    def check(given: Any) -> Any:
        """Refuse a row of another length, or with values that are not finite numbers."""
        numbers = isinstance(given, list) and all(type(value) in (int, float) for value in given)
        # not NumPy: JSON may have whole numbers of any length
        if not numbers or len(given) != length or not all(abs(value) <= LARGEST_PX for value in given):
            raise mistake(f"{given!r} is not a list of {length} finite numbers in pixels; correct it")
        return given

    return BeforeValidator(check)


Point = Annotated[list[float], _row(2)]
Move = Annotated[list[float], _row(4)]
Side = Annotated[int, Field(ge=1, le=int(LARGEST_PX))]


class Stroke(Section):
    """Line of a brush: all pixels within a radius of a line through points."""

    radius_px: Annotated[Positive, Field(le=LARGEST_PX)]
    """Radius of the brush, in pixels of the original micrograph."""

    points: Annotated[list[Point], Field(min_length=1)]
    """x, y of the points of the line; they may be outside of the micrograph."""


class MicrographCorrections(Section):
    """Corrections of one micrograph, in pixels of the original micrograph."""

    micrograph: Annotated[str, Field(min_length=1)]
    """Name of the micrograph in the run."""

    pixel_size_angstrom: PixelSize
    """Pixel size of the original micrograph, in Å/px."""

    shape_px: Annotated[list[Side], Field(min_length=2, max_length=2)]
    """Rows and columns of the original micrograph."""

    reviewed: bool
    """Whether somebody has gone through the whole micrograph."""

    verdict: Literal["good", "bad"] | None
    """Opinion on the micrograph."""

    kept: list[Point]
    """x, y of the picks that were neither removed nor moved."""

    added: list[Point]
    """x, y of new particles."""

    removed: list[Point]
    """x, y of the picks that are not particles."""

    moved: list[Move]
    """x, y of picks, and the corrected x, y."""

    junk: list[Stroke]
    """Brushed areas of contaminants."""

    unsure: list[Stroke]
    """Brushed areas that are ignored."""


class Corrections(Section):
    """File of corrections of one person."""

    format: Literal["CRISP corrections"]
    """Name of the format."""

    version: Count
    """Version of the format."""

    dataset: Annotated[str, Field(min_length=1)]
    """Dataset of the run whose picks were corrected."""

    experiment: Annotated[str, Field(min_length=1)]
    """Experiment of the run whose picks were corrected."""

    author: str
    """Person who corrected; may be empty."""

    saved: Annotated[str, AfterValidator(_time)]
    """Time of the save, ISO 8601 with its zone."""

    micrographs: list[MicrographCorrections]
    """Micrographs on which something was changed or marked."""

    @property
    def saved_at(self) -> datetime:
        """Time of the save."""
        return datetime.fromisoformat(self.saved)


def read_corrections(path: str | Path) -> Corrections:
    """Read a file of corrections.

    Raises
    ------
    UserError
        With one line that names the file and the key: another format or version, a missing or unknown key, a value of
        another type, a micrograph that is listed twice, a particle outside of its micrograph, or a pick that is both
        kept and changed.
    """
    given = read_json(path)
    if not isinstance(given, dict) or given.get("format") != FORMAT:
        raise UserError(f"{path}: is not a file of corrections; give the corrections.json that a report page saved")
    if given.get("version") != VERSION:
        raise UserError(
            f"{path}, version: {given.get('version')!r} is not {VERSION}, the version that this CRISP reads; save the "
            "corrections again with a page of this CRISP, or update CRISP"
        )
    try:
        corrections = Corrections.model_validate(given)
    except ValidationError as error:
        raise UserError(one_line(error, given, Corrections, place=str(path))) from None
    names: set[str] = set()
    for one in corrections.micrographs:
        if one.micrograph in names:
            raise UserError(f"{path}: micrograph {one.micrograph} is listed twice; remove one of the entries")
        names.add(one.micrograph)
        check_points(str(path), one)
    return corrections


def read_json(path: str | Path) -> Any:
    """Content of a JSON file."""
    try:
        return json.loads(read_text(path))
    # also a whole number of more digits than Python reads
    except (ValueError, RecursionError):
        raise UserError(f"{path}: is not JSON, or was cut off; save the corrections again") from None


def check_points(path: str, one: MicrographCorrections) -> None:
    """Refuse particles outside of the micrograph, and a pick that is both kept and changed.

    Parameters
    ----------
    path : str
        File that the message names.
    one : MicrographCorrections
        Corrections of a micrograph.
    """
    place, (rows, columns) = f"{path}, {one.micrograph}", one.shape_px
    moved = points(one.moved, 4)
    lists = {"kept": points(one.kept), "added": points(one.added), "removed": points(one.removed), "moved": moved}
    for key, table in lists.items():
        xy = table.reshape(-1, 2)
        outside = ((xy < -0.5) | (xy >= np.array([columns, rows]) - 0.5)).any(axis=1)
        if outside.any():
            x, y = xy[outside.argmax()]
            raise UserError(
                f"{place}/{key}: {x:g}, {y:g} is outside of the micrograph of {rows} rows and {columns} columns; "
                "correct or remove it"
            )
    changed = np.concatenate([lists["removed"], moved[:, :2]])
    both = near_points(changed, lists["kept"], SAME_PX)
    if both.any():
        x, y = changed[both.argmax()]
        raise UserError(f"{place}/kept: the pick at {x:g}, {y:g} is also removed or moved; remove it from one list")


def points(rows: Sequence[Sequence[float]], length: int = 2) -> np.ndarray:
    """Rows of numbers as an array (n, length)."""
    return np.array(rows, dtype=float).reshape(-1, length)


def near_points(xy: np.ndarray, others: np.ndarray, distance_px: float) -> np.ndarray:
    """Mask (n,) of the positions that have one of the others within a distance.

    Parameters
    ----------
    xy, others : (n, 2) and (m, 2) arrays
        Positions as (x, y).
    distance_px : float
        Largest distance, in the unit of the positions.
    """
    from scipy.spatial import KDTree

    if not len(xy) or not len(others):
        return np.zeros(len(xy), dtype=bool)
    return KDTree(others).query(xy)[0] <= distance_px


def covered(xy: np.ndarray, strokes: Sequence[Stroke]) -> np.ndarray:
    """Mask (n,) of the positions (n, 2) that a brush covers: within its radius of the line through its points."""
    xy = np.asarray(xy, dtype=float).reshape(-1, 2)
    inside = np.zeros(len(xy), dtype=bool)
    for stroke in strokes:
        line = points(stroke.points)
        for start, end in zip(line, line[1:] if len(line) > 1 else line, strict=False):
            inside |= segment_distance(xy, start, end) <= stroke.radius_px
    return inside


def segment_distance(xy: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Distances (n,) of positions to a segment, which may be a point.

    Parameters
    ----------
    xy : (n, 2) array
        Positions as (x, y).
    start, end : (2,) arrays
        Ends of the segment as (x, y).
    """
    along = end - start
    share = np.clip((xy - start) @ along / max(float(along @ along), 1e-12), 0, 1)
    return np.linalg.norm(xy - start - share[:, None] * along, axis=1)
