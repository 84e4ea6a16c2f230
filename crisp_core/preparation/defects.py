"""Defects of a micrograph: bad pixels and lines, which are replaced, and borders without an image, which are masked."""

import numpy as np
from scipy import ndimage

from crisp_core.robust import SD_PER_MAD

# Pixels farther from the median, in standard deviations, are defects of the camera: noise never reaches that.
OUTLIER_SDS = 10.0
# A bad line's mean differs from its neighbours' by so many times what lines usually differ, and by half a pixel's
# standard deviation or more.
LINE_SDS, LEAST_LINE_SDS = 10.0, 0.5
# Lines whose median is a line's surroundings: up to four bad ones side by side are found.
LINE_WINDOW = 9
# Bad pixels are replaced by the mean of the good ones so far away or nearer.
REACH_PX = 2
CHUNK_PIXELS = 2**18
# Dark areas are looked for on every n-th pixel, such that the longer side has about so many, in blocks of so many.
COARSE_PX, BLOCK_PX = 768, 16
# The edge of a dark area is blurred by SMOOTH_PX, and the area widened by MARGIN_PX, on the coarse grid.
SMOOTH_PX, MARGIN_PX = 2.0, 4
# Real carbon films reach 3, an opaque grid bar 29 (tests/preparation/test_defects.py measures them).
DEEP_SDS = 6.0
# Where no electrons arrive, there is little noise; real micrographs have no dark part with less than 0.85.
QUIET = 0.5
# A gradient over the whole micrograph reaches 3.
LEAST_SEPARATION = 5.0
SMALLEST_SHARE = 0.02


def without_outliers(image: np.ndarray, usable: np.ndarray, *, median: float, sd: float) -> np.ndarray:
    """Replace hot and dead pixels and lines by their surroundings.

    A pixel is bad if it is more than 10 standard deviations from the median, a row or column if its mean leaves that of
    its neighbours (see the constants). What has no good pixel near it is no defect of the camera but a thing, and is
    clipped.

    Parameters
    ----------
    image : (h, w) float32 array
    usable : (h, w) bool array
        Pixels that count; the others are clipped only.
    median, sd : float
        Of the usable pixels, robust.

    Returns
    -------
    (h, w) float32 array
    """
    limit = OUTLIER_SDS * sd
    clipped = np.clip(image, np.float32(median - limit), np.float32(median + limit))
    bad = usable & (clipped != image)
    # both from what was clipped: a few hot pixels make no bad line
    lines = [_bad_lines(clipped, usable, axis=axis, sd=sd) for axis in (1, 0)]
    bad[lines[0]] |= usable[lines[0]]
    bad[:, lines[1]] |= usable[:, lines[1]]
    return _replaced(clipped, bad, usable & ~bad)


def _bad_lines(image: np.ndarray, usable: np.ndarray, *, axis: int, sd: float) -> np.ndarray:
    """Numbers of the rows (axis 1) or columns (axis 0) whose mean leaves that of their neighbours."""
    n_usable = np.count_nonzero(usable, axis=axis)
    numbers = np.flatnonzero(n_usable > n_usable.max() / 2)
    means = image.sum(axis=axis, dtype=float, where=usable)[numbers] / n_usable[numbers]
    # mirrored: with copies of the outermost line beyond the edge, that line would be its own median
    change = np.abs(means - ndimage.median_filter(means, LINE_WINDOW, mode="mirror"))
    usual = SD_PER_MAD * float(np.median(change))
    return numbers[change > max(LINE_SDS * usual, LEAST_LINE_SDS * sd)]


def _replaced(image: np.ndarray, bad: np.ndarray, good: np.ndarray) -> np.ndarray:
    """Bad pixels become the mean of the good ones around; without any they stay."""
    result, (rows, columns) = image.copy(), np.nonzero(bad)
    steps = np.arange(-REACH_PX, REACH_PX + 1)
    for start in range(0, rows.size, CHUNK_PIXELS):
        y, x = rows[start : start + CHUNK_PIXELS], columns[start : start + CHUNK_PIXELS]
        around = (
            np.clip(y[:, None, None] + steps[:, None], 0, image.shape[0] - 1),
            np.clip(x[:, None, None] + steps, 0, image.shape[1] - 1),
        )
        counts = good[around]
        n_good = counts.sum(axis=(1, 2))
        means = np.where(counts, image[around], 0).sum(axis=(1, 2), dtype=float) / np.maximum(n_good, 1)
        result[y, x] = np.where(n_good > 0, means, image[y, x])
    return result


