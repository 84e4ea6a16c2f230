"""Labels: the class of every pixel, background (0), particle (1), contaminant (2) or carbon (3)."""

import math

import numpy as np
import skimage.filters

from crisp_core.classes import CARBON, CONTAMINANT, PARTICLE
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
        return _above(image, method, window_px).astype(np.uint8)
    except (RuntimeError, ValueError) as error:
        raise UserError(f"threshold: {method} finds none ({error}); choose another, for instance li") from None


def _above(image: np.ndarray, method: str, window_px: int) -> np.ndarray:
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


def signed_label(label: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Label (h, w) int8 for other programs: the classes' numbers, and −1 where pixels count for nothing."""
    return np.where(valid, label, -1).astype(np.int8)


def local_window_px(diameter_px: float) -> int:
    """Side of the local thresholds' window for particles of a diameter: the next odd number from one and a half on."""
    return max(3, 2 * math.ceil((WINDOW_DIAMETERS * diameter_px - 1) / 2) + 1)


def with_scenery(label: np.ndarray, scenery: np.ndarray) -> np.ndarray:
    """Lay contaminants and carbon over a label of particles.

    A contaminant (2) covers what is under it; a particle (1) stays visible on carbon (3); carbon covers background (0).

    Parameters
    ----------
    label : (h, w) uint8 array
        0 background, 1 particle.
    scenery : (H, W) uint8 array
        Classes of the same micrograph on the same or a finer grid, sampled where the label's pixels are.

    Returns
    -------
    (h, w) uint8 array
    """
    rows, columns = (
        np.minimum(np.rint(np.arange(n) * (fine / n)).astype(int), fine - 1)
        for n, fine in zip(label.shape, scenery.shape, strict=True)
    )
    sampled = scenery[np.ix_(rows, columns)]
    covers = (sampled == CONTAMINANT) | ((sampled == CARBON) & (label != PARTICLE))
    return np.where(covers, sampled, label)


def disc_label(shape: tuple[int, int], xy: np.ndarray, *, radius_px: float) -> np.ndarray:
    """Label the pixels whose centre is within `radius_px` of any of the positions.

    Parameters
    ----------
    shape : (int, int)
        Height and width.
    xy : (n, 2) array
        Positions as (x, y) in px; discs that reach over the edge are cut.
    radius_px : float

    Returns
    -------
    shape uint8 array
        0 background, 1 particle.
    """
    label = np.zeros(shape, dtype=np.uint8)
    for x, y in np.asarray(xy, dtype=float).reshape(-1, 2):
        rows = np.arange(max(0, int(np.ceil(y - radius_px))), min(shape[0] - 1, int(np.floor(y + radius_px))) + 1)
        columns = np.arange(max(0, int(np.ceil(x - radius_px))), min(shape[1] - 1, int(np.floor(x + radius_px))) + 1)
        if rows.size and columns.size:
            inside = (rows[:, None] - y) ** 2 + (columns - x) ** 2 <= radius_px**2
            label[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] |= inside
    return label
