"""Reading micrographs: MRC, TIFF, PNG, JPG, HDF5.

Row 0 of the file is y = 0 and nothing is flipped. A file is checked before memory is taken for it: a file that is
truncated, has another format than its suffix says, or holds no usable image is refused in one line.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from crisp_core.errors import UserError
from crisp_core.formats.arrays import read_array
from crisp_core.formats.image_checks import check_readable, check_values
from crisp_core.formats.mrc import (
    MRC_SUFFIXES,
    check_length,
    header_pixel_size,
    read_mrc_header,
    stated_bytes,
)
from crisp_core.formats.mrc_data import read_mrc_image
from crisp_core.formats.pictures import PICTURE_SUFFIXES, read_picture
from crisp_core.formats.tiff import TIFF_SUFFIXES, read_tiff

ARRAY_SUFFIXES = (".h5", ".hdf5")
SUFFIXES = MRC_SUFFIXES + TIFF_SUFFIXES + PICTURE_SUFFIXES + ARRAY_SUFFIXES


class Micrograph(NamedTuple):
    """An image [y, x], float32, and its pixel size in Å/px."""

    image: np.ndarray
    pixel_size: float


def read_micrograph(path: str | Path, *, pixel_size: float | None = None, name: str | None = None) -> Micrograph:
    """Read one micrograph of any supported format.

    Parameters
    ----------
    path : str or Path
        MRC (modes 0, 1, 2, 6, 12), TIFF of one image (and thumbnails of it), PNG or JPG, or HDF5 as `arrays` writes it.
        The colours of a picture are averaged.
    pixel_size : float, optional
        Å/px; takes precedence over the file.
    name : str, optional
        The micrograph in an HDF5 file (its dataset `image/NAME`); not used for other formats.

    Raises
    ------
    UserError
        If the file is missing, unreadable, truncated, has another format than its suffix says, is not a single image,
        is constant, holds NaN, infinity or a number beyond 1e12, or if no pixel size is given.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UserError(f"{path}: unknown format '{suffix}'; micrographs must be one of {' '.join(SUFFIXES)}")
    check_readable(path)
    if suffix in MRC_SUFFIXES:
        image, header = read_mrc_image(path)
        file_pixel_size = header_pixel_size(path, header, given=pixel_size)
    elif suffix in ARRAY_SUFFIXES:
        image, file_pixel_size, _ = read_array(path, "image", name or path.stem)
    else:
        image, file_pixel_size = (read_tiff if suffix in TIFF_SUFFIXES else read_picture)(path), None
    _check_image(path, image)
    with np.errstate(over="ignore"):
        image = np.ascontiguousarray(image, dtype=np.float32)
    check_values(path, image)
    return Micrograph(image, _chosen_pixel_size(path, pixel_size, file_pixel_size))


def check_room(path: str | Path, shape: tuple[int, int], *, diameter_px: float) -> None:
    """Refuse an image that is smaller than a particle: a cut-out, or an image of another pixel size than stated.

    Parameters
    ----------
    path : str or Path
        The micrograph, for the message.
    shape : (height, width)
        Shape of the image in pixels.
    diameter_px : float
        Particle diameter in pixels.
    """
    if min(shape) < diameter_px:
        raise UserError(
            f"{path}: {shape[1]} × {shape[0]} pixels have no room for a particle of {diameter_px:.0f} pixels; check "
            "pixel_size and particle_diameter_angstrom, or leave the file out"
        )


def check_whole(path: str | Path) -> None:
    """Refuse a truncated micrograph: an MRC file by the size that its header states, others by reading them.

    Raises
    ------
    UserError
        If it is not an image, or only a part of one.
    """
    path = Path(path)
    if path.suffix.lower() in MRC_SUFFIXES:
        expected = stated_bytes(read_mrc_header(path))
        check_length(path, path.stat().st_size, expected)
    else:
        read_micrograph(path, pixel_size=1.0)


def _check_image(path: Path, image: np.ndarray) -> None:
    if image.ndim != 2 or min(image.shape) < 2:
        shape = " × ".join(str(n) for n in image.shape)
        raise UserError(f"{path}: a micrograph is one 2-D image, this is {shape}; give its motion-corrected average")


def _chosen_pixel_size(path: Path, given: float | None, from_file: float | None) -> float:
    pixel_size = given if given is not None else from_file
    if pixel_size is None:
        raise UserError(f"{path}: the file does not state its pixel size; set pixel_size (Å/px) in the dataset's entry")
    return float(pixel_size)
