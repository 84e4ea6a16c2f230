"""Micrographs and maps in (MRC, TIFF, PNG, JPG, HDF5), MRC files out.

Row 0 of the file is y = 0 and nothing is flipped. A file is checked before memory is taken for it: what is truncated,
is not the format it claims, or holds no usable image is refused in one line.

Source: Cheng et al. 2015, MRC2014 (doi 10.1016/j.jsb.2015.04.002).
"""

import bz2
import gzip
import io
import logging
import math
import os
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import tifffile
from mrcfile.dtypes import HEADER_DTYPE
from PIL import Image, UnidentifiedImageError

from crisp_core.errors import UserError, opening
from crisp_core.formats.arrays import read_array

MRC_SUFFIXES = (".mrc", ".mrcs", ".map")
TIFF_SUFFIXES = (".tif", ".tiff")
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg")
ARRAY_SUFFIXES = (".h5", ".hdf5")
SUFFIXES = MRC_SUFFIXES + TIFF_SUFFIXES + PICTURE_SUFFIXES + ARRAY_SUFFIXES

MODE_TYPES = {0: np.int8, 1: np.int16, 2: np.float32, 6: np.uint16, 12: np.float16}
HEADER_BYTES = HEADER_DTYPE.itemsize
# Space groups of files that hold several maps.
VOLUME_STACKS = range(401, 631)
OTHER_FORMATS = {b"\xff\xd8\xff": "JPEG", b"\x89PNG": "PNG", b"II*\0": "TIFF", b"MM\0*": "TIFF", b"\x89HDF": "HDF5"}
# Twice the largest camera frame in use (Gatan K3 in super-resolution: 11,520 × 8,184).
MAX_PIXELS = 2**28
# No packing gets more out of a byte of noise; a picture that promises more is damaged.
MAX_PIXELS_PER_BYTE = 1000
# 1024³, 4 GiB in memory; a packed file of a few kB can promise any number.
MAX_VOXELS = 2**30
PIECE_BYTES = 2**24
# No camera counts so many, and their squares still fit into 32-bit numbers.
MAX_VALUE = 1e12
# Marks, in the 152nd byte of an MRC header, that its flags in the 156th are IMOD's ("IMOD").
IMOD_STAMP, SIGNED_FLAG = 1146047817, 1
# Bytes are taken for unsigned if they vary so many times more as signed ones: a grey value of 127 next to −128.
WRAPPED = 2.0
# What a TIFF file may hold beside its image and tags before something is hidden in it.
SPARE_BYTES = 4096
# Density statistics that tell a reader that they were not computed (MRC2014: dmax < dmin, dmean < both, rms < 0).
UNKNOWN_STATISTICS = (0.0, -1.0, -2.0, -1.0)
# It tells of every odd tag of a damaged file, beside the one line that refuses it.
log = logging.getLogger("crisp")
logging.getLogger("tifffile").setLevel(logging.CRITICAL)


class Micrograph(NamedTuple):
    """An image [y, x], float32, and its pixel size in Å/px."""

    image: np.ndarray
    pixel_size: float


class Volume(NamedTuple):
    """A density map [z, y, x], float32, cubic, and its pixel size in Å/px."""

    density: np.ndarray
    pixel_size: float


