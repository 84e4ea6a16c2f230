"""Labels made of discs around particle centres."""

import numpy as np


def disc_label(shape: tuple[int, int], xy: np.ndarray, *, radius_px: float) -> np.ndarray:
    """Label the pixels whose centres are within a radius of any position.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the label in px.
    xy : (n, 2) array
        Positions as (x, y) in px; discs are cut off at the edge.
    radius_px : float
        Radius of the discs in px.

    Returns
    -------
    shape uint8 array
        0 background, 1 particle.
    """
    label = np.zeros(shape, dtype=np.uint8)
    for x, y in np.asarray(xy, dtype=float).reshape(-1, 2):
        rows = np.arange(max(0, int(np.ceil(y - radius_px))), min(shape[0] - 1, int(np.floor(y + radius_px))) + 1)
        columns = np.arange(max(0, int(np.ceil(x - radius_px))), min(shape[1] - 1, int(np.floor(x + radius_px))) + 1)
        if rows.size and columns.size:
            inside = (rows[:, None] - y) ** 2 + (columns - x) ** 2 <= radius_px**2
            label[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] |= inside
    return label
