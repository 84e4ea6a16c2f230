"""Data of the viewer for each micrograph, and figures of a sample of the particles."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import mrcfile
import numpy as np
import pandas as pd
from scipy import ndimage

from crisp_core.errors import opening
from crisp_core.evaluation.calibration import EXPECTED_PRECISION
from crisp_core.figures.montage import draw_montage
from crisp_core.figures.style import LOWPASS_DIAMETERS
from crisp_core.formats.arrays import Array
from crisp_core.report.contact import junk_uri
from crisp_core.report.picked import Picked
from crisp_core.report.previews import (
    IMAGE_BYTES,
    MAP_BYTES,
    THUMBNAIL_BYTES,
    THUMBNAIL_PX,
    evenly_spaced,
    figure_uri,
    grey_preview,
    jpeg_uri,
    map_preview,
    mask_uri,
    outline_preview,
    preview_shape,
)

MONTAGE, MONTAGE_COLUMNS = 60, 12


def micrograph_view(
    one: Picked,
    image: Array,
    probability: np.ndarray | None,
    label: np.ndarray | None,
    *,
    classes: np.ndarray | None = None,
    diameter_angstrom: float,
    side_px: int,
) -> dict[str, object]:
    """Return the pictures of a micrograph, and its candidates and true particles in px of the micrograph.

    Parameters
    ----------
    one : Picked
        Matched candidates of the micrograph.
    image : Array
        Micrograph at working resolution.
    probability, label : (h, w) arrays or None
        Predicted probability and label with the shape of the image.
    classes : (h, w) array, optional
        Predicted class of each pixel, by its number in the registry.
    diameter_angstrom : float
        Particle diameter, Å.
    side_px : int
        Longest side of the pictures in px.
    """
    shape = preview_shape(image.data.shape, side_px)
    diameter_px = diameter_angstrom / image.pixel_size
    grey = grey_preview(image.data, shape, diameter_px=diameter_px)
    return {
        "width": shape[1],
        "height": shape[0],
        "grid": list(image.data.shape),
        "full_shape": list(image.full_shape),
        "diameter": diameter_px * shape[1] / image.data.shape[1],
        "image": jpeg_uri(grey, bytes_per_px=IMAGE_BYTES),
        "probability": probability
        if probability is None
        else jpeg_uri(map_preview(probability, shape), bytes_per_px=MAP_BYTES),
        "label": label if label is None else mask_uri(outline_preview(label, shape)),
        "junk": classes if classes is None else junk_uri(classes, shape),
        "candidates": _columns(one.candidates),
        "truth": None if one.truth is None else _columns(one.truth.round({"x": 1, "y": 1})),
    }


def draw_thumbnail(image: Array, *, diameter_angstrom: float) -> str:
    """Draw a small picture of a micrograph for the contact sheet."""
    shape = preview_shape(image.data.shape, THUMBNAIL_PX)
    grey = grey_preview(image.data, shape, diameter_px=diameter_angstrom / image.pixel_size)
    return jpeg_uri(grey, bytes_per_px=THUMBNAIL_BYTES)


def _columns(table: pd.DataFrame) -> dict[str, list]:
    """Return columns of a table as lists, NaN as None."""
    columns = {"x": table["x"].tolist(), "y": table["y"].tolist()}
    if "found" in table:
        columns["found"] = [None if np.isnan(value) else value for value in table["found"]]
    if "score" in table:
        columns["score"] = table["score"].tolist()
    if EXPECTED_PRECISION in table:
        columns[EXPECTED_PRECISION] = table[EXPECTED_PRECISION].round(3).tolist()
    if "true" in table:
        columns["true"] = table["true"].astype(int).tolist()
    return columns


def sample_particles(stacks: Sequence[str | Path], n: int) -> np.ndarray:
    """Read at most `n` particle images (k, box, box), at equal distances in the stacks."""
    sizes = [_stack_size(path) for path in stacks]
    starts = np.cumsum([0, *sizes])
    wanted = sorted(evenly_spaced(int(starts[-1]), n))
    images: list[np.ndarray] = []
    for path, start, size in zip(stacks, starts, sizes, strict=False):
        rows = [i - start for i in wanted if start <= i < start + size]
        if rows:
            with opening(path), mrcfile.mmap(path, mode="r") as file:
                data = file.data.reshape(-1, *file.data.shape[-2:])
                images += [np.array(data[row], dtype=np.float32) for row in rows]
    return np.stack(images) if images else np.zeros((0, 1, 1), np.float32)


def _stack_size(path: str | Path) -> int:
    with opening(path), mrcfile.open(path, mode="r", header_only=True, permissive=True) as file:
        return int(file.header.nz) if int(file.header.nx) else 0


def mean_particle(particles: Iterable[np.ndarray]) -> np.ndarray:
    """Return the mean of particle images; they are added one by one, so that the split into stacks has no effect."""
    total, n = np.zeros(()), 0
    for particle in particles:
        total, n = total + particle.astype(np.float64), n + 1
    return (total / max(1, n)).astype(np.float32)


def low_pass_particles(particles: np.ndarray, *, diameter_px: float) -> np.ndarray:
    """Blur particle images as the micrographs, and reduce them to about 64 px per side."""
    sigma = diameter_px * LOWPASS_DIAMETERS
    step = max(1, particles.shape[-1] // 64)
    return ndimage.gaussian_filter(particles, (0, sigma, sigma))[:, ::step, ::step]


def draw_particle_figures(particles: np.ndarray, *, diameter_px: float) -> dict[str, str]:
    """Draw the figures `montage` and `average` of particle images (n, box, box), none without particles."""
    if not len(particles):
        return {}
    shown = particles[sorted(evenly_spaced(len(particles), MONTAGE))]
    low_passed = low_pass_particles(shown, diameter_px=diameter_px)
    return {
        "montage": figure_uri(draw_montage(low_passed, columns=MONTAGE_COLUMNS)),
        "average": figure_uri(draw_montage(mean_particle(particles)[None], columns=1)),
    }
