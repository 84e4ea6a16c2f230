"""Centres of the pieces that an erosion of the particle outlines leaves."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import ndimage

from crisp_core.centers.footprint import block_mean, centers_table, checked_map, coarse_factor, unscaled

E = (2, 4, 6)
S = (0.6, 1.0, 1.4)
DEFAULT_E = 4
DEFAULT_S = 1.0
LEVEL = 0.5


class Pieces(NamedTuple):
    xy: np.ndarray
    area_px: np.ndarray
    factor: int


def prepare(probability: np.ndarray, *, diameter_px: float):
    factor = coarse_factor(diameter_px)
    small = block_mean(checked_map(probability, diameter_px), factor)
    mask = small >= LEVEL * small.max() if small.max() > small.min() else np.zeros(small.shape, bool)
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    return small, depth, factor


def propose(prepared, *, diameter_px: float, e: float) -> Pieces:
    small, depth, factor = prepared
    radius = diameter_px / 2 / factor
    core = depth > radius / 8 + radius / e / 2
    labels, n = ndimage.label(core)
    index = np.arange(1, n + 1)
    area = np.bincount(labels.ravel(), minlength=n + 1)[1:]
    yx = np.array(ndimage.center_of_mass(small, labels, index)).reshape(-1, 2)
    return Pieces(yx[:, ::-1], area * factor**2, factor)


def select(pieces: Pieces, *, diameter_px: float, s: float) -> np.ndarray:
    return unscaled(pieces.xy[pieces.area_px >= (diameter_px / 2) ** s], pieces.factor)


def find(probability: np.ndarray, *, diameter_px: float, e: float = DEFAULT_E, s: float = DEFAULT_S) -> pd.DataFrame:
    pieces = propose(prepare(probability, diameter_px=diameter_px), diameter_px=diameter_px, e=e)
    return centers_table(np.asarray(probability), select(pieces, diameter_px=diameter_px, s=s), diameter_px)
