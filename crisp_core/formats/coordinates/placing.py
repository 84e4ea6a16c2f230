"""Coordinates on their micrographs: the origin of y, the border, and the grid of a stored array."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from crisp_core.errors import UserError
from crisp_core.formats.arrays import Grid
from crisp_core.geometry import Shape, flipped_y, rescaled_xy

# Corners of the image from which y can count.
ROW_ORIGINS = ("top-left", "bottom-left")
# Minimum share of coordinates on the micrograph with which the others are left out as slips.
MOSTLY_INSIDE = 0.9


def split_inside(
    table: pd.DataFrame, shapes: Mapping[str, Shape], *, source: str | Path, margin_px: float = 1.0
) -> tuple[pd.DataFrame, str]:
    """Return the rows that lie on their micrograph, and one line about the rows outside.

    Parameters
    ----------
    table : pd.DataFrame
        Columns micrograph, x, y of one file.
    shapes : Mapping[str, Shape]
        Height and width of each micrograph in pixels, by stem.
    source : str or Path
        The coordinate file, for the messages.
    margin_px : float
        Maximum distance in pixels of a coordinate from the centres of the outermost pixels, since other programs round
        to the box's corner.

    Returns
    -------
    tuple of DataFrame and str
        The text is empty where nothing lies outside.

    Raises
    ------
    UserError
        If more than a tenth lies outside (`MOSTLY_INSIDE`), or all of several coordinates are between 0 and 1.
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
    """Convert coordinates to y counted from the top of the image.

    Parameters
    ----------
    table : pd.DataFrame
        Columns micrograph, x, y.
    heights : Mapping[str, int]
        Height of each micrograph in pixels, by stem.
    origin : str
        One of `ROW_ORIGINS`, the corner from which y counts: bottom-left turns y into height − 1 − y.

    Raises
    ------
    UserError
        If the origin is unknown.
    """
    if origin not in ROW_ORIGINS:
        raise UserError(f"origin: '{origin}' is not known; write one of {', '.join(ROW_ORIGINS)}")
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
