"""Labels from thresholds of a clean micrograph: background (0) and particle (1)."""

import math

import numpy as np
import skimage.filters

from crisp_core.errors import UserError

GLOBAL_THRESHOLDS = ("li", "otsu", "yen", "isodata", "triangle", "minimum", "mean", "multiotsu", "hysteresis")
LOCAL_THRESHOLDS = ("local", "niblack", "sauvola")
THRESHOLDS = GLOBAL_THRESHOLDS + LOCAL_THRESHOLDS
# Multi-Otsu distinguishes background, thin and thick parts of particles.
OTSU_CLASSES = 3
# Side of the window of local thresholds in particle diameters: a particle with its surroundings.
WINDOW_DIAMETERS = 1.5


def threshold_label(image: np.ndarray, *, method: str = "li", window_px: int = 51) -> np.ndarray:
    """Label the pixels above a threshold of scikit-image.

    The image should be a clean micrograph without CTF, particles bright: the label is then the contour of the
    projections.

    Parameters
    ----------
    image : (h, w) array
        Image, particles bright.
    method : str
        Name of a `skimage.filters.threshold_…`: li, otsu, yen, isodata, triangle, minimum, mean (one threshold for the
        image); multiotsu (the lower of two thresholds between three classes); hysteresis (pixels above that lower
        threshold and connected to pixels above the higher one); local, niblack, sauvola (one threshold per pixel, at
        least the mean of the image, since a window without particles would otherwise get a threshold in its noise).
    window_px : int
        Side of the window of local thresholds, odd; see `local_window_px`.

    Returns
    -------
    (h, w) uint8 array
        0 background, 1 particle; all 0 for a constant image (no particles).

    Raises
    ------
    UserError
        If the method is unknown or fails.

    References
    ----------
    Li & Tam 1998, Pattern Recognit. Lett. 19:771 (minimum cross-entropy).
    """
    if method not in THRESHOLDS:
        raise UserError(f"threshold: {method} is unknown; give one of {', '.join(THRESHOLDS)}")
    if image.min() == image.max():
        return np.zeros(image.shape, dtype=np.uint8)
    try:
        return _above_threshold(image, method, window_px).astype(np.uint8)
    except (RuntimeError, ValueError) as error:
        raise UserError(f"threshold: {method} fails ({error}); choose another, such as li") from None


def _above_threshold(image: np.ndarray, method: str, window_px: int) -> np.ndarray:
    if method == "li":
        # With the default tolerance, half the smallest gap between two values, a large float image takes forever.
        return image > skimage.filters.threshold_li(image, tolerance=1e-3 * float(image.std()))
    if method in LOCAL_THRESHOLDS:
        option = "block_size" if method == "local" else "window_size"
        threshold = getattr(skimage.filters, f"threshold_{method}")(image, **{option: window_px})
        # In a window without particles, half of the faint noise is above the local threshold.
        return image > np.maximum(threshold, image.mean(dtype=float))
    if method in ("multiotsu", "hysteresis"):
        low, high = skimage.filters.threshold_multiotsu(image, classes=OTSU_CLASSES)
        return image > low if method == "multiotsu" else skimage.filters.apply_hysteresis_threshold(image, low, high)
    return image > getattr(skimage.filters, f"threshold_{method}")(image)


def local_window_px(diameter_px: float) -> int:
    """Return the side of the window of local thresholds: one and a half diameters, rounded up to an odd number."""
    return max(3, 2 * math.ceil((WINDOW_DIAMETERS * diameter_px - 1) / 2) + 1)