def read_micrograph(path: str | Path, *, pixel_size: float | None = None, name: str | None = None) -> Micrograph:
    """Read one micrograph of any supported format.

    Parameters
    ----------
    path : str or Path
        MRC (modes 0, 1, 2, 6, 12), TIFF of one image (and thumbnails of it), PNG or JPG, or HDF5 as `arrays` writes it.
        The colours of a picture are averaged.
    pixel_size : float, optional
        Å/px; overrides what the file says.
    name : str, optional
        The micrograph in an HDF5 file (its dataset `image/NAME`); not used for other formats.

    Raises
    ------
    UserError
        If the file is missing, unreadable, not what its suffix says, truncated, not a single image, constant, holds
        NaN, infinity or a number beyond 1e12, or if neither the file nor the caller gives a pixel size.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UserError(f"{path}: unknown format '{suffix}'; micrographs must be one of {' '.join(SUFFIXES)}")
    _check_readable(path)
    if suffix in MRC_SUFFIXES:
        image, header = _read_mrc_image(path)
        file_pixel_size = _header_pixel_size(path, header, given=pixel_size)
    elif suffix in ARRAY_SUFFIXES:
        image, file_pixel_size, _ = read_array(path, "image", name or path.stem)
    else:
        image, file_pixel_size = (_read_tiff if suffix in TIFF_SUFFIXES else _read_picture)(path), None
    _check_image(path, image)
    with np.errstate(over="ignore"):
        image = np.ascontiguousarray(image, dtype=np.float32)
    _check_values(path, image)
    return Micrograph(image, _chosen_pixel_size(path, pixel_size, file_pixel_size))


def check_room(path: str | Path, shape: tuple[int, int], *, diameter_px: float) -> None:
    """Refuse an image [y, x] in which no particle has room, be it a cut-out or at another pixel size than stated."""
    if min(shape) < diameter_px:
        raise UserError(
            f"{path}: {shape[1]} × {shape[0]} pixels have no room for a particle of {diameter_px:.0f} pixels; check "
            "pixel_size and particle_diameter_angstrom, or leave the file out"
        )


def read_mrc_header(path: str | Path) -> np.void:
    """Header of an MRC file, in the byte order in which it makes sense; its fields are those of the mrcfile library.

    Raises
    ------
    UserError
        If the file cannot be read, or is not MRC.
    """
    _check_readable(Path(path))
    with open(path, "rb") as stream:
        return _checked_header(Path(path), stream.read(HEADER_BYTES))


def check_whole(path: str | Path) -> None:
    """Refuse a micrograph that is cut off: an MRC file by the size that its header promises, others by reading them.

    Raises
    ------
    UserError
        If it is no image, or only a part of one.
    """
    path = Path(path)
    _check_readable(path)
    if path.suffix.lower() not in MRC_SUFFIXES:
        read_micrograph(path, pixel_size=1.0)
        return
    with open(path, "rb") as stream:
        header = _checked_header(path, stream.read(HEADER_BYTES))
        _check_length(path, os.fstat(stream.fileno()).st_size, _promised_bytes(header))


def mrc_shape(path: str | Path) -> tuple[int, int]:
    """Height and width that the header of an MRC file states.

    Raises
    ------
    UserError
        If the file is not MRC or cannot be read.
    """
    path = Path(path)
    _check_readable(path)
    with open(path, "rb") as stream:
        header = _checked_header(path, stream.read(HEADER_BYTES))
    return int(header["ny"]), int(header["nx"])


def read_volume(path: str | Path, *, pixel_size: float | None = None) -> Volume:
    """Read a density map (MRC or CCP4, also `.gz` and `.bz2`), axes ordered z, y, x whatever order the file has.

    Raises
    ------
    UserError
        If the file is missing, unreadable, not MRC, truncated, an image, constant, holds NaN or infinity, or if
        neither the header nor the caller gives a pixel size (Å/px).
    """
    path = Path(path)
    _check_readable(path)
    try:
        with _opened(path) as stream:
            mrc, header = _read_mrc(path, stream)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: broken archive ({error}); copy the file again") from None
    density = _in_axis_order(mrc, header)
    if density.ndim != 3 or min(density.shape) < 2:
        raise UserError(f"{path}: holds an image and no density map; give a map")
    with np.errstate(over="ignore"):
        density = np.ascontiguousarray(density, dtype=np.float32)
    _check_values(path, density)
    # also where it is given: a contradiction is logged
    in_header = _header_pixel_size(path, header, given=pixel_size)
    pixel_size = pixel_size or in_header
    if pixel_size is None:
        raise UserError(
            f"{path}: the map does not say its pixel size; write it into its header, or give volume_pixel_size"
        )
    return Volume(density, float(pixel_size))


def write_mrc(path: str | Path, data: np.ndarray, *, pixel_size: float, dtype: np.typing.DTypeLike) -> None:
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
    """
    data = np.ascontiguousarray(data, dtype=np.dtype(dtype).newbyteorder("<"))
    values = data.astype(np.float64)
    statistics = (values.min(), values.max(), values.mean(), values.std())
    header = mrc_header(data.shape, dtype=dtype, pixel_size=pixel_size, statistics=statistics)
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
    header["nlabl"] = 1
    header["label"][0] = b"CRISP"
    return header.tobytes()


