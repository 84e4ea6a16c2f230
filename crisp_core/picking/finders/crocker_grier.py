"""Centres by the Crocker-Grier algorithm: maxima of brightness refined by their centroid, as trackpy has it.

trackpy gets a smoothed map (standard deviation 0.15 diameters), because the plateau of a confident prediction holds
hundreds of equal maxima; its fourth power, because the centroid of a flat top stays where the window happens to lie
(errors on drawn discs fall to a third); and a padded one, because it finds nothing within a radius of an edge.
"""

from typing import NamedTuple

import numpy as np
import trackpy
from scipy import ndimage
from skimage.transform import resize

from crisp_core.picking.finders.footprint import (
    LEAST_SCORE,
    REFERENCE_DIAMETER_PX,
    WorkingMap,
    unscaled,
    working_map,
)

E = (0.15, 0.25, 0.35)
S = (0.4, 0.7, 1.0)
DEFAULT_E = 0.25
DEFAULT_S = 0.4
SIGMA_DIAMETERS = 0.15
POWER = 4
WINDOW_DIAMETERS = 0.8
# Steps of one pixel towards the centroid; the smoothed maxima are nearly centred already.
REFINEMENTS = 5


class Resized(NamedTuple):
    """Fourth power of the resized and smoothed map."""

    image: np.ndarray  # (h, w) uint32, with a rim of zeros
    margin: int  # px of the rim
    factors: np.ndarray  # (2,) px of the given map per pixel, along x and y


def prepare(probability: np.ndarray, *, diameter_px: float) -> WorkingMap:
    """Bring the map to the finders' grid, from which every resized map starts."""
    return working_map(probability, diameter_px)


def propose(working: WorkingMap, *, e: float) -> Resized:
    """Resize the map by `e` times what makes a particle 100 px wide; smooth it, and pad it with zeros."""
    width = REFERENCE_DIAMETER_PX * e
    shape = tuple(max(1, round(n * width / working.diameter_px)) for n in working.image.shape)
    image = resize(working.image, shape, order=1, anti_aliasing=False, preserve_range=True)
    smooth = ndimage.gaussian_filter(image, SIGMA_DIAMETERS * width, mode="constant", truncate=3.0)
    bright = np.where(smooth >= LEAST_SCORE, smooth, 0).clip(0, 1)
    levels = bright.astype(float) ** POWER * np.iinfo(np.uint32).max
    # A slope of a four-thousandth over the map: on a plateau only its upper left corner stays a maximum, where trackpy
    # would compare every pixel with every other.
    levels = np.maximum(levels - np.arange(levels.size).reshape(levels.shape), 0).astype(np.uint32)
    margin = int(width) + 1
    factors = np.array(working.image.shape[::-1]) / shape[::-1] * working.factor
    return Resized(np.pad(levels, margin), margin, factors)


def select(resized: Resized, *, diameter_px: float, s: float) -> np.ndarray:
    """Maxima at least `s` diameters apart, refined by the centroid of a disc of 0.8 diameters; returns (n, 2) x, y.

    Of two maxima that are nearer the one with less mass is dropped, of equals the one nearer to the top left.
    """
    if not resized.image.any():
        return np.zeros((0, 2))
    width = diameter_px / resized.factors.max()
    found = trackpy.locate(
        resized.image,
        2 * int(WINDOW_DIAMETERS * width / 2) + 1,
        separation=s * width,
        percentile=0,
        preprocess=False,
        characterize=False,
        max_iterations=REFINEMENTS,
        engine="python",
    )
    return unscaled(found[["x", "y"]].to_numpy(float) - resized.margin, resized.factors)
