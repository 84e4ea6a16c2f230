"""Stacks of particle images as MRC files."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from crisp_core.formats.mrc import mrc_header


def write_stack(
    path: str | Path,
    chunks: Iterable[np.ndarray],
    *,
    size_px: int,
    pixel_size: float,
    dtype: np.typing.DTypeLike = np.float32,
) -> int:
    """Write particle images to one `.mrcs` file, with one chunk in memory at a time.

    Parameters
    ----------
    path : str or Path
        File to write. Equal input gives equal bytes.
    chunks : iterable of np.ndarray
        Stacks (m, size_px, size_px); m may be 0. Without images, the file is a header with 0 images.
    size_px : int
        Side of every image.
    pixel_size : float
        Pixel size of the images, Å/px.
    dtype : DTypeLike
        Type of the grey values, float32 or float16. Values beyond ±65,504, the range of float16, become its ends.

    Returns
    -------
    int
        Number of images written.
    """
    count, low, high, total, squares = 0, np.inf, -np.inf, 0.0, 0.0
    with open(path, "wb") as file:
        file.write(mrc_header((0, size_px, size_px), dtype=dtype, pixel_size=pixel_size, stack=True))
        for chunk in chunks:
            if chunk.shape[1:] != (size_px, size_px):
                raise ValueError(f"images of {chunk.shape[1:]} do not fit a stack of {size_px}²")
            if len(chunk) == 0:
                continue
            limits = np.finfo(dtype)
            data = np.ascontiguousarray(np.clip(chunk, limits.min, limits.max), dtype=np.dtype(dtype).newbyteorder("<"))
            file.write(data.data)
            count += len(data)
            low, high = min(low, float(data.min())), max(high, float(data.max()))
            for image in data.reshape(len(data), -1):
                values = image.astype(np.float64)
                total, squares = total + values.sum(), squares + np.einsum("i,i", values, values)
        if count:
            mean, mean_square = total / (count * size_px**2), squares / (count * size_px**2)
            statistics = (low, high, mean, np.sqrt(max(mean_square - mean**2, 0)))
            shape = (count, size_px, size_px)
            file.seek(0)
            file.write(mrc_header(shape, dtype=dtype, pixel_size=pixel_size, statistics=statistics, stack=True))
    return count
