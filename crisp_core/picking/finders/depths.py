"""Depth of each pixel inside the outline of its particle."""

from typing import NamedTuple

import numpy as np
import scipy

from crisp_core.picking.finders.footprint import WorkingMap

LEVEL = 0.5
MAP_SIGMA_DIAMETERS = 0.06
DEPTH_SIGMA_DIAMETERS = 0.05


class Depths(NamedTuple):
    """Distance in px of the working grid to the outline, raw and smoothed; zero outside of outlines."""

    depth: np.ndarray  # (h, w)
    smooth_depth: np.ndarray  # (h, w)
    factor: int
    diameter_px: float


def measure_depths(working: WorkingMap) -> Depths:
    """Outline the map at half of its maximum and measure the depth of each pixel inside an outline."""
    smooth = scipy.ndimage.gaussian_filter(working.image, MAP_SIGMA_DIAMETERS * working.diameter_px, mode="constant")
    inside = smooth > LEVEL * smooth.max(initial=0)
    depth = scipy.ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
    smooth_depth = scipy.ndimage.gaussian_filter(depth, DEPTH_SIGMA_DIAMETERS * working.diameter_px)
    return Depths(depth, smooth_depth, working.factor, working.diameter_px)
