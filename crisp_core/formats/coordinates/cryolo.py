"""Box files of crYOLO 1.8 and later (`.cbox`), which are STAR files with the block data_cryolo.

Source: crYOLO's documentation, and files that crYOLO 1.8 wrote.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from crisp_core.errors import UserError
from crisp_core.formats.coordinates.checks import check_box_sides, check_no_depth, not_single_particles
from crisp_core.formats.coordinates.format import CoordinateFormat
from crisp_core.formats.coordinates.table import coordinates_table
from crisp_core.formats.relion_labels import ANGLE_LABEL, LONG_AXIS_LABEL, SHORT_AXIS_LABEL
from crisp_core.formats.star import number_column, read_blocks, write_blocks

CORNER_AND_SIDES = ("CoordinateX", "CoordinateY", "Width", "Height")


def read(path: Path, stem: str) -> pd.DataFrame:
    """Read boxes; the file also holds boxes below crYOLO's own threshold, with their confidence as score."""
    block = read_blocks(path).get("cryolo")
    if not isinstance(block, pd.DataFrame):
        raise UserError(f"{path}: has no block data_cryolo; give a .cbox file of crYOLO 1.8 or later")
    check_no_depth(path, block, "CoordinateZ")
    if "filamentid" in block and block["filamentid"].notna().any():
        raise not_single_particles(path, "has the column filamentid, so its boxes are segments of filaments")
    corner_x, corner_y, width, height = (number_column(path, block, label) for label in CORNER_AND_SIDES)
    check_box_sides(path, width, height)
    score = number_column(path, block, "Confidence", required=False) if "Confidence" in block else None
    return coordinates_table([stem] * len(block), corner_x + width / 2, corner_y + height / 2, score)


def write(path: Path, table: pd.DataFrame, size_px: float) -> None:
    """Write boxes of one size, which is their estimated size too.

    Parameters
    ----------
    path : Path
        File to write.
    table : pd.DataFrame
        Columns micrograph, x, y, score.
    size_px : float
        Side of the boxes in pixels.
    """
    write_boxes(path, table, size_px=size_px, extents_px=np.full((len(table), 2), size_px))


def write_boxes(path: Path, table: pd.DataFrame, *, size_px: float, extents_px: np.ndarray) -> None:
    """Write boxes of one size, with the estimated width and height of each particle.

    Parameters
    ----------
    path : Path
        File to write.
    table : pd.DataFrame
        Columns x, y, score.
    size_px : float
        Side of the boxes in pixels.
    extents_px : (n, 2) array
        Estimated width and height of each particle in pixels; NaN where it is unknown.
    """
    boxes = pd.DataFrame(
        {
            "CoordinateX": table["x"].to_numpy(dtype=float) - size_px / 2,
            "CoordinateY": table["y"].to_numpy(dtype=float) - size_px / 2,
            "CoordinateZ": np.nan,
            "Width": size_px,
            "Height": size_px,
            "Depth": np.nan,
            "EstWidth": extents_px[:, 0],
            "EstHeight": extents_px[:, 1],
            "Confidence": table["score"].to_numpy(dtype=float),
            "NumBoxes": np.nan,
            "Angle": np.nan,
        }
    )
    # crYOLO lists the slices of a tomogram to which its boxes belong: none here
    slices = pd.DataFrame({"slice_index": [np.nan]})
    write_blocks(path, {"global": {"cbox_format_version": "1.0"}, "cryolo": boxes, "cryolo_include": slices})


def outline_extents(picks: pd.DataFrame, pixel_size: float) -> np.ndarray:
    """Width and height (n, 2) in px of the upright box around each pick's outline, an ellipse; NaN without an outline.

    Parameters
    ----------
    picks : DataFrame
        Picks; with the columns of `SHAPE_LABELS`, or without them where they were not measured.
    pixel_size : float
        Pixel size of the micrographs, in Å/px.
    """
    if LONG_AXIS_LABEL not in picks:
        return np.full((len(picks), 2), np.nan)
    long, short = (picks[label].to_numpy(float) / pixel_size for label in (LONG_AXIS_LABEL, SHORT_AXIS_LABEL))
    angle = np.deg2rad(picks[ANGLE_LABEL].to_numpy(float))
    width = np.hypot(long * np.cos(angle), short * np.sin(angle))
    height = np.hypot(long * np.sin(angle), short * np.cos(angle))
    extents = np.stack([width, height], axis=1)
    return np.where(extents > 0, extents, np.nan)


def write_cbox_files(
    directory: Path, picks: pd.DataFrame, micrographs: Iterable[str], *, size_px: float, pixel_size: float
) -> None:
    """Write `<micrograph>.cbox` for every micrograph, also for those without a pick.

    Parameters
    ----------
    directory : Path
        Folder to make.
    picks : DataFrame
        Picks of all micrographs: columns micrograph, x, y, score, and sizes and shapes where they were measured.
    micrographs : iterable of str
        Names of all micrographs.
    size_px : float
        Side of the boxes in px of the micrographs.
    pixel_size : float
        Pixel size of the micrographs, in Å/px.
    """
    directory.mkdir(parents=True, exist_ok=True)
    found = dict(list(picks.groupby("micrograph", sort=False)))
    for name in micrographs:
        own = found.get(name, picks.iloc[:0])
        write_boxes(directory / f"{name}.cbox", own, size_px=size_px, extents_px=outline_extents(own, pixel_size))


CRYOLO = CoordinateFormat(
    name="cryolo",
    description="`.cbox` of crYOLO 1.8 and later",
    suffixes=(".cbox",),
    read=read,
    write=write,
    needs_size=True,
    position="corner",
    score="Confidence",
)
