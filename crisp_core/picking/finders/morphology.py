"""Centers of the pieces that an erosion of the particle outlines leaves; touching particles are split.

Published: normalise, erode with kernels of sides r/4 and r/e, keep contours with r^s ≤ area ≤ 500,000 px, where r is
the radius of the particle. A kernel of side k removes k/2 from an outline, so the erosion keeps pixels deeper than
r/8 + r/(2e). Depth is Euclidean here, since square kernels would erode diagonals more. Two steps are added, because an
erosion that separates touching particles removes small ones (F1 on noisy crowded maps .75 without, .90 with both):
light smoothing of the map, and a watershed of the depth between its maxima, in place of the published limits on the
enclosing circle.
"""

from typing import ClassVar, Literal, NamedTuple, Self

import numpy as np
import scipy
from pydantic import Field

from crisp_core.picking.finders.depths import Depths
from crisp_core.picking.finders.finder import Finder, FinderMap
from crisp_core.picking.finders.footprint import REFERENCE_DIAMETER_PX, unscaled

# The deeper a pixel, the less noise of the outline and a touching neighbour displace it.
CENTROID_POWER = 3


class Pieces(NamedTuple):
    """Pieces after the erosion: centroids weighted by depth, and areas in px, both on the given map."""

    xy: np.ndarray  # (n, 2)
    area_px: np.ndarray  # (n,)


def published_erosion(e: float) -> float:
    """Erosion r/8 + r/(2e) in particle diameters."""
    return (1 / 8 + 1 / (2 * e)) / 2


def published_area(s: float) -> float:
    """Smallest area r^s of a particle of 100 px, in squared diameters."""
    return (REFERENCE_DIAMETER_PX / 2) ** s / REFERENCE_DIAMETER_PX**2


class Morphology(Finder):
    """Erosion of the particle outlines, and a watershed between touching particles."""

    name: Literal["morphology"] = "morphology"
    erosion_diameters: float = Field(
        default=published_erosion(6),
        gt=0,
        lt=0.5,
        description="width of the rim that the erosion removes from the outlines, in particle diameters",
    )
    min_area_squared_diameters: float = Field(
        default=published_area(0.6),
        ge=0,
        description="smallest area of a piece after the erosion, in squared particle diameters",
    )
    max_area_squared_diameters: float = Field(
        default=50.0, gt=0, description="largest area of a piece after the erosion, in squared particle diameters"
    )
    split_distance_diameters: float = Field(
        default=0.3,
        gt=0,
        description="smallest distance of the deepest points of two touching particles, in particle diameters",
    )
    grid: ClassVar = {
        "erosion_diameters": tuple(map(published_erosion, (2, 4, 6))),
        "min_area_squared_diameters": tuple(map(published_area, (0.6, 1.0, 1.4))),
    }

    @classmethod
    def from_published(cls, e: float, s: float) -> Self:
        """Setting of the published e ∈ {2, 4, 6} and s ∈ {0.6, 1.0, 1.4}."""
        return cls(erosion_diameters=published_erosion(e), min_area_squared_diameters=published_area(s))

    def find(self, seen: FinderMap) -> np.ndarray:
        """Centroids of the pieces whose area is within the limits."""
        pieces = seen.once(erode, self.erosion_diameters, self.split_distance_diameters)
        area = pieces.area_px / seen.diameter_px**2
        return pieces.xy[(area >= self.min_area_squared_diameters) & (area <= self.max_area_squared_diameters)]


def erode(seen: FinderMap, erosion_diameters: float, split_distance_diameters: float) -> Pieces:
    """Erode the outlines and measure the pieces, separated between their deepest points.

    Parameters
    ----------
    seen : FinderMap
        Map with the outlines.
    erosion_diameters : float
        Width of the rim that is removed, in particle diameters.
    split_distance_diameters : float
        Smallest distance of two deepest points, in particle diameters.
    """
    depths = seen.depths
    core = depths.depth > erosion_diameters * depths.diameter_px
    labels, n = _split(core, depths, max(1, round(split_distance_diameters * depths.diameter_px)))
    index = np.arange(1, n + 1)
    yx = np.array(scipy.ndimage.center_of_mass(depths.depth**CENTROID_POWER, labels, index)).reshape(-1, 2)
    area = np.bincount(labels.ravel(), minlength=n + 1)[1:]
    return Pieces(unscaled(yx[:, ::-1], depths.factor), area * depths.factor**2)


def _split(core: np.ndarray, depths: Depths, distance_px: int) -> tuple[np.ndarray, int]:
    from skimage.feature import peak_local_max
    from skimage.segmentation import watershed

    deepest = peak_local_max(
        np.where(core, depths.smooth_depth, 0), min_distance=distance_px, threshold_abs=0, exclude_border=False
    )
    markers = np.zeros(core.shape, dtype=np.int32)
    markers[tuple(deepest.T)] = np.arange(1, len(deepest) + 1)
    return watershed(-depths.smooth_depth, markers, mask=core), len(deepest)
