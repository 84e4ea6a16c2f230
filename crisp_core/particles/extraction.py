"""Particle images as RELION extracts them, and their stacks.

The steps and their order are those of `relion_preprocess --extract --scale S --norm --bg_radius R --invert_contrast`
(Scheres 2012, J. Struct. Biol. 180:519; RELION 3.1 source, preprocessing.cpp), so that the same coordinates give the
same pixels.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.fft

from crisp_core.errors import UserError
from crisp_core.formats.images import mrc_header, read_micrograph
from crisp_core.geometry import Shape, angstrom_to_px, even_fft_size

# room for the signal that the CTF spreads around a particle
DIAMETERS_PER_BOX = 1.5

# Images that are normalised together: few enough for the processor's cache.
IMAGES_PER_STEP = 8

log = logging.getLogger("crisp")

KEPT, OUTSIDE, CONSTANT = "", "box wholly outside the micrograph", "constant background"
WITHOUT_CTF = "micrograph without CTF"
CHANGED = "micrograph replaced or damaged since it was picked"


class Particles(NamedTuple):
    """Extracted images (m, size, size), float32, and one reason per coordinate (n,): empty where it was kept."""

    stack: np.ndarray
    reasons: np.ndarray


class Extracted(NamedTuple):
    """Coordinates that gave an image, in the order of the stack, and those that gave none, with the column reason."""

    kept: pd.DataFrame
    dropped: pd.DataFrame


class Boxes(NamedTuple):
    """Side of the window in the micrograph, side of the image written, its background radius (px) and Å/px."""

    box_px: int
    size_px: int
    bg_radius_px: float
    pixel_size: float


def extract(
    image: np.ndarray,
    xy: np.ndarray,
    *,
    box_px: int,
    bg_radius_px: float,
    rescale_px: int | None = None,
    invert: bool = True,
) -> Particles:
    """Cut out, rescale, normalise and invert particles.

    Parameters
    ----------
    image : np.ndarray
        `(y, x)` micrograph.
    xy : np.ndarray
        `(n, 2)` centres as (x, y) in pixels of `image`.
    box_px : int
        Side of the window, even.
    bg_radius_px : float
        Pixels farther than this from the centre are background; in pixels of the image that is written (so after
        rescaling), at most half its side.
    rescale_px : int, optional
        Side after Fourier rescaling, even.
    invert : bool
        Multiply by −1, so that protein is white.

    Returns
    -------
    Particles
        The kept particles in the order of `xy`, and why each of the others was dropped.
    """
    xy = np.asarray(xy, dtype=float).reshape(-1, 2)
    inside = overlaps(image.shape, xy, box_px=box_px)
    stack = window(image, xy[inside], box_px=box_px)
    if rescale_px is not None and rescale_px != box_px:
        stack = fourier_rescale(stack, rescale_px)
    stack, normal = normalise(stack, bg_radius_px=bg_radius_px)
    reasons = np.where(inside, KEPT, OUTSIDE).astype(object)
    reasons[np.flatnonzero(inside)[~normal]] = CONSTANT
    stack = stack if normal.all() else stack[normal]
    return Particles(np.negative(stack, out=stack) if invert else stack, reasons)


def extract_to_stack(
    path: str | Path,
    coordinates: pd.DataFrame,
    micrographs: Mapping[str, str],
    boxes: Boxes,
    *,
    pixel_size: float,
    invert: bool = True,
    float16: bool = False,
    ctf: pd.DataFrame | None = None,
    shapes: Mapping[str, Shape] | None = None,
) -> Extracted:
    """Extract the particles of several micrographs into one stack, with one micrograph in memory at a time.

    Parameters
    ----------
    path : str or Path
        Stack to write, as `write_stack` does.
    coordinates : DataFrame
        micrograph, x, y in px of the micrographs, and any others.
    micrographs : mapping of name to path
    boxes : Boxes
    pixel_size : float
        Å/px of the micrographs.
    invert : bool
        As in `extract`.
    float16 : bool
        Half the digits and half the file.
    ctf : DataFrame, optional
        Table with the column micrograph; coordinates on others give no image, since CTF is for all particles or none.
    shapes : mapping of name to (height, width), optional
        Shapes of the micrographs when their coordinates were found. One that has another shape by now, or that cannot
        be read any more, gives no image.

    Returns
    -------
    Extracted
        Rows of `coordinates`, in the order of the stack.
    """
    usable = coordinates["micrograph"].isin(coordinates["micrograph"] if ctf is None else ctf["micrograph"])
    kept, dropped = [coordinates.iloc[:0]], [coordinates[~usable].assign(reason=WITHOUT_CTF)]
    for name in dropped[0]["micrograph"].unique():
        log.warning("%s has no CTF: its coordinates give no particle images", name)

    def stacks() -> Iterator[np.ndarray]:
        for name, rows in coordinates[usable].groupby("micrograph", sort=False):
            try:
                image = _unchanged(micrographs[name], name, pixel_size, (shapes or {}).get(name))
            except UserError as error:
                log.warning("no particle images of %s: %s", name, error)
                dropped.append(rows.assign(reason=CHANGED))
                continue
            particles = extract(
                image,
                rows[["x", "y"]].to_numpy(),
                box_px=boxes.box_px,
                bg_radius_px=boxes.bg_radius_px,
                rescale_px=boxes.size_px,
                invert=invert,
            )
            inside = particles.reasons == KEPT
            kept.append(rows[inside])
            dropped.append(rows[~inside].assign(reason=particles.reasons[~inside]))
            log.info("extracted %d of %d particles of %s", len(kept[-1]), len(rows), name)
            yield particles.stack

    dtype = np.float16 if float16 else np.float32
    write_stack(path, stacks(), size_px=boxes.size_px, pixel_size=boxes.pixel_size, dtype=dtype)
    return Extracted(pd.concat(kept, ignore_index=True), pd.concat(dropped, ignore_index=True))


def _unchanged(path: str, name: str, pixel_size: float, shape: Shape | None) -> np.ndarray:
    """Image of a micrograph, which must have the shape that is given."""
    image = read_micrograph(path, name=name, pixel_size=pixel_size).image
    if shape is not None and image.shape != tuple(shape):
        raise UserError(
            f"{path}: has {image.shape[1]} × {image.shape[0]} pixels, and had {shape[1]} × {shape[0]} when it was "
            "picked; run again with --forcerun prepare, which picks it anew"
        )
    return image


def box_sizes(
    pixel_size: float,
    diameter_angstrom: float,
    *,
    box_angstrom: float | None = None,
    background_radius_angstrom: float | None = None,
    stack_pixel_size: float | None = None,
) -> Boxes:
    """Box, background radius and rescaled size in pixels; None takes the default.

    Parameters
    ----------
    pixel_size : float
        Å/px of the micrographs.
    diameter_angstrom : float
        Particle diameter in Å.
    box_angstrom : float, optional
        Side of the window; 1.5 diameters by default, even and fast to transform.
    background_radius_angstrom : float, optional
        37.5 % of the box by default, RELION's 75 % of the box as diameter.
    stack_pixel_size : float, optional
        Å/px of the stack; the micrographs' by default. What the even size makes of it is returned.

    Raises
    ------
    UserError
        If the background circle does not fit into the box.
    """
    wanted = angstrom_to_px(DIAMETERS_PER_BOX * diameter_angstrom if box_angstrom is None else box_angstrom, pixel_size)
    box_px = even_fft_size(wanted)
    size_px = box_px if stack_pixel_size is None else 2 * max(1, round(box_px * pixel_size / stack_pixel_size / 2))
    final_pixel_size = pixel_size * box_px / size_px
    radius = 0.375 * size_px
    if background_radius_angstrom is not None:
        radius = angstrom_to_px(background_radius_angstrom, final_pixel_size)
    if 2 * radius > size_px:
        raise UserError(
            f"particles/background_radius_angstrom: {background_radius_angstrom} Å does not fit into the box of "
            f"{box_px * pixel_size:.0f} Å; make it smaller or box_angstrom larger"
        )
    return Boxes(box_px, size_px, radius, final_pixel_size)


def overlaps(shape: Shape, xy: np.ndarray, *, box_px: int) -> np.ndarray:
    """Whether each window `(n,)` holds at least one pixel of an image of `shape`."""
    corner = _corners(xy, box_px)
    width_height = np.array([shape[1], shape[0]])
    return np.all((corner + box_px > 0) & (corner < width_height), axis=1)


def window(image: np.ndarray, xy: np.ndarray, *, box_px: int) -> np.ndarray:
    """Cut windows around particles.

    Parameters
    ----------
    image : np.ndarray
        `(y, x)` micrograph.
    xy : np.ndarray
        `(n, 2)` centres as (x, y) in pixels; truncated to integers, and pixel `box_px / 2` of the window lies there.
    box_px : int
        Side, even.

    Returns
    -------
    np.ndarray
        `(n, box_px, box_px)` float32; beyond the edge the nearest pixel of the image.
    """
    if box_px % 2:
        raise ValueError(f"box_px must be even, not {box_px}")
    x, y = _corners(xy, box_px).T
    steps = np.arange(box_px)
    rows = np.clip(y[:, None] + steps, 0, image.shape[0] - 1)
    columns = np.clip(x[:, None] + steps, 0, image.shape[1] - 1)
    return image[rows[:, :, None], columns[:, None, :]].astype(np.float32, copy=False)


def fourier_rescale(stack: np.ndarray, new_box: int) -> np.ndarray:
    """Resample images (n, box, box) to (n, new_box, new_box) by cropping or zero-padding their Fourier transforms.

    Grey values keep their scale and the first pixel its place, so pixel box/2 becomes pixel new_box/2. Both sides must
    be even.
    """
    box = stack.shape[-1]
    if box % 2 or new_box % 2:
        raise ValueError(f"boxes must be even, not {box} and {new_box}")
    half = min(box, new_box) // 2
    source = scipy.fft.rfft2(stack)
    target = np.zeros((len(stack), new_box, new_box // 2 + 1), dtype=source.dtype)
    # Rows 0 … half and 1 − half … −1: like RELION, the positive Nyquist row only.
    target[:, : half + 1, : half + 1] = source[:, : half + 1, : half + 1]
    if half > 1:
        target[:, 1 - half :, : half + 1] = source[:, 1 - half :, : half + 1]
    if new_box > box:  # RELION enlarges from the circle within the Nyquist frequency, without the corners
        rows = scipy.fft.fftfreq(new_box, 1 / new_box)[:, None]
        target *= np.hypot(rows, np.arange(new_box // 2 + 1)) <= half
    scale = (new_box / box) ** 2
    return (scipy.fft.irfft2(target, s=(new_box, new_box)) * scale).astype(np.float32, copy=False)


def normalise(stack: np.ndarray, *, bg_radius_px: float) -> tuple[np.ndarray, np.ndarray]:
    """Flatten the background and bring it to mean 0 and population standard deviation 1.

    A plane is fitted by least squares to the pixels farther than `bg_radius_px` from pixel size/2 and subtracted from
    the whole image, which is then divided by the background's standard deviation.

    Parameters
    ----------
    stack : np.ndarray
        `(n, size, size)` images.
    bg_radius_px : float
        Radius of the particle's circle in pixels, at most size / 2.

    Returns
    -------
    tuple of np.ndarray
        `(n, size, size)` float32 images, and `(n,)` whether there was a background to normalise by; an image without
        (a constant one) is all zeros.
    """
    size = stack.shape[-1]
    if not 0 < 2 * bg_radius_px <= size:
        raise ValueError(f"bg_radius_px must be between 0 and half the box of {size}, not {bg_radius_px}")
    offset = np.arange(size) - size // 2
    y, x = np.meshgrid(offset, offset, indexing="ij")
    background = x**2 + y**2 > bg_radius_px**2
    plane = np.stack([x, y, np.ones_like(x)], axis=-1).astype(float)
    plane = plane.reshape(-1, 3)
    outside = background.ravel().astype(float)
    fit = np.zeros_like(plane.T)
    fit[:, background.ravel()] = np.linalg.pinv(plane[background.ravel()])
    flat = np.empty(stack.shape, dtype=np.float32)
    normal = np.empty(len(stack), dtype=bool)
    for start in range(0, len(stack), IMAGES_PER_STEP):
        step = slice(start, start + IMAGES_PER_STEP)
        images = stack[step].reshape(-1, size**2).astype(float)
        largest = np.abs(images * outside).max(axis=1, initial=0)
        # einsum and not a matrix product, whose threads wait for each other longer than they work
        a, b, c = np.einsum("ij,kj->ki", images, fit)[:, :, None]
        squares = images.reshape(-1, size, size)
        squares -= (a * offset)[:, None, :]
        squares -= (b * offset + c)[:, :, None]
        deviation = np.sqrt(np.einsum("ij,ij,j->i", images, images, outside) / outside.sum())
        # What a fit leaves of a constant or an exact plane is rounding, about 1e-7 of 32-bit grey values.
        normal[step] = deviation > 1e-6 * np.maximum(largest, np.finfo(np.float32).tiny)
        images *= np.where(normal[step], 1 / np.where(normal[step], deviation, 1), 0)[:, None]
        flat[step] = images.reshape(-1, size, size)
    return flat, normal


def write_stack(
    path: str | Path,
    chunks: Iterable[np.ndarray],
    *,
    size_px: int,
    pixel_size: float,
    dtype: np.typing.DTypeLike = np.float32,
) -> int:
    """Write particle images to one `.mrcs` file, chunk after chunk, never holding more than one chunk.

    Parameters
    ----------
    path : str or Path
        File to write; equal input gives equal bytes.
    chunks : iterable of np.ndarray
        Stacks `(m, size_px, size_px)`; m may be 0. Without any image the file has a header that counts none.
    size_px : int
        Side of every image.
    pixel_size : float
        Å/px of the images.
    dtype : DTypeLike
        float32 or float16.

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
            data = np.ascontiguousarray(chunk, dtype=np.dtype(dtype).newbyteorder("<"))
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


def _corners(xy: np.ndarray, box_px: int) -> np.ndarray:
    """First pixel (x, y) of each window; like RELION, the coordinate is cut towards zero and not rounded."""
    return np.trunc(np.asarray(xy, dtype=float).reshape(-1, 2)).astype(int) - box_px // 2
