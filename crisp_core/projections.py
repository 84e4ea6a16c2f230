"""Projections of a density by ASPIRE, in RELION's convention of angles, and where they go on a micrograph."""

import numpy as np
import scipy.fft

from crisp_core.aspire_import import quiet_aspire
from crisp_core.geometry import FFT_THREADS, Shape

# Projections made at once: bounds the memory of the non-uniform Fourier transform.
PROJECTIONS_PER_STEP = 256


def project(volume: np.ndarray, euler_deg: np.ndarray) -> np.ndarray:
    """Project a density along z after rotation, by ASPIRE.

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
        Sums along the line of sight: each image has the volume's sum.
    """
    from scipy.spatial.transform import Rotation

    n = len(volume)
    if not len(euler_deg):
        return np.zeros((0, n, n), dtype=np.float32)
    with quiet_aspire():
        from aspire.volume import Volume
    matrices = Rotation.from_euler("ZYZ", np.asarray(euler_deg, dtype=float), degrees=True).as_matrix()
    density = Volume(np.asarray(volume, dtype=np.float32))
    steps = np.split(matrices.astype(np.float32), range(PROJECTIONS_PER_STEP, len(matrices), PROJECTIONS_PER_STEP))
    # ASPIRE divides by the side of the box.
    return np.concatenate([density.project(step).asnumpy() for step in steps]) * np.float32(n)


def place(shape: Shape, projections: np.ndarray, xy: np.ndarray) -> np.ndarray:
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
    for (x, y), box in zip(whole - n // 2, fourier_shifted(projections, xy - whole), strict=True):
        y0, y1 = np.clip([y, y + n], 0, shape[0])
        x0, x1 = np.clip([x, x + n], 0, shape[1])
        image[y0:y1, x0:x1] += box[y0 - y : y1 - y, x0 - x : x1 - x]
    return image


def fourier_shifted(images: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Move images (k, h, w) by (x, y) pixels each, periodically, to fractions of a pixel (Fourier shift theorem)."""
    height, width = images.shape[-2:]
    fy, fx = scipy.fft.fftfreq(height), scipy.fft.rfftfreq(width)
    x, y = np.asarray(shifts, dtype=float).T[:, :, None, None]
    phase = np.exp(-2j * np.pi * (fy[:, None] * y + fx * x)).astype(np.complex64)
    spectra = scipy.fft.rfft2(images.astype(np.float32, copy=False), workers=FFT_THREADS)
    return scipy.fft.irfft2(spectra * phase, s=(height, width), workers=FFT_THREADS)
