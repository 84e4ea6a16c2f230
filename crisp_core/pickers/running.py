"""Images for other programs, and the picks that they give."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from crisp_core.arrays import Array, Grid
from crisp_core.geometry import rescaled_shape
from crisp_core.micrographs import write_mrc
from crisp_core.normalization import fourier_downsample
from crisp_core.star import COLUMNS


def write_images(
    images: Iterable[tuple[str, Array]], folder: str | Path, *, pixel_size: float | None = None
) -> dict[str, Grid]:
    """Write images as `folder/<micrograph>.mrc`, one at a time.

    Parameters
    ----------
    images : iterable of (micrograph, Array)
    folder : str or Path
        Existing folder.
    pixel_size : float, optional
        Å/px to which they are down-sampled; images that are as coarse already stay as they are.

    Returns
    -------
    dict of str to Grid
        Shape and pixel size as written, and the shape of the micrograph.
    """
    grids = {}
    for name, image in images:
        written = max(pixel_size or 0, image.pixel_size)
        shape = rescaled_shape(image.data.shape, image.pixel_size, written)
        data = image.data if shape == image.data.shape else fourier_downsample(image.data, shape)
        write_mrc(Path(folder) / f"{name}.mrc", data, pixel_size=written, dtype=np.float32)
        grids[name] = Grid(shape, written, image.full_shape)
    return grids


def joined(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Tables of picks below each other; of none, a table without rows."""
    filled = [table[list(COLUMNS)] for table in tables if len(table)]
    if filled:
        return pd.concat(filled, ignore_index=True)
    return pd.DataFrame({column: pd.Series(dtype=str if column == "micrograph" else float) for column in COLUMNS})
