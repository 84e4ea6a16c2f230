"""Processing of micrographs between microscope and CRISP, as programs and people do it.

Low pass and denoisers, local contrast, uneven illumination, coarse pixels, dark or smeared borders, 8-bit files. Every
function takes and returns an image (h, w) float32 with dark particles.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import scipy
import skimage.exposure
import skimage.restoration

from crisp_core.geometry import Shape

GREY_LEVELS = 256


class Habits(NamedTuple):
    """Processing steps of one micrograph's file, in their order."""

    lowpass_px: float = 0.0  # standard deviation of a Gaussian; 0 is off
    denoiser: str | None = None  # one of DENOISERS
    strength: float = 0.5  # of the denoiser, 0 to 1
    local_contrast: str | None = None  # one of LOCAL_CONTRASTS
    window_px: float = 64.0  # of the local contrast
    illumination: float = 0.0  # relative change of the mean brightness from the middle to a corner
    illumination_center: tuple[float, float] = (0.5, 0.5)  # x, y as shares of the sides
    border: str | None = None  # one of BORDERS
    border_px: tuple[int, int, int, int] = (0, 0, 0, 0)  # width on top, bottom, left, right
    clipped_percent: float | None = None  # of the pixels, on either side, by 8-bit files; None is no 8-bit file
    coarse_factor: float = 1.0  # width of the file's pixels, in pixels to which it is enlarged


class Filed(NamedTuple):
    """Processed image, and mask (h, w) of the pixels on which the specimen is not visible any more."""

    image: np.ndarray
    covered: np.ndarray


def apply_habits(image: np.ndarray, habits: Habits) -> Filed:
    """Apply the processing steps of a file to an image (h, w)."""
    if habits.lowpass_px:
        image = scipy.ndimage.gaussian_filter(image, habits.lowpass_px)
    if habits.denoiser is not None:
        image = DENOISERS[habits.denoiser](image, habits.strength)
    if habits.local_contrast is not None:
        image = LOCAL_CONTRASTS[habits.local_contrast](image, habits.window_px)
    if habits.illumination:
        image = unevenly_lit(image, habits.illumination, habits.illumination_center)
    if habits.coarse_factor > 1:
        image = enlarged_from(image, habits.coarse_factor)
    covered = border_area(image.shape, habits.border_px)
    if habits.border is not None:
        image = BORDERS[habits.border](image, covered)
    if habits.clipped_percent is not None:
        image = quantised(image, habits.clipped_percent)
    return Filed(image.astype(np.float32, copy=False), covered)


def gaussian(image: np.ndarray, strength: float) -> np.ndarray:
    """Blur by a Gaussian of 0.6 to 1.6 px."""
    return scipy.ndimage.gaussian_filter(image, 0.6 + strength)


def median(image: np.ndarray, strength: float) -> np.ndarray:
    """Median of 3 × 3 or 5 × 5 pixels."""
    return scipy.ndimage.median_filter(image, size=3 if strength < 0.6 else 5)


def nonlocal_means(image: np.ndarray, strength: float) -> np.ndarray:
    """Mean of pixels whose surroundings are alike (Buades et al. 2005), after a slight blur."""
    blurred = scipy.ndimage.gaussian_filter(image, 0.5)
    noise_sd = skimage.restoration.estimate_sigma(blurred)
    h = (0.6 + 0.8 * strength) * max(float(noise_sd), 1e-6)
    return skimage.restoration.denoise_nl_means(blurred, patch_size=5, patch_distance=5, h=h, sigma=0, fast_mode=True)


def wiener(image: np.ndarray, strength: float) -> np.ndarray:
    """Wiener's filter with the local mean and variance of 5 × 5 or 7 × 7 pixels."""
    return scipy.signal.wiener(image.astype(np.float64), 5 if strength < 0.5 else 7)


def local_deviation(image: np.ndarray, window_px: float) -> np.ndarray:
    """Subtract the local mean and divide by the local standard deviation."""
    mean = scipy.ndimage.gaussian_filter(image, window_px / 2)
    variance = scipy.ndimage.gaussian_filter((image - mean) ** 2, window_px / 2)
    return (image - mean) / np.sqrt(np.maximum(variance, 1e-6 * float(variance.mean()) + 1e-12))