def dark_area(image: np.ndarray, border: np.ndarray) -> np.ndarray:
    """Find the part of a micrograph that the beam did not reach, from the edge of the frame inwards.

    Block medians fall into two classes (Otsu). The darker one is outside of the beam, or behind something opaque, if
    the classes are apart from each other by far more than either varies (a gradient is not), and either by 6 times the
    noise within a block, or if it has less than half the noise of the other. Carbon films are neither.

    Parameters
    ----------
    image : (h, w) array
    border : (h, w) bool array
        Pixels at the edge of the frame that are known not to count (margin, `invalid_border`).

    Returns
    -------
    (h, w) bool array

    Source: Otsu 1979, IEEE Trans. Syst. Man Cybern. 9:62.
    """
    step = max(1, max(image.shape) // COARSE_PX)
    coarse, rim = image[::step, ::step], border[::step, ::step]
    levels = _dark_and_bright(coarse, rim)
    if levels is None:
        return np.zeros(image.shape, dtype=bool)
    smooth = ndimage.gaussian_filter(np.clip(coarse, *levels).astype(np.float32), SMOOTH_PX)
    regions, _ = ndimage.label((smooth < sum(levels) / 2) | rim)
    outer = np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]])
    found = np.isin(regions, outer[outer > 0])
    found = ndimage.binary_dilation(found, iterations=MARGIN_PX)
    return found.repeat(step, axis=0).repeat(step, axis=1)[: image.shape[0], : image.shape[1]]


def _dark_and_bright(image: np.ndarray, border: np.ndarray) -> tuple[float, float] | None:
    """Grey levels of a dark area and of the rest, where there is one (see `dark_area`)."""
    # the main process of Snakemake imports this module
    from skimage.filters import threshold_otsu

    usable = ~_blocks(border).any(axis=-1)
    if np.count_nonzero(usable) < 4:
        return None
    low, middle, high = np.quantile(_blocks(image)[usable], (0.16, 0.5, 0.84), axis=-1)
    if middle.min() == middle.max():
        return None
    dark = middle < threshold_otsu(middle)
    if not SMALLEST_SHARE <= dark.mean() < 1:
        return None
    levels, noise = [], []
    for part in (dark, ~dark):
        levels.append(float(np.median(middle[part])))
        noise.append(float(np.median(high[part] - low[part])) / 2)
    jump, spread = levels[1] - levels[0], np.median(np.abs(middle - np.where(dark, *levels)))
    deep = jump > DEEP_SDS * noise[1] > 0 and dark.mean() < 0.5
    quiet = jump > noise[1] and noise[0] < QUIET * noise[1]
    apart = jump > LEAST_SEPARATION * SD_PER_MAD * spread
    return (levels[0], levels[1]) if apart and (deep or quiet) else None


def _blocks(image: np.ndarray) -> np.ndarray:
    """View (rows, columns, pixels) of the whole square blocks."""
    rows, columns = (n // BLOCK_PX for n in image.shape)
    whole = image[: rows * BLOCK_PX, : columns * BLOCK_PX]
    return whole.reshape(rows, BLOCK_PX, columns, BLOCK_PX).swapaxes(1, 2).reshape(rows, columns, BLOCK_PX**2)


def invalid_border(image: np.ndarray) -> np.ndarray:
    """Find borders that are smeared copies of one row or column, as motion correction and denoisers leave them.

    A row that is copied does not differ from its neighbour: where the mean absolute difference of two rows is below 5 %
    of the image's median one, for at least 4 rows in an outer eighth of the image, all from there outwards is invalid,
    and so is the ramp behind it up to 50 %. Columns alike.

    Returns
    -------
    (h, w) bool array, True where invalid
    """
    invalid = np.zeros(image.shape, dtype=bool)
    # Every fourth sample of a line is enough for its mean.
    top, bottom = _smeared_ends(np.abs(np.diff(image[:, ::4], axis=0)).mean(axis=1))
    left, right = _smeared_ends(np.abs(np.diff(image[::4], axis=1)).mean(axis=0))
    height, width = image.shape
    invalid[:top], invalid[height - bottom :] = True, True
    invalid[:, :left], invalid[:, width - right :] = True, True
    return invalid


def _smeared_ends(change: np.ndarray) -> tuple[int, int]:
    """Lines to discard at either end, from the change (n - 1,) between neighbouring lines."""
    typical = float(np.median(change))
    return _smeared_lines(change, typical), _smeared_lines(change[::-1], typical)


def _smeared_lines(change: np.ndarray, typical: float) -> int:
    outer = change[: change.size // 8]
    copied = np.flatnonzero(outer < 0.05 * typical)
    if copied.size < 4:
        return 0
    # The last smeared line and the first true one are still alike, so the ramp is cut, too.
    ramp = np.flatnonzero(change[copied[-1] :] >= 0.5 * typical)
    return int(copied[-1] + ramp[0])
