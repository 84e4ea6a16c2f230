"""Images and star files of particles for the search for orientations, and the map in their box."""

import math
from collections.abc import Sequence
from pathlib import Path

import mrcfile
import numpy as np
import pandas as pd

from crisp_core.datasets.pixel_sizes import equal_pixel_sizes
from crisp_core.errors import UserError, opening
from crisp_core.formats.relion_particles import joined_particles
from crisp_core.formats.star import read_blocks
from crisp_core.formats.volumes import read_volume
from crisp_core.geometry import even_fft_size
from crisp_core.particles.boxes import Boxes, choose_boxes
from crisp_core.simulation.volumes import resample_volume

# Pixels per particle diameter: enough for outlines; finer pixels take time and do not change labels.
PIXELS_PER_DIAMETER = 25


def coarse_boxes(pixel_size: float, diameter_angstrom: float, *, stack_pixel_size: float | None = None) -> Boxes:
    """Choose a box of 1.5 diameters and a coarse image size with a fast Fourier transform.

    Parameters
    ----------
    pixel_size : float
        Pixel size of the micrographs, Å/px; that of the stack is at least as large.
    diameter_angstrom : float
        Particle diameter, Å.
    stack_pixel_size : float, optional
        Pixel size of the stack, Å/px; by default a 25th of the diameter. The pixel size of the result may differ
        slightly, since the side of an image is an even integer.
    """
    wanted = diameter_angstrom / PIXELS_PER_DIAMETER if stack_pixel_size is None else stack_pixel_size
    box_px = choose_boxes(pixel_size, diameter_angstrom).box_px
    size_px = min(box_px, even_fft_size(round(box_px * pixel_size / wanted, 6)))
    return choose_boxes(pixel_size, diameter_angstrom, stack_pixel_size=box_px * pixel_size / size_px)


def read_particles(paths: Sequence[str | Path]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the optics and particles of star files in their order; optics groups of equal name are merged.

    Raises
    ------
    UserError
        If a file is unreadable or lacks one of the blocks, or if there are no particles.
    """
    batches = []
    for path in paths:
        blocks = read_blocks(path)
        if not all(isinstance(blocks.get(name), pd.DataFrame) for name in ("optics", "particles")):
            raise UserError(f"{path}: lacks the tables data_optics and data_particles; rerun the rule that writes it")
        batches.append(blocks)
    optics, particles = joined_particles(batches)
    if particles.empty:
        raise UserError(f"{paths[0]}: contains no particles; give coordinates")
    return optics, particles


def read_images(names: Sequence[str]) -> np.ndarray:
    """Read the images (n, size, size) float32 of rlnImageName (`000001@stack.mrcs`), with one stack open at a time.

    Raises
    ------
    UserError
        If a stack is unreadable or lacks an image.
    """
    table = pd.Series(list(names), dtype="str").str.split("@", n=1, expand=True)
    rows_of = table.groupby(1, sort=False).groups
    images: dict[int, np.ndarray] = {}
    for path, rows in rows_of.items():
        numbers = table.loc[rows, 0].astype(int).to_numpy() - 1
        with opening(path), mrcfile.mmap(path, permissive=True) as stack:
            # of a stack of one image, the library gives the image
            data = stack.data.reshape(-1, *stack.data.shape[-2:])
            if numbers.max() >= len(data):
                raise UserError(f"{path}: lacks images of its star file; delete it and run again")
            images.update(zip(rows, np.asarray(data[numbers], dtype=np.float32), strict=True))
    return np.stack([images[row] for row in range(len(table))])


def read_mask(path: str | Path, *, pixel_size: float, size_px: int) -> np.ndarray:
    """Read a mask and bring it to the box of maps, with values from 0 to 1.

    Parameters
    ----------
    path : str or Path
        Map of the mask.
    pixel_size : float
        Å/px of the maps.
    size_px : int
        Side of the maps in voxels, even.

    Raises
    ------
    UserError
        If the header cannot state the pixel size of the mask: another one in a box of as many voxels, or in a box of
        another size 1 Å/px, which programs write that do not know it.
    """
    mask = read_volume(path)
    differs = not equal_pixel_sizes(mask.pixel_size, pixel_size)
    sides = (len(mask.density) * mask.pixel_size, size_px * pixel_size)
    is_unknown = abs(mask.pixel_size - 1) < 1e-5 and not math.isclose(*sides, rel_tol=0.02)
    if differs and (len(mask.density) == size_px or is_unknown):
        raise UserError(
            f"{path}: its header states {mask.pixel_size:g} Å/px and {len(mask.density)} voxels a side, the maps have "
            f"{pixel_size:.4g} Å/px and {size_px}; write the mask's pixel size into its header"
        )
    return np.clip(volume_in_box(mask.density, mask.pixel_size, pixel_size, size_px), 0, 1)


def volume_in_box(volume: np.ndarray, pixel_size: float, new_pixel_size: float, size_px: int) -> np.ndarray:
    """Resample a map, and crop or zero-pad it to a box.

    Parameters
    ----------
    volume : (n, n, n) array
        Map.
    pixel_size, new_pixel_size : float
        Pixel sizes of the map and of the result, Å per voxel.
    size_px : int
        Side of the result in voxels, even.
    """
    resampled = resample_volume(volume, pixel_size, new_pixel_size)
    margin = (size_px - len(resampled)) // 2
    if margin >= 0:
        return np.pad(resampled, margin)
    return np.ascontiguousarray(resampled[(slice(-margin, margin),) * 3])
