"""Picks on masked area of a micrograph."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from crisp_core.formats.arrays import Array
from crisp_core.geometry import Shape, rescaled_xy


def on_masked_area(xy: np.ndarray, valid: np.ndarray, *, full_shape: Shape) -> np.ndarray:
    """Return whether each position is on masked area or outside of the micrograph, bool (n,).

    Parameters
    ----------
    xy : (n, 2) array
        Positions as (x, y) in px of the full micrograph.
    valid : (h, w) bool array
        True on valid area; the mask covers the micrograph at any pixel size.
    full_shape : (height, width)
        Shape of the full micrograph in px.
    """
    columns, rows = np.rint(rescaled_xy(xy, full_shape, valid.shape)).astype(int).T
    x, y = np.asarray(xy, dtype=float).reshape(-1, 2).T
    inside = (x >= -0.5) & (x < full_shape[1] - 0.5) & (y >= -0.5) & (y < full_shape[0] - 0.5)
    rows, columns = rows.clip(0, valid.shape[0] - 1), columns.clip(0, valid.shape[1] - 1)
    return ~(inside & np.asarray(valid, dtype=bool)[rows, columns])


def flag_masked_picks(picks: pd.DataFrame, valid: Iterable[tuple[str, Array]]) -> pd.DataFrame:
    """Add the column on_masked_area to a table of picks.

    Parameters
    ----------
    picks : DataFrame
        Columns micrograph, x, y, in px of the full micrographs.
    valid : iterable of (micrograph, Array)
        Masks of the valid area.
    """
    flags = pd.Series(False, index=picks.index)
    for name, mask in valid:
        here = picks["micrograph"] == name
        xy = picks.loc[here, ["x", "y"]].to_numpy(float)
        flags[here] = on_masked_area(xy, mask.data, full_shape=mask.full_shape)
    return picks.assign(on_masked_area=flags)
