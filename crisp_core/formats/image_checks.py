"""Checks of image files and of their grey values, for all formats of images and maps."""

import math
from pathlib import Path

import numpy as np

from crisp_core.errors import UserError, opening

# Twice the largest camera frame in use (Gatan K3 in super-resolution: 11,520 × 8,184).
MAX_PIXELS = 2**28
# Maximum compression of noise; a picture that declares more pixels per byte is damaged.
MAX_PIXELS_PER_BYTE = 1000
# Beyond the counts of any camera; the squares of smaller values fit into 32-bit floats.
MAX_VALUE = 1e12


def check_readable(path: Path) -> None:
    """Refuse a file that is missing, cannot be read or is empty."""
    try:
        with opening(path), open(path, "rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); copy the file again") from None
    if empty:
        raise UserError(f"{path}: is empty (0 bytes); copy the file again")


def check_pixel_count(path: Path, height: int, width: int, colours: int = 1, *more: int) -> None:
    """Refuse an image that declares more pixels than a camera has, or than its file can hold.

    Parameters
    ----------
    path : Path
        The file; its size is compared with the number of pixels.
    height, width : int
        Shape of the image in pixels.
    colours, *more : int
        Lengths of further axes.
    """
    n_bytes, n_values = path.stat().st_size, math.prod([height, width, colours, *more])
    if n_values > MAX_PIXELS * 4 or height * width > MAX_PIXELS:
        raise UserError(f"{path}: declares {width} × {height} pixels, more than any camera has; convert it again")
    if n_values > MAX_PIXELS_PER_BYTE * n_bytes:
        raise UserError(f"{path}: declares {width} × {height} pixels in {n_bytes} bytes; copy or convert it again")


def check_values(path: Path, values: np.ndarray) -> None:
    """Refuse grey values with NaN, infinity or a number beyond 1e12, and constant ones."""
    low, high = values.min(), values.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise UserError(f"{path}: holds NaN or infinite values; process it again, or leave it out of the dataset")
    if max(-low, high) > MAX_VALUE:
        raise UserError(
            f"{path}: holds a value of {high if high > MAX_VALUE else low:.3g}, beyond {MAX_VALUE:g}; process it again "
            "or leave it out of the dataset"
        )
    if low == high:
        raise UserError(f"{path}: every pixel is {low:g}, so it shows no image; leave it out of the dataset")


def average_colours(pixels: np.ndarray) -> np.ndarray:
    """Average the colours of (y, x, colour); an alpha channel does not count."""
    if pixels.ndim == 3 and pixels.shape[2] in (2, 3, 4):
        return pixels[:, :, : 1 if pixels.shape[2] == 2 else 3].mean(axis=2, dtype=np.float32)
    return pixels
