"""Boxes around particles: sizes in px, and cutting them out of a micrograph."""

from typing import NamedTuple

import numpy as np

from crisp_core.errors import UserError
from crisp_core.geometry import Shape, angstrom_to_px, box_size_px

# Default side of a box in particle diameters, with room for the signal that the CTF spreads around a particle.
DIAMETERS_PER_BOX = 1.5


class Boxes(NamedTuple):
    """Sizes of boxes: side in the micrograph, side of the written image, its background radius (px) and pixel size."""

    box_px: int
    size_px: int
    bg_radius_px: float
    pixel_size: float


def choose_boxes(
    pixel_size: float,
    diameter_angstrom: float,
    *,
    box_angstrom: float | None = None,
    background_radius_angstrom: float | None = None,
    stack_pixel_size: float | None = None,
) -> Boxes:
    """Convert the sizes of boxes from Å to px; None takes the default.

    Parameters
    ----------
    pixel_size : float
        Pixel size of the micrographs, Å/px.
    diameter_angstrom : float
        Particle diameter, Å.
    box_angstrom : float, optional
        Side of the box, Å; by default 1.5 diameters, rounded up to an even number of px with a fast Fourier transform
        (`geometry.box_size_px`).
    background_radius_angstrom : float, optional
        Radius of the particle's circle, Å; by default 37.5 % of the box (RELION's default of 75 % is the diameter).
    stack_pixel_size : float, optional
        Pixel size of the stack, Å/px; by default that of the micrographs. The side of an image is even, so that the
        pixel size of the result may differ slightly.

    Raises
    ------
    UserError
        If the circle of the particle is larger than the box.
    """
    box_px = box_size_px(DIAMETERS_PER_BOX * diameter_angstrom if box_angstrom is None else box_angstrom, pixel_size)
    size_px = box_px if stack_pixel_size is None else 2 * max(1, round(box_px * pixel_size / stack_pixel_size / 2))
    final_pixel_size = pixel_size * box_px / size_px
    radius = 0.375 * size_px
    if background_radius_angstrom is not None:
        radius = angstrom_to_px(background_radius_angstrom, final_pixel_size)
    # a twentieth of a pixel is rounding of numbers in Å
    if radius > size_px / 2 + 0.05:
        raise UserError(
            f"particles/background_radius_angstrom: {background_radius_angstrom:g} Å does not fit into the box of "
            f"{box_px * pixel_size:.0f} Å; lower it or raise box_angstrom"
        )
    return Boxes(box_px, size_px, min(radius, size_px / 2), final_pixel_size)


def boxes_touching_image(shape: Shape, xy: np.ndarray, *, box_px: int) -> np.ndarray:
    """Return whether each box contains at least one pixel of the image, bool (n,).

    Parameters
    ----------
    shape : (height, width)
        Shape of the image in px.
    xy : (n, 2) array
        Centres of the boxes as (x, y), in px.
    box_px : int
        Side of a box.
    """
    corner = _box_corners(xy, box_px)
    width_height = np.array([shape[1], shape[0]])
    return np.all((corner + box_px > 0) & (corner < width_height), axis=1)


def cut_boxes(image: np.ndarray, xy: np.ndarray, *, box_px: int) -> np.ndarray:
    """Cut boxes out of an image.

    Parameters
    ----------
    image : np.ndarray
        Micrograph (h, w).
    xy : np.ndarray
        Centres (n, 2) as (x, y) in px. They are truncated to integers and become pixel `box_px / 2` of the box.
    box_px : int
        Side of a box, even.

    Returns
    -------
    np.ndarray
        Images (n, box_px, box_px), float32; outside of the micrograph, its nearest pixel is repeated.
    """
    if box_px % 2:
        raise ValueError(f"box_px must be even, not {box_px}")
    x, y = _box_corners(xy, box_px).T
    steps = np.arange(box_px)
    rows = np.clip(y[:, None] + steps, 0, image.shape[0] - 1)
    columns = np.clip(x[:, None] + steps, 0, image.shape[1] - 1)
    return image[rows[:, :, None], columns[:, None, :]].astype(np.float32, copy=False)


def _box_corners(xy: np.ndarray, box_px: int) -> np.ndarray:
    """First pixel (x, y) of each box; coordinates are truncated towards zero, as in RELION."""
    return np.trunc(np.asarray(xy, dtype=float).reshape(-1, 2)).astype(int) - box_px // 2
