"""Projection matching: particles against projections of a given map, by normalised correlation in Fourier space.

Only coefficients within a resolution limit are compared. The correlation of a particle with all references, at all
shifts, is therefore one product of real matrices. A coarse search over the asymmetric unit finds the best view
directions of each particle, and a fine search follows in their neighbourhood. Nothing is random.

Source: Penczek, Grassucci & Frank 1994, Ultramicroscopy 53:251.
"""

import re
from typing import NamedTuple

import numpy as np
import scipy.fft
from scipy.spatial.transform import Rotation

from crisp_core.errors import UserError
from crisp_core.simulation.projections import project

COARSE_DEG, FINE_DEG = 12.0, 5.0
# Number of directions of the coarse search that the fine search refines.
DIRECTIONS_KEPT = 4
COARSE_SHIFT_PX, FINE_SHIFT_PX = 1.0, 0.5
# Particles per product of matrices, which limits the memory of the correlations.
PARTICLES_PER_STEP = 32
# Diameter of the circle around a particle and width of its soft edge, in particle diameters.
MASK_DIAMETERS, MASK_EDGE = 1.2, 0.2
# A direction off all symmetry axes and mirrors; the asymmetric unit is the set of directions closest to it.
INSIDE_UNIT = np.array([0.90, 0.35, 0.26])


class Band(NamedTuple):
    """Half of the Fourier coefficients up to a frequency: indices in `rfft2`, and (fx, fy) in cycles per px."""

    rows: np.ndarray
    columns: np.ndarray
    frequency: np.ndarray


class References(NamedTuple):
    """Spectra (direction, psi, coefficient) of projections, with rot and tilt (directions, 2) and psi in degrees."""

    spectra: np.ndarray
    directions_deg: np.ndarray
    psi_deg: np.ndarray


class Search(NamedTuple):
    """References of both searches, and the coarse direction (n_fine,) of each fine direction."""

    band: Band
    coarse: References
    fine: References
    coarse_of_fine: np.ndarray
    size_px: int


class MatchedProjections(NamedTuple):
    """Per particle: rot, tilt, psi (n, 3) in degrees, centre relative to pixel size // 2 (n, 2), and correlation."""

    euler_deg: np.ndarray
    offset_px: np.ndarray
    correlation: np.ndarray


def symmetry_rotations(symmetry: str) -> Rotation:
    """Return the rotations of a point group with RELION's axes: main axis along z, two-fold axes of Dn and O along x.

    Raises
    ------
    UserError
        If the name is not that of a point group (C1, C4, D2, O, T, I …).
    """
    name = symmetry.upper()
    if not re.fullmatch(r"[CD][1-9]\d*|O|T|I[1-4]?", name):
        raise UserError(f"labels/reconstruction/symmetry: {symmetry} is not a point group; give C1, C4, D2 or O, …")
    # The axes of T and I differ between RELION and scipy; without symmetry the search only takes longer.
    return Rotation.create_group("C1" if name[0] in "TI" else name)


def direction_grid(step_deg: float, symmetry: str) -> np.ndarray:
    """Return quasi-uniform directions (n, 2), rot and tilt in degrees, in the asymmetric unit of a point group.

    A Fibonacci lattice (González 2010, Math. Geosci. 42:49) with one direction per step² of solid angle.
    """
    n = round(4 * np.pi / np.radians(step_deg) ** 2)
    i = np.arange(n)
    rot = np.degrees(i * np.pi * (3 - np.sqrt(5)))
    tilt = np.degrees(np.arccos(1 - (2 * i + 1) / n))
    # Copies of the direction in the unit under all operations of the group.
    orbit = symmetry_rotations(symmetry).inv().apply(INSIDE_UNIT)
    nearness = direction_vectors(np.column_stack([rot, tilt])) @ orbit.reshape(-1, 3).T
    own = INSIDE_UNIT @ orbit.reshape(-1, 3).T
    inside = nearness[:, own.argmax()] >= nearness.max(axis=1) - 1e-9
    return np.column_stack([(rot + 180) % 360 - 180, tilt])[inside]


def direction_vectors(directions_deg: np.ndarray) -> np.ndarray:
    """Convert rot and tilt (n, 2) in degrees to unit vectors (n, 3)."""
    rot, tilt = np.radians(directions_deg).T
    return np.column_stack([np.cos(rot) * np.sin(tilt), np.sin(rot) * np.sin(tilt), np.cos(tilt)])


