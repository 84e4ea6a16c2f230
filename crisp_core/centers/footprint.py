"""What the finders share: their grid, the score of a centre, and the order of the table.

Every finder works on a map averaged over blocks so that a particle is about 24 px wide: outlines finer than that say
nothing about a centre. Positions are sub-pixel positions on the map that was given, its first pixel's centre (0, 0).
Beyond the map there is no particle (zeros).
"""

import numpy as np
import pandas as pd

from crisp_core.errors import UserError

WORKING_DIAMETER_PX = 24
SMALLEST_DIAMETER_PX = 4
LEAST_SCORE = 0.05
CHUNK_PX = 1_000_000


def checked_map(probability: np.ndarray, diameter_px: float) -> np.ndarray:
    """Map (h, w) as float32, refused when it holds NaN or Inf or when its pixels are too coarse for the particle."""
    if diameter_px < SMALLEST_DIAMETER_PX:
        raise UserError(
            f"A particle diameter of {diameter_px:g} px is too small to find centres: "
            f"use a working pixel size that makes it at least {SMALLEST_DIAMETER_PX} px."
        )
    probability = np.asarray(probability, dtype=np.float32)
    if not np.isfinite(probability.sum()):
        raise UserError("The probability map holds NaN or Inf: predict the micrograph again.")
    return probability


def coarse_factor(diameter_px: float) -> int:
    """Side in px of the blocks that make a particle 24 to 48 px wide; 1 when it is narrower already."""
    return max(1, int(diameter_px // WORKING_DIAMETER_PX))


def block_mean(image: np.ndarray, factor: int) -> np.ndarray:
    """Mean over blocks of `factor`² px; incomplete blocks at the far edges are filled up with zeros."""
    if factor == 1:
        return image
    padded = np.pad(image, [(0, -n % factor) for n in image.shape])
    return padded.reshape(padded.shape[0] // factor, factor, padded.shape[1] // factor, factor).mean(axis=(1, 3))


def unscaled(xy: np.ndarray, factor: float) -> np.ndarray:
    """Positions on a grid whose pixels are `factor` px wide, on the fine grid; both start at the same outer edge."""
    return (np.asarray(xy, dtype=float).reshape(-1, 2) + 0.5) * factor - 0.5


def footprint_score(probability: np.ndarray, xy: np.ndarray, diameter_px: float) -> np.ndarray:
    """Mean probability under a disc of the particle's diameter at each position, shape (n,), in [0, 1].

    Pixels count whose centre lies in the disc, and of a disc at the edge only those inside of the map.
    """
    xy = np.asarray(xy, dtype=float).reshape(-1, 2)
    height, width = probability.shape
    reach = np.arange(-int(diameter_px / 2) - 1, int(diameter_px / 2) + 2)
    per_chunk = max(1, CHUNK_PX // reach.size**2)
    scores = [np.zeros(0)]
    for x, y in (part.T for part in np.split(xy, range(per_chunk, len(xy), per_chunk))):
        columns = np.rint(x).astype(int)[:, None] + reach
        rows = np.rint(y).astype(int)[:, None] + reach
        inside_x, inside_y = (columns >= 0) & (columns < width), (rows >= 0) & (rows < height)
        distance2 = (columns - x[:, None])[:, None, :] ** 2 + (rows - y[:, None])[:, :, None] ** 2
        disc = (distance2 <= diameter_px**2 / 4) & inside_x[:, None, :] & inside_y[:, :, None]
        values = probability[rows.clip(0, height - 1)[:, :, None], columns.clip(0, width - 1)[:, None, :]]
        scores.append(np.where(disc, values, 0).sum(axis=(1, 2), dtype=float) / disc.sum(axis=(1, 2)))
    return np.concatenate(scores).clip(0, 1)


def centers_table(probability: np.ndarray, xy: np.ndarray, diameter_px: float) -> pd.DataFrame:
    """Centres with their scores, best first, of equals the upper, then the left one.

    Parameters
    ----------
    probability : (h, w) array
        Map that the score is read from.
    xy : (n, 2) array
        Positions on this map; those outside of it are moved onto its edge, and those with a score below 0.05 are
        left out.

    Returns
    -------
    DataFrame
        Columns x, y, score.
    """
    height, width = probability.shape
    xy = np.clip(np.asarray(xy, dtype=float).reshape(-1, 2), 0, [width - 1, height - 1])
    table = pd.DataFrame({"x": xy[:, 0], "y": xy[:, 1], "score": footprint_score(probability, xy, diameter_px)})
    table = table[table["score"] >= LEAST_SCORE]
    return table.sort_values(["score", "y", "x"], ascending=[False, True, True], ignore_index=True)
