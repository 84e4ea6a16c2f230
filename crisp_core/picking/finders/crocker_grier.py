"""Centers by the Crocker-Grier algorithm of trackpy: maxima of brightness, refined by their centroid.

trackpy gets a smoothed map, because the plateau of a confident prediction holds hundreds of equal maxima; its fourth
power, because the centroid of a flat top depends on the position of the window (errors on drawn discs fall to a third);
and a padded map, because trackpy finds nothing within a radius of an edge.
"""

from typing import ClassVar, Literal, NamedTuple, Self

import numpy as np
import scipy
from pydantic import Field

from crisp_core.picking.finders.finder import Finder, FinderMap
from crisp_core.picking.finders.footprint import LEAST_SCORE, REFERENCE_DIAMETER_PX, unscaled

POWER = 4
# Steps of one pixel towards the centroid; the smoothed maxima are nearly centred already.
REFINEMENTS = 5


class Resized(NamedTuple):
    """Fourth power of the resized and smoothed map."""

    image: np.ndarray  # (h, w) uint32, with a rim of zeros
    margin: int  # px of the rim
    factors: np.ndarray  # (2,) px of the given map per pixel, along x and y


class CrockerGrier(Finder):
    """Maxima of brightness of the resized map, refined by the centroid in a window (trackpy)."""

    name: Literal["crocker_grier"] = "crocker_grier"
    resized_diameter_px: float = Field(
        default=25.0, ge=5, description="width of a particle on the resized map that trackpy searches, in pixels"
    )
    min_distance_diameters: float = Field(
        default=0.4,
        gt=0,
        description="smallest distance of two centers, in particle diameters; the one with less mass is removed",
    )
    sigma_diameters: float = Field(
        default=0.15, gt=0, description="standard deviation of the Gaussian that smooths the map, in particle diameters"
    )
    window_diameters: float = Field(
        default=0.8, gt=0, description="width of the window whose centroid refines a center, in particle diameters"
    )
    grid: ClassVar = {"resized_diameter_px": (15.0, 25.0, 35.0), "min_distance_diameters": (0.4, 0.7, 1.0)}

    @classmethod
    def from_published(cls, e: float, s: float) -> Self:
        """Setting of the published e ∈ {0.15, 0.25, 0.35} and s ∈ {0.4, 0.7, 1.0}."""
        return cls(resized_diameter_px=REFERENCE_DIAMETER_PX * e, min_distance_diameters=s)

    def find(self, seen: FinderMap) -> np.ndarray:
        """Refined maxima; of two close ones with equal mass, the one farther from the top left is removed."""
        import trackpy

        resized = seen.once(resize_map, self.resized_diameter_px, self.sigma_diameters)
        if not resized.image.any():
            return np.zeros((0, 2))
        width = seen.diameter_px / resized.factors.max()
        found = trackpy.locate(
            resized.image,
            2 * int(self.window_diameters * width / 2) + 1,
            separation=self.min_distance_diameters * width,
            percentile=0,
            preprocess=False,
            characterize=False,
            max_iterations=REFINEMENTS,
            engine="python",
        )
        return unscaled(found[["x", "y"]].to_numpy(float) - resized.margin, resized.factors)


def resize_map(seen: FinderMap, diameter_px: float, sigma_diameters: float) -> Resized:
    """Resize the map to a particle diameter, smooth it, and pad it with zeros.

    Parameters
    ----------
    seen : FinderMap
        Map to resize.
    diameter_px : float
        Particle diameter on the resized map, in pixels.
    sigma_diameters : float
        Standard deviation of the Gaussian, in particle diameters.
    """
    from skimage.transform import resize

    working = seen.working
    shape = tuple(max(1, round(n * diameter_px / working.diameter_px)) for n in working.image.shape)
    image = resize(working.image, shape, order=1, anti_aliasing=False, preserve_range=True)
    smooth = scipy.ndimage.gaussian_filter(image, sigma_diameters * diameter_px, mode="constant", truncate=3.0)
    bright = np.where(smooth >= LEAST_SCORE, smooth, 0).clip(0, 1)
    levels = bright.astype(float) ** POWER * np.iinfo(np.uint32).max
    # A slope over the map: on a plateau only a few pixels at its upper left stay maxima, where trackpy would compare
    # all with each other. Over the whole map it is a quarter of the lowest score, so that faint particles stay.
    slope = min(1.0, LEAST_SCORE**POWER * np.iinfo(np.uint32).max / 4 / levels.size)
    levels = np.maximum(levels - slope * np.arange(levels.size).reshape(levels.shape), 0).astype(np.uint32)
    margin = int(diameter_px) + 1
    factors = np.array(working.image.shape[::-1]) / shape[::-1] * working.factor
    return Resized(np.pad(levels, margin), margin, factors)