def local_equalisation(image: np.ndarray, window_px: float) -> np.ndarray:
    """Contrast-limited adaptive histogram equalisation (Zuiderveld 1994), averaged with the image.

    Alone it leaves as many dark as bright pixels, in which particles are lost.
    """
    low, high = np.percentile(image, [0.1, 99.9])
    scaled = np.clip((image - low) / max(float(high - low), 1e-12), 0, 1)
    return (scaled + skimage.exposure.equalize_adapthist(scaled, max(8, int(window_px)), clip_limit=0.02)) / 2


def unevenly_lit(image: np.ndarray, change: float, center: tuple[float, float]) -> np.ndarray:
    """Darken away from a place (x, y as shares of the sides): brightness and contrast, as of fewer electrons.

    `change` is the relative change of the brightness over half a diagonal, the mean brightness being six standard
    deviations of the image above zero.

    Parameters
    ----------
    image : (h, w) array
        Micrograph to darken, in any units.
    change : float
        Relative change of the brightness over half a diagonal; not 0, negative brightens.
    center : (float, float)
        Place without change: x as a share of the width, y as a share of the height.
    """
    height, width = image.shape
    y, x = np.ogrid[:height, :width]
    distance = np.hypot(x - center[0] * width, y - center[1] * height) / (np.hypot(height, width) / 2)
    light = 1 - np.float32(change) * np.minimum(distance**2, 1 / abs(change) - 0.05).astype(np.float32)
    return light * (image - image.mean() + np.float32(6 * image.std()))


def enlarged_from(image: np.ndarray, factor: float) -> np.ndarray:
    """Image without the frequencies that a file with `factor` times as large pixels does not have."""
    spectrum = scipy.fft.rfft2(image)
    finest = 0.5 / factor
    spectrum[np.abs(scipy.fft.fftfreq(image.shape[0])) > finest] = 0
    spectrum[:, scipy.fft.rfftfreq(image.shape[1]) > finest] = 0
    return scipy.fft.irfft2(spectrum, s=image.shape).astype(np.float32)


def border_area(shape: Shape, widths_px: tuple[int, int, int, int]) -> np.ndarray:
    """Mask of the pixels within the widths of the border: top, bottom, left, right."""
    top, bottom, left, right = widths_px
    covered = np.ones(shape, dtype=bool)
    covered[top : shape[0] - bottom, left : shape[1] - right] = False
    return covered


def dark_border(image: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """Set the covered pixels to one dark value, as where detector or beam end."""
    return np.where(covered, image.min() - 2 * image.std(), image)


def mean_border(image: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """Set the covered pixels to the mean, as frames that were shifted leave it."""
    return np.where(covered, image.mean(), image)


def streaked_border(image: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """Repeat the outermost pixels that are not covered, as denoisers and motion correction do."""
    rows, columns = np.flatnonzero(~covered.all(axis=1)), np.flatnonzero(~covered.all(axis=0))
    y = np.clip(np.arange(image.shape[0]), rows[0], rows[-1])
    x = np.clip(np.arange(image.shape[1]), columns[0], columns[-1])
    return image[np.ix_(y, x)]


def quantised(image: np.ndarray, clipped_percent: float) -> np.ndarray:
    """Grey levels 0 to 255 of an 8-bit file; `clipped_percent` of the pixels are clipped at either end."""
    low, high = np.percentile(image, [clipped_percent, 100 - clipped_percent])
    scale = (GREY_LEVELS - 1) / max(float(high - low), 1e-12)
    return np.rint(np.clip((image - low) * scale, 0, GREY_LEVELS - 1))


DENOISERS: Mapping[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "gaussian": gaussian,
    "median": median,
    "nonlocal_means": nonlocal_means,
    "wiener": wiener,
}
LOCAL_CONTRASTS: Mapping[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "deviation": local_deviation,
    "equalisation": local_equalisation,
}
BORDERS: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "dark": dark_border,
    "mean": mean_border,
    "streaks": streaked_border,
}