def frequency_band(size_px: int, highest: float) -> Band:
    """Choose the coefficients of images up to `highest` cycles per px: one of each conjugate pair, without the mean."""
    rows, columns = np.meshgrid(np.arange(size_px), np.arange(size_px // 2 + 1), indexing="ij")
    fy, fx = scipy.fft.fftfreq(size_px)[rows], columns / size_px
    half = (columns > 0) | (fy > 0)
    inside = half & (np.hypot(fx, fy) <= min(highest, 0.5 - 0.5 / size_px))
    return Band(rows[inside], columns[inside], np.column_stack([fx[inside], fy[inside]]))


def image_spectra(images: np.ndarray, band: Band, *, diameter_px: float | None = None) -> np.ndarray:
    """Return the coefficients (n, k) complex64 of images, with phases relative to pixel size // 2.

    Parameters
    ----------
    images : (n, size, size) array
        Images.
    band : Band
        Coefficients to return.
    diameter_px : float, optional
        Particle diameter in px; the area beyond 1.2 diameters is then masked by `soft_circle`.
    """
    if diameter_px is not None:
        images = images * soft_circle(images.shape[-1], diameter_px)
    centred = scipy.fft.ifftshift(images.astype(np.float32, copy=False), axes=(1, 2))
    return scipy.fft.rfft2(centred)[:, band.rows, band.columns]


def soft_circle(size_px: int, diameter_px: float) -> np.ndarray:
    """Return a mask (size, size) float32: 1 inside a circle of 1.2 diameters, with a cosine edge."""
    y, x = np.mgrid[:size_px, :size_px] - size_px // 2
    outward = (np.hypot(x, y) / diameter_px - MASK_DIAMETERS / 2) / MASK_EDGE
    return (0.5 - 0.5 * np.sin(np.pi * np.clip(outward, -0.5, 0.5))).astype(np.float32)


def projection_spectra(volume: np.ndarray, directions_deg: np.ndarray, psi_deg: np.ndarray, band: Band) -> References:
    """Compute the spectra of the projections of a map, rotated in the plane.

    Rotated spectra are exact: the Fourier transform of the projection is evaluated at rotated frequencies.

    Parameters
    ----------
    volume : (n, n, n) array
        Map.
    directions_deg : (d, 2) array
        View directions, rot and tilt in degrees.
    psi_deg : (p,) array
        Rotations in the plane in degrees.
    band : Band
        Coefficients to compute.
    """
    n = len(volume)
    images = project(volume, np.column_stack([directions_deg, np.zeros(len(directions_deg))])).reshape(-1, n * n)
    spectra = np.empty((len(images), len(psi_deg), len(band.frequency)), dtype=np.complex64)
    offset = np.arange(n) - n // 2
    for i, psi in enumerate(np.radians(psi_deg)):
        fx, fy = np.array([[np.cos(psi), -np.sin(psi)], [np.sin(psi), np.cos(psi)]]) @ band.frequency.T
        waves = np.exp(-2j * np.pi * np.outer(offset, fy))[:, None] * np.exp(-2j * np.pi * np.outer(offset, fx))
        waves = waves.reshape(n * n, -1).astype(np.complex64)
        spectra[:, i].real, spectra[:, i].imag = images @ waves.real, images @ waves.imag
    return References(spectra, directions_deg, psi_deg)


def prepare_search(volume: np.ndarray, *, symmetry: str, lowpass_px: float) -> Search:
    """Compute the references for particles with the size and pixel size of a map.

    Parameters
    ----------
    volume : (n, n, n) array [z, y, x]
        Map, protein positive.
    symmetry : str
        Point group, such as D2.
    lowpass_px : float
        Resolution limit of the comparison, in px.

    Raises
    ------
    UserError
        If the symmetry is not a point group.
    """
    band = frequency_band(len(volume), 1 / lowpass_px)
    coarse, fine = (
        projection_spectra(volume, direction_grid(step, symmetry), np.arange(0, 360, step), band)
        for step in (COARSE_DEG, FINE_DEG)
    )
    copies = [turn.apply(direction_vectors(coarse.directions_deg)) for turn in symmetry_rotations(symmetry)]
    nearness = direction_vectors(fine.directions_deg) @ np.concatenate(copies).T
    return Search(band, coarse, fine, nearness.argmax(axis=1) % len(coarse.directions_deg), len(volume))


def match_projections(
    spectra: np.ndarray, search: Search, *, shift_range_px: float, ctf: np.ndarray | None = None
) -> MatchedProjections:
    """Find the orientation and shift of each particle.

    Parameters
    ----------
    spectra : (n, k) complex array
        Results of `image_spectra`, protein positive.
    search : Search
        References from `prepare_search`.
    shift_range_px : float
        Maximum distance of the centre of a particle from that of its image, px.
    ctf : (n, k) array, optional
        CTF of each particle at the frequencies of the band; references are multiplied by it.
    """
    ctf = np.ones((1, spectra.shape[1]), np.float32) if ctf is None else ctf
    ctf = np.broadcast_to(ctf, spectra.shape)
    kept, offsets = coarse_search(spectra, ctf, search, shift_range_px)
    return fine_search(spectra, ctf, search, kept, offsets)


def coarse_search(
    spectra: np.ndarray, ctf: np.ndarray, search: Search, shift_range_px: float
) -> tuple[np.ndarray, np.ndarray]:
    """Find the best coarse directions (n, m) of each particle, and its offset (n, m, 2) in px for each of them.

    Parameters
    ----------
    spectra, ctf, search, shift_range_px
        As in `match_projections`.
    """
    shifts = shift_grid(shift_range_px, COARSE_SHIFT_PX)
    n_kept = min(DIRECTIONS_KEPT, len(search.coarse.directions_deg))
    kept = np.empty((len(spectra), n_kept), dtype=int)
    offsets = np.empty((len(spectra), n_kept, 2))
    for start in range(0, len(spectra), PARTICLES_PER_STEP):
        part = slice(start, start + PARTICLES_PER_STEP)
        scores = correlate(spectra[part], ctf[part], search.coarse.spectra, shifts, search.band).max(axis=-1)
        by_direction = scores.max(axis=1)
        kept[part] = np.argsort(-by_direction, axis=1, kind="stable")[:, :n_kept]
        best_shift = np.take_along_axis(scores.argmax(axis=1), kept[part], axis=1)
        offsets[part] = shifts[best_shift]
    return kept, offsets


def fine_search(
    spectra: np.ndarray, ctf: np.ndarray, search: Search, kept: np.ndarray, offsets: np.ndarray
) -> MatchedProjections:
    """Find the best fine direction, psi and shift around coarse directions.

    Parameters
    ----------
    spectra, ctf, search
        As in `match_projections`.
    kept, offsets : (n, m) and (n, m, 2) arrays
        Results of `coarse_search`.
    """
    n = len(spectra)
    found = MatchedProjections(np.zeros((n, 3)), np.zeros((n, 2)), np.full(n, -np.inf, dtype=np.float32))
    shifts = shift_grid(1.5 * FINE_SHIFT_PX, FINE_SHIFT_PX)
    lengths = np.linalg.norm(spectra, axis=1)
    for coarse in np.unique(kept):
        fine = np.flatnonzero(search.coarse_of_fine == coarse)
        members, rank = np.nonzero(kept == coarse)
        if not fine.size:
            continue
        for start in range(0, len(members), PARTICLES_PER_STEP):
            part = members[start : start + PARTICLES_PER_STEP]
            offset = offsets[part, rank[start : start + PARTICLES_PER_STEP]]
            centred = spectra[part] * shift_phases(search.band, offset)
            scores = correlate(centred, ctf[part], search.fine.spectra[fine], shifts, search.band)
            best = scores.reshape(len(part), -1).argmax(axis=1)
            shift, direction, psi = np.unravel_index(best, scores.shape[1:])
            score = scores.reshape(len(part), -1).max(axis=1) / lengths[part]
            better = score > found.correlation[part]
            rows = part[better]
            found.correlation[rows] = score[better]
            found.offset_px[rows] = (offset + shifts[shift])[better]
            angles = (search.fine.directions_deg[fine][direction], search.fine.psi_deg[psi, None])
            found.euler_deg[rows] = np.hstack(angles)[better]
    return found


def correlate(
    spectra: np.ndarray, ctf: np.ndarray, references: np.ndarray, shifts: np.ndarray, band: Band
) -> np.ndarray:
    """Correlate particles, shifted back, with references times CTF, normalised by the length of the references.

    Parameters
    ----------
    spectra, ctf : (n, k) arrays
        Coefficients and CTF of the particles.
    references : (d, p, k) array
        Coefficients of the references.
    shifts : (s, 2) array
        Shifts (x, y) in px.
    band : Band
        Frequencies of the coefficients.

    Returns
    -------
    (n, s, d, p) float32 array
        Correlation coefficients times the lengths of the particles.
    """
    flat = np.ascontiguousarray(references.reshape(-1, references.shape[-1]))
    moved = (spectra * ctf)[:, None] * shift_phases(band, shifts)
    # Real part of Σ a b*: the product of (re, im) pairs.
    products = moved.reshape(-1, flat.shape[1]).view(np.float32) @ flat.view(np.float32).T
    lengths = np.sqrt(np.square(ctf) @ (np.square(flat.real) + np.square(flat.imag)).T)
    scores = products.reshape(len(spectra), len(shifts), -1) / np.maximum(lengths, np.finfo(np.float32).tiny)[:, None]
    return scores.reshape(len(spectra), len(shifts), *references.shape[:2])


def shift_phases(band: Band, offsets: np.ndarray) -> np.ndarray:
    """Return the phase factors (m, k) complex64 that shift an image from each offset (m, 2) px to its centre."""
    return np.exp(2j * np.pi * offsets @ band.frequency.T).astype(np.complex64)


def shift_grid(range_px: float, step_px: float) -> np.ndarray:
    """Return the points (s, 2) of a square lattice within a circle, sorted by distance from zero."""
    n = int(range_px / step_px)
    y, x = np.mgrid[-n : n + 1, -n : n + 1] * step_px
    shifts = np.column_stack([x.ravel(), y.ravel()])
    length = np.hypot(*shifts.T)
    order = np.argsort(length, kind="stable")
    return shifts[order][length[order] <= range_px]
