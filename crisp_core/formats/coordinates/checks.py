"""Checks that readers of several formats share."""

from pathlib import Path

import numpy as np
import pandas as pd

from crisp_core.errors import UserError


def not_single_particles(path: str | Path, found: str) -> UserError:
    """Return the error for coordinates of filaments or tomograms; `found` says by which mark they are recognised."""
    return UserError(
        f"{path}: {found}; CRISP picks neither filaments nor tomograms, give coordinates of single particles"
    )


def check_no_depth(path: str | Path, table: pd.DataFrame, column: str) -> None:
    """Refuse coordinates in a volume.

    Parameters
    ----------
    path : str or Path
        The file, for the message.
    table : pd.DataFrame
        Its rows.
    column : str
        Column of the depth; it may be missing, or empty or 0 in every row.
    """
    if column in table and pd.to_numeric(table[column], errors="coerce").fillna(0).ne(0).any():
        raise not_single_particles(path, f"has the column {column}, so its coordinates are those of a tomogram")


def check_box_sides(path: str | Path, width: np.ndarray, height: np.ndarray) -> None:
    """Refuse boxes with a side of 0 or less, whose centre cannot be computed from their corner.

    Parameters
    ----------
    path : str or Path
        The file, for the message.
    width, height : np.ndarray
        `(n,)` sides of the boxes in pixels.
    """
    wrong = np.flatnonzero((width <= 0) | (height <= 0))
    if len(wrong):
        i = wrong[0]
        raise UserError(
            f"{path}: box {i + 1} is {width[i]:g} × {height[i]:g} pixels, so that its centre is unknown; "
            "write the boxes again with their size"
        )
