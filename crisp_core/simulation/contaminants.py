"""Ice crystals, ethane beads and aggregates, as parts of the scenery of a simulated micrograph."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from crisp_core.geometry import Shape, angstrom_to_px

# Directions in which a contaminant's outline is given.
OUTLINE_ANGLES = np.linspace(-np.pi, np.pi, 72, endpoint=False)
# Share of an ice crystal's radius over which it thins out; a bead is thickest in its middle only.
ICE_BEVEL, BEAD_BEVEL = 0.4, 1.0


class Contaminant(NamedTuple):
    """Something dark that lies on the ice."""

    x: float  # px
    y: float
    radii_px: np.ndarray  # of the outline, at OUTLINE_ANGLES
    density: float  # where it is thickest, in particles
    bevel: float  # share of the radius, squared, over which it thins out
    absorption: float  # share of the density that absorbs
    texture: float  # standard deviation of the grain, as a share of the density
    grain_px: float


def draw_contaminant(
    shape: Shape, settings: Mapping[str, Any], *, pixel_size: float, crystal: bool, rng: np.random.Generator
) -> Contaminant:
    """Draw an ice crystal (an uneven hexagon) or a bead of ethane (round), with its centre on the micrograph.

    Settings: diameter_angstrom, density, absorption, texture and grain_angstrom.
    """
    x, y = rng.uniform(0, (shape[1] - 1, shape[0] - 1))
    # Small ones are more frequent than large ones.
    diameter = np.exp(rng.uniform(*np.log(settings["diameter_angstrom"])))
    radius = angstrom_to_px(diameter, pixel_size) / 2
    density, turn = rng.uniform(*settings["density"]), rng.uniform(0, np.pi)
    outline = np.ones_like(OUTLINE_ANGLES)
    if crystal:
        corners = np.mod(OUTLINE_ANGLES + turn, np.pi / 3) - np.pi / 6
        outline = np.cos(np.pi / 6) / np.cos(corners)
        for periods in (1, 2, 3, 5):
            outline += rng.normal(0, 0.05) * np.cos(periods * OUTLINE_ANGLES + rng.uniform(-np.pi, np.pi))
    bevel = ICE_BEVEL if crystal else BEAD_BEVEL
    grain_px = angstrom_to_px(settings["grain_angstrom"], pixel_size)
    inside = density, bevel, settings["absorption"], settings["texture"], grain_px
    return Contaminant(x, y, radius * np.clip(outline, 0.4, 1.4), *inside)


def contaminant_radius(contaminant: Contaminant, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance of positions from a contaminant's centre, and its radius in their direction, in px."""
    angle = np.arctan2(y - contaminant.y, x - contaminant.x)
    radius = np.interp(angle, OUTLINE_ANGLES, contaminant.radii_px, period=2 * np.pi)
    return np.hypot(x - contaminant.x, y - contaminant.y), radius


def contaminant_thickness(
    contaminant: Contaminant, canvas: Shape, *, offset_px: int = 0
) -> tuple[tuple[slice, slice], np.ndarray]:
    """Window of a canvas as in `project_scenery`, and the contaminant's thickness in it, 0 to 1."""
    reach = contaminant.radii_px.max() + 1
    rows, columns = (
        slice(*np.clip([int(at + offset_px - reach), int(at + offset_px + reach) + 2], 0, side))
        for at, side in zip((contaminant.y, contaminant.x), canvas, strict=True)
    )
    y, x = np.ogrid[
        rows.start - offset_px : rows.stop - offset_px, columns.start - offset_px : columns.stop - offset_px
    ]
    distance, radius = contaminant_radius(contaminant, x, y)
    thickness = np.sqrt(np.clip((1 - (distance / radius) ** 2) / contaminant.bevel, 0, 1))
    return (rows, columns), thickness.astype(np.float32)


def draw_aggregates(
    shape: Shape, settings: Mapping[str, Any], *, diameter_px: float, rng: np.random.Generator
) -> np.ndarray:
    """Draw the particles (n, 2) of clumps: each touches one that is there already, at less than a diameter.

    Settings: n_per_micrograph, n_particles (each clump's), spacing_diameters.
    """
    xy = []
    for _ in range(draw_count(settings["n_per_micrograph"], rng)):
        clump = [rng.uniform(0, (shape[1] - 1, shape[0] - 1))]
        for _ in range(draw_count(settings["n_particles"], rng) - 1):
            angle = rng.uniform(-np.pi, np.pi)
            step = settings["spacing_diameters"] * diameter_px * np.array([np.cos(angle), np.sin(angle)])
            clump.append(clump[rng.integers(len(clump))] + step)
        xy += clump
    return np.array(xy, dtype=float).reshape(-1, 2)


def draw_count(bounds: tuple[int, int], rng: np.random.Generator) -> int:
    """Draw an integer between two bounds, both included."""
    return int(rng.integers(bounds[0], bounds[1] + 1))
