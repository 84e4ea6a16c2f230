"""Simulated micrographs: projections of a density at known places, seen through the CTF, with noise and scenery.

ASPIRE's own micrographs take minutes each at 4096², and its clean images contain the CTF. Every random draw is seeded
per micrograph, so batches change no result.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crisp_core.ctf import ctf_spread_px, through_ctf
from crisp_core.errors import UserError
from crisp_core.formats.star import NO_SCORE, optics_table, write_blocks
from crisp_core.geometry import Shape, angstrom_to_px, even_fft_size
from crisp_core.seeds import named_rng
from crisp_core.simulation.projections import place, project
from crisp_core.simulation.scenery import (
    Scenery,
    class_map,
    coloured,
    draw_scenery,
    element_rng,
    leaves_room,
    matter,
    uneven_ice,
)

# Tries per particle before a micrograph counts as full.
MAX_TRIES = 500
# Positions that are tried to know which share of a micrograph is free for particles.
ROOM_SAMPLES = 1000
# Density, in particles, from which a pixel belongs to an aggregate: about where Li's threshold draws the outline.
AGGREGATE_LEVEL = 0.3


class SimulatedMicrograph(NamedTuple):
    """One simulated micrograph and all that is known of it."""

    image: np.ndarray  # (h, w) float32, particles dark, with CTF and noise
    clean: np.ndarray  # (h, w) float32, the image without its noise
    ctf_free: np.ndarray  # (h, w) float32, the true particles alone, bright, neither CTF nor noise
    coordinates: pd.DataFrame  # micrograph, x, y (px), score, and RELION's angles and defocus of the true particles
    scenery: np.ndarray | None = None  # (h, w) uint8, see `scenery.class_map`; None without scenery


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
    scenery: Mapping[str, Any] | None = None,
    diameter_angstrom: float | None = None,
) -> SimulatedMicrograph:
    """Simulate one micrograph.

    Parameters
    ----------
    volume : (n, n, n) array [z, y, x]
        Density, protein positive, at `pixel_size` (see `resampled_volume` and `phantom`), n even.
    name : str
        Micrograph; with `seed` it determines every random draw.
    shape : (int, int)
        Height and width in px.
    pixel_size : float
        Å/px.
    n_particles : (int, int)
        Least and most particles; fewer where scenery takes their room.
    min_distance_angstrom, margin_angstrom : float
        Least distance of two centres, and of a centre from the edge, in Å.
    defocus_angstrom : sequence of float
        Values to draw from, Å, underfocus positive.
    snr, snr_pixel_size : float
        As in `noise_sd`, of the true particles alone.
    optics : mapping
        voltage_kv, spherical_aberration_mm, amplitude_contrast.
    scenery : mapping, optional
        The config's section `scenery`; what is off there draws nothing and changes nothing.
    diameter_angstrom : float, optional
        Of a particle, the measure of scenery; twice the margin unless given.

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
        xy = draw_centers_around(scene, shape, n, scenery, **spacing, **own, rng=rng)
    euler_deg = draw_rotations(len(xy), rng)
    # What the CTF spreads over an edge must not come back in at the opposite one.
    canvas = padded_shape(shape, ctf_spread_px(pixel_size, optics["voltage_kv"], defocus))
    placed = place(canvas, project(volume, euler_deg), xy)
    clean = -through_ctf(placed, **lens)[: shape[0], : shape[1]]
    sd = noise_sd(clean, pixel_size=pixel_size, snr=snr, snr_pixel_size=snr_pixel_size)
    noise = rng.standard_normal(shape, dtype=np.float32) * np.float32(sd)
    classes = None
    if scenery is not None:
        seen, classes = see_scenery(scene, shape, scenery, volume=volume, lens=lens, **own)
        clean += seen
        noise = coloured(noise, pixel_size=pixel_size, **scenery["noise"])
    coordinates = coordinates_frame(name, xy, euler_deg, defocus)
    return SimulatedMicrograph(noise + clean, clean, placed[: shape[0], : shape[1]], coordinates, classes)


def padded_shape(shape: Shape, pad_px: int) -> Shape:
    """Shape with at least `pad_px` more, that transforms fast."""
    height, width = (even_fft_size(side + pad_px) for side in shape)
    return height, width


