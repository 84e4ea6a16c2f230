"""Projections of a density, in RELION's convention of angles, and where they go on a micrograph.

ASPIRE's own `Volume.project` gives the same images (a test compares them) with FINUFFT's grid twice as fine as the
volume, which for 360³ takes 3 GB, where the grid here takes 1.3.
"""

import finufft
import numpy as np
import scipy.fft
from scipy.spatial.transform import Rotation

from crisp_core.geometry import FFT_THREADS, Shape

# Pixels of projections handled at once: bounds the memory of the non-uniform Fourier transform, and of the shifts.
PIXELS_PER_STEP = 2**23
# Of FINUFFT: a coarser grid would be less precise (6e-5 at 1.25), a finer one is not more precise (3e-6, as ASPIRE's).
OVERSAMPLING, TOLERANCE = 1.5, 1e-6


def project(volume: np.ndarray, euler_deg: np.ndarray) -> np.ndarray:
    """Project a density along z after rotation: central slices of its transform, by FINUFFT.

    Parameters
    ----------
    volume : (n, n, n) array [z, y, x]
        The axis of rotation goes through voxel n // 2.
    euler_deg : (k, 3) array
        rot, tilt, psi in degrees: RELION's convention, intrinsic ZYZ. For even n the images are those of
        `relion_project`; for odd n RELION puts them one pixel farther right and down.

    Returns
    -------
    (k, n, n) float32 array [image, y, x]
        Sums along the line of sight: each image has the volume's sum. The Nyquist frequency of even n is left out.
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
    """Slices that cover k images of n² pixels, so many at once as `PIXELS_PER_STEP` allows."""
    size = max(1, PIXELS_PER_STEP // n**2)
    return [slice(start, start + size) for start in range(0, k, size)]


def place_projections(shape: Shape, projections: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Add projections to an empty image, each with its centre (pixel n // 2) at a position, to a fraction of a pixel.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the result.
    projections : (k, n, n) array
    xy : (k, 2) array of (x, y)
        What reaches over the edge is cut.

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
    """Move images (k, h, w) by (x, y) pixels each, periodically, to fractions of a pixel (Fourier shift theorem)."""
    height, width = images.shape[-2:]
    fy, fx = scipy.fft.fftfreq(height), scipy.fft.rfftfreq(width)
    x, y = np.asarray(shifts, dtype=float).T[:, :, None, None]
    phase = np.exp(-2j * np.pi * (fy[:, None] * y + fx * x)).astype(np.complex64)
    spectra = scipy.fft.rfft2(images.astype(np.float32, copy=False), workers=FFT_THREADS)
    return scipy.fft.irfft2(spectra * phase, s=(height, width), workers=FFT_THREADS)
