"""Centres by the Crocker-Grier algorithm: brightness maxima refined by their centroid (trackpy)."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import trackpy
from scipy import ndimage
from skimage.transform import resize

from crisp_core.centers.footprint import block_mean, centers_table, checked_map, coarse_factor, unscaled

E = (0.15, 0.25, 0.35)
S = (0.4, 0.7, 1.0)
DEFAULT_E = 0.25
DEFAULT_S = 0.7
# The published factors belong to maps on which a particle is about 100 px wide (EMPIAR-10017, 180 Å at 1.77 Å/px).
REFERENCE_DIAMETER_PX = 100
SIGMA_DIAMETERS = 0.2
FLOOR = 0.05


class Resized(NamedTuple):
    """Smoothed 16-bit map, padded by `margin` px, and the px of the given map per pixel along x and y."""

    image: np.ndarray
    margin: int
    factors: tuple[float, float]


def prepare(probability: np.ndarray, *, diameter_px: float) -> np.ndarray:
    """Average the map over blocks, as all resized maps start from it."""
    return block_mean(checked_map(probability, diameter_px), coarse_factor(diameter_px))


def propose(small: np.ndarray, *, diameter_px: float, e: float) -> Resized:
    """Resize the map so that a particle is 100 `e` px wide, smooth it, and pad it so that edges can be searched."""
    block = coarse_factor(diameter_px)
    width = REFERENCE_DIAMETER_PX * e
    shape = tuple(max(1, round(n * block * width / diameter_px)) for n in small.shape)
    image = resize(small, shape, order=1, anti_aliasing=False, preserve_range=True)
    smooth = ndimage.gaussian_filter(image, SIGMA_DIAMETERS * width, mode="constant", truncate=3.0)
    lifted = np.where(smooth >= FLOOR, smooth, 0) if smooth.max() > smooth.min() else np.zeros(shape)
    margin = round(width) + 1
    factors = small.shape[1] * block / shape[1], small.shape[0] * block / shape[0]
    return Resized(np.pad((lifted * 65535).astype(np.uint16), margin), margin, factors)


def select(resized: Resized, *, diameter_px: float, s: float) -> np.ndarray:
    """Maxima at least `s` diameters apart, refined by their centroid, as (n, 2) x, y on the given map."""
    if not resized.image.any():
        return np.zeros((0, 2))
    width = diameter_px / resized.factors[0]
    feature = 2 * int(width * s / 2) + 1
    found = trackpy.locate(
        resized.image,
        max(feature, 3),
        separation=width * s,
        percentile=0,
        preprocess=False,
        characterize=False,
        max_iterations=5,
        engine="python",
    )
    xy = found[["x", "y"]].to_numpy(float) - resized.margin
    return np.column_stack([unscaled(np.column_stack([axis, axis]), f)[:, 0] for axis, f in zip(xy.T, resized.factors)])


def find(probability: np.ndarray, *, diameter_px: float, e: float = DEFAULT_E, s: float = DEFAULT_S) -> pd.DataFrame:
    """Doc."""
    resized = propose(prepare(probability, diameter_px=diameter_px), diameter_px=diameter_px, e=e)
    return centers_table(np.asarray(probability), select(resized, diameter_px=diameter_px, s=s), diameter_px)
