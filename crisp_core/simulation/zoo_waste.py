"""Contaminants of a zoo that consist of protein: clumps, denatured protein, and fragments."""

import numpy as np

from crisp_core.geometry import Shape
from crisp_core.simulation.contaminants import draw_aggregates
from crisp_core.simulation.projections import mean_projected_density
from crisp_core.simulation.settings import AggregateScenery
from crisp_core.simulation.shapes import random_blob
from crisp_core.simulation.zoo import ParticleKind, ZooDraw
from crisp_core.simulation.zoo_particles import Placed, merged, placed
from crisp_core.simulation.zoo_settings import ZooSettings


def place_waste(
    draw: ZooDraw,
    settings: ZooSettings,
    shape: Shape,
    canvas: Shape,
    *,
    offset_px: int,
    diameter_px: float,
    rng: np.random.Generator,
) -> Placed:
    """Place clumps of particles, clumps of denatured protein, and fragments of particles.

    Parameters
    ----------
    draw : ZooDraw
        Properties drawn for the micrograph; its first kind of particle forms clumps and fragments.
    settings : ZooSettings
        Probabilities of clumps and fragments.
    shape : (int, int)
        Height and width of the micrograph, in px.
    canvas : (int, int)
        Height and width of the results, in px.
    offset_px : int
        Row and column of the canvas at the first pixel of the micrograph.
    diameter_px : float
        Nominal diameter of a particle, in px.
    rng : numpy Generator
        Source of random numbers.
    """
    kind = draw.kinds[0]
    parts = [placed(kind, np.empty((0, 2)), None, canvas, offset_px=offset_px, strength=(1, 1), rng=rng)]
    if rng.random() < settings.clumps:
        denatured = rng.random() < 0.5
        spacing = rng.uniform(0.2, 0.35) if denatured else rng.uniform(0.35, 0.6)
        amounts = AggregateScenery(n_per_micrograph=[1, 4], n_particles=[4, 25], spacing_diameters=spacing)
        xy = draw_aggregates(shape, amounts, diameter_px=diameter_px, rng=rng)
        lump = lump_of(diameter_px, rng) if denatured else kind
        parts.append(placed(lump, xy, None, canvas, offset_px=offset_px, strength=(0.4, 1.2), rng=rng))
    if rng.random() < settings.broken:
        n = rng.poisson(rng.uniform(0.005, 0.06) * np.prod(shape) / (np.pi * diameter_px**2 / 4))
        xy = rng.uniform(0, (shape[1], shape[0]), (n, 2))
        part = kind._replace(density=fragment(kind.density, rng.uniform(0.12, 0.35), rng))
        parts.append(placed(part, xy, None, canvas, offset_px=offset_px, strength=(0.6, 1.2), rng=rng))
    return merged(parts)


def lump_of(diameter_px: float, rng: np.random.Generator) -> ParticleKind:
    """Draw a lump of denatured protein, about half a particle wide, as dense as a particle."""
    extent_px = rng.uniform(0.4, 0.8) * diameter_px
    volume = random_blob(extent_px, rng)
    mean = mean_projected_density(volume.density, extent_px)
    thickness = extent_px / diameter_px
    return ParticleKind("lump", volume.density * np.float32(thickness / mean), extent_px, 0.0)


def fragment(density: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Cut a density (n, n, n) by a random plane and keep about a share of its mass on one side.

    Parameters
    ----------
    density : (n, n, n) array
        Density of a whole particle.
    share : float
        Share of the mass to keep, 0 to 1.
    rng : numpy Generator
        Source of the random plane.
    """
    normal = rng.normal(size=3)
    normal /= np.linalg.norm(normal)
    axes = np.meshgrid(*[np.arange(n) - n // 2 for n in density.shape], indexing="ij", sparse=True)
    height = sum(component * axis for component, axis in zip(normal, axes, strict=True))
    order = np.argsort(-height.ravel(), kind="stable")
    mass = np.cumsum(np.clip(density, 0, None).ravel()[order], dtype=float)
    cut = height.ravel()[order[np.searchsorted(mass, share * mass[-1])]]
    return (density / (1 + np.exp(np.clip((cut - height) / 0.5, -30, 30)))).astype(np.float32)
