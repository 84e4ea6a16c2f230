"""Reading density maps (MRC or CCP4)."""

import bz2
import gzip
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from crisp_core.errors import UserError
from crisp_core.formats.image_checks import check_readable, check_values
from crisp_core.formats.mrc import header_pixel_size
from crisp_core.formats.mrc_data import read_mrc

# Quantiles between which nearly all of a map lies, and how much farther from 0 the lower one may be: protein is in the
# upper ones, and in maps of EMDB the lower one is at most 0.7 times as far.
EXTREME_QUANTILES = (0.002, 0.998)
MOST_NEGATIVE = 2.0


class Volume(NamedTuple):
    """A density map [z, y, x], float32, cubic, and its pixel size in Å/px."""

    density: np.ndarray
    pixel_size: float


def read_volume(path: str | Path, *, pixel_size: float | None = None) -> Volume:
    """Read a density map (MRC or CCP4, also `.gz` and `.bz2`), with its axes in the order z, y, x.

    Parameters
    ----------
    path : str or Path
        The file.
    pixel_size : float, optional
        Å/px; takes precedence over the header.

    Raises
    ------
    UserError
        If the file is missing, unreadable, not MRC, truncated, an image, constant, holds NaN or infinity, or if
        neither the header nor the caller gives a pixel size.
    """
    path = Path(path)
    check_readable(path)
    try:
        with _opened(path) as stream:
            mrc, header = read_mrc(path, stream)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: broken archive ({error}); copy the file again") from None
    density = _in_axis_order(mrc, header)
    if density.ndim != 3 or min(density.shape) < 2:
        raise UserError(f"{path}: holds an image, not a density map; give a map")
    with np.errstate(over="ignore"):
        density = np.ascontiguousarray(density, dtype=np.float32)
    check_values(path, density)
    # read also where it is given: a contradiction is logged
    in_header = header_pixel_size(path, header, given=pixel_size)
    pixel_size = pixel_size or in_header
    if pixel_size is None:
        raise UserError(
            f"{path}: the map does not state its pixel size; write it into its header, or, if it is that of a "
            "simulation, give volume_pixel_size"
        )
    return Volume(density, float(pixel_size))


def read_particle_map(path: str | Path, *, pixel_size: float | None = None) -> Volume:
    """Read the density map of a particle as `read_volume` does, and refuse one in which protein is negative.

    Parameters
    ----------
    path : str or Path
        The file.
    pixel_size : float, optional
        Å/px; takes precedence over the header.

    Raises
    ------
    UserError
        Also if the lowest densities are more than `MOST_NEGATIVE` times as far from 0 as the highest ones.
    """
    volume = read_volume(path, pixel_size=pixel_size)
    lowest, highest = np.quantile(volume.density, EXTREME_QUANTILES)
    if -lowest > MOST_NEGATIVE * max(highest, 0):
        raise UserError(
            f"{path}: its density is mostly negative ({lowest:.3g} to {highest:.3g}), but protein must be positive; "
            "multiply the map by -1"
        )
    return volume


def _opened(path: Path) -> BinaryIO:
    openers: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open}
    return openers.get(path.suffix.lower(), open)(path, "rb")


def _in_axis_order(data: np.ndarray, header: np.void) -> np.ndarray:
    axes = [int(header[key]) for key in ("maps", "mapr", "mapc")]
    if data.ndim != 3 or sorted(axes) != [1, 2, 3]:
        return data
    return data.transpose([axes.index(axis) for axis in (3, 2, 1)])
