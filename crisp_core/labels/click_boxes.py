"""Boxes around coordinates: grey values, and what is known of the pixels before any outline is."""

from typing import NamedTuple

import numpy as np
import scipy.ndimage
import scipy.spatial

# Lengths in particle diameters.
BOX_DIAMETERS = 1.9
CORE_DIAMETERS = 0.15
WALLS_DIAMETERS = ((0.15, 0.25), (0.25, 0.35), (0.35, 0.45))
REACH_DIAMETERS = 0.55
RING_DIAMETERS = 0.9
# Smallest contrast of what starts the particle class, in its standard deviations.
LEAST_SEPARATION = 0.5
# Standard errors of the mean contrast of the centres from which its sign is certain.
CERTAIN_ERRORS = 3
# Variance and contrast of constant images, which are divided by.
TINY = 1e-20


class Boxes(NamedTuple):
    """Boxes around n coordinates: grey values and what is known of their pixels, each (n, side, side)."""

    values: np.ndarray
    """Low-passed grey values less the mean of the ring of the box."""
    core: np.ndarray
    """Pixels that are certainly particle."""
    free: np.ndarray
    """Pixels whose class is estimated: within reach of the coordinate, and of no other one that is nearer."""
    ring: np.ndarray
    """Background that the particle class is compared with."""
    distance: np.ndarray
    """Distance from the coordinate in diameters."""
    corners: np.ndarray
    """(n, 2) x and y of the first pixel."""


def cut_boxes(image: np.ndarray, valid: np.ndarray, xy: np.ndarray, *, diameter_px: float, lowpass_px: float) -> Boxes:
    """Cut the boxes of all coordinates out of the low-passed micrograph.

    Parameters
    ----------
    image : (h, w) array
        Prepared micrograph.
    valid : (h, w) bool array
        Pixels that count; the others belong to no class.
    xy : (n, 2) array
        Coordinates as (x, y), px.
    diameter_px : float
        Diameter of the particle, px.
    lowpass_px : float
        Standard deviation of the Gaussian that smooths the micrograph, px.
    """
    half = int(np.ceil(BOX_DIAMETERS * diameter_px / 2))
    steps = np.arange(-half, half + 1)
    centers = np.rint(xy).astype(int)
    rows, columns = centers[:, 1, None, None] + steps[:, None], centers[:, 0, None, None] + steps
    height, width = image.shape
    known = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    places = rows.clip(0, height - 1), columns.clip(0, width - 1)
    known &= valid.astype(bool)[places]
    low = scipy.ndimage.gaussian_filter(image.astype(np.float32), lowpass_px)
    distance = np.hypot(rows - xy[:, 1, None, None], columns - xy[:, 0, None, None]) / diameter_px
    nearest = distance_to_others(xy, rows, columns) / diameter_px
    own = (distance < REACH_DIAMETERS) & (distance <= nearest)
    around = (distance >= REACH_DIAMETERS) & (distance < RING_DIAMETERS) & known
    ring = around & (nearest > REACH_DIAMETERS)
    # in a crowd, a box may have no ring without neighbours
    ring = np.where(ring.any((1, 2), keepdims=True), ring, around)
    values = low[places]
    level = (values * ring).sum((1, 2)) / ring.sum((1, 2)).clip(1)
    core = (distance < CORE_DIAMETERS) & own & known
    corners = centers - half
    return Boxes(values - level[:, None, None], core, own & known & ~core, ring, distance, corners)


def distance_to_others(xy: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the distance (px) of every pixel of n boxes to the nearest coordinate that is not its own.

    Parameters
    ----------
    xy : (n, 2) array
        Coordinates as (x, y), px.
    rows : (n, side, 1) array
        Rows of the pixels of each box.
    columns : (n, 1, side) array
        Columns of the pixels of each box.
    """
    side = rows.shape[1]
    if len(xy) < 2:
        return np.full((len(xy), side, side), np.inf)
    pixels = np.stack(np.broadcast_arrays(columns, rows), axis=-1)
    found, numbers = scipy.spatial.cKDTree(xy).query(pixels.reshape(-1, 2), k=2)
    own = np.repeat(np.arange(len(xy)), side * side)
    return np.where(numbers[:, 0] == own, found[:, 1], found[:, 0]).reshape(len(xy), side, side)


def class_seed(boxes: Boxes) -> tuple[np.ndarray, float]:
    """Pixels (n, side, side) that show a particle, its centre or the wall of a hollow one, and their separation.

    A wall has the sign of the centre's contrast if that is certain, so that a bright fringe around a dark particle is
    none.
    """
    center = mean_contrasts(boxes, boxes.core)
    if len(center) < 2 or separation(center) >= LEAST_SEPARATION:
        return boxes.core, separation(center)
    is_certain = abs(center.sum()) > CERTAIN_ERRORS * center.std() * np.sqrt(len(center))
    walls = [boxes.free & (boxes.distance >= a) & (boxes.distance < b) for a, b in WALLS_DIAMETERS]
    known = [(wall, mean_contrasts(boxes, wall)) for wall in walls]
    alike = [(wall, found) for wall, found in known if not is_certain or found.sum() * center.sum() > 0]
    seed, contrasts = max([(boxes.core, center), *alike], key=lambda each: separation(each[1]))
    return seed, separation(contrasts)


def separation(contrasts: np.ndarray) -> float:
    """Return the mean of contrasts with the rings, in their standard deviations; 0 if unknown."""
    return 0.0 if len(contrasts) < 2 else float(abs(contrasts.mean()) / (contrasts.std() + TINY))


def mean_contrasts(boxes: Boxes, seed: np.ndarray) -> np.ndarray:
    """Return the contrast with its ring of a part of the particles, (n, side, side), for the boxes that have both."""
    known = seed.any((1, 2)) & boxes.ring.any((1, 2))
    return (boxes.values[known] * seed[known]).sum((1, 2)) / seed[known].sum((1, 2))
