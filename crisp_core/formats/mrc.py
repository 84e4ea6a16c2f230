"""MRC files: the header, and writing. `mrc_data` reads the data.

Source: Cheng et al. 2015, MRC2014 (doi 10.1016/j.jsb.2015.04.002).
"""

import logging
import math
from pathlib import Path

import numpy as np
from mrcfile.dtypes import HEADER_DTYPE

from crisp_core.errors import UserError
from crisp_core.formats.image_checks import check_readable

MRC_SUFFIXES = (".mrc", ".mrcs", ".map")
MODE_TYPES = {0: np.int8, 1: np.int16, 2: np.float32, 6: np.uint16, 12: np.float16}
HEADER_BYTES = HEADER_DTYPE.itemsize
OTHER_FORMATS = {b"\xff\xd8\xff": "JPEG", b"\x89PNG": "PNG", b"II*\0": "TIFF", b"MM\0*": "TIFF", b"\x89HDF": "HDF5"}
# Minimum, maximum, mean and SD by which a header says that they were not computed (MRC2014: dmax < dmin, dmean below
# both, rms < 0).
UNKNOWN_STATISTICS = (0.0, -1.0, -2.0, -1.0)
log = logging.getLogger("crisp")


def write_mrc(
    path: str | Path, data: np.ndarray, *, pixel_size: float, dtype: np.typing.DTypeLike, note: str = ""
) -> None:
    """Write an image (2-D) or a map (3-D) as MRC with a complete header; equal input gives equal bytes.

    Parameters
    ----------
    path : str or Path
        File to write.
    data : np.ndarray
        `(y, x)` image or `(z, y, x)` map.
    pixel_size : float
        Å/px.
    dtype : DTypeLike
        int8 for labels, float16 for probabilities, float32 for densities.
    note : str
        ASCII text of the second label of the header, at most 80 characters.
    """
    data = np.ascontiguousarray(data, dtype=np.dtype(dtype).newbyteorder("<"))
    values = data.astype(np.float64)
    statistics = (values.min(), values.max(), values.mean(), values.std())
    header = mrc_header(data.shape, dtype=dtype, pixel_size=pixel_size, statistics=statistics, note=note)
    with open(path, "wb") as file:
        file.write(header)
        file.write(data.tobytes())


def mrc_header(
    shape: tuple[int, ...],
    *,
    dtype: np.typing.DTypeLike,
    pixel_size: float,
    statistics: tuple[float, float, float, float] = UNKNOWN_STATISTICS,
    stack: bool = False,
    note: str = "",
) -> bytes:
    """Return the 1024 bytes of an MRC2014 header, without a time stamp.

    Parameters
    ----------
    shape : tuple of int
        `(y, x)` or `(z, y, x)`.
    dtype : DTypeLike
        int8, int16, float32, uint16 or float16.
    pixel_size : float
        Å/px; the cell is the shape times this.
    statistics : tuple of float
        Minimum, maximum, mean and standard deviation of the data.
    stack : bool
        A 3-D array is a stack of images (space group 0, one section per cell) and not a map.
    note : str
        ASCII text of the second label, at most 80 characters.
    """
    header = np.zeros((), dtype=HEADER_DTYPE.newbyteorder("<"))
    nz, ny, nx = (1, *shape) if len(shape) == 2 else shape
    mz = 1 if stack else nz
    modes = {np.dtype(kind): mode for mode, kind in MODE_TYPES.items()}
    header["nx"], header["ny"], header["nz"] = nx, ny, nz
    header["mx"], header["my"], header["mz"] = nx, ny, mz
    header["mode"] = modes[np.dtype(dtype)]
    header["cella"] = nx * pixel_size, ny * pixel_size, mz * pixel_size
    header["cellb"] = 90, 90, 90
    header["mapc"], header["mapr"], header["maps"] = 1, 2, 3
    header["dmin"], header["dmax"], header["dmean"], header["rms"] = statistics
    header["ispg"] = 0 if stack or len(shape) == 2 else 1
    header["nversion"] = 20141
    header["map"] = b"MAP "
    header["machst"] = 0x44, 0x44, 0, 0
    header["nlabl"] = 2 if note else 1
    header["label"][:2] = b"CRISP", note.encode("ascii")
    return header.tobytes()


