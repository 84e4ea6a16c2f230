"""Pixel sizes (Å/px) that RELION's STAR files state, in each version's columns.

Source: RELION 3.1 and 5 source, `metadata_label.h`.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from crisp_core.errors import UserError
from crisp_core.formats.relion_groups import group_numbers, with_only_group
from crisp_core.formats.relion_labels import MAGNIFICATION_LABELS, PIXEL_SIZE_LABELS
from crisp_core.formats.star import Block, as_table, has_label, number_column, numbers_or_nan


def states_pixel_size(path: str | Path) -> bool:
    """Whether a file is a STAR file with a column for a pixel size; fast, since only lines are compared."""
    labels = (*PIXEL_SIZE_LABELS, *MAGNIFICATION_LABELS)
    return Path(path).suffix.lower() == ".star" and any(has_label(path, label) for label in labels)


def pixel_size_of_micrographs(path: str | Path, micrographs: pd.DataFrame, optics: pd.DataFrame | None) -> np.ndarray:
    """Å/px of every micrograph; that of its movie (rlnMicrographOriginalPixelSize) where nothing else is given.

    Parameters
    ----------
    path : str or Path
        The file, for messages.
    micrographs : pd.DataFrame
        Its block of micrographs.
    optics : pd.DataFrame, optional
        Its block data_optics.

    Returns
    -------
    np.ndarray
        `(n,)`, NaN where the file states no pixel size.
    """
    if set(MAGNIFICATION_LABELS) <= set(micrographs):
        sizes = _from_magnification(path, micrographs)
        return np.where(sizes > 0, sizes, np.nan)
    micrographs = with_only_group(path, optics, micrographs)
    table, rows = micrographs, slice(None)
    if optics is not None and "rlnOpticsGroup" in micrographs:
        numbers, group_of = group_numbers(path, optics, micrographs)
        table, rows = optics, group_of.map(pd.Series(range(len(numbers)), index=numbers)).to_numpy(dtype=int)
    for label in PIXEL_SIZE_LABELS:
        if label in table:
            sizes = numbers_or_nan(path, table, label)[rows]
            return np.where(sizes > 0, sizes, np.nan)
    return np.full(len(micrographs), np.nan)


def stated_micrograph_pixel_sizes(
    path: str | Path, coordinates: pd.DataFrame, optics: pd.DataFrame | None
) -> dict[float, str]:
    """Pixel sizes (Å/px) of the micrographs that a STAR file of coordinates states, each with its label.

    The pixel size of particle images does not count, since they may be rescaled.

    Parameters
    ----------
    path : str or Path
        The file, for messages.
    coordinates : pd.DataFrame
        Its block of coordinates.
    optics : pd.DataFrame, optional
        Its block data_optics.
    """
    if optics is not None and "rlnOpticsGroup" in coordinates and "rlnOpticsGroup" in optics:
        optics = optics[optics["rlnOpticsGroup"].isin(coordinates["rlnOpticsGroup"])]
    tables = [coordinates] if optics is None else [optics, coordinates]
    has_images = "rlnImageName" in coordinates or any("rlnImageSize" in table for table in tables)
    for label in (label for label in PIXEL_SIZE_LABELS if not (has_images and label == "rlnImagePixelSize")):
        for table in tables:
            if label in table:
                return _distinct(numbers_or_nan(path, table, label), label)
    if has_images or not set(MAGNIFICATION_LABELS) <= set(coordinates):
        return {}
    return _distinct(_from_magnification(path, coordinates), " and ".join(MAGNIFICATION_LABELS))


def image_pixel_size(path: str | Path, particles: pd.DataFrame, optics: Block | None) -> np.ndarray:
    """Å/px of every particle's image.

    Parameters
    ----------
    path : str or Path
        The file, for messages.
    particles : pd.DataFrame
        Its block of particles.
    optics : table or dictionary, optional
        Its block data_optics.

    Raises
    ------
    UserError
        If the file does not state the pixel size of each.
    """
    if set(MAGNIFICATION_LABELS) <= set(particles):
        micrometres, magnification = (number_column(path, particles, label) for label in MAGNIFICATION_LABELS)
        if not (magnification > 0).all():
            raise UserError(f"{path}: rlnMagnification is not greater than 0 everywhere; correct it")
        return 1e4 * micrometres / magnification
    optics = as_table(optics)
    if optics is not None and "rlnOpticsGroup" in particles:
        numbers, group_of = group_numbers(path, optics, particles)
        return group_of.map(pd.Series(number_column(path, optics, "rlnImagePixelSize"), index=numbers)).to_numpy()
    return number_column(path, particles, "rlnImagePixelSize")


def _from_magnification(path: str | Path, rows: pd.DataFrame) -> np.ndarray:
    """Å/px in the columns of RELION 3.0 and earlier; NaN where the magnification is not greater than 0."""
    micrometres, magnification = (numbers_or_nan(path, rows, label) for label in MAGNIFICATION_LABELS)
    return 1e4 * micrometres / np.where(magnification > 0, magnification, np.nan)


def _distinct(sizes: np.ndarray, label: str) -> dict[float, str]:
    return dict.fromkeys(np.unique(sizes[sizes > 0].round(6)).tolist(), label)
