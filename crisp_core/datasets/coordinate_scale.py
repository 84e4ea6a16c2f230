"""Test whether coordinates fit their micrographs clearly better at another scale or orientation than stated.

Coordinates picked on binned micrographs lie in a corner of the full-resolution frame. On particles, the local contrast
(`origin.contrast_kernel`) has one sign; elsewhere its mean is about 0. So the coordinates are multiplied by many
factors, from the stated origin and from the other one, and the contrasts are compared.
"""

from typing import NamedTuple

import numpy as np
import scipy

from crisp_core.formats.coordinates.origin import contrast_kernel
from crisp_core.geometry import Shape, rescaled_xy

# Largest factor, and its reciprocal the smallest.
LARGEST_FACTOR = 16.0
# Minimum share of the coordinates on the micrograph with which a factor is possible.
INSIDE = 0.9
# Minimum distance of the mean contrast of a factor from 0, in standard errors. For random coordinates on
# micrographs of EMPIAR-10017 and -10146, the best factor reaches 6.
FIT_T = 8.0
# Minimum ratio of its contrast to that of the stated scale.
FIT_RATIO = 2.0
# Usual factors; one of them is reported if it is as good as the best.
USUAL = (1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12, 16)


# Orientations of the picked image of w × h pixels, and the conversion of coordinates from the top-left.
# Upside down is missing, since it is the other origin.
ORIENTATIONS = (
    "as stated",
    "mirrored from left to right: x becomes {w} − x",
    "turned by 180°: x becomes {w} − x, and y {h} − y",
    "with x and y swapped: x becomes y, and y x",
    "turned by 90°: x becomes y, and y {h} − x",
    "turned by 90°: x becomes {w} − y, and y x",
    "with x and y swapped and turned by 180°: x becomes {w} − y, and y {h} − x",
)


class Contrasts(NamedTuple):
    """Sums over coordinates, for every factor (rows) from the stated origin and from the other one (two columns).

    `n`, `total` and `squares` are of the contrasts at coordinates that lie in different places of the micrograph;
    `inside` counts the coordinates on the micrograph, of `given` in all.
    """

    n: np.ndarray
    total: np.ndarray
    squares: np.ndarray
    inside: np.ndarray
    given: int


class Fit(NamedTuple):
    """A factor and origin that fit; mean contrast there and as stated (0 where that lies outside the micrographs)."""

    factor: float
    flipped: bool
    contrast: float
    stated: float


def scale_factors(shape: Shape, *, diameter_px: float) -> np.ndarray:
    """Factors to try; the first is 1.

    One step moves a particle at the far edge by a quarter of its diameter, so that the nearest factor misses it by at
    most an eighth. Factors that move it by less than its diameter are left out: such coordinates still lie on most
    particles, and with imprecise centres, one of these factors may fit better by chance.

    Parameters
    ----------
    shape : (height, width)
        Shape of the micrograph in pixels.
    diameter_px : float
        Particle diameter in pixels of the micrograph.
    """
    step = np.log1p(diameter_px / 4 / max(shape))
    n = int(np.log(LARGEST_FACTOR) / step) + 1
    factors = np.exp(step * np.arange(-n, n + 1))
    far = np.abs(factors - 1) * max(shape) >= diameter_px
    return np.concatenate([[1.0], factors[far]])


def contrast_map(image: np.ndarray, *, radius_px: float) -> np.ndarray:
    """Contrast at every pixel, as in `origin.origin_contrast`: disc minus ring, divided by the image's SD."""
    disc, ring = contrast_kernel(radius_px)
    reach = disc.shape[0] // 2
    padded = np.pad(image.astype(float), reach, mode="edge")
    kernel = disc / disc.sum() - ring / ring.sum()
    return scipy.signal.fftconvolve(padded, kernel, mode="valid") / (np.std(image, dtype=float) or 1.0)


def contrasts_by_factor(
    contrast: np.ndarray, xy: np.ndarray, factors: np.ndarray, *, full_shape: Shape, radius_px: float, origin: str
) -> Contrasts:
    """Contrasts of one micrograph's coordinates, multiplied by each factor.

    Coordinates within one radius of each other count once: a small factor moves all to the same few pixels, whose
    contrasts are not independent.

    Parameters
    ----------
    contrast : (h, w) array
        Result of `contrast_map`.
    xy : (n, 2) array
        Coordinates as (x, y) in pixels of the full micrograph, counted from `origin`.
    factors : (f,) array
        Factors to try.
    full_shape : (height, width)
        Shape of the full micrograph in pixels.
    radius_px : float
        Particle radius in pixels of `contrast`.
    origin : str
        The stated origin, top-left or bottom-left.
    """
    sums = np.zeros((4, len(factors), 2))
    last_row = full_shape[0] - 1
    for i, factor in enumerate(factors):
        for j, upward in enumerate((origin != "top-left", origin == "top-left")):
            x, y = factor * xy.T
            place = np.column_stack([x, last_row - y if upward else y])
            sums[:, i, j] = _sums(contrast, rescaled_xy(place, full_shape, contrast.shape), radius_px)
    n, total, squares, inside = sums
    return Contrasts(n, total, squares, inside, len(xy))


