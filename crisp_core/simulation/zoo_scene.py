"""Scenery of a zoo: films, contaminants of many outlines, gold and crystalline ice, in pixels and particles."""

from typing import NamedTuple

import numpy as np
import scipy.ndimage
import scipy.spatial

from crisp_core.geometry import Shape
from crisp_core.simulation.carbon import EDGE_WAVES, Carbon, carbon_film
from crisp_core.simulation.contaminants import (
    BEAD_BEVEL,
    ICE_BEVEL,
    OUTLINE_ANGLES,
    Contaminant,
    contaminant_thickness,
    draw_count,
)
from crisp_core.simulation.noise import draw_grain
from crisp_core.simulation.scenery import Scenery, class_map
from crisp_core.simulation.zoo import log_uniform
from crisp_core.simulation.zoo_settings import ZooSettings


class Scene(NamedTuple):
    """Matter on a canvas other than the particles, in units of particles, and its classes on the micrograph."""

    density: np.ndarray  # what the CTF turns into contrast
    absorbed: np.ndarray  # what darkens the image without the CTF
    classes: np.ndarray  # (h, w) uint8: 0, contaminant or carbon
    film_takes_particles: bool


def draw_scene(
    settings: ZooSettings,
    shape: Shape,
    canvas: Shape,
    *,
    offset_px: int,
    diameter_px: float,
    amount: float,
    rng: np.random.Generator,
) -> Scene:
    """Draw films and contaminants.

    Parameters
    ----------
    settings : ZooSettings
    shape, canvas : (int, int)
        Of the micrograph, and of the results that hold matter.
    offset_px : int
        Pixel of the canvas on which the micrograph's first one is, in both directions.
    diameter_px : float
        Nominal diameter of a particle.
    amount : float
        Factor on all matter, so that it is seen above the noise.
    rng : numpy Generator
    """
    density, absorbed = np.zeros((2, *canvas), dtype=np.float32)
    film = draw_film(shape, diameter_px=diameter_px, rng=rng) if rng.random() < settings.film else None
    gold, takes_particles = rng.random() < settings.gold_film, rng.random() < settings.film_particles
    if film is not None:
        thickness = carbon_film(film, canvas, offset_px=offset_px, edge_px=rng.uniform(1, 0.3 * diameter_px))
        add_film(density, absorbed, thickness, gold=bool(gold), diameter_px=diameter_px, rng=rng)
    contaminants = draw_contaminants(settings, shape, diameter_px=diameter_px, rng=rng)
    for contaminant in contaminants:
        window, thickness = contaminant_thickness(contaminant, canvas, offset_px=offset_px)
        thickness = contaminant.density * thickness
        absorbed[window] += contaminant.absorption * thickness
        grain = draw_grain(thickness.shape, contaminant.texture, contaminant.grain_px, rng) if thickness.size else 0
        density[window] += thickness * (1 + grain)
    classes = class_map(Scenery(film, tuple(contaminants), np.empty((0, 2))), shape)
    factor = np.float32(amount)
    return Scene(factor * density, factor * absorbed, classes, bool(takes_particles and not gold))


def draw_film(shape: Shape, *, diameter_px: float, rng: np.random.Generator) -> Carbon:
    """Draw a film around a hole of 4 to 60 diameters, which covers 3 to 60 % of the micrograph from one side.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the micrograph, in px.
    diameter_px : float
        Nominal diameter of a particle, in px.
    rng : numpy Generator
        Source of random numbers.
    """
    direction, share = rng.uniform(-np.pi, np.pi), rng.uniform(0.03, 0.6)
    radius = log_uniform((15, 200), rng) * diameter_px
    towards = np.array([np.cos(direction), np.sin(direction)])
    extent = np.abs(towards) @ (shape[1], shape[0])
    x, y = np.array([shape[1] - 1, shape[0] - 1]) / 2 + towards * ((0.5 - share) * extent - radius)
    periods = np.rint(2 * np.pi * radius / (np.geomspace(2, 20, EDGE_WAVES) * diameter_px))
    amplitudes = np.full(EDGE_WAVES, rng.uniform(0, 0.2) * diameter_px / np.sqrt(EDGE_WAVES / 2))
    waves = np.column_stack([amplitudes, np.maximum(periods, 1), rng.uniform(-np.pi, np.pi, EDGE_WAVES)])
    return Carbon(float(x), float(y), radius, waves)


def add_film(
    density: np.ndarray,
    absorbed: np.ndarray,
    thickness: np.ndarray,
    *,
    gold: bool,
    diameter_px: float,
    rng: np.random.Generator,
) -> None:
    """Add a film of carbon, with fine grain, or of gold, dark and with crystallites, to density and absorption.

    Parameters
    ----------
    density, absorbed, thickness : (h, w) arrays
        The first two are changed; the thickness is 0 to 1.
    gold : bool
    diameter_px : float
        Nominal diameter of a particle.
    rng : numpy Generator
    """
    level, texture = rng.uniform(0.5, 4), rng.uniform(0.1, 0.9)
    film = level * (1 if not gold else 4)
    density += thickness * np.float32(film) * (0.3 if gold else 1)
    density += thickness * draw_grain(thickness.shape, texture, rng.uniform(0.5, 2), rng)
    share = rng.uniform(0.5, 1) if gold else rng.uniform(0.05, 0.5)
    absorbed += thickness * np.float32(share * film)
    if gold:
        crystallites, _ = cells(thickness.shape, size_px=rng.uniform(0.5, 3) * diameter_px, rng=rng)
        absorbed += thickness * np.float32(0.5 * share * film) * crystallites


