"""Projection matching: each particle against projections of a given map, by normalised correlation in Fourier space.

Only the coefficients within a resolution limit are compared, so the correlation of a particle with all references, at
all shifts, is one product of real matrices. A coarse search over the asymmetric unit keeps each particle's best view
directions, and only their neighbourhood is searched finely. Nothing is random.

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
# View directions of the coarse search whose neighbourhood is searched finely.
DIRECTIONS_KEPT = 4
COARSE_SHIFT_PX, FINE_SHIFT_PX = 1.0, 0.5
# Particles per product of matrices: bounds the memory of the correlations.
PARTICLES_PER_STEP = 32
# Soft edge of the circle outside which a particle's image is background and neighbours.
MASK_DIAMETERS, MASK_EDGE = 1.2, 0.2
# A direction on no symmetry axis or mirror; the asymmetric unit is what lies nearest to it.
INSIDE_UNIT = np.array([0.90, 0.35, 0.26])


class Band(NamedTuple):
    """Half of the Fourier coefficients within a frequency: indices in `rfft2`, and (fx, fy) in cycles per px."""

    rows: np.ndarray
    columns: np.ndarray
    frequency: np.ndarray


class References(NamedTuple):
    """Spectra (direction, psi, coefficient) of projections, and their rot, tilt (directions, 2) and psi, degrees."""

    spectra: np.ndarray
    directions_deg: np.ndarray
    psi_deg: np.ndarray


class Search(NamedTuple):
    """References of the two searches, and the coarse direction (n_fine,) to which each fine one belongs."""

    band: Band
    coarse: References
    fine: References
    coarse_of_fine: np.ndarray
    size_px: int


class MatchedProjections(NamedTuple):
    """Per particle: rot, tilt, psi (n, 3) in degrees, its centre relative to pixel size // 2 (n, 2), correlation."""

    euler_deg: np.ndarray
    offset_px: np.ndarray
    correlation: np.ndarray


def symmetry_rotations(symmetry: str) -> Rotation:
    """Rotations of a point group, with RELION's axes: main axis along z, two-fold axes of Dn and O along x.

    Raises
    ------
    UserError
        If the group has no name like C1, C4, D2, O, T or I.
    """
    name = symmetry.upper()
    if not re.fullmatch(r"[CD][1-9]\d*|O|T|I[1-4]?", name):
        raise UserError(f"labels/reconstruction/symmetry: {symmetry} is no point group; give one like C1, C4, D2 or O")
    # RELION's axes of T and I are not scipy's; without the symmetry the search takes longer and finds the same.
    return Rotation.create_group("C1" if name[0] in "TI" else name)


def direction_grid(step_deg: float, symmetry: str) -> np.ndarray:
    """Quasi-uniform view directions (n, 2) as rot and tilt in degrees, in the asymmetric unit of a point group.

    A Fibonacci lattice (González 2010, Math. Geosci. 42:49) with one direction per step² of solid angle.
    """
    n = round(4 * np.pi / np.radians(step_deg) ** 2)
    i = np.arange(n)
    rot = np.degrees(i * np.pi * (3 - np.sqrt(5)))
    tilt = np.degrees(np.arccos(1 - (2 * i + 1) / n))
    # Points to the direction that every group operation would bring the view to.
    orbit = symmetry_rotations(symmetry).inv().apply(INSIDE_UNIT)
    nearness = direction_vectors(np.column_stack([rot, tilt])) @ orbit.reshape(-1, 3).T
    own = INSIDE_UNIT @ orbit.reshape(-1, 3).T
    inside = nearness[:, own.argmax()] >= nearness.max(axis=1) - 1e-9
    return np.column_stack([(rot + 180) % 360 - 180, tilt])[inside]


def direction_vectors(directions_deg: np.ndarray) -> np.ndarray:
    """Unit vectors (n, 3) of rot and tilt (n, 2) in degrees."""
    rot, tilt = np.radians(directions_deg).T
    return np.column_stack([np.cos(rot) * np.sin(tilt), np.sin(rot) * np.sin(tilt), np.cos(tilt)])


