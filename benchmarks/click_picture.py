"""Part `picture` of benchmarks/clicks.py: how labels are made from clicks, on part of a micrograph of EMPIAR-10146."""

from functools import partial
from pathlib import Path

import numpy as np
import scipy.ndimage
from matplotlib.figure import Figure

from benchmarks.click_labels import crf_label
from crisp_core.figures.style import VERMILLION, new_figure, save_figure
from crisp_core.labels.click_boxes import Boxes, class_seed, cut_boxes
from crisp_core.labels.clicks import estimate_marginals
from crisp_core.labels.settings import ClickSettings
from crisp_core.segmentation.crf.smoothing import smoothed_marginals

# side of the shown square in diameters
SIDE_DIAMETERS = 6.0


def draw_steps(path: Path, image: np.ndarray, valid: np.ndarray, xy: np.ndarray, diameter_px: float) -> None:
    """Draw clicks, classes without the CRF, marginals of the CRF, and label.

    Parameters
    ----------
    path : Path
        Picture to write.
    image, valid : (h, w) arrays
        Prepared micrograph and the pixels that count.
    xy : (n, 2) array
        Particles, px.
    diameter_px : float
        Diameter of the particle, px.
    """
    settings = ClickSettings()
    label = crf_label(image, valid, xy, diameter_px, settings)
    boxes = cut_boxes(image, valid, xy, diameter_px=diameter_px, lowpass_px=label.lowpass_diameters * diameter_px)
    smooth = partial(smoothed_marginals, gamma_px=settings.gamma_diameters * diameter_px)
    estimate = partial(estimate_marginals, boxes, class_seed(boxes)[0], rounds=settings.rounds)
    marginals = estimate(smooth=partial(smooth, weight=label.weight), unary_scale=settings.unary_scale)
    alone = estimate(smooth=partial(smooth, weight=0.0), unary_scale=1.0)
    low = scipy.ndimage.gaussian_filter(image.astype(float), label.lowpass_diameters * diameter_px)
    maps = {
        "clicks, low-passed": (low, "gray", {}),
        "classes, each pixel alone": (on_image(alone, boxes, image.shape), "cividis", {"vmin": 0, "vmax": 1}),
        "classes and CRF": (on_image(marginals, boxes, image.shape), "cividis", {"vmin": 0, "vmax": 1}),
        "label": (image, "gray", {}),
    }
    save_figure(draw_panels(maps, label.instances > 0, xy, square(image.shape, diameter_px)), path)


def draw_panels(maps: dict, label: np.ndarray, xy: np.ndarray, window: tuple[slice, slice]) -> Figure:
    """Draw the panels of a window: the first with the clicks, the last with the outlines of the label.

    Parameters
    ----------
    maps : dict of tuples
        Image (h, w), colour map and options of each panel, by title.
    label : (h, w) bool array
        Pixels of the particles.
    xy : (n, 2) array
        Clicks, px.
    window : (slice, slice)
        Rows and columns to show.
    """
    figure = new_figure(12.0, 3.3)
    panels = figure.subplots(1, len(maps))
    for axes, (title, (image, colors, options)) in zip(panels, maps.items(), strict=True):
        axes.imshow(image[window], cmap=colors, **options)
        axes.set(title=title, xticks=[], yticks=[])
    panels[-1].contour(label[window], levels=[0.5], colors=VERMILLION, linewidths=1.2)
    first = [window[1].start, window[0].start]
    inside = np.all((xy >= first) & (xy < [window[1].stop, window[0].stop]), axis=1)
    panels[0].plot(*(xy[inside] - first).T, "+", color=VERMILLION, markersize=8)
    return figure


def on_image(values: np.ndarray, boxes: Boxes, shape: tuple[int, int]) -> np.ndarray:
    """Place the values of boxes (n, side, side) on their pixels of an image; 0 elsewhere."""
    image, own = np.zeros(shape), boxes.core | boxes.free
    for value, mask, (x, y) in zip(values, own, boxes.corners, strict=True):
        rows, columns = np.nonzero(mask)
        image[rows + y, columns + x] = value[mask]
    return image


def square(shape: tuple[int, int], diameter_px: float) -> tuple[slice, slice]:
    """Return the window in the middle of a micrograph that is shown."""
    side = min(round(SIDE_DIAMETERS * diameter_px), *shape)
    rows, columns = (slice((n - side) // 2, (n - side) // 2 + side) for n in shape)
    return rows, columns