def draw_contaminants(
    settings: ZooSettings, shape: Shape, *, diameter_px: float, rng: np.random.Generator
) -> list[Contaminant]:
    """Draw ice crystals, round beads, thin patches of any outline, and gold beads.

    Parameters
    ----------
    settings : ZooSettings
        Probabilities, numbers and diameters of the contaminants.
    shape : (int, int)
        Height and width of the micrograph, in px.
    diameter_px : float
        Nominal diameter of a particle, in px.
    rng : numpy Generator
        Source of random numbers.
    """
    found = []
    if rng.random() < settings.contaminated:
        for kind, bounds in (("crystal", settings.crystals), ("bead", settings.beads), ("patch", settings.patches)):
            for _ in range(draw_count(bounds, rng)):
                diameter = log_uniform(settings.contaminant_diameters, rng) * diameter_px
                found.append(draw_contaminant(kind, shape, diameter, rng))
    if rng.random() < settings.gold:
        diameter = rng.uniform(0.2, 0.8) * diameter_px
        found += [draw_contaminant("gold", shape, diameter, rng) for _ in range(rng.integers(1, 20))]
    return found


def draw_contaminant(kind: str, shape: Shape, diameter_px: float, rng: np.random.Generator) -> Contaminant:
    """Draw one contaminant: crystal (uneven hexagon), bead (round), patch (thin, any outline), gold (round, black).

    Parameters
    ----------
    kind : str
        Kind of the contaminant: crystal, bead, patch or gold.
    shape : (int, int)
        Height and width of the micrograph, in px.
    diameter_px : float
        Nominal diameter of the contaminant, in px.
    rng : numpy Generator
        Source of random numbers.
    """
    x, y = rng.uniform(0, (shape[1] - 1, shape[0] - 1))
    outline = np.ones_like(OUTLINE_ANGLES)
    if kind == "crystal":
        corners = np.mod(OUTLINE_ANGLES + rng.uniform(0, np.pi), np.pi / 3) - np.pi / 6
        outline = np.cos(np.pi / 6) / np.cos(corners)
    unevenness = {"crystal": 0.06, "bead": 0.02, "patch": rng.uniform(0.05, 0.3), "gold": 0.01}[kind]
    for periods in (1, 2, 3, 4, 5):
        wave = np.cos(periods * OUTLINE_ANGLES + rng.uniform(-np.pi, np.pi))
        outline = outline + rng.normal(0, unevenness / np.sqrt(periods)) * wave
    density = log_uniform({"crystal": (0.8, 6), "bead": (0.6, 5), "patch": (0.5, 2), "gold": (6, 15)}[kind], rng)
    bevel = {"crystal": ICE_BEVEL, "patch": rng.uniform(0.1, 0.6)}.get(kind, BEAD_BEVEL)
    absorption = rng.uniform(0.5, 0.9) if kind == "gold" else rng.uniform(0.05, 0.5)
    radii = diameter_px / 2 * np.clip(outline, 0.3, 1.8)
    return Contaminant(
        float(x), float(y), radii, density, bevel, absorption, rng.uniform(0.05, 0.5), rng.uniform(0.7, 3)
    )


def crystalline_ice(shape: Shape, *, diameter_px: float, rng: np.random.Generator) -> np.ndarray:
    """Draw the thickness (h, w) of crystalline ice, in particles: mottles, dark spots, and cracks between grains.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the result, in px.
    diameter_px : float
        Nominal diameter of a particle, in px.
    rng : numpy Generator
        Source of random numbers.
    """
    mottles = draw_grain(shape, 1.0, rng.uniform(0.15, 0.8) * diameter_px, rng)
    fine = draw_grain(shape, 1.0, rng.uniform(0.05, 0.15) * diameter_px, rng)
    _, cracks = cells(shape, size_px=rng.uniform(0.8, 4) * diameter_px, rng=rng)
    spots = np.clip(np.abs(mottles) - 1, 0, None) * np.sign(mottles)
    parts = rng.uniform((0.2, 0.2, 0.0, 0.1), (0.9, 1.5, 0.8, 0.4))
    return (parts[0] * mottles + parts[1] * spots + parts[2] * cracks + parts[3] * fine).astype(np.float32)


def cells(shape: Shape, *, size_px: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw grains as cells around random points: a normal number per cell, and 1 on the soft lines between cells.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the results, in px.
    size_px : float
        Typical size of a cell, in px.
    rng : numpy Generator
        Source of random numbers.
    """
    n = max(4, int(np.prod(shape) / size_px**2))
    points = rng.uniform(-size_px, np.array(shape) + size_px, (n, 2))
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    warp = [draw_grain(shape, 0.15 * size_px, 0.2 * size_px + 1, rng) for _ in range(2)]
    places = np.stack([y + warp[0], x + warp[1]], axis=-1)
    distances, nearest = scipy.spatial.cKDTree(points).query(places, k=2)
    lines = (distances[..., 1] - distances[..., 0] < 1.2).astype(np.float32)
    values = rng.standard_normal(n).astype(np.float32)[nearest[..., 0]]
    return values, scipy.ndimage.gaussian_filter(lines, 0.6)
