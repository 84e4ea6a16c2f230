"""Images for other programs, and the picks that they give."""

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from crisp_core.errors import UserError
from crisp_core.formats.arrays import Array, Grid
from crisp_core.formats.coordinates.table import COLUMNS
from crisp_core.formats.mrc import write_mrc
from crisp_core.geometry import rescaled_shape

log = logging.getLogger("crisp")


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
        Å/px to which they are down-sampled; images that are as coarse are not changed.

    Returns
    -------
    dict of str to Grid
        Shape and pixel size as written, and the shape of the micrograph.
    """
    # scikit-image comes with it, and the main process of Snakemake imports this module
    from crisp_core.preparation.normalization import fourier_resample

    grids = {}
    for name, image in images:
        written = max(pixel_size or 0, image.pixel_size)
        shape = rescaled_shape(image.data.shape, image.pixel_size, written)
        data = image.data if shape == image.data.shape else fourier_resample(image.data, shape)
        write_mrc(Path(folder) / f"{name}.mrc", data, pixel_size=written, dtype=np.float32)
        grids[name] = Grid(shape, written, image.full_shape)
    return grids


def pick_together_or_alone(
    names: Sequence[str], pick: Callable[[Sequence[str]], pd.DataFrame]
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Picks of a program on micrographs; if it fails on all together, each is tried alone.

    A failure on a single micrograph counts as the micrograph's, since it must not stop the others; one on every
    micrograph of several counts as the program's.

    Parameters
    ----------
    names : sequence of str
        Micrographs.
    pick : function
        Picks on some of them, by one call of the program.

    Returns
    -------
    picks : DataFrame
    failed : dict of str to str
        Reason by micrograph, of those on which the program fails.

    Raises
    ------
    UserError
        If the program fails on every one of several micrographs.
    """
    try:
        return (pick(names) if names else joined([])), {}
    except UserError as error:
        if len(names) == 1:
            return joined([]), {names[0]: f"{names[0]}: {error}"}
        log.warning("%s; trying each of %d micrographs alone", error, len(names))
        all_fail = f"{error}; it fails on {' and '.join(names[:2])}{' and others' if len(names) > 2 else ''}, so"
    tables, failed = [], {}
    for name in names:
        try:
            tables.append(pick([name]))
        except UserError as error:
            failed[name] = f"{name}: {error}"
    if not tables:
        raise UserError(f"{all_fail} repair the program, or leave these micrographs out of the dataset")
    return joined(tables), failed


def joined(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Tables of picks below each other; of none, a table without rows."""
    filled = [table[list(COLUMNS)] for table in tables if len(table)]
    if filled:
        return pd.concat(filled, ignore_index=True)
    return pd.DataFrame({column: pd.Series(dtype=str if column == "micrograph" else float) for column in COLUMNS})