def see_scenery(
    scene: Scenery,
    shape: Shape,
    settings: Mapping[str, Any],
    *,
    volume: np.ndarray,
    lens: Mapping[str, float],
    diameter_px: float,
    seed: int,
    name: str,
) -> tuple[np.ndarray, np.ndarray]:
    """What the scenery adds to a clean micrograph, and the class of each pixel.

    Parameters
    ----------
    scene : Scenery
    shape : (int, int)
        Of the micrograph.
    settings : mapping
        The config's section `scenery`.
    volume : (n, n, n) array [z, y, x]
        The particle, for aggregates and for the unit of matter.
    lens : mapping
        Options of `ctf.ctf`.
    diameter_px : float
        Of the particle.
    seed : int
    name : str
        As in `simulate_micrograph`.

    Returns
    -------
    (h, w) float32 array, (h, w) uint8 array
    """
    pad_px = ctf_spread_px(lens["pixel_size"], lens["voltage_kv"], lens["defocus_u_angstrom"])
    # The canvas is continued periodically: its own edge, which leaves fringes, is out of the micrograph's reach.
    canvas, inside = padded_shape(shape, 2 * pad_px), tuple(slice(pad_px, pad_px + side) for side in shape)
    own: dict[str, Any] = {"seed": seed, "name": name}
    unit = np.float32(mean_projected_density(volume, diameter_px))
    density, absorbed = matter(scene, canvas, settings, offset_px=pad_px, pixel_size=lens["pixel_size"], **own)
    seen = -absorbed[inside]
    aggregated = None
    if len(scene.aggregates):
        turned = draw_rotations(len(scene.aggregates), element_rng("aggregate_rotations", **own))
        clumps = place(canvas, project(volume / unit, turned), scene.aggregates + pad_px)
        aggregated = clumps[inside] > AGGREGATE_LEVEL
        density += clumps
    if density.any():
        seen -= through_ctf(density, **lens)[inside]
    gradient = settings["gradient"]
    if gradient["strength"]:
        length_px = angstrom_to_px(gradient["length_angstrom"], lens["pixel_size"])
        ice = uneven_ice(shape, length_px=length_px, rng=element_rng("gradient", **own))
        seen -= np.float32(gradient["strength"]) * ice
    return unit * seen, class_map(scene, shape, aggregated)


def mean_projected_density(volume: np.ndarray, diameter_px: float) -> float:
    """Mean projected density of a particle over a disc of its diameter: the unit in which scenery is given."""
    return float(np.sum(volume, dtype=float)) / (np.pi * diameter_px**2 / 4)


def coordinates_frame(name: str, xy: np.ndarray, euler_deg: np.ndarray, defocus_angstrom: float) -> pd.DataFrame:
    """Table of the true particles of one micrograph: positions, and RELION's Euler angles and defocus."""
    table = pd.DataFrame({"micrograph": name, "x": xy[:, 0], "y": xy[:, 1], "score": np.nan})
    table[["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]] = euler_deg
    table["rlnDefocusU"] = table["rlnDefocusV"] = defocus_angstrom
    table["rlnDefocusAngle"] = 0.0
    return table.astype({"micrograph": str})


def write_truth(
    path: str | Path,
    coordinates: pd.DataFrame,
    *,
    folder: str,
    pixel_size: float,
    box_px: int,
    optics: Mapping[str, float],
) -> None:
    """Write the true particles as a star file of RELION 3.1 that its programs can extract from and reconstruct.

    Parameters
    ----------
    path : str or Path
    coordinates : pd.DataFrame
        Of one or more simulated micrographs.
    folder : str
        Where the micrographs are as MRC files, relative to RELION's project directory.
    pixel_size : float
        Å/px of the micrographs.
    box_px : int
        Side of the density's box, which RELION takes for that of the particles.
    optics : mapping
        voltage_kv, spherical_aberration_mm, amplitude_contrast.
    """
    group = optics_table(**optics, micrograph_pixel_size=pixel_size, pixel_size=pixel_size, box_px=box_px)
    particles = pd.DataFrame(
        {
            "rlnCoordinateX": coordinates["x"],
            "rlnCoordinateY": coordinates["y"],
            "rlnMicrographName": folder + "/" + coordinates["micrograph"] + ".mrc",
            "rlnAutopickFigureOfMerit": coordinates["score"].fillna(NO_SCORE),
            "rlnOpticsGroup": 1,
        }
    )
    particles = pd.concat([particles, coordinates.filter(like="rln")], axis=1)
    write_blocks(path, {"optics": group.assign(rlnMicrographPixelSize=float(pixel_size)), "particles": particles})


def noise_sd(clean: np.ndarray, *, pixel_size: float, snr: float, snr_pixel_size: float) -> float:
    """Standard deviation of white noise for a signal-to-noise ratio stated at another pixel size.

    The ratio is var(clean) / var(noise), var(clean) over the whole micrograph with CTF, empty areas included. Under
    Fourier down-sampling by a factor f, white noise keeps 1 / f² of its variance (the density of its power spectrum
    stays, the band shrinks), while a signal within the band keeps all; so at `pixel_size` the noise has
    (snr_pixel_size / pixel_size)² of the variance that it has at `snr_pixel_size`.

    Where there is no particle, 1.
    """
    variance = float(np.var(clean, dtype=np.float64))
    return float(np.sqrt(variance / snr)) * snr_pixel_size / pixel_size if variance > 0 else 1.0


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


def draw_centers_around(
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
    allowed = partial(leaves_room, scene, diameter_px=diameter_px, on_carbon=on_carbon, rng=own_rng)
    tried = room_rng.uniform(0, (shape[1] - 1, shape[0] - 1), (ROOM_SAMPLES, 2))
    n = round(n * np.mean([leaves_room(scene, xy, **allowed.keywords | {"rng": room_rng}) for xy in tried]))
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