def contrasts_by_orientation(contrast: np.ndarray, xy: np.ndarray, *, full_shape: Shape, radius_px: float) -> Contrasts:
    """Contrasts of one micrograph's coordinates, turned in each of the `ORIENTATIONS`; rows are these, one column.

    Parameters
    ----------
    contrast : (h, w) array
        Result of `contrast_map`.
    xy : (n, 2) array
        Coordinates as (x, y) in pixels of the full micrograph, from its top-left.
    full_shape : (height, width)
        Shape of the full micrograph in pixels.
    radius_px : float
        Particle radius in pixels of `contrast`.
    """
    sums = [
        _sums(contrast, rescaled_xy(place, full_shape, contrast.shape), radius_px) for place in turned(xy, full_shape)
    ]
    n, total, squares, inside = np.array(sums).T[:, :, None]
    return Contrasts(n, total, squares, inside, len(xy))


def turned(xy: np.ndarray, shape: Shape) -> list[np.ndarray]:
    """Coordinates (n, 2) converted from each of the `ORIENTATIONS` of a micrograph of (height, width)."""
    x, y = xy.T
    right, down = shape[1] - 1 - xy.T, shape[0] - 1 - xy.T
    pairs = [(x, y), (right[0], y), (right[0], down[1]), (y, x), (y, down[0]), (right[1], x), (right[1], down[0])]
    return [np.column_stack(pair) for pair in pairs]


def better_orientation(contrasts: Contrasts, *, at_least: int) -> int | None:
    """Number of the orientation that clearly fits while the stated one does not, by the limits of `better_fit`."""
    mean, t = (values[:, 0] for values in mean_and_t(contrasts, at_least=at_least))
    size = np.where(np.abs(t) >= FIT_T, np.abs(mean), 0)
    size[0] = 0
    best = int(np.argmax(size))
    stated = contrasts.total[0, 0] / max(contrasts.n[0, 0], 1)
    return best if size[best] > FIT_RATIO * abs(stated) else None


def _sums(contrast: np.ndarray, xy: np.ndarray, radius_px: float) -> tuple[float, float, float, float]:
    last = np.array(contrast.shape[::-1]) - 1
    on_image = xy[((xy >= -1) & (xy <= last + 1)).all(axis=1)]
    if len(on_image) < INSIDE * len(xy):
        return 0.0, 0.0, 0.0, float(len(on_image))
    column, row = ((on_image + 1) / radius_px).astype(int).T
    one_of = np.full((row.max(initial=0) + 1, column.max(initial=0) + 1), -1)
    one_of[row, column] = np.arange(len(on_image))
    x, y = np.clip(np.rint(on_image[one_of[one_of >= 0]]).astype(int), 0, last).T
    values = contrast[y, x]
    return float(len(values)), float(values.sum()), float((values**2).sum()), float(len(on_image))


def pooled(parts: list[Contrasts]) -> Contrasts:
    """Sums over several micrographs, for the same factors."""
    n, total, squares, inside, given = (np.sum(values, axis=0) for values in zip(*parts, strict=True))
    return Contrasts(n, total, squares, inside, int(given))


def mean_and_t(contrasts: Contrasts, *, at_least: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean contrast and its distance from 0 in standard errors, (f, 2) each; 0 where a factor is impossible.

    A factor is possible where nine tenths of the coordinates lie on the micrographs, in `at_least` different places.
    """
    n = np.maximum(contrasts.n, 2)
    mean = contrasts.total / n
    variance = np.maximum(contrasts.squares / n - mean**2, 0) * n / (n - 1)
    possible = (contrasts.inside >= INSIDE * contrasts.given) & (contrasts.n >= at_least) & (variance > 0)
    t = np.divide(mean, np.sqrt(variance / n), out=np.zeros_like(mean), where=possible)
    return np.where(possible, mean, 0.0), t


def better_fit(contrasts: Contrasts, factors: np.ndarray, *, at_least: int, pixel_size: float) -> Fit | None:
    """Factor at which coordinates clearly fit while they do not at the stated scale; None if there is none.

    Parameters
    ----------
    contrasts : Contrasts
        Sums by factor and origin.
    factors : (f,) array
        The first is 1, the stated scale.
    at_least : int
        Minimum number of different places.
    pixel_size : float
        Å/px of the micrographs; its reciprocal is the factor of coordinates in Å.
    """
    mean, t = mean_and_t(contrasts, at_least=at_least)
    size = np.where((np.abs(t) >= FIT_T) & (factors[:, None] != 1), np.abs(mean), 0)
    best = np.unravel_index(np.argmax(size), size.shape)
    # beyond the edge, the stated scale has few coordinates, which are no evidence
    stated = contrasts.total[0, 0] / max(contrasts.n[0, 0], 1)
    if size[best] <= FIT_RATIO * abs(stated):
        return None
    return Fit(_usual(factors, int(best[0]), pixel_size), bool(best[1]), float(mean[best]), float(stated))


def stated_t(contrasts: Contrasts, *, at_least: int) -> float:
    """Contrast at the stated scale and origin in standard errors; 0 with fewer than `at_least` coordinates."""
    return float(mean_and_t(contrasts, at_least=at_least)[1][0, 0])


def _usual(factors: np.ndarray, best: int, pixel_size: float) -> float:
    """A usual factor within a step of the best one; otherwise the best one with three digits."""
    step = np.log(factors[2] / factors[1])
    for usual in (*USUAL, *(1 / value for value in USUAL), pixel_size, 1 / pixel_size):
        if abs(np.log(factors[best] / usual)) <= step:
            return float(usual)
    return float(f"{factors[best]:.3g}")
