"""Orientations of the particles of star files, by one of three engines, and their map.

The engines relion and aspire need no map: `aspire_map` makes one, which is then matched like a given map. Neither
common lines nor projections can distinguish a map from its mirror image, whose outlines at the mirrored angles are the
same.
"""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.fft

from crisp_core.ctf import ctf
from crisp_core.errors import UserError
from crisp_core.formats.poses import ANGLE_LABELS, ORIGIN_LABELS
from crisp_core.formats.relion_labels import CTF_LABELS, MICROSCOPE_LABELS, PHASE_COLUMN, PHASE_LABEL
from crisp_core.geometry import FFT_THREADS
from crisp_core.reconstruction import matching
from crisp_core.reconstruction.aspire_map import MAX_PARTICLES, ab_initio_map, check_symmetry
from crisp_core.reconstruction.matching import MatchedProjections, match_projections
from crisp_core.reconstruction.relion import refine_with_relion
from crisp_core.reconstruction.stacks import read_images

# Maximum number of particle images in memory.
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
        Engine: relion, aspire or matching.
    optics, particles : pd.DataFrame
        Blocks of a RELION 3.1 star file, from `stacks.read_particles`; if they have CTF columns, the CTF is used.
    volume : (n, n, n) array or None
        Map with the box and pixel size of the particles: required for matching, initial map for relion, unused by
        aspire.
    folder : str or Path
        Existing, empty folder for RELION's files.
    diameter_angstrom : float
        Particle diameter, Å.
    symmetry : str
        Point group, such as D2.
    lowpass_angstrom : float
        Resolution limit of the map in the search for orientations, for relion of its initial map, Å.
    shift_range_angstrom : float
        Maximum distance of the centre of a particle from its coordinate, Å.
    iterations : int
        Number of iterations of relion.
    n_class_averages : int
        Number of class averages from which aspire makes its map.
    threads : int
        Number of threads of relion.
    seed : int
        Seed of the random numbers.

    Returns
    -------
    tuple
        Particles with RELION's angles and origins (Å), and the map (n, n, n).

    Raises
    ------
    UserError
        If the engine lacks a map or program, or does not support the symmetry.
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
        raise UserError("labels/map: matching needs a map; give one, or set labels/source to relion")
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
    """Make a map by ASPIRE from at most `MAX_PARTICLES` particles, evenly spaced in their table.

    Parameters
    ----------
    optics, particles, diameter_angstrom, symmetry, n_class_averages, seed
        As in `find_orientations`.
    """
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
    """Add angles, origins and correlations from projection matching to a table of particles.

    Parameters
    ----------
    optics, particles, volume, diameter_angstrom, symmetry, lowpass_angstrom, shift_range_angstrom
        As in `find_orientations`.
    """
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
    """Return the CTF of each particle on the plane of `rfft2` (n, size, size // 2 + 1), None without defocus."""
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
    """Flip the phases of images (n, size, size) where their CTF (n, size, size // 2 + 1) is negative."""
    spectra = scipy.fft.rfft2(images, workers=FFT_THREADS) * np.where(ctf_planes < 0, -1, 1).astype(np.float32)
    return scipy.fft.irfft2(spectra, s=images.shape[1:], workers=FFT_THREADS)


def add_poses(particles: pd.DataFrame, match: MatchedProjections, *, pixel_size: float) -> pd.DataFrame:
    """Add orientations to a table of particles, in RELION's columns.

    Parameters
    ----------
    particles : DataFrame
        Particles.
    match : MatchedProjections
        Orientations in the same order.
    pixel_size : float
        Pixel size of the particle images, Å/px.
    """
    table = particles.copy()
    table[list(ANGLE_LABELS.values())] = match.euler_deg
    table[list(ORIGIN_LABELS.values())] = -match.offset_px * pixel_size
    table[CORRELATION] = match.correlation.astype(float)
    return table
