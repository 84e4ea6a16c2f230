"""Distances between picks: no two are nearer than a third of a particle diameter."""

import numpy as np
import pandas as pd
import scipy

# No pair of picks that a run writes is nearer, in particle diameters.
DUPLICATE_DIAMETERS = 1 / 3
# Finders keep this distance on their map; the margin is for the rounding of its pixel size.
SPACING_DIAMETERS = 0.35


def suppressed(xy: np.ndarray, min_distance_px: float) -> np.ndarray:
    """Positions that greedy non-maximum suppression discards, bool (n,): those closer than a distance to a kept one.

    Parameters
    ----------
    xy : (n, 2) array
        Positions x, y, the best first.
    min_distance_px : float
        Smallest distance of two kept positions, in the pixels of the positions.
    """
    gone = np.zeros(len(xy), dtype=bool)
    if len(xy) < 2:
        return gone
    close = scipy.spatial.KDTree(xy).query_pairs(min_distance_px * (1 - 1e-9), output_type="ndarray")
    # The first of a pair is the better one, and all pairs in which it is the worse one come before.
    for better, worse in close[np.lexsort(close.T[::-1])]:
        gone[worse] |= not gone[better]
    return gone


def n_duplicates(picks: pd.DataFrame, *, diameter_px: float) -> int:
    """Number of pairs of picks of one micrograph that are nearer than a third of a diameter.

    Parameters
    ----------
    picks : DataFrame
        Columns micrograph, x, y, in px of the micrographs.
    diameter_px : float
        Particle diameter, in px of the micrographs.
    """
    limit = DUPLICATE_DIAMETERS * diameter_px * (1 - 1e-9)
    groups = (rows[["x", "y"]].to_numpy(float) for _, rows in picks.groupby("micrograph"))
    return sum(len(scipy.spatial.KDTree(xy).query_pairs(limit)) for xy in groups)


def check_no_duplicates(picks: pd.DataFrame, *, diameter_px: float) -> None:
    """End a job that would write two picks of one particle, which no finder returns; see `n_duplicates`.

    Parameters
    ----------
    picks : DataFrame
        Columns micrograph, x, y, in px of the micrographs.
    diameter_px : float
        Particle diameter, in px of the micrographs.
    """
    n = n_duplicates(picks, diameter_px=diameter_px)
    if n:
        raise AssertionError(
            f"picks: {n} pairs are nearer than a third of a particle diameter; this is an error of CRISP, report it"
        )
