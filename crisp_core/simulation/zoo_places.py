"""Positions of the particles of a zoo: free area, crowded places, and orientations."""

import numpy as np
import scipy.ndimage
from scipy.spatial.transform import Rotation

from crisp_core.simulation.centers import draw_rotations, is_far
from crisp_core.simulation.noise import draw_grain

# Candidates per particle that is asked for; a crowded micrograph takes what finds room.
CANDIDATES = 60


def free_area(blocked: np.ndarray, *, keep_px: float, margin_px: int) -> np.ndarray:
    """Area that is free for particles' centres, with a margin from which particles reach into the micrograph.

    Parameters
    ----------
    blocked : (h, w) bool array
        Pixels of the micrograph from which centres keep their distance.
    keep_px : float
        That distance.
    margin_px : int
        Width of the margin; what is blocked at the edge is blocked beyond it.

    Returns
    -------
    (h + 2 margin, w + 2 margin) bool array
    """
    padded = np.pad(blocked, margin_px, mode="edge")
    if not padded.any():
        return ~padded
    return scipy.ndimage.distance_transform_edt(~padded) > keep_px


def gathering_weight(shape: tuple[int, int], *, length_px: float, rng: np.random.Generator) -> np.ndarray:
    """Draw the relative probability of a centre at each pixel (h, w), 0 to 1: high in some places, almost 0 in others.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the micrograph, in px.
    length_px : float
        Correlation length of the weight, in px.
    rng : numpy Generator
        Source of random numbers.
    """
    field = draw_grain(shape, 1.0, length_px, rng)
    return 1 / (1 + np.exp(-4 * (field - rng.uniform(-0.5, 0.7))))


def draw_places(
    free: np.ndarray, n: int, *, min_distance_px: float, weight: np.ndarray | None, rng: np.random.Generator
) -> np.ndarray:
    """Draw up to `n` positions (k, 2) as (x, y) in an area, each at least a distance from all others.

    Parameters
    ----------
    free : (h, w) bool array
    n : int
        Wanted; fewer where there is no more room.
    min_distance_px : float
    weight : (h, w) array or None
        Probability that a candidate is considered at a pixel.
    rng : numpy Generator
    """
    rows, columns = np.nonzero(free)
    found = np.empty((n, 2))
    k = 0
    if not len(rows):
        return found[:0]
    chosen = rng.integers(len(rows), size=n * CANDIDATES)
    candidates = np.column_stack([columns[chosen], rows[chosen]]) + rng.uniform(-0.5, 0.5, (len(chosen), 2))
    if weight is not None:
        candidates = candidates[rng.random(len(chosen)) < weight[rows[chosen], columns[chosen]]]
    for candidate in candidates:
        if k == n:
            break
        if is_far(candidate, found[:k], min_distance_px):
            found[k] = candidate
            k += 1
    return found[:k]


def draw_orientations(n: int, preferred_deg: float | None, rng: np.random.Generator) -> np.ndarray:
    """Draw Euler angles (n, 3) in degrees: any orientation, or one turned in the plane and tilted by a spread.

    Parameters
    ----------
    n : int
    preferred_deg : float or None
        Standard deviation of the tilt away from one random view; None is any orientation.
    rng : numpy Generator
    """
    if preferred_deg is None:
        return draw_rotations(n, rng)
    view = Rotation.from_euler("ZYZ", draw_rotations(1, rng)[0], degrees=True)
    axis, tilt, spin = (
        rng.uniform(0, 2 * np.pi, n),
        np.radians(rng.normal(0, preferred_deg, n)),
        rng.uniform(-180, 180, n),
    )
    tilted = Rotation.from_rotvec(np.column_stack([tilt * np.cos(axis), tilt * np.sin(axis), np.zeros(n)]))
    # A rotation matrix is intrinsic: turns after the view, in the plane, come last.
    turned = view * tilted * Rotation.from_euler("z", spin[:, None] if n else np.empty((0, 1)), degrees=True)
    return turned.as_euler("ZYZ", degrees=True)
