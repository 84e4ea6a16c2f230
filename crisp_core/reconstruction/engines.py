"""Orientations of the particles of star files, by one of three engines, and the map that they refer to.

relion and aspire need no map; aspire's is made by `aspire_map` and then matched like a given one. Common lines and
projections alike cannot tell a map from its mirror image, whose outlines at the mirrored angles are the same.
"""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.fft

from crisp_core.ctf import ctf
from crisp_core.errors import UserError
from crisp_core.formats.poses import ANGLES, ORIGINS
from crisp_core.formats.star import CTF_LABELS, MICROSCOPE_LABELS, PHASE_COLUMN, PHASE_LABEL
from crisp_core.geometry import FFT_THREADS
from crisp_core.reconstruction import matching
from crisp_core.reconstruction.aspire_map import MAX_PARTICLES, ab_initio_map, check_symmetry
from crisp_core.reconstruction.matching import MatchedProjections, match_projections
from crisp_core.reconstruction.relion import refine_with_relion
from crisp_core.reconstruction.stacks import read_images

# Particles whose images are in memory at once.
PARTICLES_PER_READ = 4096
CORRELATION = "rlnParticleFigureOfMerit"

log = logging.getLogger("crisp")


def find_orientations(
    engine: str,
    optics: pd.DataFrame,
    particles: pd.DataFrame,
    volume: np.ndarray | None,
    *,
    folder: str | Path,
    diameter_angstrom: float,
    symmetry: str,
    lowpass_angstrom: float,
    shift_range_angstrom: float,
    iterations: int,
    n_class_averages: int,
    threads: int,
    seed: int,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Find the orientation and origin of every particle.

    Parameters
    ----------
    engine : str
        relion, aspire or matching.
    optics, particles : pd.DataFrame
        Blocks of a RELION 3.1 star file, from `read_particles`; with CTF columns, the CTF is taken into account.
    volume : (n, n, n) array or None
        Map in the particles' box and pixel size; matching needs one, relion starts from it, aspire makes its own.
    folder : str or Path
        Existing, empty folder for RELION's files.
    diameter_angstrom : float
    symmetry : str
        Point group, such as D2.
    lowpass_angstrom : float
        Finest detail of the map that orientations are found by; for relion, that it starts with.
    shift_range_angstrom : float
        Farthest that a particle's centre lies from its coordinate.
    iterations : int
        Of relion.
    n_class_averages : int
        From which aspire makes its map.
    threads, seed : int

    Returns
    -------
    tuple
        The particles with RELION's angles and origins (Å), and the map (n, n, n).

    Raises
    ------
    UserError
        If the engine lacks a map or program, or cannot do the symmetry.
    """
    options: dict[str, Any] = {
        "diameter_angstrom": diameter_angstrom,
        "symmetry": symmetry,
        "lowpass_angstrom": lowpass_angstrom,
        "shift_range_angstrom": shift_range_angstrom,
    }
    if engine == "relion":
        return refine_with_relion(
            optics, particles, volume, folder=folder, iterations=iterations, threads=threads, seed=seed, **options
        )
    if engine == "aspire":
        volume = make_first_map(
            optics,
            particles,
            diameter_angstrom=diameter_angstrom,
            symmetry=symmetry,
            n_class_averages=n_class_averages,
            seed=seed,
        )
    if volume is None:
        raise UserError("labels/map: matching compares particles with a map; give one, or set labels/source to relion")
    return match_to_map(optics, particles, volume, **options), volume


def make_first_map(
    optics: pd.DataFrame,
    particles: pd.DataFrame,
    *,
    diameter_angstrom: float,
    symmetry: str,
    n_class_averages: int,
    seed: int,
) -> np.ndarray:
    """Map by ASPIRE from a part of the particles, evenly spaced in their table; see `find_orientations`."""
    check_symmetry(symmetry)
    some = particles.iloc[:: -(-len(particles) // MAX_PARTICLES)]
    images = read_images(some["rlnImageName"])
    planes = ctf_of_particles(optics, some)
    return ab_initio_map(
        images if planes is None else flip_phases(images, planes),
        pixel_size=float(optics["rlnImagePixelSize"].iloc[0]),
        diameter_angstrom=diameter_angstrom,
        symmetry=symmetry,
        n_class_averages=n_class_averages,
        seed=seed,
    )


def match_to_map(
    optics: pd.DataFrame,
    particles: pd.DataFrame,
    volume: np.ndarray,
    *,
    diameter_angstrom: float,
    symmetry: str,
    lowpass_angstrom: float,
    shift_range_angstrom: float,
) -> pd.DataFrame:
    """Particles with the angles, origins and correlations that projection matching finds; see `find_orientations`."""
    pixel_size = float(optics["rlnImagePixelSize"].iloc[0])
    search = matching.prepare_search(volume, symmetry=symmetry, lowpass_px=lowpass_angstrom / pixel_size)
    parts = []
    for start in range(0, len(particles), PARTICLES_PER_READ):
        part = particles.iloc[start : start + PARTICLES_PER_READ]
        images, planes = read_images(part["rlnImageName"]), ctf_of_particles(optics, part)
        found = match_projections(
            matching.image_spectra(images, search.band, diameter_px=diameter_angstrom / pixel_size),
            search,
            shift_range_px=shift_range_angstrom / pixel_size,
            ctf=None if planes is None else planes[:, search.band.rows, search.band.columns],
        )
        parts.append(add_poses(part, found, pixel_size=pixel_size))
        log.info(
            "matched %d of %d particles, mean correlation %.3f",
            *(start + len(part), len(particles), found.correlation.mean()),
        )
    return pd.concat(parts, ignore_index=True)


def ctf_of_particles(optics: pd.DataFrame, particles: pd.DataFrame) -> np.ndarray | None:
    """CTF (n, size, size // 2 + 1) float32 of each particle on `rfft2`'s plane; None where there is no defocus."""
    if not set(CTF_LABELS) <= set(particles):
        return None
    group = optics.iloc[0]
    labels = MICROSCOPE_LABELS | CTF_LABELS | ({PHASE_LABEL: PHASE_COLUMN} if PHASE_LABEL in particles else {})
    microscopes = optics.set_index("rlnOpticsGroup")[list(MICROSCOPE_LABELS)]
    columns = particles.join(microscopes, on="rlnOpticsGroup")[list(labels)]
    # particles of one micrograph share their CTF
    lenses, lens_of = np.unique(columns.to_numpy(dtype=float), axis=0, return_inverse=True)
    planes = [
        ctf(
            (int(group["rlnImageSize"]),) * 2,
            pixel_size=float(group["rlnImagePixelSize"]),
            **dict(zip(labels.values(), lens, strict=True)),
        )
        for lens in lenses.tolist()
    ]
    return np.stack(planes)[lens_of.ravel()]


def flip_phases(images: np.ndarray, ctf_planes: np.ndarray) -> np.ndarray:
    """Images (n, size, size) with the sign of their CTF (n, size, size // 2 + 1) undone."""
    spectra = scipy.fft.rfft2(images, workers=FFT_THREADS) * np.where(ctf_planes < 0, -1, 1).astype(np.float32)
    return scipy.fft.irfft2(spectra, s=images.shape[1:], workers=FFT_THREADS)


def add_poses(particles: pd.DataFrame, match: MatchedProjections, *, pixel_size: float) -> pd.DataFrame:
    """Add a match to a table of particles, as RELION's columns; `pixel_size` in Å/px of the particle images."""
    table = particles.copy()
    table[list(ANGLES.values())] = match.euler_deg
    table[list(ORIGINS.values())] = -match.offset_px * pixel_size
    table[CORRELATION] = match.correlation.astype(float)
    return table
