"""Lengths in Å and pixels, box sizes, and coordinates on another grid.

A pixel's coordinate is that of its centre, and the first pixel's centre is (0, 0). Fourier resampling of an axis from
`n` to `m` samples keeps the first sample where it is, so a coordinate scales by exactly m / n, with no half-pixel term.
"""

import numpy as np
import scipy

Shape = tuple[int, int]
# Threads of a Fourier transform; the rules that use them ask for as many.
FFT_THREADS = 2


def angstrom_to_px(length_angstrom: float, pixel_size: float) -> float:
    """Length in pixels of `length_angstrom` at `pixel_size` Å/px."""
    return length_angstrom / pixel_size


def rescaled_shape(shape: Shape, pixel_size: float, new_pixel_size: float) -> Shape:
    """Shape (height, width) of an image after resampling from `pixel_size` to `new_pixel_size` (both Å/px).

    Parameters
    ----------
    shape : (int, int)
        Height and width of the image, in px.
    pixel_size, new_pixel_size : float
        Pixel sizes before and after resampling, in Å/px.
    """
    height, width = (max(1, round(n * pixel_size / new_pixel_size)) for n in shape)
    return height, width


def middle_window(shape: Shape, sides: Shape) -> tuple[slice, slice]:
    """Rows and columns of the middle of an image, at most as high and wide as it.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the image, in px.
    sides : (int, int)
        Height and width of the window, in px.
    """
    height, width = (min(side, n) for side, n in zip(sides, shape, strict=True))
    top, left = (shape[0] - height) // 2, (shape[1] - width) // 2
    return slice(top, top + height), slice(left, left + width)


def rescaled_xy(xy: np.ndarray, shape: Shape, new_shape: Shape) -> np.ndarray:
    """Coordinates (n, 2) as (x, y) on a grid of `shape`, expressed on the same image's grid of `new_shape`.

    Parameters
    ----------
    xy : (n, 2) array
        Coordinates as (x, y), in px of the grid of `shape`.
    shape, new_shape : (int, int)
        Height and width of the old and of the new grid, in px.
    """
    factors = np.array([new_shape[1] / shape[1], new_shape[0] / shape[0]])
    return np.asarray(xy, dtype=float).reshape(-1, 2) * factors


def flipped_y(y: np.ndarray, height: int) -> np.ndarray:
    """Row coordinates seen from the other end of an image of `height` rows: height − 1 − y."""
    return (height - 1) - np.asarray(y, dtype=float)


def box_size_px(box_angstrom: float, pixel_size: float) -> int:
    """Side of a box in px: the next even size with a fast Fourier transform, a twentieth of a px ignored.

    So a size in Å that was made from one in px, by a division and a few digits of text, gives the same box again.

    Parameters
    ----------
    box_angstrom : float
        Least side, Å.
    pixel_size : float
        Pixel size of the micrographs, Å/px.
    """
    return even_fft_size(round(angstrom_to_px(box_angstrom, pixel_size), 1))


def even_fft_size(n: float) -> int:
    """Smallest even size ≥ `n` with only the prime factors 2, 3 and 5, for fast Fourier transforms."""
    return 2 * scipy.fft.next_fast_len(int(np.ceil(n / 2)), real=True)
