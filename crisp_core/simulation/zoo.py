"""A zoo: micrographs of many kinds of particles, each micrograph drawn from ranges.

All micrographs have one nominal pixel size, at which a particle is as wide as the nominal diameter, ± a spread. The
real pixel size of a micrograph follows from its particle: an image of a protein of 80 Å at 3.2 Å/px and one of a virus
of 300 Å at 12 Å/px both have, for instance, the nominal diameter 150 Å at 6 Å/px. Contrast transfer and micelles are in
real Å, scenery is in diameters. Every draw is seeded by the seed, the micrograph's name and its purpose.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from crisp_core.seeds import named_rng
from crisp_core.simulation.habits import BORDERS, DENOISERS, LOCAL_CONTRASTS, Habits
from crisp_core.simulation.library import LibraryVolume, extent_of_density
from crisp_core.simulation.micelle import with_micelle
from crisp_core.simulation.projections import mean_projected_density
from crisp_core.simulation.shapes import random_blob, random_shell
from crisp_core.simulation.volumes import resample_volume
from crisp_core.simulation.zoo_settings import ZooSettings

SHELL, BLOB = "shell", "blob"
# Length in Å of a random shape's longest extent, log-uniform: it decides the pixel size.
RANDOM_EXTENT_ANGSTROM = (80.0, 400.0)


class ParticleKind(NamedTuple):
    """A kind of particle on one micrograph."""

    source: str  # name of a volume of the library, or shell or blob
    density: np.ndarray  # (n, n, n), at the micrograph's pixels; 1 is the mean of its projection over its disc
    extent_px: float
    extent_angstrom: float


class ZooDraw(NamedTuple):
    """Values drawn for one micrograph, except positions and random fields."""

    kinds: tuple[ParticleKind, ...]
    shares: tuple[float, ...]  # of each kind among the particles
    pixel_size: float  # real Å/px, by the first kind
    lens: Mapping[str, float]  # options of `ctf.ctf`, at the real pixel size
    coverage: float  # of the area by particles; 0 is none
    distance_diameters: float
    strength: Sequence[float]  # contrast of a particle relative to its kind's
    uneven: bool
    preferred_deg: float | None  # spread of the orientations around one; None is any orientation
    snr: float
    noise: Mapping[str, float]  # coloured_share, length_px and falloff_px
    solvent: float
    gradient: float
    gradient_diameters: float
    crystalline: bool
    habits: Habits


def draw_zoo(
    settings: ZooSettings, library: Mapping[str, LibraryVolume], *, name: str, seed: int, diameter_px: float
) -> ZooDraw:
    """Draw one micrograph of a zoo.

    Parameters
    ----------
    settings : ZooSettings
    library : mapping of str to LibraryVolume
        Volumes by name; those that are drawn are read.
    name : str
        Micrograph.
    seed : int
    diameter_px : float
        Nominal diameter of a particle at the nominal pixel size.
    """
    rng = named_rng(seed, name, "zoo particles")
    kinds = [draw_kind(settings, library, rng=rng, diameter_px=diameter_px)]
    if rng.random() < settings.mixed:
        kinds.append(draw_kind(settings, library, rng=rng, diameter_px=diameter_px))
    first_share = rng.uniform(0.3, 0.9) if len(kinds) == 2 else 1.0
    crystalline = bool(rng.random() < settings.crystalline)
    empty = bool(rng.random() < settings.empty) or crystalline
    pixel_size = kinds[0].extent_angstrom / kinds[0].extent_px
    coverage, distance = log_uniform(settings.coverage, rng), uniform(settings.distance_diameters, rng)
    uneven, oriented = rng.random() < settings.uneven, rng.random() < settings.oriented
    spread_deg = float(rng.uniform(8, 40))
    return ZooDraw(
        kinds=tuple(kinds),
        shares=(first_share, 1 - first_share)[: len(kinds)],
        pixel_size=pixel_size,
        lens=draw_lens(settings, pixel_size, named_rng(seed, name, "zoo lens")),
        coverage=0.0 if empty else coverage,
        distance_diameters=distance,
        strength=settings.strength,
        uneven=bool(uneven),
        preferred_deg=spread_deg if oriented else None,
        crystalline=crystalline,
        habits=draw_habits(settings, named_rng(seed, name, "zoo habits"), diameter_px=diameter_px),
        **draw_noise(settings, named_rng(seed, name, "zoo noise"), diameter_px=diameter_px),
    )


def draw_kind(
    settings: ZooSettings, library: Mapping[str, LibraryVolume], *, rng: np.random.Generator, diameter_px: float
) -> ParticleKind:
    """Draw a kind of particle and its size, and scale its density to the micrograph's pixels.

    Parameters
    ----------
    settings : ZooSettings
        Shares of random shells and blobs, spread of the extent, and bounds of the micelles.
    library : mapping of LibraryVolume
        Volumes to choose from, by name.
    rng : numpy Generator
        Source of random numbers.
    diameter_px : float
        Nominal diameter of a particle, in px.
    """
    extent_px = diameter_px * rng.uniform(1 - settings.extent_spread, 1 + settings.extent_spread)
    chance = rng.random()
    if chance < settings.shells + settings.blobs:
        source, draw = (SHELL, random_shell) if chance < settings.shells else (BLOB, random_blob)
        return as_kind(source, draw(extent_px, rng), extent_px, log_uniform(RANDOM_EXTENT_ANGSTROM, rng))
    names: Sequence[str] = sorted(library)
    source = names[int(rng.integers(len(names)))]
    volume = library[source]
    width, level = uniform(settings.micelle_angstrom, rng), uniform(settings.micelle_density, rng)
    if volume.slab is not None:
        scale = {"pixel_size": volume.pixel_size, "width_angstrom": width, "level": level}
        density = with_micelle(volume.density, volume.slab, **scale)
        volume = volume._replace(density=density, extent_px=max(volume.extent_px, extent_of_density(density)))
    return as_kind(source, volume, extent_px, volume.extent_px * volume.pixel_size)


def as_kind(source: str, volume: LibraryVolume, extent_px: float, extent_angstrom: float) -> ParticleKind:
    """Scale a volume to an extent in pixels, and its density so that its projection's mean over its disc is 1.

    Parameters
    ----------
    source : str
        Name of the volume, or the label of a random shape.
    volume : LibraryVolume
        Density to scale, with its extent in px.
    extent_px : float
        Extent of the particle on the micrograph, in px.
    extent_angstrom : float
        Extent of the real particle, in Å.
    """
    density = resample_volume(volume.density, 1.0, volume.extent_px / extent_px)
    unit = np.float32(mean_projected_density(density, extent_px))
    return ParticleKind(source, density / unit, extent_px, extent_angstrom)


def draw_lens(settings: ZooSettings, pixel_size: float, rng: np.random.Generator) -> dict[str, float]:
    """Draw the contrast transfer at a pixel size in Å/px, as options of `ctf.ctf`.

    Parameters
    ----------
    settings : ZooSettings
        Bounds of defocus and astigmatism, share of phase plates, and choices of the microscope.
    pixel_size : float
        Real pixel size of the micrograph, Å/px.
    rng : numpy Generator
        Source of random numbers.
    """
    defocus, astigmatism = uniform(settings.defocus_angstrom, rng), uniform(settings.astigmatism_angstrom, rng)
    plate, phase_deg = rng.random() < settings.phase_plate, rng.uniform(30, 120)
    return {
        "pixel_size": pixel_size,
        "voltage_kv": float(rng.choice(settings.voltages_kv)),
        "spherical_aberration_mm": float(rng.choice(settings.spherical_aberrations_mm)),
        "amplitude_contrast": uniform(settings.amplitude_contrast, rng),
        "defocus_u_angstrom": defocus + astigmatism / 2,
        "defocus_v_angstrom": defocus - astigmatism / 2,
        "defocus_angle_deg": float(rng.uniform(0, 180)),
        "phase_shift_deg": phase_deg if plate else 0.0,
    }


def draw_noise(settings: ZooSettings, rng: np.random.Generator, *, diameter_px: float) -> dict[str, Any]:
    """Draw the noise, the grain of the ice and its gradient, as fields of `ZooDraw`.

    Parameters
    ----------
    settings : ZooSettings
        Bounds of the signal-to-noise ratio, the noise, the ice grain and the gradient.
    rng : numpy Generator
        Source of random numbers.
    diameter_px : float
        Nominal diameter of a particle, in px; correlation lengths scale with it.
    """
    return {
        "snr": log_uniform(settings.snr, rng),
        "noise": {
            "coloured_share": uniform(settings.coloured_share, rng),
            "length_px": log_uniform(settings.coloured_length_diameters, rng) * diameter_px,
            "falloff_px": uniform(settings.falloff_px, rng),
        },
        "solvent": uniform(settings.solvent, rng),
        "gradient": uniform(settings.gradient, rng),
        "gradient_diameters": log_uniform(settings.gradient_diameters, rng),
    }


def draw_habits(settings: ZooSettings, rng: np.random.Generator, *, diameter_px: float) -> Habits:
    """Draw the processing steps of a micrograph's file.

    Parameters
    ----------
    settings : ZooSettings
        Probability of each processing step, and bounds of the low-pass.
    rng : numpy Generator
        Source of random numbers.
    diameter_px : float
        Nominal diameter of a particle, in px; windows and borders scale with it.
    """
    chances = rng.random(6)
    lowpass_px, strength, window = uniform(settings.lowpass_px, rng), rng.uniform(), log_uniform((1.2, 8), rng)
    sides = rng.random(4) < 0.4
    sides[rng.integers(4)] = True
    top, bottom, left, right = (int(w) for w in rng.integers(4, int(1.5 * diameter_px) + 5, 4) * sides)
    denoiser, contrast, border = (str(rng.choice(sorted(names))) for names in (DENOISERS, LOCAL_CONTRASTS, BORDERS))
    illumination, center = float(rng.uniform(-0.1, 0.3)), rng.uniform(0, 1, 2)
    clipped = log_uniform((0.005, 1), rng)
    bordered = bool(chances[4] < settings.border)
    # drawn last, so that micrographs of settings without coarse files stay the same
    coarse, factor = rng.random() < settings.coarse, log_uniform(settings.coarse_factor, rng)
    return Habits(
        lowpass_px=lowpass_px if chances[0] < settings.lowpass else 0.0,
        denoiser=denoiser if chances[1] < settings.denoised else None,
        strength=float(strength),
        local_contrast=contrast if chances[2] < settings.local_contrast else None,
        window_px=window * diameter_px,
        illumination=illumination if chances[3] < settings.illumination else 0.0,
        illumination_center=(float(center[0]), float(center[1])),
        border=border if bordered else None,
        border_px=(top, bottom, left, right) if bordered else (0, 0, 0, 0),
        clipped_percent=clipped if chances[5] < settings.eight_bit else None,
        coarse_factor=factor if coarse else 1.0,
    )


def uniform(bounds: Sequence[float], rng: np.random.Generator) -> float:
    """Draw a number between two bounds."""
    return float(rng.uniform(bounds[0], bounds[1]))


def log_uniform(bounds: Sequence[float], rng: np.random.Generator) -> float:
    """Draw a number whose logarithm is uniform between those of two positive bounds."""
    return float(np.exp(rng.uniform(*np.log(bounds))))
