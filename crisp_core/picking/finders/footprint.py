"""Parts that all finders share: their working grid, the score of a centre, and the order of the table of centres.

Every finder works on a map averaged over blocks so that a particle is 24 to 48 px wide: outlines finer than that say
nothing about a centre. The published settings were chosen on maps where a particle is about 100 px wide; lengths and
areas that they give in pixels are scaled from there, so that a setting means the same at every working pixel size.

Positions are sub-pixel positions on the map that was given, its first pixel's centre being (0, 0). Beyond the map
there is no particle (zeros), so a particle that the edge cuts is found nearer to the middle of its visible part.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from crisp_core.errors import UserError
from crisp_core.picking.spacing import SPACING_DIAMETERS, suppressed

WORKING_DIAMETER_PX = 24
SMALLEST_DIAMETER_PX = 4
# EMPIAR-10017: 180 Å at 1.77 Å/px.
REFERENCE_DIAMETER_PX = 100
# The score is read from the middle of the particle: the whole disc reaches beyond an elongated particle and into its
# neighbours. On the four test micrographs of EMPIAR-10017 this raises AP from .566 to .599 at the same F1.
CORE_DIAMETERS = 0.5
LEAST_SCORE = 0.05
CHUNK_PX = 1_000_000


class WorkingMap(NamedTuple):
    """Map on the finders' grid, px of the given map per pixel, and the particle's diameter on this grid."""

    image: np.ndarray  # (h, w) float32
    factor: int
    diameter_px: float


def working_map(probability: np.ndarray, diameter_px: float) -> WorkingMap:
    """Average an (h, w) probability map over blocks so that a particle of `diameter_px` is 24 to 48 px wide.

    A particle that is narrower already leaves the map as it is; incomplete blocks at the far edges are filled up with
    zeros. A constant map has no particles: it becomes zero.

    Raises
    ------
    UserError
        If the map holds NaN or Inf, or a particle is less than 4 px wide on it.
    """
    if diameter_px < SMALLEST_DIAMETER_PX:
        raise UserError(
            f"preparation/working_pixel_size: the particle is {diameter_px:g} px wide, too small to find centres; "
            f"lower it, so that the particle is at least {SMALLEST_DIAMETER_PX} px wide"
        )
    image = np.asarray(probability, dtype=np.float32)
    low, high = (image.min(), image.max()) if image.size else (0.0, 0.0)
    if not np.isfinite(low + high):
        raise UserError("probability map: has NaN or infinite values; rerun predict for this micrograph")
    if low == high:
        image = np.zeros_like(image)
    factor = max(1, int(diameter_px // WORKING_DIAMETER_PX))
    return WorkingMap(_block_mean(image, factor), factor, diameter_px / factor)


def _block_mean(image: np.ndarray, factor: int) -> np.ndarray:
    if factor == 1:
        return image
    height, width = (-(-n // factor) for n in image.shape)
    total = np.zeros((height, width), dtype=np.float32)
    # Sums of strided views: three times faster than the mean over two axes of a reshaped array.
    for row in range(factor):
        for column in range(factor):
            part = image[row::factor, column::factor]
            total[: part.shape[0], : part.shape[1]] += part
    return total / factor**2


def unscaled(xy: np.ndarray, factor: float | np.ndarray) -> np.ndarray:
    """Positions (n, 2) on a grid whose pixels are `factor` px wide, on the fine grid with the same outer edge."""
    return (np.asarray(xy, dtype=float).reshape(-1, 2) + 0.5) * factor - 0.5


def footprint_score(probability: np.ndarray, xy: np.ndarray, diameter_px: float) -> np.ndarray:
    """Mean probability under a disc of half the particle's diameter at each position, shape (n,), in [0, 1].

    Pixels count whose centre lies in the disc, and of a disc at the edge only those inside of the map.

    Parameters
    ----------
    probability : (h, w) float array
        Probability of the particle class, in [0, 1].
    xy : (n, 2) array
        Positions as (x, y), in px of the map.
    diameter_px : float
        Particle diameter, in px of the map.
    """
    xy = np.asarray(xy, dtype=float).reshape(-1, 2)
    radius = CORE_DIAMETERS * diameter_px / 2
    reach = np.arange(-int(radius) - 1, int(radius) + 2)
    per_chunk = max(1, CHUNK_PX // reach.size**2)
    chunks = np.split(xy, range(per_chunk, len(xy), per_chunk))
    scores = [_disc_means(probability, chunk, reach, radius) for chunk in chunks]
    return np.concatenate(scores).clip(0, 1)


def _disc_means(probability: np.ndarray, xy: np.ndarray, reach: np.ndarray, radius: float) -> np.ndarray:
    height, width = probability.shape
    columns, rows = (np.rint(axis).astype(int)[:, None] + reach for axis in xy.T)
    # Pixels beyond the map lie in no disc.
    dx = np.where((columns >= 0) & (columns < width), columns - xy[:, :1], np.inf)
    dy = np.where((rows >= 0) & (rows < height), rows - xy[:, 1:], np.inf)
    disc = dx[:, None, :] ** 2 + dy[:, :, None] ** 2 <= radius**2
    values = probability[rows.clip(0, height - 1)[:, :, None], columns.clip(0, width - 1)[:, None, :]]
    return np.where(disc, values, 0).sum(axis=(1, 2), dtype=float) / disc.sum(axis=(1, 2))


def centers_table(probability: np.ndarray, xy: np.ndarray, diameter_px: float) -> pd.DataFrame:
    """Centres with their scores, best first, of equals the upper, then the left one; none close to a better one.

    Parameters
    ----------
    probability : (h, w) array
        Map that the score is read from.
    xy : (n, 2) array
        Positions on this map. One outside of it moves onto its edge. One with a score below 0.05 is left out, and so is
        one nearer than 0.35 diameters to a better one.
    diameter_px : float
        Particle diameter in px of this map.

    Returns
    -------
    DataFrame
        Columns x, y, score.
    """
    probability = np.asarray(probability)
    height, width = probability.shape
    xy = np.clip(np.asarray(xy, dtype=float).reshape(-1, 2), 0, [max(width - 1, 0), max(height - 1, 0)])
    table = pd.DataFrame({"x": xy[:, 0], "y": xy[:, 1], "score": footprint_score(probability, xy, diameter_px)})
    table = table[table["score"] >= LEAST_SCORE]
    table = table.sort_values(["score", "y", "x"], ascending=[False, True, True], ignore_index=True)
    close = suppressed(table[["x", "y"]].to_numpy(), SPACING_DIAMETERS * diameter_px)
    return table[~close].reset_index(drop=True)
