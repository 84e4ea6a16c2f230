"""Simulated micrographs: projections of a density at known positions, seen through the CTF, with noise and scenery.

ASPIRE's own micrographs take minutes each at 4096², and its clean images contain the CTF. Every random draw is seeded
per micrograph, so that the assignment to batches does not change results.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crisp_core.ctf import ctf_spread_px, through_ctf
from crisp_core.geometry import Shape, angstrom_to_px, even_fft_size
from crisp_core.seeds import named_rng
from crisp_core.simulation.centers import draw_centers, draw_centers_in_scenery, draw_rotations
from crisp_core.simulation.noise import colour_noise, draw_uneven_ice, noise_sd
from crisp_core.simulation.projections import mean_projected_density, place_projections, project
from crisp_core.simulation.scenery import (
    Scenery,
    class_map,
    draw_scenery,
    element_rng,
    project_scenery,
)
from crisp_core.simulation.settings import ScenerySettings
from crisp_core.simulation.truth import truth_table

# Minimum density of an aggregate pixel, in particles; about that of an outline by Li's threshold.
AGGREGATE_LEVEL = 0.3


class SimulatedMicrograph(NamedTuple):
    """One simulated micrograph with its truth."""

    image: np.ndarray  # (h, w) float32, particles dark, with CTF and noise
    clean: np.ndarray  # (h, w) float32, image without noise
    ctf_free: np.ndarray  # (h, w) float32, true particles alone, bright, without CTF and noise
    coordinates: pd.DataFrame  # true particles, see `truth.truth_table`
    scenery: np.ndarray | None = None  # (h, w) uint8, result of `scenery.class_map`; None without scenery


def simulate_micrograph(
    volume: np.ndarray,
    *,
    name: str,
    seed: int,
    shape: Shape,
    pixel_size: float,
    n_particles: Sequence[int],
    min_distance_angstrom: float,
    margin_angstrom: float,
    defocus_angstrom: Sequence[float],
    snr: float,
    snr_pixel_size: float,
    optics: Mapping[str, float],
    scenery: ScenerySettings | None = None,
    diameter_angstrom: float | None = None,
) -> SimulatedMicrograph:
    """Simulate one micrograph.

    Parameters
    ----------
    volume : (n, n, n) array [z, y, x]
        Density, protein positive, at `pixel_size` (see `volumes.resample_volume` and `volumes.phantom`), n even.
    name : str
        Micrograph; name and seed determine every random draw.
    seed : int
        Seed of the simulation.
    shape : (int, int)
        Height and width in px.
    pixel_size : float
        Pixel size of micrograph and density, Å/px.
    n_particles : (int, int)
        Minimum and maximum number of particles, lowered in proportion to the free area if there is scenery.
    min_distance_angstrom, margin_angstrom : float
        Minimum distance of two centres, and of a centre from the edge, in Å.
    defocus_angstrom : sequence of float
        Defocus values to draw from, Å, underfocus positive.
    snr : float
        Signal-to-noise ratio, see `noise_sd`; the signal is that of the true particles alone.
    snr_pixel_size : float
        Pixel size at which the ratio holds, Å/px.
    optics : mapping
        voltage_kv, spherical_aberration_mm, amplitude_contrast.
    scenery : ScenerySettings, optional
        Section `scenery` of the config; elements that are off change nothing.
    diameter_angstrom : float, optional
        Particle diameter, the unit of length of scenery; by default twice the margin.

    Raises
    ------
    UserError
        If the particles do not fit.
    """
    rng = named_rng(seed, name, "simulation")
    n = int(rng.integers(n_particles[0], n_particles[1] + 1))
    defocus = float(rng.choice(np.asarray(defocus_angstrom, dtype=float)))
    lens = {**optics, "defocus_u_angstrom": defocus, "defocus_v_angstrom": defocus, "defocus_angle_deg": 0.0}
    lens["pixel_size"] = pixel_size
    margin_px = angstrom_to_px(margin_angstrom, pixel_size)
    spacing: dict[str, Any] = {
        "min_distance_px": angstrom_to_px(min_distance_angstrom, pixel_size),
        "margin_px": margin_px,
    }
    if scenery is None:
        xy = draw_centers(shape, n, **spacing, rng=rng)
    else:
        diameter_px = 2 * margin_px if diameter_angstrom is None else angstrom_to_px(diameter_angstrom, pixel_size)
        own: dict[str, Any] = {"seed": seed, "name": name, "diameter_px": diameter_px}
        scene = draw_scenery(shape, scenery, pixel_size=pixel_size, **own)
        xy = draw_centers_in_scenery(scene, shape, n, scenery, **spacing, **own, rng=rng)
    euler_deg = draw_rotations(len(xy), rng)
    # The canvas is padded, since signal that the CTF spreads over an edge would reappear at the opposite edge.
    canvas = padded_shape(shape, ctf_spread_px(pixel_size, optics["voltage_kv"], defocus))
    placed = place_projections(canvas, project(volume, euler_deg), xy)
    clean = -through_ctf(placed, **lens)[: shape[0], : shape[1]]
    signal = clean
    if not len(xy):
        # as if the particles had found room: a single one, in place of as many as there should be
        one = place_projections(canvas, project(volume, np.zeros((1, 3))), np.array([[shape[1] / 2, shape[0] / 2]]))
        signal = through_ctf(one, **lens)[: shape[0], : shape[1]] * np.sqrt(max(1, n))
    sd = noise_sd(signal, pixel_size=pixel_size, snr=snr, snr_pixel_size=snr_pixel_size)
    noise = rng.standard_normal(shape, dtype=np.float32) * np.float32(sd)
    classes = None
    if scenery is not None:
        seen, classes = image_scenery(scene, shape, scenery, volume=volume, lens=lens, **own)
        clean += seen
        noise = colour_noise(noise, pixel_size=pixel_size, **dict(scenery.noise))
    coordinates = truth_table(name, xy, euler_deg, defocus)
    return SimulatedMicrograph(noise + clean, clean, placed[: shape[0], : shape[1]], coordinates, classes)


def padded_shape(shape: Shape, pad_px: int) -> Shape:
    """Pad a shape by at least `pad_px` to sides with a fast Fourier transform."""
    height, width = (even_fft_size(side + pad_px) for side in shape)
    return height, width


def image_scenery(
    scene: Scenery,
    shape: Shape,
    settings: ScenerySettings,
    *,
    volume: np.ndarray,
    lens: Mapping[str, float],
    diameter_px: float,
    seed: int,
    name: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the contribution of scenery to a clean micrograph, and the class of each pixel.

    Parameters
    ----------
    scene : Scenery
        Scenery of the micrograph.
    shape : (int, int)
        Height and width of the micrograph in px.
    settings : ScenerySettings
        Section `scenery` of the config.
    volume : (n, n, n) array [z, y, x]
        Density of the particle, for aggregates and for the unit of matter.
    lens : mapping
        Arguments of `ctf.ctf`.
    diameter_px : float
        Particle diameter in px.
    seed : int
        Seed of the simulation.
    name : str
        Micrograph; name and seed determine every random draw.

    Returns
    -------
    (h, w) float32 array, (h, w) uint8 array
    """
    pad_px = ctf_spread_px(lens["pixel_size"], lens["voltage_kv"], lens["defocus_u_angstrom"])
    # The canvas is periodic and its edge has fringes; the padding keeps them out of the micrograph.
    canvas, inside = padded_shape(shape, 2 * pad_px), tuple(slice(pad_px, pad_px + side) for side in shape)
    own: dict[str, Any] = {"seed": seed, "name": name}
    unit = np.float32(mean_projected_density(volume, diameter_px))
    density, absorbed = project_scenery(scene, canvas, settings, offset_px=pad_px, pixel_size=lens["pixel_size"], **own)
    seen = -absorbed[inside]
    aggregated = None
    if len(scene.aggregates):
        turned = draw_rotations(len(scene.aggregates), element_rng("aggregate_rotations", **own))
        clumps = place_projections(canvas, project(volume / unit, turned), scene.aggregates + pad_px)
        aggregated = clumps[inside] > AGGREGATE_LEVEL
        density += clumps
    if density.any():
        seen -= through_ctf(density, **lens)[inside]
    gradient = settings.gradient
    if gradient.strength:
        length_px = angstrom_to_px(gradient.length_angstrom, lens["pixel_size"])
        ice = draw_uneven_ice(shape, length_px=length_px, rng=element_rng("gradient", **own))
        seen -= np.float32(gradient.strength) * ice
    return unit * seen, class_map(scene, shape, aggregated)
