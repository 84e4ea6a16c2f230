"""Initial map from particles alone, by ASPIRE: class averages, common lines, back-projection.

Single particles are too noisy for common lines, so that averages of similar particles are used. Their orientations are
refined by projection matching against their own map.

Source: Zhao & Singer 2014, J. Struct. Biol. 186:153 (class averages); Shkolnisky & Singer 2012, SIAM J. Imaging Sci.
5:1088; Rosen & Shkolnisky 2020, ibid. 13:1898 (D2); Barnett et al. 2017, ibid. 10:1 (mean volume).
"""

import logging
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from crisp_core.aspire_import import quiet_aspire
from crisp_core.errors import UserError
from crisp_core.reconstruction.matching import image_spectra, match_projections, prepare_search, soft_circle
from crisp_core.simulation.projections import shift_images

# Maximum number of particles to classify (time and memory grow with its square), and of particles per class average.
MAX_PARTICLES, NEIGHBOURS = 2000, 30
# Number of features for the comparison of particles; ASPIRE needs at least as many particles.
COMPONENTS = 200
BATCH = 512
# Minimum eigenvalue, as a share of the largest one.
MIN_EIGENVALUE = 1e-6
# The nearest neighbours of a chosen average, a third of its members, are not chosen as averages.
NEAREST = 10
ALIGNMENT_SHIFT_PX, ALIGNMENT_ANGLES = 2, 180
# Number of directions and in-plane step (degrees) of the D2 search; its memory grows with the square of the number.
D2_DIRECTIONS, D2_INPLANE_DEG = 150, 10
COMMON_LINE_ANGLES = 180
# Resolution limit of each round of matching the averages against their map, Å.
ROUNDS_ANGSTROM = (30.0, 25.0, 20.0)

log = logging.getLogger("crisp")


def ab_initio_map(
    images: np.ndarray,
    *,
    pixel_size: float,
    diameter_angstrom: float,
    symmetry: str,
    n_class_averages: int,
    seed: int,
) -> np.ndarray:
    """Make a map without an initial map.

    Parameters
    ----------
    images : (n, size, size) float32 array
        Particles, protein positive, phases flipped (see `phase_flipped`), background of mean 0 and deviation 1.
    pixel_size : float
        Pixel size of the images, Å/px.
    diameter_angstrom : float
        Particle diameter, Å.
    symmetry : str
        Point group: C1, C2, … or D2, see `check_symmetry`.
    n_class_averages : int
        Number of class averages. The time of common lines grows with its cube, the memory for D2 with its value
        (2 GB for 40).
    seed : int
        Seed of the random numbers.

    Returns
    -------
    (size, size, size) float32 array
        Map or its mirror image, which projections cannot distinguish.

    Raises
    ------
    UserError
        If there are too few particles.
    """
    if len(images) < COMPONENTS:
        raise UserError(
            f"labels/source: aspire needs at least {COMPONENTS} particles, but there are {len(images)}; "
            "give more coordinates, or a map and source matching"
        )
    averages = class_averages(images, pixel_size, n_class_averages, seed)
    log.info("%d class averages", len(averages))
    rotations = common_line_rotations(averages, pixel_size, symmetry, seed)
    volume = back_project(averages, rotations, pixel_size, symmetry)
    for round_number, lowpass_angstrom in enumerate(ROUNDS_ANGSTROM, start=1):
        search = prepare_search(volume, symmetry=symmetry, lowpass_px=lowpass_angstrom / pixel_size)
        spectra = image_spectra(averages, search.band, diameter_px=diameter_angstrom / pixel_size)
        found = match_projections(spectra, search, shift_range_px=diameter_angstrom / 8 / pixel_size)
        log.info(
            "round %d of %d, mean correlation of the averages %.3f",
            *(round_number, len(ROUNDS_ANGSTROM), found.correlation.mean()),
        )
        turns = Rotation.from_euler("ZYZ", found.euler_deg, degrees=True).as_matrix()
        volume = back_project(shift_images(averages, -found.offset_px), turns, pixel_size, symmetry)
    return volume * soft_sphere(len(volume), diameter_angstrom / pixel_size)


def check_symmetry(symmetry: str) -> None:
    """Check that ASPIRE has common lines for a point group."""
    if not re.fullmatch(r"C[1-9]\d*|D2", symmetry.upper()):
        raise UserError(
            f"labels/reconstruction/symmetry: aspire finds orientations with the symmetries Cn and D2 "
            f"only, not {symmetry}; give a subgroup, or set labels/source to relion"
        )


