"""Labels from thresholds of a clean micrograph: background (0) and particle (1)."""

import math

import numpy as np
import skimage.filters

from crisp_core.errors import UserError

GLOBAL_THRESHOLDS = ("li", "otsu", "yen", "isodata", "triangle", "minimum", "mean", "multiotsu", "hysteresis")
LOCAL_THRESHOLDS = ("local", "niblack", "sauvola")
THRESHOLDS = GLOBAL_THRESHOLDS + LOCAL_THRESHOLDS
# Multi-Otsu tells background, thin and thick parts of the particles apart.
OTSU_CLASSES = 3
# A window of the local thresholds that is wider than the particle by this shows it with its surroundings.
WINDOW_DIAMETERS = 1.5


def threshold_label(image: np.ndarray, *, method: str = "li", window_px: int = 51) -> np.ndarray:
    """Label the pixels above a threshold of scikit-image.

    Meant for a clean micrograph without CTF, particles bright: there the contour of the projections is the label.

    Parameters
    ----------
    image : (h, w) array
    method : str
        Name of a `skimage.filters.threshold_…`: li, otsu, yen, isodata, triangle, minimum, mean (one threshold for the
        image), multiotsu (the lower of the two between three classes), hysteresis (pixels above the lower one that are
        connected to pixels above the higher one, of those two), or local, niblack, sauvola (one threshold per pixel,
        and nowhere less than the image's mean, since they find one in an empty window, too).
    window_px : int
        Side of the neighbourhood of the local ones, odd: see `local_window_px`.

    Returns
    -------
    (h, w) uint8 array
        0 background, 1 particle; all 0 for a constant image (no particles).

    Raises
    ------
    UserError
        If the method is unknown, or finds no threshold.

    References
    ----------
    Li & Tam 1998, Pattern Recognit. Lett. 19:771 (minimum cross-entropy).
    """
    if method not in THRESHOLDS:
        raise UserError(f"threshold: {method} is not one; give one of {', '.join(THRESHOLDS)}")
    if image.min() == image.max():
        return np.zeros(image.shape, dtype=np.uint8)
    try:
        return _above_threshold(image, method, window_px).astype(np.uint8)
    except (RuntimeError, ValueError) as error:
        raise UserError(f"threshold: {method} finds none ({error}); choose another, for instance li") from None


def _above_threshold(image: np.ndarray, method: str, window_px: int) -> np.ndarray:
    if method == "li":
        # The default, half the smallest gap between two values, never ends on a large float image.
        return image > skimage.filters.threshold_li(image, tolerance=1e-3 * float(image.std()))
    if method in LOCAL_THRESHOLDS:
        option = "block_size" if method == "local" else "window_size"
        threshold = getattr(skimage.filters, f"threshold_{method}")(image, **{option: window_px})
        # A window without a particle has a threshold, too, and half of its faint ripple is above it.
        return image > np.maximum(threshold, image.mean(dtype=float))
    if method in ("multiotsu", "hysteresis"):
        low, high = skimage.filters.threshold_multiotsu(image, classes=OTSU_CLASSES)
        return image > low if method == "multiotsu" else skimage.filters.apply_hysteresis_threshold(image, low, high)
    return image > getattr(skimage.filters, f"threshold_{method}")(image)


def local_window_px(diameter_px: float) -> int:
    """Side of the local thresholds' window for particles of a diameter: the next odd number from one and a half on."""
    return max(3, 2 * math.ceil((WINDOW_DIAMETERS * diameter_px - 1) / 2) + 1)
