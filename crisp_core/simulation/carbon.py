"""Carbon film around a hole, as part of the scenery of a simulated micrograph."""

from typing import NamedTuple

import numpy as np

from crisp_core.geometry import Shape, angstrom_to_px
from crisp_core.simulation.settings import CarbonScenery

# Number of waves in the outline of a hole.
EDGE_WAVES = 6


class Carbon(NamedTuple):
    """Position and outline of a round hole in a carbon film."""

    x: float  # centre of the hole, px
    y: float
    radius_px: float
    waves: np.ndarray  # (k, 3): amplitude (px), periods per turn and phase of the unevenness of the edge


def draw_carbon(shape: Shape, settings: CarbonScenery, *, pixel_size: float, rng: np.random.Generator) -> Carbon | None:
    """Draw a carbon film that covers a random share of the micrograph from one side, or return None.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the micrograph in px.
    settings : CarbonScenery
        probability, area_share, hole_radius_angstrom, edge_waviness_angstrom.
    pixel_size : float
        Pixel size of the micrograph, Å/px.
    rng : numpy Generator
        Source of random numbers.
    """
    if rng.random() >= settings.probability:
        return None
    direction, share = rng.uniform(-np.pi, np.pi), rng.uniform(settings.area_share[0], settings.area_share[1])
    radius = angstrom_to_px(settings.hole_radius_angstrom, pixel_size)
    towards = np.array([np.cos(direction), np.sin(direction)])
    extent = np.abs(towards) @ (shape[1], shape[0])
    x, y = np.array([shape[1] - 1, shape[0] - 1]) / 2 + towards * ((0.5 - share) * extent - radius)
    # Wavelengths of 300 to 3,000 Å along the edge.
    periods = np.rint(2 * np.pi * settings.hole_radius_angstrom / np.geomspace(300, 3000, EDGE_WAVES))
    amplitude = angstrom_to_px(settings.edge_waviness_angstrom, pixel_size) * np.sqrt(2 / EDGE_WAVES)
    phases = rng.uniform(-np.pi, np.pi, EDGE_WAVES)
    return Carbon(x, y, radius, np.column_stack([np.full(EDGE_WAVES, amplitude), np.maximum(periods, 1), phases]))


def carbon_depth(carbon: Carbon, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the distance of positions from the edge of the hole in px, positive on carbon.

    Parameters
    ----------
    carbon : Carbon
        Carbon film.
    x, y : arrays
        Positions in px, of shapes that broadcast.
    """
    x, y = np.asarray(x - carbon.x, dtype=np.float32), np.asarray(y - carbon.y, dtype=np.float32)
    angle = np.arctan2(y, x)
    depth = np.hypot(x, y) - np.float32(carbon.radius_px)
    for amplitude, periods, phase in carbon.waves.astype(np.float32):
        depth += amplitude * np.cos(periods * angle + phase)
    return depth


def carbon_film(carbon: Carbon, canvas: Shape, *, offset_px: int, edge_px: float) -> np.ndarray:
    """Return the thickness of the film on a canvas: 0 in the hole, 1 on carbon, float32.

    Parameters
    ----------
    carbon : Carbon
        Carbon film.
    canvas : (int, int)
        Shape of the result.
    offset_px : int
        Row and column of the canvas at the first pixel of the micrograph.
    edge_px : float
        Width over which the thickness rises from 0 to 1.
    """
    y, x = np.ogrid[-offset_px : canvas[0] - offset_px, -offset_px : canvas[1] - offset_px]
    depth = np.hypot(np.float32(x - carbon.x), np.float32(y - carbon.y)) - np.float32(carbon.radius_px)
    edge_px = max(edge_px, 1.0)
    # The waves are slow to compute and matter near the edge only.
    rows, columns = np.nonzero(np.abs(depth) < carbon.waves[:, 0].sum() + edge_px)
    depth[rows, columns] = carbon_depth(carbon, columns - offset_px, rows - offset_px)
    return np.clip(depth / np.float32(edge_px) + np.float32(0.5), 0, 1)
