"""One micrograph of a zoo, with its truth."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crisp_core.classes import CARBON, CONTAMINANT, PARTICLE
from crisp_core.ctf import ctf_spread_px, electron_wavelength_angstrom, through_ctf
from crisp_core.geometry import Shape
from crisp_core.seeds import named_rng
from crisp_core.simulation.habits import apply_habits
from crisp_core.simulation.library import LibraryVolume
from crisp_core.simulation.micrograph import padded_shape
from crisp_core.simulation.noise import colour_noise, draw_grain, draw_uneven_ice
from crisp_core.simulation.truth import truth_table
from crisp_core.simulation.zoo import ZooDraw, draw_zoo
from crisp_core.simulation.zoo_particles import Placed, contrast, place_particles
from crisp_core.simulation.zoo_scene import crystalline_ice, draw_scene
from crisp_core.simulation.zoo_settings import ZooSettings
from crisp_core.simulation.zoo_waste import place_waste

# The contrast transfer's reach beyond this is cut: it concerns detail that a small particle at high defocus has lost.
MOST_PAD_PX = 128
# Where noise hides particles, contaminants and films have this over the root of the particles' ratio as much matter.
VISIBLE = 0.7


class ZooMicrograph(NamedTuple):
    """One micrograph of a zoo with its truth."""

    image: np.ndarray  # (h, w) float32, as its file has it
    clean: np.ndarray  # (h, w) float32, with CTF, without noise and the file's habits
    ctf_free: np.ndarray  # (h, w) float32, the true particles alone, bright
    truth: np.ndarray  # (h, w) uint8, class of each pixel
    coordinates: pd.DataFrame  # as `truth.truth_table`
    drawn: dict[str, Any]  # what was drawn, for a table


def simulate_zoo_micrograph(
    settings: ZooSettings,
    library: Mapping[str, LibraryVolume],
    *,
    name: str,
    dataset: str = "",
    seed: int,
    shape: Shape,
    diameter_px: float,
    pixel_size: float,
    voltage_kv: float,
) -> ZooMicrograph:
    """Simulate one micrograph of a zoo.

    Parameters
    ----------
    settings : ZooSettings
    library : mapping of str to LibraryVolume
    name, dataset : str
        Micrograph and its dataset; with `seed` they determine every draw, so that micrographs of one name in a training
        and a validation dataset have nothing in common.
    seed : int
    shape : (int, int)
        Height and width in px.
    diameter_px : float
        Nominal diameter of a particle.
    pixel_size, voltage_kv : float
        Nominal Å/px and kV, for which the coordinates' defocus is stated: see `nominal_defocus`.
    """
    stream = f"{dataset}/{name}"
    draw = draw_zoo(settings, library, name=stream, seed=seed, diameter_px=diameter_px)
    lens = draw.lens
    spread_px = ctf_spread_px(draw.pixel_size, lens["voltage_kv"], lens["defocus_u_angstrom"])
    pad_px = min(spread_px, MOST_PAD_PX)
    canvas = padded_shape(shape, 2 * pad_px)
    inside = tuple(slice(pad_px, pad_px + side) for side in shape)
    own: dict[str, Any] = {"offset_px": pad_px, "diameter_px": diameter_px}
    amount = max(1.0, VISIBLE / np.sqrt(draw.snr))
    scene = draw_scene(settings, shape, canvas, **own, amount=amount, rng=named_rng(seed, stream, "zoo scenery"))
    waste = place_waste(draw, settings, shape, canvas, **own, rng=named_rng(seed, stream, "zoo waste"))
    blocked = (scene.classes == CONTAMINANT) | waste.outline[inside]
    if not scene.film_takes_particles:
        blocked |= scene.classes == CARBON
    particles = place_particles(draw, blocked, canvas, **own, rng=named_rng(seed, stream, "zoo places"))
    rng = named_rng(seed, stream, "zoo fields")
    clean = -image_matter(draw, scene.density + waste.density + particles.density, scene.absorbed, rng=rng)[inside]
    clean -= np.float32(draw.gradient) * draw_uneven_ice(
        shape, length_px=draw.gradient_diameters * diameter_px, rng=rng
    )
    noise = np.float32(np.sqrt(contrast(draw.kinds[0], lens, rng) / draw.snr)) * draw_noise_field(draw, shape, rng)
    filed = apply_habits(clean + noise, draw.habits)
    truth = four_classes(scene.classes, waste.outline[inside], particles.outline[inside])
    truth[filed.covered] = 0
    table = true_particles(name, particles, filed.covered, draw, pixel_size=pixel_size, voltage_kv=voltage_kv)
    drawn = drawn_row(name, draw, len(table))
    return ZooMicrograph(filed.image, clean, particles.density[inside], truth, table, drawn)


def image_matter(draw: ZooDraw, density: np.ndarray, absorbed: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Image matter on a canvas through the lens, bright, with the grain of the ice and crystalline ice.

    Parameters
    ----------
    draw : ZooDraw
        Contrast transfer, grain of the ice, and whether the ice is crystalline.
    density : (h, w) array
        Projected density, before the contrast transfer.
    absorbed : (h, w) array
        Absorption contrast, added after the contrast transfer.
    rng : numpy Generator
        Source of random numbers.
    """
    if draw.solvent:
        density = density + draw_grain(density.shape, draw.solvent, rng.uniform(0.4, 1.5), rng)
    if draw.crystalline:
        ice = crystalline_ice(density.shape, diameter_px=draw.kinds[0].extent_px, rng=rng)
        density, absorbed = density + 0.5 * ice, absorbed + 0.5 * ice
    return through_ctf(density, **draw.lens) + absorbed


