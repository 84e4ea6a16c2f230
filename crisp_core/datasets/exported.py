"""Micrographs with names and in a format that let RELION read the picked pixels.

RELION reads TIFF from its last row on, MRC modes 0 and 6 as signed integers, and neither PNG nor JPG. Such micrographs
are written as MRC, row for row.

Source: RELION documentation, "Conventions: image formats"; RELION 3.1.3 (`tests/reconstruction/test_relion.py`).
"""

from pathlib import Path

import numpy as np

from crisp_core.formats.images import read_micrograph
from crisp_core.formats.mrc import MRC_SUFFIXES, read_mrc_header, write_mrc

# Modes whose integers RELION 3.1.3 reads as signed.
SIGNED_IN_RELION = (0, 6)


def is_mrc(path: str | Path) -> bool:
    """Whether a file is MRC by its suffix."""
    return Path(path).suffix.lower() in MRC_SUFFIXES


def linkable(path: str | Path) -> bool:
    """Whether RELION reads the pixels of a micrograph's file as `read_micrograph` does."""
    return is_mrc(path) and read_mrc_header(path)["mode"] not in SIGNED_IN_RELION


def exported_name(path: str | Path) -> str:
    """File name of a micrograph in star files: its own with the suffix .mrc, by which RELION chooses the format."""
    return Path(path).with_suffix(".mrc").name


def export_mrc(path: str | Path, target: str | Path, *, name: str, pixel_size: float) -> None:
    """Write a micrograph as MRC, row for row; as 16-bit integers, half as large, if these hold every grey value.

    Parameters
    ----------
    path, target : str or Path
        Micrograph of any format, and MRC file to write.
    name : str
        The micrograph in an HDF5 file.
    pixel_size : float
        Å/px.

    Raises
    ------
    UserError
        If the micrograph cannot be read.
    """
    image = read_micrograph(path, name=name, pixel_size=pixel_size).image
    limits = np.iinfo(np.int16)
    whole = image.min() >= limits.min and image.max() <= limits.max and np.array_equal(image, np.rint(image))
    write_mrc(target, image, pixel_size=pixel_size, dtype="int16" if whole else "float32")