def _check_readable(path: Path) -> None:
    try:
        with opening(path), open(path, "rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); copy the file again") from None
    if empty:
        raise UserError(f"{path}: is empty (0 bytes); copy the file again")


def _opened(path: Path) -> BinaryIO:
    openers: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open}
    return openers.get(path.suffix.lower(), open)(path, "rb")


def _read_mrc_image(path: Path) -> tuple[np.ndarray, np.void]:
    with open(path, "rb") as stream:
        header = _checked_header(path, stream.read(HEADER_BYTES))
        if header["nz"] != 1:
            raise UserError(
                f"{path}: holds {header['nz']} images, so it is a movie or a stack; give its motion-corrected average"
            )
        stream.seek(0)
        mrc, header = _read_mrc(path, stream, most=MAX_PIXELS)
        n_bytes, expected = os.fstat(stream.fileno()).st_size, _promised_bytes(header)
    if n_bytes > expected:
        raise UserError(
            f"{path}: has {n_bytes} bytes and its header describes {expected}, so it holds more than one image or its "
            "header is wrong; write it again with one image"
        )
    return mrc.reshape(mrc.shape[-2:]), header


def _read_mrc(path: Path, stream: BinaryIO, *, most: int = MAX_VOXELS) -> tuple[np.ndarray, np.void]:
    """Data and header of an MRC stream; no more memory is taken than the file has bytes."""
    start = stream.read(HEADER_BYTES)
    header = _checked_header(path, start)
    n_voxels = int(header["nx"]) * int(header["ny"]) * int(header["nz"])
    expected = _promised_bytes(header)
    packed = not isinstance(stream, io.BufferedReader)
    if not packed:
        _check_length(path, os.fstat(stream.fileno()).st_size, expected)
    if n_voxels > most:
        raise UserError(f"{path}: declares {n_voxels} grey values, more than the {most} that can be used; resample it")
    if packed:
        content = _unpacked(stream, expected - HEADER_BYTES)
        _check_length(path, HEADER_BYTES + len(content), expected)
        stream = io.BytesIO(content)
    else:
        stream.seek(HEADER_BYTES)
    data = _mrc_data(path, stream, header)
    return (_bytes_as_meant(path, header, data) if int(header["mode"]) == 0 else data), header