def draw_noise_field(draw: ZooDraw, shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """Draw noise of variance 1, coloured as drawn.

    Parameters
    ----------
    draw : ZooDraw
        Coloured share of the noise, its correlation length and its falloff, both in px.
    shape : (int, int)
        Height and width of the field, in px.
    rng : numpy Generator
        Source of random numbers.
    """
    white = rng.standard_normal(shape, dtype=np.float32)
    length, falloff = draw.noise["length_px"], draw.noise["falloff_px"]
    share = draw.noise["coloured_share"]
    return colour_noise(white, pixel_size=1.0, coloured_share=share, length_angstrom=length, falloff_angstrom=falloff)


def four_classes(scenery: np.ndarray, waste: np.ndarray, particles: np.ndarray) -> np.ndarray:
    """Class of each pixel (h, w) uint8: contaminants over particles over carbon over background.

    Parameters
    ----------
    scenery : (h, w) array
        Class of each pixel without particles and waste.
    waste : (h, w) bool array
        Pixels of clumps and fragments.
    particles : (h, w) bool array
        Pixels of particles.
    """
    truth = np.where(particles, PARTICLE, scenery)
    truth[(scenery == CONTAMINANT) | (waste & ~particles)] = CONTAMINANT
    return truth.astype(np.uint8)


def true_particles(
    name: str, particles: Placed, covered: np.ndarray, draw: ZooDraw, *, pixel_size: float, voltage_kv: float
) -> pd.DataFrame:
    """Table of the particles whose centres are on the micrograph and not under a border; CTF at the nominal scale.

    Parameters
    ----------
    name : str
        Name of the micrograph.
    particles : Placed
        Positions of the particles in px, and their Euler angles in degrees.
    covered : (h, w) bool array
        Pixels of the micrograph under a border.
    draw : ZooDraw
        Contrast transfer of the micrograph.
    pixel_size : float
        Nominal pixel size of the micrograph, Å/px.
    voltage_kv : float
        Nominal acceleration voltage, in kV.
    """
    height, width = covered.shape
    x, y = particles.xy.T
    on_image = (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)
    rows, columns = (np.clip(np.rint(at), 0, n - 1).astype(int) for at, n in ((y, height), (x, width)))
    seen = on_image & ~covered[rows, columns]
    table = truth_table(name, particles.xy[seen], particles.euler_deg[seen], 0.0)
    for column, key in (("rlnDefocusU", "defocus_u_angstrom"), ("rlnDefocusV", "defocus_v_angstrom")):
        table[column] = nominal_defocus(draw.lens[key], draw.lens, pixel_size=pixel_size, voltage_kv=voltage_kv)
    table["rlnDefocusAngle"] = draw.lens["defocus_angle_deg"]
    return table.assign(rlnPhaseShift=draw.lens["phase_shift_deg"])


def nominal_defocus(
    defocus_angstrom: float, lens: Mapping[str, float], *, pixel_size: float, voltage_kv: float
) -> float:
    """Defocus that has the same effect on the pixels at the nominal pixel size and voltage, the aberration apart.

    Parameters
    ----------
    defocus_angstrom : float
        Defocus at the real pixel size and voltage, in Å.
    lens : mapping of floats
        Real `pixel_size` in Å/px and real `voltage_kv` in kV.
    pixel_size : float
        Nominal pixel size, Å/px.
    voltage_kv : float
        Nominal acceleration voltage, in kV.
    """
    wavelengths = electron_wavelength_angstrom(lens["voltage_kv"]) / electron_wavelength_angstrom(voltage_kv)
    return defocus_angstrom * wavelengths * (pixel_size / lens["pixel_size"]) ** 2


def drawn_row(name: str, draw: ZooDraw, n_particles: int) -> dict[str, Any]:
    """Values drawn for a micrograph, as a row of a table.

    Parameters
    ----------
    name : str
        Name of the micrograph.
    draw : ZooDraw
        Properties drawn for the micrograph.
    n_particles : int
        Number of particles on the micrograph.
    """
    habits = draw.habits
    return {
        "micrograph": name,
        "volumes": ",".join(kind.source for kind in draw.kinds),
        "n_particles": n_particles,
        "extent_px": round(draw.kinds[0].extent_px, 2),
        "pixel_size": round(draw.pixel_size, 4),
        "voltage_kv": draw.lens["voltage_kv"],
        "defocus_angstrom": round(draw.lens["defocus_u_angstrom"]),
        "phase_shift_deg": round(draw.lens["phase_shift_deg"], 1),
        "snr": round(draw.snr, 4),
        "crystalline": draw.crystalline,
        "lowpass_px": round(habits.lowpass_px, 2),
        "denoiser": habits.denoiser or "",
        "local_contrast": habits.local_contrast or "",
        "coarse_factor": round(habits.coarse_factor, 2),
        "border": habits.border or "",
        "eight_bit": habits.clipped_percent is not None,
    }
