"""Ice crystals, ethane beads and aggregates, as parts of the scenery of a simulated micrograph."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from crisp_core.geometry import Shape, angstrom_to_px
from crisp_core.simulation.settings import AggregateScenery, EthaneScenery, IceScenery

# Directions of the radii in an outline.
OUTLINE_ANGLES = np.linspace(-np.pi, np.pi, 72, endpoint=False)
# Share of the radius, squared, over which the thickness falls to 0: rim of a crystal, all of a bead.
ICE_BEVEL, BEAD_BEVEL = 0.4, 1.0


class Contaminant(NamedTuple):
    """Position, outline and material of a dark object on the ice."""

    x: float  # px
    y: float
    radii_px: np.ndarray  # radii of the outline at OUTLINE_ANGLES
    density: float  # density at its thickest point, in particles
    bevel: float  # share of the radius, squared, over which the thickness falls to 0
    absorption: float  # absorbing share of the density
    texture: float  # standard deviation of the grain as a share of the density
    grain_px: float
    element: str = "ice"  # element of the scenery, which decides the class of its pixels


def draw_contaminant(
    shape: Shape, settings: IceScenery | EthaneScenery, *, pixel_size: float, crystal: bool, rng: np.random.Generator
) -> Contaminant:
    """Draw an ice crystal (an uneven hexagon) or a bead of ethane (round), with its centre on the micrograph.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the micrograph in px.
    settings : IceScenery, EthaneScenery or AggregateScenery
        diameter_angstrom, density, absorption, texture and grain_angstrom.
    pixel_size : float
        Pixel size of the micrograph, Å/px.
    crystal : bool
        True for an ice crystal, False for a bead of ethane.
    rng : numpy Generator
        Source of random numbers.
    """
    x, y = rng.uniform(0, (shape[1] - 1, shape[0] - 1))
    # Uniform in the logarithm: small contaminants are more frequent than large ones.
    diameter = np.exp(rng.uniform(*np.log(settings.diameter_angstrom)))
    radius = angstrom_to_px(diameter, pixel_size) / 2
    density, turn = rng.uniform(settings.density[0], settings.density[1]), rng.uniform(0, np.pi)
    outline = np.ones_like(OUTLINE_ANGLES)
    if crystal:
        corners = np.mod(OUTLINE_ANGLES + turn, np.pi / 3) - np.pi / 6
        outline = np.cos(np.pi / 6) / np.cos(corners)
        for periods in (1, 2, 3, 5):
            outline += rng.normal(0, 0.05) * np.cos(periods * OUTLINE_ANGLES + rng.uniform(-np.pi, np.pi))
    bevel = ICE_BEVEL if crystal else BEAD_BEVEL
    grain_px = angstrom_to_px(settings.grain_angstrom, pixel_size)
    inside = density, bevel, settings.absorption, settings.texture, grain_px
    return Contaminant(x, y, radius * np.clip(outline, 0.4, 1.4), *inside, "ice" if crystal else "ethane")


def contaminant_radius(contaminant: Contaminant, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distance of positions from the centre of a contaminant, and its radius in their direction, in px.

    Parameters
    ----------
    contaminant : Contaminant
        Contaminant.
    x, y : arrays
        Positions in px, of shapes that broadcast.
    """
    angle = np.arctan2(y - contaminant.y, x - contaminant.x)
    radius = np.interp(angle, OUTLINE_ANGLES, contaminant.radii_px, period=2 * np.pi)
    return np.hypot(x - contaminant.x, y - contaminant.y), radius


def contaminant_thickness(
    contaminant: Contaminant, canvas: Shape, *, offset_px: int = 0
) -> tuple[tuple[slice, slice], np.ndarray]:
    """Return the slices of a canvas that contain a contaminant, and its thickness there, 0 to 1.

    Parameters
    ----------
    contaminant : Contaminant
        Contaminant.
    canvas : (int, int)
        Shape of the canvas.
    offset_px : int
        Row and column of the canvas at the first pixel of the micrograph.
    """
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
    shape: Shape, settings: AggregateScenery, *, diameter_px: float, rng: np.random.Generator
) -> np.ndarray:
    """Draw positions (n, 2) of aggregated particles: each is less than a diameter from an earlier one of its aggregate.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the micrograph in px.
    settings : IceScenery, EthaneScenery or AggregateScenery
        n_per_micrograph, n_particles (per aggregate), spacing_diameters.
    diameter_px : float
        Particle diameter in px.
    rng : numpy Generator
        Source of random numbers.
    """
    xy = []
    for _ in range(draw_count(settings.n_per_micrograph, rng)):
        clump = [rng.uniform(0, (shape[1] - 1, shape[0] - 1))]
        for _ in range(draw_count(settings.n_particles, rng) - 1):
            angle = rng.uniform(-np.pi, np.pi)
            step = settings.spacing_diameters * diameter_px * np.array([np.cos(angle), np.sin(angle)])
            clump.append(clump[rng.integers(len(clump))] + step)
        xy += clump
    return np.array(xy, dtype=float).reshape(-1, 2)


def draw_count(bounds: Sequence[int], rng: np.random.Generator) -> int:
    """Draw an integer between two bounds, both included."""
    return int(rng.integers(bounds[0], bounds[1] + 1))
