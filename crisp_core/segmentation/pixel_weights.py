"""Weights of pixels in training labels: a pixel may count several times, or not at all.

A training label is the class of a pixel (below `STEP`), plus `STEP` for every further time that the pixel counts in the
loss; or `IGNORED`. So a crop stays one array, and every loss sees a pixel as often as it counts.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from crisp_core.classes import IGNORED
from crisp_core.formats.arrays import array_names, read_array, read_window

if TYPE_CHECKING:
    import torch

STEP = 16
KIND = "weight"


def read_weights(labels: h5py.File, name: str, rows: slice, columns: slice) -> np.ndarray | None:
    """Window of the weights of a micrograph; None where all its pixels count once.

    Parameters
    ----------
    labels : h5py.File
        Label file, open for reading.
    name : str
        Name of the micrograph.
    rows, columns : slice
        Window, in px of the label.
    """
    return read_window(labels, KIND, name, rows, columns) if f"{KIND}/{name}" in labels else None


def counted_pixels(images: str | Path, labels: str | Path, name: str) -> np.ndarray:
    """Mask (h, w) of the pixels of a micrograph that are valid and that corrections do not exclude.

    Parameters
    ----------
    images, labels : str or Path
        Batch files of images and labels.
    name : str
        Name of the micrograph.
    """
    valid = read_array(images, "valid", name).data.astype(bool)
    return valid & (read_array(labels, KIND, name).data > 0) if name in array_names(labels, KIND) else valid


def weighted_label(label: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Training label (h, w) uint8 whose pixels count `weight` (h, w) times; None leaves it as it is."""
    if weight is None:
        return label
    repeated = label + STEP * np.maximum(weight, 1).astype(np.uint8) - STEP
    return np.where((weight == 0) | (label == IGNORED), IGNORED, repeated).astype(np.uint8)


def repeated_pixels(values: "torch.Tensor", labels: "torch.Tensor") -> tuple["torch.Tensor", "torch.Tensor"]:
    """Logits (l, n) and classes (n,) of n labelled pixels, each as often as its label says."""
    if not (labels >= STEP).any():
        return values, labels
    repeats, classes = labels // STEP + 1, labels % STEP
    return values.repeat_interleave(repeats, dim=1), classes.repeat_interleave(repeats)
