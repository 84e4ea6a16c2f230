"""Random positions and orientations of particles on a simulated micrograph."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from crisp_core.errors import UserError
from crisp_core.geometry import Shape
from crisp_core.simulation.scenery import (
    Scenery,
    element_rng,
    is_free_for_particle,
)

# Tries per particle before a micrograph counts as full.
MAX_TRIES = 500
# Positions that are tried to know which share of a micrograph is free for particles.
ROOM_SAMPLES = 1000


def draw_centers(
    shape: Shape,
    n: int,
    *,
    min_distance_px: float,
    margin_px: float,
    rng: np.random.Generator,
    allowed: Callable[[np.ndarray], bool] | None = None,
) -> np.ndarray:
    """Draw positions uniformly, keeping those that are far enough from all before (random sequential addition).

    Parameters
    ----------
    shape : (int, int)
        Height and width in px.
    n : int
    min_distance_px, margin_px : float
        Least distance of two centres, and of a centre from the outermost pixels.
    rng : numpy Generator
    allowed : function, optional
        Says of a position (x, y) whether it may be taken; it is asked about those that are far enough from the others.

    Returns
    -------
    (n, 2) array of (x, y)

    Raises
    ------
    UserError
        If they do not fit.
    """
    low = np.array([margin_px, margin_px])
    high = np.array([shape[1] - 1 - margin_px, shape[0] - 1 - margin_px])
    if n and (high < low).any():
        raise UserError(
            f"simulation/shape_px: a particle with its margin of {margin_px:.0f} px does not fit into "
            f"{shape[1]} × {shape[0]} pixels; give larger micrographs"
        )
    xy = np.empty((n, 2))
    found = 0
    for _ in range(n * MAX_TRIES):
        if found == n:
            break
        candidate = rng.uniform(low, high)
        if not _is_far(candidate, xy[:found], min_distance_px) or not (allowed is None or allowed(candidate)):
            continue
        xy[found] = candidate
        found += 1
    if found < n:
        raise UserError(
            f"simulation: {n} particles at least {min_distance_px:.1f} px apart do not fit into "
            f"{shape[1]} × {shape[0]} pixels, only {found} found a place; lower n_particles or min_distance_angstrom"
        )
    return xy


def draw_centers_in_scenery(
    scene: Scenery,
    shape: Shape,
    n: int,
    settings: Mapping[str, Any],
    *,
    min_distance_px: float,
    margin_px: float,
    diameter_px: float,
    seed: int,
    name: str,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw positions off the contaminants, a share of them close to another one: see `draw_centers`.

    There are as many fewer than `n` as room is taken, so that particles are as dense as without scenery.

    Parameters
    ----------
    scene : Scenery
    settings : mapping
        The config's section `scenery`.
    diameter_px : float
        Of a particle.
    seed : int
    name : str
        As in `simulate_micrograph`.

    Raises
    ------
    UserError
        If they do not fit.
    """
    near, on_carbon = settings["neighbours"], settings["carbon"]["particles"]
    own_rng, room_rng = (element_rng(element, seed=seed, name=name) for element in ("neighbours", "room"))
    allowed = partial(is_free_for_particle, scene, diameter_px=diameter_px, on_carbon=on_carbon, rng=own_rng)
    tried = room_rng.uniform(0, (shape[1] - 1, shape[0] - 1), (ROOM_SAMPLES, 2))
    n = round(n * np.mean([is_free_for_particle(scene, xy, **allowed.keywords | {"rng": room_rng}) for xy in tried]))
    n_near = min(round(near["share"] * n), max(n - 1, 0))
    spacing = {"min_distance_px": min_distance_px, "margin_px": margin_px}
    xy = draw_centers(shape, n - n_near, **spacing, rng=rng, allowed=allowed)
    low, high = (diameter_px * distance for distance in near["distance_diameters"])
    for _ in range(n_near):
        xy = np.vstack([xy, draw_neighbour(xy, shape, (low, high), **spacing, rng=own_rng, allowed=allowed)])
    return xy


def draw_neighbour(
    xy: np.ndarray,
    shape: Shape,
    distance_px: tuple[float, float],
    *,
    min_distance_px: float,
    margin_px: float,
    rng: np.random.Generator,
    allowed: Callable[[np.ndarray], bool],
) -> np.ndarray:
    """Draw a position (x, y) at a distance between two bounds from one of the positions (n, 2).

    From the others it keeps the same distance or `min_distance_px`, whichever is less; else as in `draw_centers`.

    Raises
    ------
    UserError
        If there is no room.
    """
    last = np.array([shape[1] - 1, shape[0] - 1]) - margin_px
    for _ in range(MAX_TRIES):
        angle, distance = rng.uniform(-np.pi, np.pi), rng.uniform(*distance_px)
        candidate = xy[rng.integers(len(xy))] + distance * np.array([np.cos(angle), np.sin(angle)])
        # The particle that it was drawn from is not too near for it; the tolerance is for rounding.
        keep = min(min_distance_px, distance) - 1e-6
        if (candidate < margin_px).any() or (candidate > last).any() or not _is_far(candidate, xy, keep):
            continue
        if allowed(candidate):
            return candidate
    raise UserError(
        f"simulation/scenery/neighbours: none of {MAX_TRIES} places beside {len(xy)} particles was free; "
        "lower n_particles or the share of neighbours"
    )


def _is_far(candidate: np.ndarray, xy: np.ndarray, distance_px: float) -> bool:
    return bool(((xy - candidate) ** 2).sum(axis=1).min(initial=np.inf) >= distance_px**2)


def draw_rotations(n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw rotations uniform on SO(3), as RELION's Euler angles (rot, tilt, psi) in degrees, (n, 3).

    Uniform means: rot and psi uniform on the circle, and the cosine of tilt uniform.
    """
    rot, psi = rng.uniform(-180, 180, (2, n))
    tilt = np.degrees(np.arccos(rng.uniform(-1, 1, n)))
    return np.column_stack([rot, tilt, psi])
