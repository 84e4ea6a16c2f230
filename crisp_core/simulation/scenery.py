"""Scenery of a simulated micrograph: carbon, contaminants, aggregates and solvent.

Amounts of matter are in units of particles: 1 is the mean projected density of a particle over a disc of its diameter.
Matter is projected density, to which the CTF gives contrast with fringes; thick matter also absorbs, with contrast
without fringes. Every element has its own random stream, so that switching one off does not change the others.
"""

from typing import NamedTuple

import numpy as np

from crisp_core.classes import class_of_element
from crisp_core.geometry import Shape, angstrom_to_px
from crisp_core.seeds import named_rng
from crisp_core.simulation.carbon import Carbon, carbon_depth, carbon_film, draw_carbon
from crisp_core.simulation.contaminants import (
    Contaminant,
    contaminant_radius,
    contaminant_thickness,
    draw_aggregates,
    draw_contaminant,
    draw_count,
)
from crisp_core.simulation.noise import draw_grain
from crisp_core.simulation.settings import ScenerySettings


class Scenery(NamedTuple):
    """Elements of one micrograph, with positions and materials."""

    carbon: Carbon | None
    contaminants: tuple[Contaminant, ...]
    aggregates: np.ndarray  # (n, 2): x, y in px of all aggregated particles


def element_rng(element: str, *, seed: int, name: str) -> np.random.Generator:
    """Return the random stream of one element, independent of other elements and of the particles.

    Parameters
    ----------
    element : str
        Element of the scenery.
    seed : int
        Seed of the simulation.
    name : str
        Micrograph.
    """
    return named_rng(seed, name, f"scenery {element}")


def draw_scenery(
    shape: Shape, settings: ScenerySettings, *, pixel_size: float, diameter_px: float, seed: int, name: str
) -> Scenery:
    """Draw the scenery of one micrograph.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the micrograph in px.
    settings : ScenerySettings
        Section `scenery` of the config.
    pixel_size : float
        Pixel size of the micrograph, Å/px.
    diameter_px : float
        Particle diameter in px.
    seed : int
        Seed of the simulation.
    name : str
        Micrograph; name and seed determine every draw.
    """
    elements = ("carbon", "ice", "ethane", "aggregates")
    rng = {element: element_rng(element, seed=seed, name=name) for element in elements}
    ice, ethane = settings.ice, settings.ethane
    contaminants = [
        draw_contaminant(shape, ice, pixel_size=pixel_size, crystal=True, rng=rng["ice"])
        for _ in range(draw_count(ice.n_per_micrograph, rng["ice"]))
    ] + [
        draw_contaminant(shape, ethane, pixel_size=pixel_size, crystal=False, rng=rng["ethane"])
        for _ in range(draw_count(ethane.n_per_micrograph, rng["ethane"]))
    ]
    return Scenery(
        draw_carbon(shape, settings.carbon, pixel_size=pixel_size, rng=rng["carbon"]),
        tuple(contaminants),
        draw_aggregates(shape, settings.aggregates, diameter_px=diameter_px, rng=rng["aggregates"]),
    )


def is_free_for_particle(
    scenery: Scenery, xy: np.ndarray, *, diameter_px: float, on_carbon: float, rng: np.random.Generator
) -> bool:
    """Return whether the scenery leaves room for a particle at a position.

    The minimum distance is half a diameter from contaminants and a diameter from aggregated particles.

    Parameters
    ----------
    scenery : Scenery
        Scenery of the micrograph.
    xy : (2,) array
        Position (x, y) in px.
    diameter_px : float
        Particle diameter in px.
    on_carbon : float
        Share of the positions on carbon, or closer than half a diameter to it, that are free.
    rng : numpy Generator
        Source of random numbers for this share.
    """
    if len(scenery.aggregates) and ((scenery.aggregates - xy) ** 2).sum(axis=1).min() < diameter_px**2:
        return False
    for contaminant in scenery.contaminants:
        distance, radius = contaminant_radius(contaminant, *xy)
        if distance < radius + diameter_px / 2:
            return False
    if scenery.carbon is None or carbon_depth(scenery.carbon, *xy) <= -diameter_px / 2:
        return True
    return bool(rng.random() < on_carbon)


def project_scenery(
    scenery: Scenery,
    canvas: Shape,
    settings: ScenerySettings,
    *,
    offset_px: int,
    pixel_size: float,
    seed: int,
    name: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the projected density of solvent, carbon and contaminants, and its absorbing part.

    Parameters
    ----------
    scenery : Scenery
        Scenery of the micrograph.
    canvas : (int, int)
        Shape of the results.
    settings : ScenerySettings
        Section `scenery` of the config.
    offset_px : int
        Row and column of the canvas at the first pixel of the micrograph.
    pixel_size : float
        Pixel size of the canvas, Å/px.
    seed : int
        Seed of the simulation.
    name : str
        Micrograph; name and seed determine the grain.

    Returns
    -------
    two float32 arrays
        Densities in units of particles.
    """
    density = np.zeros(canvas, dtype=np.float32)
    absorbed = np.zeros(canvas, dtype=np.float32)
    carbon = settings.carbon
    if scenery.carbon is not None:
        edge_px = angstrom_to_px(carbon.edge_angstrom, pixel_size)
        film = carbon_film(scenery.carbon, canvas, offset_px=offset_px, edge_px=edge_px)
        absorbed += film * np.float32(carbon.absorption * carbon.density)
        rng = element_rng("carbon_grain", seed=seed, name=name)
        texture = draw_grain(canvas, carbon.texture, angstrom_to_px(carbon.grain_angstrom, pixel_size), rng)
        density += film * (texture + np.float32(carbon.density))
    solvent = settings.solvent
    if solvent.texture:
        rng = element_rng("solvent", seed=seed, name=name)
        density += draw_grain(canvas, solvent.texture, angstrom_to_px(solvent.grain_angstrom, pixel_size), rng)
    rng = element_rng("grain", seed=seed, name=name)
    for contaminant in scenery.contaminants:
        window, thickness = contaminant_thickness(contaminant, canvas, offset_px=offset_px)
        thickness = contaminant.density * thickness
        absorbed[window] += contaminant.absorption * thickness
        density[window] += thickness * (1 + draw_grain(thickness.shape, contaminant.texture, contaminant.grain_px, rng))
    return density, absorbed


def class_map(scenery: Scenery, shape: Shape, aggregated: np.ndarray | None = None) -> np.ndarray:
    """Return the class of each pixel by the registry; ice without an object, and particles, are background.

    Contaminants are on top of carbon, and aggregates on top of both.

    Parameters
    ----------
    scenery : Scenery
        Scenery of the micrograph.
    shape : (int, int)
        Height and width of the micrograph in px.
    aggregated : (h, w) bool array, optional
        True on aggregates.
    """
    classes = np.zeros(shape, dtype=np.uint8)
    if scenery.carbon is not None:
        classes[carbon_film(scenery.carbon, shape, offset_px=0, edge_px=1.0) > 0.5] = class_of_element("carbon")
    for contaminant in scenery.contaminants:
        window, thickness = contaminant_thickness(contaminant, shape)
        classes[window][thickness > 0] = class_of_element(contaminant.element)
    if aggregated is not None:
        classes[aggregated] = class_of_element("aggregates")
    return classes
