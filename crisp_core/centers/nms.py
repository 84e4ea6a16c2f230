"""Centres as local maxima of the map smoothed to the particle's size, with suppression of overlapping ones."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import ndimage
from scipy.spatial import cKDTree

from crisp_core.centers.footprint import block_mean, centers_table, checked_map, coarse_factor, unscaled

E = (0.4, 0.5, 0.6)
S = (0.4, 0.7, 1.0)
DEFAULT_E = 0.5
DEFAULT_S = 0.7
SIGMA_DIAMETERS = 0.25
LEAST_PEAK = 0.05


class Smoothed(NamedTuple):
    """Map on the finder's grid, and how many px of the given map its pixels are wide."""

    score: np.ndarray  # (h, w)
    factor: int


class Peaks(NamedTuple):
    """Local maxima on the finder's grid and their heights, highest first."""

    xy: np.ndarray  # (n, 2)
    height: np.ndarray  # (n,)
    factor: int


def prepare(probability: np.ndarray, *, diameter_px: float) -> Smoothed:
    """Correlate the map with a Gaussian of the particle's size (standard deviation of half a radius)."""
    factor = coarse_factor(diameter_px)
    small = block_mean(checked_map(probability, diameter_px), factor)
    sigma = SIGMA_DIAMETERS * diameter_px / factor
    return Smoothed(ndimage.gaussian_filter(small, sigma, mode="constant", truncate=3.0), factor)


def propose(smoothed: Smoothed, *, diameter_px: float, e: float) -> Peaks:
    """Climb from the best pixel of every grid cell of `e` diameters to a local maximum; each counts once."""
    score = smoothed.score
    starts = _cell_maxima(score, max(1, round(e * diameter_px / smoothed.factor)))
    starts = starts[score.ravel()[starts] >= LEAST_PEAK]
    # A flat map has no maximum: a plateau counts only when it stands out from the map's lowest value.
    starts = starts[score.ravel()[starts] > score.min()] if score.size else starts
    peaks = np.unique(_climbed(score, starts))
    height = score.ravel()[peaks]
    order = np.argsort(-height, kind="stable")
    rows, columns = np.unravel_index(peaks[order], score.shape)
    return Peaks(_refined(score, rows, columns), height[order], smoothed.factor)


def _cell_maxima(score: np.ndarray, cell: int) -> np.ndarray:
    """Flat index of the highest pixel (first of equals) in every cell of `cell`² px."""
    height, width = score.shape
    padded = np.pad(score, [(0, -height % cell), (0, -width % cell)], constant_values=-np.inf)
    cells = padded.reshape(padded.shape[0] // cell, cell, padded.shape[1] // cell, cell).swapaxes(1, 2)
    rows, columns = np.indices(cells.shape[:2])
    inner_row, inner_column = np.divmod(cells.reshape(*cells.shape[:2], -1).argmax(axis=-1), cell)
    return ((rows * cell + inner_row) * width + columns * cell + inner_column).ravel()


def _climbed(score: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Flat indices of the maxima that steepest ascent over the eight neighbours reaches from `starts`."""
    # Of equal neighbours the first in this order wins, and a pixel stays before it moves to an equal one.
    steps = [(0, 0), *((y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0))]
    padded = np.pad(score, 1, constant_values=-np.inf)
    width = padded.shape[1]
    jumps = np.array([y * width + x for y, x in steps])
    rows, columns = np.unravel_index(starts, score.shape)
    current, flat = (rows + 1) * width + columns + 1, padded.ravel()
    moving = np.ones(current.size, dtype=bool)
    while moving.any():
        around = current[moving, None] + jumps
        best = around[np.arange(len(around)), flat[around].argmax(axis=1)]
        changed = best != current[moving]
        current[moving] = best
        moving[moving] = changed
    return np.ravel_multi_index((current // width - 1, current % width - 1), score.shape)


def _refined(score: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Sub-pixel (x, y) of maxima: the top of a parabola through three pixels along each axis."""
    padded = np.pad(score, 1)
    here = padded[rows + 1, columns + 1]
    dx = _parabola_top(padded[rows + 1, columns], here, padded[rows + 1, columns + 2])
    dy = _parabola_top(padded[rows, columns + 1], here, padded[rows + 2, columns + 1])
    return np.column_stack([columns + dx, rows + dy])


def _parabola_top(before: np.ndarray, here: np.ndarray, after: np.ndarray) -> np.ndarray:
    bend = 2.0 * here - before - after
    top = np.divide(after - before, 2 * bend, out=np.zeros(here.shape), where=bend > 0)
    return top.clip(-0.5, 0.5)


def select(peaks: Peaks, *, diameter_px: float, s: float) -> np.ndarray:
    """Drop of two discs that overlap by more than d (1 − s) the lower, from the highest down; returns (n, 2) x, y.

    A peak that was dropped drops nothing itself.
    """
    xy = unscaled(peaks.xy, peaks.factor)
    kept = np.ones(len(xy), dtype=bool)
    if len(xy):
        closer = cKDTree(xy).query_pairs(s * diameter_px * (1 - 1e-9), output_type="ndarray")
        # Pairs are (i, j) with i < j, and peaks come highest first.
        for higher, lower in closer[np.lexsort(closer.T[::-1])]:
            kept[lower] &= not kept[higher]
    return xy[kept]


def find(probability: np.ndarray, *, diameter_px: float, e: float = DEFAULT_E, s: float = DEFAULT_S) -> pd.DataFrame:
    """Centres of particles of `diameter_px` on an (h, w) probability map.

    Parameters
    ----------
    e : float
        Grid cell in diameters: at most one candidate starts in each.
    s : float
        Least distance of two centres in diameters: two discs may overlap by d (1 − s).

    Returns
    -------
    DataFrame
        Columns x, y, score as `centers_table` orders them. An empty or a constant map gives no row.
    """
    peaks = propose(prepare(probability, diameter_px=diameter_px), diameter_px=diameter_px, e=e)
    return centers_table(np.asarray(probability), select(peaks, diameter_px=diameter_px, s=s), diameter_px)
