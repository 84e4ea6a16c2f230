"""Boxes around particles: sizes in px, and cutting them out of a micrograph."""

from typing import NamedTuple

import numpy as np

from crisp_core.errors import UserError
from crisp_core.geometry import Shape, angstrom_to_px, even_fft_size

# room for the signal that the CTF spreads around a particle
DIAMETERS_PER_BOX = 1.5


class Boxes(NamedTuple):
    """Side of the window in the micrograph, side of the image written, its background radius (px) and Å/px."""

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


def boxes_touching_image(shape: Shape, xy: np.ndarray, *, box_px: int) -> np.ndarray:
    """Whether each window `(n,)` holds at least one pixel of an image of `shape`."""
    corner = _box_corners(xy, box_px)
    width_height = np.array([shape[1], shape[0]])
    return np.all((corner + box_px > 0) & (corner < width_height), axis=1)


def cut_boxes(image: np.ndarray, xy: np.ndarray, *, box_px: int) -> np.ndarray:
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
    x, y = _box_corners(xy, box_px).T
    steps = np.arange(box_px)
    rows = np.clip(y[:, None] + steps, 0, image.shape[0] - 1)
    columns = np.clip(x[:, None] + steps, 0, image.shape[1] - 1)
    return image[rows[:, :, None], columns[:, None, :]].astype(np.float32, copy=False)


def _box_corners(xy: np.ndarray, box_px: int) -> np.ndarray:
    """First pixel (x, y) of each window; like RELION, the coordinate is cut towards zero and not rounded."""
    return np.trunc(np.asarray(xy, dtype=float).reshape(-1, 2)).astype(int) - box_px // 2
