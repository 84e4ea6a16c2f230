"""Centres as local maxima of the map smoothed to the particle's size, with suppression of overlapping ones.

The Gaussian's standard deviation is 0.18 diameters: at 0.25 neighbours nearer than a diameter melt together and
touching ones attract each other, at 0.15 noise splits single particles.
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from crisp_core.picking.finders.footprint import LEAST_SCORE, WorkingMap, unscaled, working_map

E = (0.4, 0.5, 0.6)
S = (0.4, 0.7, 1.0)
DEFAULT_E = 0.5
DEFAULT_S = 0.4
SIGMA_DIAMETERS = 0.18


class Peaks(NamedTuple):
    """Local maxima on the given map, highest first."""

    xy: np.ndarray  # (n, 2)


def prepare(probability: np.ndarray, *, diameter_px: float) -> WorkingMap:
    """Correlate the map with a Gaussian of the particle's size."""
    working = working_map(probability, diameter_px)
    sigma = SIGMA_DIAMETERS * working.diameter_px
    smooth = ndimage.gaussian_filter(working.image, sigma, mode="constant", truncate=3.0)
    return working._replace(image=smooth)


def propose(smoothed: WorkingMap, *, e: float) -> Peaks:
    """Climb from the best pixel of every grid cell of `e` diameters to a local maximum; each maximum counts once."""
    height_map = smoothed.image
    starts = _cell_maxima(height_map, max(1, round(e * smoothed.diameter_px)))
    starts = starts[height_map.ravel()[starts] >= LEAST_SCORE]
    peaks = np.unique(_climbed(height_map, starts))
    peaks = peaks[np.argsort(-height_map.ravel()[peaks], kind="stable")]
    rows, columns = np.unravel_index(peaks, height_map.shape)
    return Peaks(unscaled(_refined(height_map, rows, columns), smoothed.factor))


def _cell_maxima(image: np.ndarray, cell: int) -> np.ndarray:
    """Flat index of the highest pixel (the first of equals) in every cell of `cell`² px."""
    height, width = image.shape
    padded = np.pad(image, [(0, -height % cell), (0, -width % cell)], constant_values=-np.inf)
    cells = padded.reshape(padded.shape[0] // cell, cell, padded.shape[1] // cell, cell).swapaxes(1, 2)
    rows, columns = np.indices(cells.shape[:2]) * cell
    inner_rows, inner_columns = np.divmod(cells.reshape(*cells.shape[:2], cell * cell).argmax(axis=-1), cell)
    return ((rows + inner_rows) * width + columns + inner_columns).ravel()


def _climbed(image: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Flat indices of the maxima that steepest ascent over the eight neighbours reaches from `starts`."""
    padded = np.pad(image, 1, constant_values=-np.inf)
    width, flat = padded.shape[1], padded.ravel()
    # Staying comes first, so a pixel never moves to an equal one and the climb ends.
    around = np.array([0, *(y * width + x for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0))])
    rows, columns = np.unravel_index(starts, image.shape)
    current = (rows + 1) * width + columns + 1
    moving = np.arange(current.size)
    while moving.size:
        neighbours = current[moving, None] + around
        step = flat[neighbours].argmax(axis=1)
        current[moving] = neighbours[np.arange(moving.size), step]
        moving = moving[step > 0]
    return np.ravel_multi_index((current // width - 1, current % width - 1), image.shape)


def _refined(image: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Sub-pixel (x, y) of maxima: the top of a parabola through three pixels along each axis."""
    padded = np.pad(image.astype(float), 1)
    here = padded[rows + 1, columns + 1]
    dx = _parabola_top(padded[rows + 1, columns], here, padded[rows + 1, columns + 2])
    dy = _parabola_top(padded[rows, columns + 1], here, padded[rows + 2, columns + 1])
    return np.column_stack([columns + dx, rows + dy])


def _parabola_top(before: np.ndarray, here: np.ndarray, after: np.ndarray) -> np.ndarray:
    bend = 2 * here - before - after
    top = np.divide(after - before, 2 * bend, out=np.zeros(here.shape), where=bend > 0)
    return top.clip(-0.5, 0.5)


def select(peaks: Peaks, *, diameter_px: float, s: float) -> np.ndarray:
    """Drop of two discs that overlap by more than d (1 − s) the lower one, from the highest down.

    A peak that was dropped drops nothing itself; of equals the upper, then the left one stays. Returns (n, 2) x, y.
    """
    if len(peaks.xy) == 0:
        return peaks.xy
    kept = np.ones(len(peaks.xy), dtype=bool)
    close = cKDTree(peaks.xy).query_pairs(s * diameter_px * (1 - 1e-9), output_type="ndarray")
    # Peaks come highest first, so the first of a pair is the higher, and its fate is settled before its turn.
    for higher, lower in close[np.lexsort(close.T[::-1])]:
        kept[lower] &= not kept[higher]
    return peaks.xy[kept]
