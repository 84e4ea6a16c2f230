"""Centers as local maxima of the smoothed map, with suppression of close maxima.

At a standard deviation of 0.25 diameters, neighbours closer than a diameter merge and touching ones attract each other;
at 0.15, noise splits single particles.
"""

from typing import ClassVar, Literal, Self

import numpy as np
import scipy
from pydantic import Field

from crisp_core.picking.finders.finder import Finder, FinderMap
from crisp_core.picking.finders.footprint import LEAST_SCORE, WorkingMap, unscaled
from crisp_core.picking.spacing import suppressed


class Nms(Finder):
    """Local maxima of the map smoothed with a Gaussian, and greedy non-maximum suppression."""

    name: Literal["nms"] = "nms"
    cell_diameters: float = Field(
        default=0.5,
        gt=0,
        description="side of the grid cells, in particle diameters; a climb to a local maximum starts in each of them",
    )
    min_distance_diameters: float = Field(
        default=0.4,
        gt=0,
        description="smallest distance of two centers, in particle diameters; the lower one is removed",
    )
    sigma_diameters: float = Field(
        default=0.18, gt=0, description="standard deviation of the Gaussian that smooths the map, in particle diameters"
    )
    grid: ClassVar = {"cell_diameters": (0.4, 0.5, 0.6), "min_distance_diameters": (0.4, 0.7, 1.0)}
    # for crowded particles on weak maps (F1 .779 by the best of the grid, .807 by this one)
    more: ClassVar = ({"sigma_diameters": 0.1, "min_distance_diameters": 0.3},)

    @classmethod
    def from_published(cls, e: float, s: float) -> Self:
        """Setting of the published e ∈ {0.4, 0.5, 0.6} and s ∈ {0.4, 0.7, 1.0}."""
        return cls(cell_diameters=e, min_distance_diameters=s)

    def find(self, seen: FinderMap) -> np.ndarray:
        """Local maxima from the highest down, without those closer than the smallest distance to a kept one."""
        peaks = seen.once(find_peaks, self.sigma_diameters, self.cell_diameters)
        return peaks[~suppressed(peaks, self.min_distance_diameters * seen.diameter_px)]


def smooth_map(seen: FinderMap, sigma_diameters: float) -> WorkingMap:
    """Smooth the map with a Gaussian whose standard deviation is given in particle diameters."""
    working = seen.working
    sigma = sigma_diameters * working.diameter_px
    return working._replace(image=scipy.ndimage.gaussian_filter(working.image, sigma, mode="constant", truncate=3.0))


def find_peaks(seen: FinderMap, sigma_diameters: float, cell_diameters: float) -> np.ndarray:
    """Climb from the highest pixel of every grid cell to a local maximum.

    Parameters
    ----------
    seen : FinderMap
        Map to search.
    sigma_diameters : float
        Standard deviation of the Gaussian, in particle diameters.
    cell_diameters : float
        Side of a grid cell, in particle diameters.

    Returns
    -------
    (n, 2) array
        Each maximum once as x, y in pixels of the given map, the highest first.
    """
    smoothed = seen.once(smooth_map, sigma_diameters)
    height_map = smoothed.image
    starts = _cell_maxima(height_map, max(1, round(cell_diameters * smoothed.diameter_px)))
    starts = starts[height_map.ravel()[starts] >= LEAST_SCORE]
    peaks = np.unique(_climbed(height_map, starts))
    peaks = peaks[np.argsort(-height_map.ravel()[peaks], kind="stable")]
    rows, columns = np.unravel_index(peaks, height_map.shape)
    return unscaled(refine_maxima(height_map, rows, columns), smoothed.factor)


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


def refine_maxima(image: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Sub-pixel positions of maxima: the top of a parabola through three pixels along each axis.

    Parameters
    ----------
    image : (h, w) array
        Map with the maxima.
    rows, columns : (n,) integer arrays
        Pixels of the maxima.

    Returns
    -------
    (n, 2) array
        Positions x, y in px of the map.
    """
    padded = np.pad(image.astype(float), 1)
    here = padded[rows + 1, columns + 1]
    dx = _parabola_top(padded[rows + 1, columns], here, padded[rows + 1, columns + 2])
    dy = _parabola_top(padded[rows, columns + 1], here, padded[rows + 2, columns + 1])
    return np.column_stack([columns + dx, rows + dy])


def _parabola_top(before: np.ndarray, here: np.ndarray, after: np.ndarray) -> np.ndarray:
    bend = 2 * here - before - after
    top = np.divide(after - before, 2 * bend, out=np.zeros(here.shape), where=bend > 0)
    return top.clip(-0.5, 0.5)