def _mrc_data(path: Path, stream: BinaryIO, header: np.void) -> np.ndarray:
    """Data (y, x), (z, y, x) or, of several maps, (map, z, y, x), from a stream that is behind the header.

    Their byte order is the header's, whatever its machine stamp says, which older programs leave out or get wrong.
    """
    nz, ny, nx = (int(header[axis]) for axis in ("nz", "ny", "nx"))
    dtype = np.dtype(MODE_TYPES[int(header["mode"])]).newbyteorder(header.dtype["nx"].byteorder)
    stream.seek(int(header["nsymbt"]), os.SEEK_CUR)
    data = np.empty(nz * ny * nx, dtype)
    # every binary stream has it, though their common type does not say so
    n_read = stream.readinto(data.view(np.uint8))  # type: ignore[attr-defined]
    _check_length(path, n_read, data.nbytes)
    if nz == 1:
        return data.reshape(ny, nx)
    mz = int(header["mz"])
    several = int(header["ispg"]) in VOLUME_STACKS and mz > 0 and nz % mz == 0
    return data.reshape(nz // mz, mz, ny, nx) if several else data.reshape(nz, ny, nx)


def _bytes_as_meant(path: Path, header: np.void, data: np.ndarray) -> np.ndarray:
    """Mode 0 with the sign that is meant: MRC2014 has signed bytes, IMOD and older programs unsigned ones.

    IMOD's flag or the statistics of the header decide; where both are silent, the bytes are signed.

    Raises
    ------
    UserError
        If flag and statistics contradict each other, or if the bytes are signed only by default and look unsigned.

    Source: bio3d.colorado.edu/imod/doc/mrc_format.txt; MRC2014 (word 4).
    """
    unsigned = data.view(np.uint8)
    said = {sign for sign in (_stamped_sign(header), _sign_of_statistics(header)) if sign is not None}
    if len(said) == 2:
        raise UserError(
            f"{path}: IMOD's flag and the minimum and maximum in its header contradict each other on whether its bytes "
            "have a sign; write it again as mode 1 or 2"
        )
    if not said and float(data.std()) > WRAPPED * float(unsigned.std()):
        raise UserError(
            f"{path}: its bytes (MRC mode 0) look like unsigned ones, and nothing in its header says so; "
            "write it again as mode 1 or 2"
        )
    return unsigned if said == {"unsigned"} else data


def _stamped_sign(header: np.void) -> str | None:
    """What IMOD's flags say of the sign of bytes."""
    # a new array: fields without a type are not swapped with the header
    order = header["nx"].dtype.byteorder
    stamp, flags = np.frombuffer(header["extra2"].tobytes()[40:48], np.dtype("i4").newbyteorder(order))
    if stamp != IMOD_STAMP:
        return None
    return "signed" if flags & SIGNED_FLAG else "unsigned"


def _sign_of_statistics(header: np.void) -> str | None:
    """What minimum and maximum in the header say of the sign of bytes."""
    low, high = float(header["dmin"]), float(header["dmax"])
    if low < 0 and low < high <= 127:
        return "signed"
    return "unsigned" if 0 <= low and 127 < high <= 255 else None


def _promised_bytes(header: np.void) -> int:
    """Length of the whole file."""
    n_voxels = int(header["nx"]) * int(header["ny"]) * int(header["nz"])
    return HEADER_BYTES + int(header["nsymbt"]) + n_voxels * np.dtype(MODE_TYPES[int(header["mode"])]).itemsize


def _check_length(path: Path, n_bytes: int, expected: int) -> None:
    if n_bytes < expected:
        raise UserError(f"{path}: truncated, its header promises {expected} bytes and it has {n_bytes}; copy it again")


def _unpacked(stream: BinaryIO, n_bytes: int) -> bytes:
    """Up to `n_bytes` of a packed file, piece by piece: what its header promises takes no memory before it is there."""
    pieces = []
    while n_bytes > 0 and (piece := stream.read(min(n_bytes, PIECE_BYTES))):
        pieces.append(piece)
        n_bytes -= len(piece)
    return b"".join(pieces)


def _checked_header(path: Path, start: bytes) -> np.void:
    """Return the header in the byte order in which it makes sense."""
    for signature, name in OTHER_FORMATS.items():
        if start.startswith(signature):
            raise UserError(f"{path}: is a {name} file and not MRC; give it the suffix of its format")
    if len(start) < HEADER_BYTES:
        raise UserError(f"{path}: truncated, {len(start)} bytes are less than an MRC header; copy the file again")
    headers = [np.frombuffer(start, dtype=HEADER_DTYPE.newbyteorder(order))[0] for order in "<>"]
    # Modes end at 101, so that a mode in the wrong byte order is never taken for one.
    sensible = [h for h in headers if min(h["nx"], h["ny"], h["nz"]) > 0 and 0 <= h["mode"] <= 101]
    if not sensible:
        raise UserError(f"{path}: is not an MRC file, whatever its name says; give it the suffix of its format")
    # Bytes are mode 0 in both orders, and a size in the wrong order is a multiple of 2¹⁶ on one axis at least.
    header = min(sensible, key=lambda h: math.prod(int(h[axis]) for axis in ("nx", "ny", "nz")))
    if int(header["mode"]) not in MODE_TYPES:
        modes = ", ".join(str(mode) for mode in MODE_TYPES)
        raise UserError(f"{path}: MRC mode {header['mode']} is not supported; convert it to one of {modes}")
    if header["nsymbt"] < 0:
        raise UserError(f"{path}: broken MRC header (extended header of {header['nsymbt']} bytes); copy it again")
    return header


def _header_pixel_size(path: Path, header: np.void, *, given: float | None) -> float | None:
    cell = [float(header["cella"][axis]) for axis in "xyz"[: 3 if header["nz"] > 1 else 2]]
    intervals = [int(header[axis]) for axis in ("mx", "my", "mz")]
    sizes = [length / n for length, n in zip(cell, intervals, strict=False) if n > 0]
    if len(sizes) < len(cell) or not all(np.isfinite(size) and size > 0 for size in sizes):
        return None
    if max(sizes) > 1.01 * min(sizes):
        values = " × ".join(f"{size:.4g}" for size in sizes)
        if given is not None:
            log.warning("%s: its header says pixels of %s Å; the pixel_size of %g Å/px is taken", path, values, given)
            return None
        raise UserError(
            f"{path}: its header says pixels of {values} Å; set pixel_size (Å/px) if they are square, or resample it"
        )
    # The header's 32 bits hold no more digits than this: 3.54, not 3.540000152587891.
    return round(sizes[0], 6)


def _in_axis_order(data: np.ndarray, header: np.void) -> np.ndarray:
    axes = [int(header[key]) for key in ("maps", "mapr", "mapc")]
    if data.ndim != 3 or sorted(axes) != [1, 2, 3]:
        return data
    return data.transpose([axes.index(axis) for axis in (3, 2, 1)])


def _chosen_pixel_size(path: Path, given: float | None, from_file: float | None) -> float:
    pixel_size = given if given is not None else from_file
    if pixel_size is None:
        raise UserError(f"{path}: the file does not say its pixel size; set pixel_size (Å/px) in the dataset's entry")
    return float(pixel_size)


def _read_tiff(path: Path) -> np.ndarray:
    try:
        with tifffile.TiffFile(path) as file:
            pages = [page for page in _tiff_pages(file) if not page.is_reduced]
            if len(pages) != 1:
                raise UserError(
                    f"{path}: holds {len(pages)} pages, so it is a movie or a stack; give its motion-corrected average"
                )
            _check_one_image(path, file, pages[0])
            _check_grey_page(path, pages[0])
            _check_pixel_count(path, *pages[0].shape)
            colours = pages[0].asarray()
            return _grey(np.moveaxis(colours, 0, -1) if pages[0].axes == "SYX" else colours)
    except UserError:
        raise
    except Exception as error:  # tifffile's decoders raise many kinds for a damaged file
        raise UserError(f"{path}: is not a readable TIFF file ({error}); copy or convert it again") from None


def _tiff_pages(file: tifffile.TiffFile) -> list[tifffile.TiffPage]:
    """All pages with those that hang on another one."""
    pages = [_whole_page(file.pages[i]) for i in range(len(file.pages))]
    below = [page.pages for page in pages if page.subifds and page.pages is not None]
    return pages + [_whole_page(one[i]) for one in below for i in range(len(one))]


def _whole_page(page: tifffile.TiffPage | tifffile.TiffFrame) -> tifffile.TiffPage:
    return page if isinstance(page, tifffile.TiffPage) else page.aspage()


def _check_one_image(path: Path, file: tifffile.TiffFile, page: tifffile.TiffPage) -> None:
    """Refuse a stack that lies behind a single page, as ImageJ and others write one, told or untold."""
    told = [int((file.imagej_metadata or {}).get("images", 1))]
    told += [math.prod(entry.get("shape", ())) // math.prod(page.shape) for entry in file.shaped_metadata or ()]
    used = sum(
        sum(one.databytecounts) + sum(tag.valuebytecount for tag in one.tags) + 20 * len(one.tags) + 16
        for one in _tiff_pages(file)
    )
    spare = path.stat().st_size - used
    if max(told) > 1 or spare > max(sum(page.databytecounts), SPARE_BYTES):
        raise UserError(
            f"{path}: has a stack of images or other data behind its only page; give its motion-corrected average"
        )


def _check_grey_page(path: Path, page: tifffile.TiffPage) -> None:
    """Refuse what is no image of grey values or colours, or is packed in a way that cannot be read."""
    photometric, compression = (getattr(kind, "name", str(kind)) for kind in (page.photometric, page.compression))
    n_colours = page.samplesperpixel - len(page.extrasamples)
    if page.dtype is None or page.dtype.kind not in "biuf":
        raise UserError(f"{path}: its pixels are not plain numbers ({page.dtype}); write grey values")
    if photometric not in ("MINISBLACK", "RGB", "YCBCR") or n_colours != (1 if photometric == "MINISBLACK" else 3):
        raise UserError(
            f"{path}: is a TIFF of kind {photometric} with {page.samplesperpixel} values per pixel; "
            "write one grey image"
        )
    if any(int(kind) == 0 for kind in page.extrasamples):
        raise UserError(
            f"{path}: holds {page.samplesperpixel} values per pixel, so it is a stack; write one grey image"
        )
    try:
        tifffile.TIFF.DECOMPRESSORS[page.compression]
    except KeyError:
        raise UserError(
            f"{path}: is compressed by {compression}, which cannot be read; write it again with LZW or Deflate, or "
            "without compression"
        ) from None


def _read_picture(path: Path) -> np.ndarray:
    kinds = ("PNG",) if path.suffix.lower() == ".png" else ("JPEG",)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=kinds) as picture:
                _check_pixel_count(path, picture.height, picture.width)
                n_images = getattr(picture, "n_frames", 1)
                if n_images > 1:
                    raise UserError(f"{path}: holds {n_images} images; give its motion-corrected average")
                _check_depth(path, picture)
                pixels = np.asarray(picture if picture.mode[0] in "LIF" else picture.convert("RGB"))
                if picture.mode == "P" and np.ptp(pixels, axis=2).any():
                    raise UserError(f"{path}: its colours are those of a palette; write the grey values")
                return _grey(pixels)
    except Image.DecompressionBombError:
        raise UserError(f"{path}: declares more pixels than any camera has; copy or convert it again") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        reason = "wrong format" if isinstance(error, UnidentifiedImageError) else error
        raise UserError(f"{path}: is not a readable {kinds[0]} file ({reason}); copy or convert it again") from None


def _check_depth(path: Path, picture: Image.Image) -> None:
    """Refuse 16-bit colours or alpha in PNG, of which Pillow keeps the upper 8 bits alone, that may all be equal."""
    raw_modes = [str(tile[3][0] if isinstance(tile[3], tuple) else tile[3]) for tile in getattr(picture, "tile", [])]
    if picture.mode in ("RGB", "RGBA", "LA") and any(";16" in mode for mode in raw_modes):
        raise UserError(
            f"{path}: has 16 bits per colour, of which only 8 can be read; write a grey image of 16 bits, without alpha"
        )


def _grey(pixels: np.ndarray) -> np.ndarray:
    """Average the colours of (y, x, colour); an alpha channel does not count."""
    if pixels.ndim == 3 and pixels.shape[2] in (2, 3, 4):
        return pixels[:, :, : 1 if pixels.shape[2] == 2 else 3].mean(axis=2, dtype=np.float32)
    return pixels


def _check_pixel_count(path: Path, height: int, width: int, colours: int = 1, *more: int) -> None:
    n_bytes, n_values = path.stat().st_size, math.prod([height, width, colours, *more])
    if n_values > MAX_PIXELS * 4 or height * width > MAX_PIXELS:
        raise UserError(f"{path}: declares {width} × {height} pixels, more than any camera has; convert it again")
    if n_values > MAX_PIXELS_PER_BYTE * n_bytes:
        raise UserError(f"{path}: declares {width} × {height} pixels in {n_bytes} bytes; copy or convert it again")


def _check_image(path: Path, image: np.ndarray) -> None:
    if image.ndim != 2 or min(image.shape) < 2:
        shape = " × ".join(str(n) for n in image.shape)
        raise UserError(f"{path}: a micrograph is one 2-D image, this is {shape}; give its motion-corrected average")


def _check_values(path: Path, values: np.ndarray) -> None:
    low, high = values.min(), values.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise UserError(f"{path}: holds NaN or infinite values; make it again, or leave it out of the dataset")
    if max(-low, high) > MAX_VALUE:
        raise UserError(
            f"{path}: holds a value of {high if high > MAX_VALUE else low:.3g}, beyond {MAX_VALUE:g}; make it again, "
            "or leave it out of the dataset"
        )
    if low == high:
        raise UserError(f"{path}: every pixel is {low:g}, so there is no image in it; leave it out of the dataset")
