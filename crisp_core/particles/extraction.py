"""Extraction of particle images, with the same steps in the same order as RELION.

The steps are those of `relion_preprocess --extract --scale S --norm --bg_radius R --invert_contrast` (Scheres 2012,
J. Struct. Biol. 180:519; RELION 3.1 source, preprocessing.cpp): the same coordinates give the same pixels.
"""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from crisp_core.errors import UserError
from crisp_core.formats.images import read_micrograph
from crisp_core.geometry import Shape
from crisp_core.particles.background import normalize_background
from crisp_core.particles.boxes import Boxes, boxes_touching_image, cut_boxes
from crisp_core.particles.rescaling import rescale_images
from crisp_core.particles.stacks import write_stack

log = logging.getLogger("crisp")
# Reasons for a coordinate without particle image, empty for a kept one.
KEPT, OUTSIDE, CONSTANT = "", "box wholly outside the micrograph", "constant background"
WITHOUT_CTF = "micrograph without CTF"
CHANGED = "micrograph replaced or damaged since it was picked"


class ExtractedImages(NamedTuple):
    """Images (m, size, size), float32, and one reason per coordinate (n,), empty for a kept one."""

    stack: np.ndarray
    reasons: np.ndarray


class ExtractedRows(NamedTuple):
    """Coordinates with an image, in the order of the stack, and coordinates without one, with the column reason."""

    kept: pd.DataFrame
    dropped: pd.DataFrame


def extract_particles(
    image: np.ndarray,
    xy: np.ndarray,
    *,
    box_px: int,
    bg_radius_px: float,
    rescale_px: int | None = None,
    invert: bool = True,
) -> ExtractedImages:
    """Cut out, rescale, normalise and invert the particles of one micrograph.

    Parameters
    ----------
    image : np.ndarray
        Micrograph (h, w).
    xy : np.ndarray
        Centres (n, 2) as (x, y), in px of `image`.
    box_px : int
        Side of a box in px of `image`, even.
    bg_radius_px : float
        Radius of the particle's circle in px of the rescaled image, at most half its side; pixels outside of it are
        background.
    rescale_px : int, optional
        Side of the rescaled image, even; without it, images are not rescaled.
    invert : bool
        Multiply by −1, so that dark particles become bright.

    Returns
    -------
    Particles
        Kept images in the order of `xy`, and the reason for each dropped one.
    """
    xy = np.asarray(xy, dtype=float).reshape(-1, 2)
    inside = boxes_touching_image(image.shape, xy, box_px=box_px)
    stack = cut_boxes(image, xy[inside], box_px=box_px)
    if rescale_px is not None and rescale_px != box_px:
        stack = rescale_images(stack, rescale_px)
    stack, normal = normalize_background(stack, bg_radius_px=bg_radius_px)
    reasons = np.where(inside, KEPT, OUTSIDE).astype(object)
    reasons[np.flatnonzero(inside)[~normal]] = CONSTANT
    stack = stack if normal.all() else stack[normal]
    return ExtractedImages(np.negative(stack, out=stack) if invert else stack, reasons)


def extract_stack(
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
) -> ExtractedRows:
    """Extract the particles of several micrographs into one stack, with one micrograph in memory at a time.

    Parameters
    ----------
    path : str or Path
        Stack to write, see `write_stack`.
    coordinates : DataFrame
        Columns micrograph, x, y in px of the micrographs; further columns are kept.
    micrographs : mapping of name to path
        Files of the micrographs.
    boxes : Boxes
        Sizes, from `choose_boxes`.
    pixel_size : float
        Pixel size of the micrographs, Å/px.
    invert : bool
        As in `extract_particles`.
    float16 : bool
        Write 16-bit floats: half the file size, with about three digits.
    ctf : DataFrame, optional
        Table with the column micrograph. Coordinates on other micrographs get no image, since RELION needs a CTF for
        all particles or for none.
    shapes : mapping of name to (height, width), optional
        Shapes of the micrographs at the time of picking. A micrograph with another shape now, or an unreadable one,
        gets no images.

    Returns
    -------
    Extracted
        Rows of `coordinates`; kept rows are in the order of the stack.
    """
    usable = coordinates["micrograph"].isin(coordinates["micrograph"] if ctf is None else ctf["micrograph"])
    kept, dropped = [coordinates.iloc[:0]], [coordinates[~usable].assign(reason=WITHOUT_CTF)]
    for name in dropped[0]["micrograph"].unique():
        log.warning("%s: has no CTF; its coordinates get no particle images", name)

    def stacks() -> Iterator[np.ndarray]:
        """Yield the particle images of one micrograph after the other."""
        for name, rows in coordinates[usable].groupby("micrograph", sort=False):
            try:
                image = _read_unchanged(micrographs[name], name, pixel_size, (shapes or {}).get(name))
            except UserError as error:
                log.warning("%s: no particle images; %s", name, error)
                dropped.append(rows.assign(reason=CHANGED))
                continue
            particles = extract_particles(
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
    return ExtractedRows(pd.concat(kept, ignore_index=True), pd.concat(dropped, ignore_index=True))


def _read_unchanged(path: str, name: str, pixel_size: float, shape: Shape | None) -> np.ndarray:
    """Read a micrograph and check its shape, if a shape is given."""
    image = read_micrograph(path, name=name, pixel_size=pixel_size).image
    if shape is not None and image.shape != tuple(shape):
        raise UserError(
            f"{path}: has {image.shape[1]} × {image.shape[0]} pixels now, but had {shape[1]} × {shape[0]} when it was "
            "picked; run with --forcerun prepare to pick it again"
        )
    return image
