"""Reading the data of MRC files: images, maps, and their signs and byte order.

Source: Cheng et al. 2015, MRC2014 (doi 10.1016/j.jsb.2015.04.002); IMOD, "MRC file format"
(bio3d.colorado.edu/imod/doc/mrc_format.txt).
"""

import io
import os
from pathlib import Path
from typing import BinaryIO

import numpy as np

from crisp_core.errors import UserError
from crisp_core.formats.image_checks import MAX_PIXELS
from crisp_core.formats.mrc import HEADER_BYTES, MODE_TYPES, check_length, checked_header, stated_bytes

# Space groups of files that hold several maps.
VOLUME_STACKS = range(401, 631)
# 1024³, 4 GiB in memory; a compressed file of a few kB can declare any number.
MAX_VOXELS = 2**30
PIECE_BYTES = 2**24
# Stamp in the 152nd byte of an MRC header ("IMOD"); with it, the flags in the 156th are IMOD's.
IMOD_STAMP, SIGNED_FLAG = 1146047817, 1
# Minimum ratio of the SD of bytes read as signed to that of unsigned ones by which they look unsigned: a grey value of
# 127 next to −128.
WRAPPED = 2.0


def read_mrc_image(path: Path) -> tuple[np.ndarray, np.void]:
    """Image (y, x) and header of an MRC file of one image.

    Raises
    ------
    UserError
        If the file holds several images or bytes beyond one, is truncated, or has more than `MAX_PIXELS` pixels.
    """
    with open(path, "rb") as stream:
        header = checked_header(path, stream.read(HEADER_BYTES))
        if header["nz"] != 1:
            raise UserError(
                f"{path}: holds {header['nz']} images, so it is a movie or a stack; give its motion-corrected average"
            )
        stream.seek(0)
        mrc, header = read_mrc(path, stream, max_values=MAX_PIXELS)
        n_bytes, expected = os.fstat(stream.fileno()).st_size, stated_bytes(header)
    if n_bytes > expected:
        raise UserError(
            f"{path}: has {n_bytes} bytes and its header describes {expected}, so it holds more than one image or its "
            "header is wrong; write it again with one image"
        )
    return mrc.reshape(mrc.shape[-2:]), header


def read_mrc(path: Path, stream: BinaryIO, *, max_values: int = MAX_VOXELS) -> tuple[np.ndarray, np.void]:
    """Data and header of an MRC stream; it takes no more memory than the file has bytes.

    Parameters
    ----------
    path : Path
        The file, for messages.
    stream : BinaryIO
        The open file, or its decompressed content.
    max_values : int
        Maximum number of grey values.

    Raises
    ------
    UserError
        If the file is not MRC, is truncated or too large, or the sign of its bytes is unclear.
    """
    start = stream.read(HEADER_BYTES)
    header = checked_header(path, start)
    n_voxels = int(header["nx"]) * int(header["ny"]) * int(header["nz"])
    expected = stated_bytes(header)
    compressed = not isinstance(stream, io.BufferedReader)
    if not compressed:
        check_length(path, os.fstat(stream.fileno()).st_size, expected)
    if n_voxels > max_values:
        raise UserError(f"{path}: declares {n_voxels} grey values, more than the maximum of {max_values}; resample it")
    if compressed:
        content = _decompressed(stream, expected - HEADER_BYTES)
        check_length(path, HEADER_BYTES + len(content), expected)
        stream = io.BytesIO(content)
    else:
        stream.seek(HEADER_BYTES)
    data = _mrc_data(path, stream, header)
    return (_with_sign(path, header, data) if int(header["mode"]) == 0 else data), header


def _mrc_data(path: Path, stream: BinaryIO, header: np.void) -> np.ndarray:
    """Data (y, x), (z, y, x) or, of several maps, (map, z, y, x), from a stream after its header.

    The byte order is that of the header. Its machine stamp is ignored: older programs omit it or write a wrong one.
    """
    nz, ny, nx = (int(header[axis]) for axis in ("nz", "ny", "nx"))
    dtype = np.dtype(MODE_TYPES[int(header["mode"])]).newbyteorder(header.dtype["nx"].byteorder)
    stream.seek(int(header["nsymbt"]), os.SEEK_CUR)
    data = np.empty(nz * ny * nx, dtype)
    # every binary stream has readinto, though their common type lacks it
    n_read = stream.readinto(data.view(np.uint8))  # type: ignore[attr-defined]
    check_length(path, n_read, data.nbytes)
    if nz == 1:
        return data.reshape(ny, nx)
    mz = int(header["mz"])
    several = int(header["ispg"]) in VOLUME_STACKS and mz > 0 and nz % mz == 0
    return data.reshape(nz // mz, mz, ny, nx) if several else data.reshape(nz, ny, nx)


def _with_sign(path: Path, header: np.void, data: np.ndarray) -> np.ndarray:
    """Data of mode 0 with their sign: MRC2014 has signed bytes, IMOD and older programs unsigned ones.

    IMOD's flag or the statistics of the header decide; without either, the bytes are signed.

    Raises
    ------
    UserError
        If flag and statistics contradict each other, or if the bytes are signed only by default and look unsigned.

    Source: bio3d.colorado.edu/imod/doc/mrc_format.txt; MRC2014 (word 4).
    """
    unsigned = data.view(np.uint8)
    stated = {sign for sign in (_sign_of_stamp(header), _sign_of_statistics(header)) if sign is not None}
    if len(stated) == 2:
        raise UserError(
            f"{path}: IMOD's flag and the minimum and maximum in its header contradict each other on whether its bytes "
            "have a sign; write it again as mode 1 or 2"
        )
    if not stated and float(data.std()) > WRAPPED * float(unsigned.std()):
        raise UserError(
            f"{path}: its bytes (MRC mode 0) look unsigned, and its header does not state their sign; "
            "write it again as mode 1 or 2"
        )
    return unsigned if stated == {"unsigned"} else data


def _sign_of_stamp(header: np.void) -> str | None:
    """Sign of bytes by IMOD's flags; None without its stamp."""
    # a new array: fields without a type are not swapped with the header
    order = header["nx"].dtype.byteorder
    stamp, flags = np.frombuffer(header["extra2"].tobytes()[40:48], np.dtype("i4").newbyteorder(order))
    if stamp != IMOD_STAMP:
        return None
    return "signed" if flags & SIGNED_FLAG else "unsigned"


def _sign_of_statistics(header: np.void) -> str | None:
    """Sign of bytes by minimum and maximum in the header; None if they fit both or neither."""
    low, high = float(header["dmin"]), float(header["dmax"])
    if low < 0 and low < high <= 127:
        return "signed"
    return "unsigned" if 0 <= low and 127 < high <= 255 else None


def _decompressed(stream: BinaryIO, n_bytes: int) -> bytes:
    """Up to `n_bytes` of a compressed file, piece by piece, so that only bytes that exist take memory."""
    pieces = []
    while n_bytes > 0 and (piece := stream.read(min(n_bytes, PIECE_BYTES))):
        pieces.append(piece)
        n_bytes -= len(piece)
    return b"".join(pieces)
