"""Images and star files of the particles whose orientations are wanted, and the map in their box."""

from collections.abc import Sequence
from pathlib import Path

import mrcfile
import numpy as np
import pandas as pd

from crisp_core.errors import UserError, opening
from crisp_core.formats.star import joined_particles, read_blocks
from crisp_core.geometry import even_fft_size
from crisp_core.particles.boxes import Boxes, choose_boxes
from crisp_core.simulation.volumes import resample_volume

# A diameter of 25 px shows the outline; finer detail costs time and changes no label.
PIXELS_PER_DIAMETER = 25


def coarse_boxes(pixel_size: float, diameter_angstrom: float, *, stack_pixel_size: float | None = None) -> Boxes:
    """Box of 1.5 diameters and its coarse side, even and fast to transform.

    Parameters
    ----------
    pixel_size : float
        Å/px of the micrographs; the stack is never finer.
    diameter_angstrom : float
    stack_pixel_size : float, optional
        Å/px of the stack; about a 25th of the diameter by default. What the even size makes of it is returned.
    """
    wanted = diameter_angstrom / PIXELS_PER_DIAMETER if stack_pixel_size is None else stack_pixel_size
    box_px = choose_boxes(pixel_size, diameter_angstrom).box_px
    size_px = min(box_px, even_fft_size(round(box_px * pixel_size / wanted, 6)))
    return choose_boxes(pixel_size, diameter_angstrom, stack_pixel_size=box_px * pixel_size / size_px)


def read_particles(paths: Sequence[str | Path]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Optics and particles of star files, in their order; optics groups of one name are one.

    Raises
    ------
    UserError
        If a file cannot be read or has no such blocks, or if there is no particle at all.
    """
    batches = []
    for path in paths:
        blocks = read_blocks(path)
        if not all(isinstance(blocks.get(name), pd.DataFrame) for name in ("optics", "particles")):
            raise UserError(f"{path}: has no tables data_optics and data_particles; run the step that writes it again")
        batches.append(blocks)
    optics, particles = joined_particles(batches)
    if particles.empty:
        raise UserError(f"{paths[0]}: holds no particle; orientations are found for given coordinates")
    return optics, particles


def read_images(names: Sequence[str]) -> np.ndarray:
    """Images (n, size, size) float32 that rlnImageName gives (`000001@stack.mrcs`), one stack open at a time.

    Raises
    ------
    UserError
        If a stack cannot be opened, or has not all of them.
    """
    table = pd.Series(list(names), dtype="str").str.split("@", n=1, expand=True)
    rows_of = table.groupby(1, sort=False).groups
    images: dict[int, np.ndarray] = {}
    for path, rows in rows_of.items():
        numbers = table.loc[rows, 0].astype(int).to_numpy() - 1
        with opening(path), mrcfile.mmap(path, permissive=True) as stack:
            if numbers.max() >= len(stack.data):
                raise UserError(f"{path}: has not all images that its star file names; delete it and run again")
            images.update(zip(rows, np.asarray(stack.data[numbers], dtype=np.float32), strict=True))
    return np.stack([images[row] for row in range(len(table))])


def volume_in_box(volume: np.ndarray, pixel_size: float, new_pixel_size: float, size_px: int) -> np.ndarray:
    """Map (n, n, n) at another pixel size (Å per voxel), cropped or zero-padded to (size, size, size), size even."""
    resampled = resample_volume(volume, pixel_size, new_pixel_size)
    margin = (size_px - len(resampled)) // 2
    if margin >= 0:
        return np.pad(resampled, margin)
    return np.ascontiguousarray(resampled[(slice(-margin, margin),) * 3])
