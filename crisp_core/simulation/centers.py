"""Random positions and orientations of particles on a simulated micrograph."""

from collections.abc import Callable
from functools import partial

import numpy as np

from crisp_core.errors import UserError
from crisp_core.geometry import Shape
from crisp_core.simulation.scenery import (
    Scenery,
    element_rng,
    is_free_for_particle,
)
from crisp_core.simulation.settings import ScenerySettings

# Maximum number of random positions per particle; without a free one, the micrograph is full.
MAX_TRIES = 500
# Number of random positions from which the free share of a micrograph is estimated.
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
    """Draw uniform positions with a minimum distance (random sequential addition).

    Parameters
    ----------
    shape : (int, int)
        Height and width of the micrograph in px.
    n : int
        Number of positions.
    min_distance_px, margin_px : float
        Minimum distance of two centres, and of a centre from the outermost pixels.
    rng : numpy Generator
        Source of random numbers.
    allowed : function, optional
        Returns whether a position (x, y) is free. It is called for positions with the minimum distance only.

    Returns
    -------
    (n, 2) array of (x, y)

    Raises
    ------
    UserError
        If the positions do not fit.
    """
    low = np.array([margin_px, margin_px])
    high = np.array([shape[1] - 1 - margin_px, shape[0] - 1 - margin_px])
    if n and (high < low).any():
        raise UserError(
            f"simulation/shape_px: a particle with its margin of {margin_px:.0f} px does not fit into "
            f"{shape[1]} × {shape[0]} pixels; increase it"
        )
    xy = np.empty((n, 2))
    found = 0
    for _ in range(n * MAX_TRIES):
        if found == n:
            break
        candidate = rng.uniform(low, high)
        if not is_far(candidate, xy[:found], min_distance_px) or not (allowed is None or allowed(candidate)):
            continue
        xy[found] = candidate
        found += 1
    if found < n:
        raise UserError(
            f"simulation: {n} particles at least {min_distance_px:.1f} px apart do not fit into "
            f"{shape[1]} × {shape[0]} pixels, only {found} do; lower n_particles or min_distance_angstrom"
        )
    return xy


def draw_centers_in_scenery(
    scene: Scenery,
    shape: Shape,
    n: int,
    settings: ScenerySettings,
    *,
    min_distance_px: float,
    margin_px: float,
    diameter_px: float,
    seed: int,
    name: str,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw positions on free area, a share of them close to another position.

    The number is lowered in proportion to the free area, so that the density of particles is that without scenery.

    Parameters
    ----------
    scene : Scenery
        Scenery of the micrograph.
    shape : (int, int)
        Height and width of the micrograph in px.
    n : int
        Number of positions on a micrograph without scenery.
    settings : ScenerySettings
        Section `scenery` of the config.
    min_distance_px, margin_px : float
        Minimum distance of two centres, and of a centre from the outermost pixels.
    diameter_px : float
        Particle diameter in px.
    seed : int
        Seed of the simulation.
    name : str
        Micrograph; name and seed determine the random streams of the scenery.
    rng : numpy Generator
        Source of random numbers for the uniform positions.

    Raises
    ------
    UserError
        If the positions do not fit.
    """
    near, on_carbon = settings.neighbours, settings.carbon.particles
    own_rng, room_rng = (element_rng(element, seed=seed, name=name) for element in ("neighbours", "room"))
    allowed = partial(is_free_for_particle, scene, diameter_px=diameter_px, on_carbon=on_carbon, rng=own_rng)
    tried = room_rng.uniform(0, (shape[1] - 1, shape[0] - 1), (ROOM_SAMPLES, 2))
    n = round(n * np.mean([is_free_for_particle(scene, xy, **allowed.keywords | {"rng": room_rng}) for xy in tried]))
    n_near = min(round(near.share * n), max(n - 1, 0))
    spacing = {"min_distance_px": min_distance_px, "margin_px": margin_px}
    xy = draw_centers(shape, n - n_near, **spacing, rng=rng, allowed=allowed)
    low, high = (diameter_px * distance for distance in near.distance_diameters)
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
    """Draw a position (x, y) at a random distance from a random one of the given positions.

    Its minimum distance from the other positions is the drawn distance or `min_distance_px`, whichever is smaller.

    Parameters
    ----------
    xy : (n, 2) array
        Positions (x, y) in px.
    shape : (int, int)
        Height and width of the micrograph in px.
    distance_px : (float, float)
        Bounds of the distance from the given position.
    min_distance_px, margin_px : float
        Minimum distance of two centres, and of a centre from the outermost pixels.
    rng : numpy Generator
        Source of random numbers.
    allowed : function
        Returns whether a position (x, y) is free.

    Raises
    ------
    UserError
        If there is no free position.
    """
    last = np.array([shape[1] - 1, shape[0] - 1]) - margin_px
    for _ in range(MAX_TRIES):
        angle, distance = rng.uniform(-np.pi, np.pi), rng.uniform(*distance_px)
        candidate = xy[rng.integers(len(xy))] + distance * np.array([np.cos(angle), np.sin(angle)])
        # The given position itself has the drawn distance; the tolerance is for rounding.
        keep = min(min_distance_px, distance) - 1e-6
        if (candidate < margin_px).any() or (candidate > last).any() or not is_far(candidate, xy, keep):
            continue
        if allowed(candidate):
            return candidate
    raise UserError(
        f"simulation/scenery/neighbours: none of {MAX_TRIES} positions next to {len(xy)} particles is free; "
        "lower n_particles or the share of neighbours"
    )


def is_far(candidate: np.ndarray, xy: np.ndarray, distance_px: float) -> bool:
    """Whether a position has a distance from all others.

    Parameters
    ----------
    candidate : (2,) array
        Position (x, y) in px.
    xy : (n, 2) array
        The other positions in px.
    distance_px : float
        Minimum distance.
    """
    return bool(((xy - candidate) ** 2).sum(axis=1).min(initial=np.inf) >= distance_px**2)


def draw_rotations(n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw uniform rotations as RELION's Euler angles (rot, tilt, psi) in degrees, (n, 3).

    Rot and psi are uniform on the circle, and so is the cosine of tilt between −1 and 1.
    """
    rot, psi = rng.uniform(-180, 180, (2, n))
    tilt = np.degrees(np.arccos(rng.uniform(-1, 1, n)))
    return np.column_stack([rot, tilt, psi])