def class_averages(images: np.ndarray, pixel_size: float, n: int, seed: int) -> np.ndarray:
    """Average each of up to `n` dissimilar particles with its nearest neighbours.

    Parameters
    ----------
    images : (k, size, size) array
        Particles.
    pixel_size : float
        Pixel size of the images, Å/px.
    n : int
        Maximum number of averages.
    seed : int
        Seed of the random numbers.

    Returns
    -------
    (m, size, size) float32 array
        Averages.
    """
    with quiet_aspire():
        from aspire.basis import FFBBasis2D, FSPCABasis
        from aspire.classification import BFTAverager2D, RIRClass2D
    source = image_source(images, pixel_size, "C1")
    components = FSPCABasis(source, components=COMPONENTS, batch_size=BATCH)
    # ASPIRE 0.14 reads the logarithm of vanishing eigenvalues from uninitialised memory
    components._eigvals = np.maximum(components.eigvals, MIN_EIGENVALUE * components.eigvals.max())
    classifier = RIRClass2D(
        source,
        components,
        n_nbor=NEIGHBOURS,
        bispectrum_components=COMPONENTS,
        nn_implementation="sklearn",
        bispectrum_implementation="legacy",
        seed=seed,
    )
    classes, reflections, distances = classifier.classify()
    chosen = choose_dissimilar(classes, distances)[:n]
    basis = FFBBasis2D(images.shape[-1], dtype=np.float32)
    averager = BFTAverager2D(basis, source, radius=ALIGNMENT_SHIFT_PX, n_angles=ALIGNMENT_ANGLES)
    return averager.average(classes[chosen], reflections[chosen]).asnumpy().astype(np.float32)


def choose_dissimilar(classes: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Return rows of a table of neighbours (n, m), tightest classes first, without near neighbours of earlier ones."""
    taken = np.zeros(len(classes), dtype=bool)
    chosen = []
    for row in np.argsort(distances[:, 1:].mean(axis=1), kind="stable"):
        if not taken[row]:
            chosen.append(row)
            taken[classes[row][:NEAREST]] = True
    return np.array(chosen, dtype=int)


def common_line_rotations(averages: np.ndarray, pixel_size: float, symmetry: str, seed: int) -> np.ndarray:
    """Find the rotation matrices (n, 3, 3) of images from common lines of their Fourier transforms.

    Parameters
    ----------
    averages : (n, size, size) array
        Class averages.
    pixel_size : float
        Pixel size of the images, Å/px.
    symmetry : str
        Point group, see `check_symmetry`.
    seed : int
        Seed of the random numbers.
    """
    with quiet_aspire():
        from aspire import abinitio
    source = image_source(averages, pixel_size, symmetry)
    name, options = symmetry.upper(), {"n_theta": COMMON_LINE_ANGLES, "seed": seed}
    if name == "C1":
        estimator = abinitio.CLSync3N(source, **options)
    elif name == "C2":
        estimator = abinitio.CLSymmetryC2(source, **options)
    elif name in ("C3", "C4"):
        estimator = abinitio.CLSymmetryC3C4(source, symmetry=name, **options)
    elif name == "D2":
        estimator = abinitio.CLSymmetryD2(
            source, grid_res=D2_DIRECTIONS, inplane_res=D2_INPLANE_DEG, max_shift=0.075, **options
        )
    else:
        estimator = abinitio.CLSymmetryCn(source, symmetry=name, **options)
    estimator.estimate_rotations()
    return np.asarray(estimator.rotations, dtype=np.float32)


def back_project(images: np.ndarray, rotations: np.ndarray, pixel_size: float, symmetry: str) -> np.ndarray:
    """Reconstruct a map (size, size, size) from images with known rotations (least squares), by ASPIRE.

    Parameters
    ----------
    images : (n, size, size) array
        Images, centred.
    rotations : (n, 3, 3) array
        Rotation matrices of the images.
    pixel_size : float
        Pixel size of the images, Å/px.
    symmetry : str
        Point group.
    """
    with quiet_aspire():
        from aspire.reconstruction import MeanEstimator
    source = image_source(images, pixel_size, symmetry)
    source.rotations = rotations.astype(np.float32)
    # MeanEstimator writes checkpoints, by default into the working directory.
    with tempfile.TemporaryDirectory() as folder:
        return MeanEstimator(source, checkpoint_prefix=Path(folder) / "volume").estimate().asnumpy()[0]


def image_source(images: np.ndarray, pixel_size: float, symmetry: str) -> Any:
    """Return images as a source of ASPIRE.

    Parameters
    ----------
    images : (n, size, size) array
        Images.
    pixel_size : float
        Pixel size of the images, Å/px.
    symmetry : str
        Point group.
    """
    with quiet_aspire():
        from aspire.source import ArrayImageSource
    return ArrayImageSource(images.astype(np.float32, copy=False), pixel_size=pixel_size, symmetry_group=symmetry)


def soft_sphere(size_px: int, diameter_px: float) -> np.ndarray:
    """Return a mask (size, size, size) with the radius and soft edge of `soft_circle`."""
    profile = soft_circle(size_px, diameter_px)[size_px // 2]
    offset = np.arange(size_px) - size_px // 2
    radius = np.sqrt(offset[:, None, None] ** 2 + offset[:, None] ** 2 + offset**2)
    return np.interp(radius, offset[size_px // 2 :], profile[size_px // 2 :]).astype(np.float32)
