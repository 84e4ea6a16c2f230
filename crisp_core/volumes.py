"""Densities: the phantom, resampling, and the measured extent."""

import numpy as np
import scipy.fft

from crisp_core.aspire_import import quiet_aspire
from crisp_core.geometry import FFT_THREADS, even_fft_size

# D2 phantom: with 32 broad blobs per asymmetric unit, its projections are single, filled outlines with some detail.
PHANTOM_VOXELS, PHANTOM_BLOBS, PHANTOM_BLOB_SIZE = 64, 32, 1.5
# Share of the mass inside the sphere that counts as the particle; what is left is the blobs' faint tails.
PARTICLE_MASS = 0.98


def phantom(diameter_px: float, *, seed: int) -> np.ndarray:
    """Make ASPIRE's random density with D2 symmetry, like a compact protein, of a given longest extent.

    Parameters
    ----------
    diameter_px : float
        Longest extent, as `measured_diameter_px` measures it.
    seed : int

    Returns
    -------
    (n, n, n) float32 array [z, y, x], n even
        A quarter longer than the diameter, maximum about 1.
    """
    with quiet_aspire():
        from aspire.volume import DnSymmetricVolume
    density = DnSymmetricVolume(
        PHANTOM_VOXELS, 1, order=2, K=PHANTOM_BLOBS, alpha=PHANTOM_BLOB_SIZE, seed=seed, dtype=np.float32
    ).generate()
    density = density.asnumpy()[0] / density.asnumpy().max()
    return resampled_volume(density, 1.0, measured_diameter_px(density) / diameter_px)


def measured_diameter_px(volume: np.ndarray) -> float:
    """Diameter of the sphere around the box's centre that holds 98 % of the positive density, in px."""
    axes = [np.arange(n) - n // 2 for n in volume.shape]
    radius = np.sqrt(sum(axis.astype(float) ** 2 for axis in np.meshgrid(*axes, indexing="ij"))).ravel()
    order = np.argsort(radius)
    mass = np.cumsum(np.clip(volume, 0, None).ravel()[order], dtype=float)
    return 2 * float(radius[order][np.searchsorted(mass, PARTICLE_MASS * mass[-1])])


def resampled_volume(volume: np.ndarray, pixel_size: float, new_pixel_size: float) -> np.ndarray:
    """Resample a density (Å per voxel) by padding it with zeros, then cropping or padding its Fourier transform.

    Returns
    -------
    (n, n, n) float32 array, n even
        As long as the given volume's longest side, to a few voxels. Voxel n // 2 is where the given volume's is, and
        densities keep their values. The padding is chosen so that the new pixel size is met to about a thousandth, and
        cut off again.
    """
    side = max(volume.shape)
    sides = np.arange(side + side % 2, side + 64, 2)
    wanted = sides * pixel_size / new_pixel_size
    new_sides = 2 * np.round(wanted / 2).astype(int)
    best = int(np.argmin(np.abs(new_sides / wanted - 1).round(6)))
    padded = _centred(np.asarray(volume, dtype=np.float32), int(sides[best]))
    spectrum = scipy.fft.fftshift(scipy.fft.fftn(scipy.fft.ifftshift(padded), workers=FFT_THREADS))
    n = int(new_sides[best])
    resized = scipy.fft.ifftn(scipy.fft.ifftshift(_without_nyquist(_centred(spectrum, n))), workers=FFT_THREADS)
    resized = scipy.fft.fftshift(resized.real) * np.float32((n / sides[best]) ** 3)
    return np.ascontiguousarray(_centred(resized, even_fft_size(side * pixel_size / new_pixel_size)), dtype=np.float32)


def _centred(array: np.ndarray, side: int) -> np.ndarray:
    """Crop or zero-pad to a cube, so that element n // 2 of every axis becomes element side // 2."""
    for axis, n in enumerate(array.shape):
        before = side // 2 - n // 2
        after = side - n - before
        array = array.take(range(max(0, -before), n - max(0, -after)), axis=axis)
        width = [(0, 0)] * array.ndim
        width[axis] = (max(0, before), max(0, after))
        array = np.pad(array, width)
    return array


def _without_nyquist(spectrum: np.ndarray) -> np.ndarray:
    """Remove the frequency −n/2 of an even, centred transform, which has no positive counterpart."""
    spectrum[0], spectrum[:, 0], spectrum[:, :, 0] = 0, 0, 0
    return spectrum
