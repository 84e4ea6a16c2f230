"""Labels of micrographs whose picks a person corrected, and how often each pixel counts in training."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from crisp_core.classes import CONTAMINANT
from crisp_core.datasets.corrections import Corrected
from crisp_core.formats.arrays import Grid
from crisp_core.formats.corrections import Stroke, covered
from crisp_core.geometry import Shape, angstrom_to_px, rescaled_xy
from crisp_core.labels.discs import disc_label

# surroundings of a change that count in training where the rest of the micrograph is not trusted, in diameters
SURROUNDINGS_DIAMETERS = 1.0


class CorrectedLabel(NamedTuple):
    """Label of a corrected micrograph."""

    label: np.ndarray
    """(h, w) uint8 classes: discs of the particles, and brushed junk as contaminant."""
    weight: np.ndarray
    """(h, w) uint8: how often a pixel counts in training; 0 is ignored."""
    unsure: np.ndarray
    """(h, w) bool: pixels that do not count."""


def label_corrected(
    corrected: Corrected,
    grid: Grid,
    *,
    diameter_angstrom: float,
    disc_radius_angstrom: float,
    trusted: bool,
    weight: int,
) -> CorrectedLabel:
    """Label a corrected micrograph.

    Changed particles and removed picks count `weight` times, up to half a diameter from their centre. Unsure and
    disputed areas are ignored, and so is what is farther than a diameter from all changes, where the rest of the
    micrograph is not trusted.

    Parameters
    ----------
    corrected : Corrected
        Final particles and areas, in pixels of the original micrograph.
    grid : Grid
        Grid of the label.
    diameter_angstrom, disc_radius_angstrom : float
        Diameter of the particle and radius of its disc, in Å.
    trusted : bool
        Whether the unchanged area counts.
    weight : int
        How often a changed pixel counts.
    """
    diameter_px, radius_px = (
        angstrom_to_px(length, grid.pixel_size) for length in (diameter_angstrom, disc_radius_angstrom)
    )
    particles, removed, disputed = (
        rescaled_xy(xy, grid.full_shape, grid.shape)
        for xy in (corrected.particles, corrected.removed, corrected.disputed)
    )
    changes = np.concatenate([particles[corrected.placed], removed])
    junk, unsure = (stroke_mask(grid, strokes) for strokes in (corrected.junk, corrected.unsure))
    label = disc_label(grid.shape, particles, radius_px=radius_px)
    label[junk] = CONTAMINANT
    around = disc_label(grid.shape, changes, radius_px=SURROUNDINGS_DIAMETERS * diameter_px).astype(bool)
    counts = np.full(grid.shape, trusted) | around | junk
    often = disc_label(grid.shape, changes, radius_px=diameter_px / 2).astype(bool)
    ignored = unsure | disc_label(grid.shape, disputed, radius_px=diameter_px / 2).astype(bool)
    weights = np.where(ignored, 0, np.where(often, weight, counts)).astype(np.uint8)
    return CorrectedLabel(label, weights, weights == 0)


def stroke_mask(grid: Grid, strokes: Sequence[Stroke]) -> np.ndarray:
    """Mask of the pixels of a grid that a brush covers; strokes are in pixels of the original micrograph."""
    mask = np.zeros(grid.shape, dtype=bool)
    for stroke in strokes:
        rows, columns = (slice(*ends) for ends in stroke_box(stroke, grid))
        yx = np.mgrid[rows, columns]
        xy = rescaled_xy(yx[::-1].reshape(2, -1).T, grid.shape, grid.full_shape)
        mask[rows, columns] |= covered(xy, [stroke]).reshape(yx.shape[1:])
    return mask


def stroke_box(stroke: Stroke, grid: Grid) -> tuple[tuple[int, int], tuple[int, int]]:
    """First and last row, and first and last column, of the pixels of a grid that a stroke may cover."""
    line = np.array(stroke.points, dtype=float)
    corners = np.array([line.min(axis=0) - stroke.radius_px, line.max(axis=0) + stroke.radius_px])
    low, high = rescaled_xy(corners, grid.full_shape, grid.shape)
    sizes: Shape = (grid.shape[1], grid.shape[0])
    first, last = np.clip(np.floor(low), 0, sizes).astype(int), np.clip(np.ceil(high) + 1, 0, sizes).astype(int)
    return (int(first[1]), int(last[1])), (int(first[0]), int(last[0]))
