"""Labels: for every pixel, background (0) or particle (1)."""

import numpy as np
import skimage.filters

from crisp_core.errors import UserError

GLOBAL_THRESHOLDS = ("li", "otsu", "yen", "isodata", "triangle", "minimum", "mean")
LOCAL_THRESHOLDS = ("local", "niblack", "sauvola")
THRESHOLDS = GLOBAL_THRESHOLDS + LOCAL_THRESHOLDS


def threshold_label(image: np.ndarray, *, method: str = "li", window_px: int = 51) -> np.ndarray:
    """Label the pixels above a threshold of scikit-image.

    Meant for a clean micrograph without CTF, particles bright: there the contour of the projections is the label.

    Parameters
    ----------
    image : (h, w) array
    method : str
        Name of a `skimage.filters.threshold_…`: li, otsu, yen, isodata, triangle, minimum, mean (one threshold for the
        image), or local, niblack, sauvola (one per pixel).
    window_px : int
        Side of the neighbourhood of the local ones, odd.

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
    options = {"block_size" if method == "local" else "window_size": window_px} if method in LOCAL_THRESHOLDS else {}
    if method == "li":
        # The default, half the smallest gap between two values, never ends on a large float image.
        options = {"tolerance": 1e-3 * float(image.std())}
    try:
        threshold = getattr(skimage.filters, f"threshold_{method}")(image, **options)
    except (RuntimeError, ValueError) as error:
        raise UserError(f"threshold: {method} finds none ({error}); choose another, for instance li") from None
    return (image > threshold).astype(np.uint8)


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