def frequency_band(size_px: int, highest: float) -> Band:
    """Coefficients of images (size, size) up to `highest` cycles per px: one of each conjugate pair, no mean."""
    rows, columns = np.meshgrid(np.arange(size_px), np.arange(size_px // 2 + 1), indexing="ij")
    fy, fx = scipy.fft.fftfreq(size_px)[rows], columns / size_px
    half = (columns > 0) | (fy > 0)
    inside = half & (np.hypot(fx, fy) <= min(highest, 0.5 - 0.5 / size_px))
    return Band(rows[inside], columns[inside], np.column_stack([fx[inside], fy[inside]]))


def image_spectra(images: np.ndarray, band: Band, *, diameter_px: float | None = None) -> np.ndarray:
    """Coefficients (n, k) complex64 of images (n, size, size), the phases counted from pixel size // 2.

    With a diameter, what lies beyond 1.2 diameters is set to zero first, with a soft edge.
    """
    if diameter_px is not None:
        images = images * soft_circle(images.shape[-1], diameter_px)
    centred = scipy.fft.ifftshift(images.astype(np.float32, copy=False), axes=(1, 2))
    return scipy.fft.rfft2(centred)[:, band.rows, band.columns]


def soft_circle(size_px: int, diameter_px: float) -> np.ndarray:
    """Mask (size, size) float32: 1 inside, falling to 0 as a cosine across 1.2 diameters."""
    y, x = np.mgrid[:size_px, :size_px] - size_px // 2
    outward = (np.hypot(x, y) / diameter_px - MASK_DIAMETERS / 2) / MASK_EDGE
    return (0.5 - 0.5 * np.sin(np.pi * np.clip(outward, -0.5, 0.5))).astype(np.float32)


def projection_spectra(volume: np.ndarray, directions_deg: np.ndarray, psi_deg: np.ndarray, band: Band) -> References:
    """Spectra of the projections of a volume (n, n, n) along directions (d, 2), turned by psi (p,) in the plane.

    The turned spectra are exact: the Fourier transform of the projection, evaluated at the turned frequencies.
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
    """References for particles of the volume's size and pixel size.

    Parameters
    ----------
    volume : (n, n, n) array [z, y, x]
        Map, protein positive.
    symmetry : str
        Point group, such as D2.
    lowpass_px : float
        Finest detail that is compared, in px.

    Raises
    ------
    UserError
        If the symmetry is no point group.
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
    """Find each particle's orientation and shift.

    Parameters
    ----------
    spectra : (n, k) complex array
        From `image_spectra`, protein positive.
    search : Search
    shift_range_px : float
        Farthest that a particle's centre lies from the image's.
    ctf : (n, k) array, optional
        Contrast transfer function of each particle at the band's frequencies; the references pass through it.
    """
    ctf = np.ones((1, spectra.shape[1]), np.float32) if ctf is None else ctf
    ctf = np.broadcast_to(ctf, spectra.shape)
    kept, offsets = coarse_search(spectra, ctf, search, shift_range_px)
    return fine_search(spectra, ctf, search, kept, offsets)


def coarse_search(
    spectra: np.ndarray, ctf: np.ndarray, search: Search, shift_range_px: float
) -> tuple[np.ndarray, np.ndarray]:
    """Best coarse directions (n, m) of each particle, and its offset (n, m, 2) in px for each of them."""
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
    """Best fine direction, psi and shift around the kept coarse ones."""
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
    """Products of particles, moved back by each shift, with references through the CTF, over the latter's length.

    Parameters
    ----------
    spectra, ctf : (n, k) arrays
    references : (d, p, k) array
    shifts : (s, 2) array of (x, y) in px
    band : Band

    Returns
    -------
    (n, s, d, p) float32 array
        The correlation coefficient times the particle's length.
    """
    flat = np.ascontiguousarray(references.reshape(-1, references.shape[-1]))
    moved = (spectra * ctf)[:, None] * shift_phases(band, shifts)
    # Real part of Σ a b*: the product of (re, im) pairs.
    products = moved.reshape(-1, flat.shape[1]).view(np.float32) @ flat.view(np.float32).T
    lengths = np.sqrt(np.square(ctf) @ (np.square(flat.real) + np.square(flat.imag)).T)
    scores = products.reshape(len(spectra), len(shifts), -1) / np.maximum(lengths, np.finfo(np.float32).tiny)[:, None]
    return scores.reshape(len(spectra), len(shifts), *references.shape[:2])


def shift_phases(band: Band, offsets: np.ndarray) -> np.ndarray:
    """Factors (m, k) complex64 that move an image's content from each offset (m, 2) px to its centre."""
    return np.exp(2j * np.pi * offsets @ band.frequency.T).astype(np.complex64)


def shift_grid(range_px: float, step_px: float) -> np.ndarray:
    """Shifts (s, 2) of a square lattice within a circle, the one of zero first."""
    n = int(range_px / step_px)
    y, x = np.mgrid[-n : n + 1, -n : n + 1] * step_px
    shifts = np.column_stack([x.ravel(), y.ravel()])
    length = np.hypot(*shifts.T)
    order = np.argsort(length, kind="stable")
    return shifts[order][length[order] <= range_px]
