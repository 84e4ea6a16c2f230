"""Projections of a density in RELION's convention of angles, and their placement on a micrograph.

ASPIRE's `Volume.project` gives the same images (a test compares them), but its FINUFFT grid is twice as fine as the
volume: 3 GB for 360³ voxels instead of 1.3 GB here.
"""

import finufft
import numpy as np
import scipy.fft
from scipy.spatial.transform import Rotation

from crisp_core.geometry import FFT_THREADS, Shape
from crisp_core.simulation.map_particle import particle_sum

# Maximum number of pixels per step, which limits the memory of the non-uniform Fourier transform and of the shifts.
PIXELS_PER_STEP = 2**23
# Settings of FINUFFT. A coarser grid is less precise (6e-5 at 1.25), a finer one is not more precise (3e-6, as ASPIRE).
OVERSAMPLING, TOLERANCE = 1.5, 1e-6


def project(volume: np.ndarray, euler_deg: np.ndarray) -> np.ndarray:
    """Project a density along z after rotation, from central slices of its Fourier transform (FINUFFT).

    Parameters
    ----------
    volume : (n, n, n) array [z, y, x]
        Density. The centre of rotation is voxel n // 2.
    euler_deg : (k, 3) array
        rot, tilt, psi in degrees in RELION's convention (intrinsic ZYZ). For even n, the images equal those of
        `relion_project`; for odd n, RELION's images are shifted by one pixel to the right and down.

    Returns
    -------
    (k, n, n) float32 array [image, y, x]
        Sums along the line of sight; the sum of an image is that of the volume. The Nyquist frequency of even n is
        left out.
    """
    n = len(volume)
    matrices = Rotation.from_euler("ZYZ", np.asarray(euler_deg, dtype=float), degrees=True).as_matrix()
    density = np.asarray(volume, dtype=np.complex64)
    parts = [_project_rotated(density, matrices[step]) for step in chunk_slices(len(matrices), n)]
    return np.concatenate(parts) if parts else np.zeros((0, n, n), dtype=np.float32)


def _project_rotated(density: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """Projections (k, n, n) of a complex density (n, n, n) for rotation matrices (k, 3, 3)."""
    n = len(density)
    frequency = 2 * np.pi * scipy.fft.fftshift(scipy.fft.fftfreq(n))
    fy, fx = np.meshgrid(frequency, frequency, indexing="ij")
    x, y, z = np.einsum("kij,jp->ikp", matrices[:, :, :2], np.stack([fx.ravel(), fy.ravel()])).astype(np.float32)
    spectra = finufft.nufft3d2(
        *(axis.ravel() for axis in (z, y, x)), density, eps=TOLERANCE, isign=-1, upsampfac=OVERSAMPLING
    )
    spectra = spectra.reshape(-1, n, n)
    if n % 2 == 0:
        spectra[:, 0] = spectra[:, :, 0] = 0
    images = scipy.fft.ifft2(scipy.fft.ifftshift(spectra, axes=(1, 2)), workers=FFT_THREADS, overwrite_x=True)
    return scipy.fft.fftshift(images.real, axes=(1, 2))


def chunk_slices(k: int, n: int) -> list[slice]:
    """Split k images of n² pixels into slices of at most `PIXELS_PER_STEP` pixels."""
    size = max(1, PIXELS_PER_STEP // n**2)
    return [slice(start, start + size) for start in range(0, k, size)]


def place_projections(shape: Shape, projections: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Add projections to an empty image, with their centres (pixel n // 2) at sub-pixel positions.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the result.
    projections : (k, n, n) array
        Images to add.
    xy : (k, 2) array of (x, y)
        Positions of their centres in px; parts outside of the result are cut off.

    Returns
    -------
    shape float32 array
    """
    image = np.zeros(shape, dtype=np.float32)
    xy = np.asarray(xy, dtype=float).reshape(-1, 2)
    whole = np.floor(xy + 0.5).astype(int)
    n = projections.shape[-1]
    shifted = (box for s in chunk_slices(len(xy), n) for box in shift_images(projections[s], (xy - whole)[s]))
    for (x, y), box in zip(whole - n // 2, shifted, strict=True):
        y0, y1 = np.clip([y, y + n], 0, shape[0])
        x0, x1 = np.clip([x, x + n], 0, shape[1])
        image[y0:y1, x0:x1] += box[y0 - y : y1 - y, x0 - x : x1 - x]
    return image


def shift_images(images: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Shift images (k, h, w) periodically by (x, y) px each, also by fractions of a pixel (Fourier shift theorem)."""
    height, width = images.shape[-2:]
    fy, fx = scipy.fft.fftfreq(height), scipy.fft.rfftfreq(width)
    x, y = np.asarray(shifts, dtype=float).T[:, :, None, None]
    phase = np.exp(-2j * np.pi * (fy[:, None] * y + fx * x)).astype(np.complex64)
    spectra = scipy.fft.rfft2(images.astype(np.float32, copy=False), workers=FFT_THREADS)
    return scipy.fft.irfft2(spectra * phase, s=(height, width), workers=FFT_THREADS)


def mean_projected_density(volume: np.ndarray, diameter_px: float) -> float:
    """Return the mean projected density of a particle over a disc of its diameter, the unit of matter in scenery."""
    return particle_sum(volume) / (np.pi * diameter_px**2 / 4)
