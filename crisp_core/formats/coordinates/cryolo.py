"""Box files of crYOLO 1.8 and later (`.cbox`), which are STAR files with the block data_cryolo."""

from pathlib import Path

import numpy as np
import pandas as pd

from crisp_core.errors import UserError
from crisp_core.formats.coordinates.checks import check_box_sides, check_no_depth, not_single_particles
from crisp_core.formats.coordinates.format import CoordinateFormat
from crisp_core.formats.coordinates.table import coordinates_table
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
    """Write boxes of one size.

    Parameters
    ----------
    path : Path
        File to write.
    table : pd.DataFrame
        Columns micrograph, x, y, score.
    size_px : float
        Side of the boxes in pixels.
    """
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