def read_mrc_header(path: str | Path) -> np.void:
    """Header of an MRC file, in its byte order; the fields are those of the mrcfile library.

    Raises
    ------
    UserError
        If the file cannot be read, or is not MRC.
    """
    check_readable(Path(path))
    with open(path, "rb") as stream:
        return checked_header(Path(path), stream.read(HEADER_BYTES))


def read_note(path: str | Path) -> str:
    """Second label of the header of an MRC file, in which `write_mrc` writes its note."""
    return bytes(read_mrc_header(path)["label"][1]).decode("ascii", errors="replace")


def mrc_shape(path: str | Path) -> tuple[int, int]:
    """Height and width that the header of an MRC file states.

    Raises
    ------
    UserError
        If the file is not MRC or cannot be read.
    """
    header = read_mrc_header(path)
    return int(header["ny"]), int(header["nx"])


def checked_header(path: Path, start: bytes) -> np.void:
    """Return the header at the beginning of a file, in its byte order.

    Raises
    ------
    UserError
        If the file is not MRC, or its mode is not supported.
    """
    for signature, name in OTHER_FORMATS.items():
        if start.startswith(signature):
            raise UserError(f"{path}: is a {name} file and not MRC; give it the suffix of its format")
    if len(start) < HEADER_BYTES:
        raise UserError(f"{path}: truncated, {len(start)} bytes are less than an MRC header; copy the file again")
    headers = [np.frombuffer(start, dtype=HEADER_DTYPE.newbyteorder(order))[0] for order in "<>"]
    # Modes end at 101; a mode in the wrong byte order is larger.
    sensible = [h for h in headers if min(h["nx"], h["ny"], h["nz"]) > 0 and 0 <= h["mode"] <= 101]
    if not sensible:
        raise UserError(f"{path}: is not an MRC file, though its suffix says so; give it the suffix of its format")
    # Mode 0 is the same in both orders; a size in the wrong order is a multiple of 2¹⁶ on at least one axis.
    header = min(sensible, key=lambda h: math.prod(int(h[axis]) for axis in ("nx", "ny", "nz")))
    if int(header["mode"]) not in MODE_TYPES:
        modes = ", ".join(str(mode) for mode in MODE_TYPES)
        raise UserError(f"{path}: MRC mode {header['mode']} is not supported; convert it to one of {modes}")
    if header["nsymbt"] < 0:
        raise UserError(f"{path}: broken MRC header (extended header of {header['nsymbt']} bytes); copy it again")
    return header


def stated_bytes(header: np.void) -> int:
    """Length in bytes of a whole file with this header."""
    n_voxels = int(header["nx"]) * int(header["ny"]) * int(header["nz"])
    return HEADER_BYTES + int(header["nsymbt"]) + n_voxels * np.dtype(MODE_TYPES[int(header["mode"])]).itemsize


def check_length(path: Path, n_bytes: int, expected: int) -> None:
    """Refuse a truncated file.

    Parameters
    ----------
    path : Path
        The file, for the message.
    n_bytes, expected : int
        Its length, and the length that its header states, in bytes.
    """
    if n_bytes < expected:
        raise UserError(f"{path}: truncated, its header states {expected} bytes and it has {n_bytes}; copy it again")


def header_pixel_size(path: Path, header: np.void, *, given: float | None) -> float | None:
    """Pixel size (Å/px) that the header of an MRC file states; None if it states none.

    Parameters
    ----------
    path : Path
        The file, for messages.
    header : np.void
        Its header.
    given : float, optional
        Å/px in the config. With it, a header with pixels that are not square causes a warning and not an error.
    """
    cell = [float(header["cella"][axis]) for axis in "xyz"[: 3 if header["nz"] > 1 else 2]]
    intervals = [int(header[axis]) for axis in ("mx", "my", "mz")]
    sizes = [length / n for length, n in zip(cell, intervals, strict=False) if n > 0]
    if len(sizes) < len(cell) or not all(np.isfinite(size) and size > 0 for size in sizes):
        return None
    if max(sizes) > 1.01 * min(sizes):
        values = " × ".join(f"{size:.4g}" for size in sizes)
        if given is not None:
            log.warning("%s: its header says pixels of %s Å; the pixel_size of %g Å/px is used", path, values, given)
            return None
        raise UserError(
            f"{path}: its header says pixels of {values} Å; set pixel_size (Å/px) if they are square, or resample it"
        )
    # Precision of the header's 32 bits: 3.54, not 3.540000152587891.
    return round(sizes[0], 6)
