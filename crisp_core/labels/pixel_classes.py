"""Label images with several classes."""

from pathlib import Path

import numpy as np

from crisp_core.classes import BACKGROUND, PARTICLE, layers
from crisp_core.formats.arrays import array_names, read_array


def add_scenery_classes(label: np.ndarray, scenery: np.ndarray) -> np.ndarray:
    """Add the classes of the scenery, such as contaminants and carbon, to a label of particles.

    A class replaces those of lower layers: contaminants replace particles, and carbon replaces background alone.

    Parameters
    ----------
    label : (h, w) uint8 array
        0 background, 1 particle.
    scenery : (H, W) uint8 array
        Classes of the same micrograph at the same or a finer pixel size, sampled at the pixels of the label.

    Returns
    -------
    (h, w) uint8 array
    """
    sampled = sample_classes(scenery, label.shape)
    return np.where(layers()[sampled] > layers()[label], sampled, label)


def sample_classes(classes: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Sample the classes (H, W) of a micrograph at the pixels of a grid of `shape`, which is the same or coarser."""
    rows, columns = (
        np.minimum(np.rint(np.arange(n) * (fine / n)).astype(int), fine - 1)
        for n, fine in zip(shape, classes.shape, strict=True)
    )
    return classes[np.ix_(rows, columns)]


def signed_label(label: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Return a label (h, w) int8 for other programs: numbers of the classes, −1 on masked pixels."""
    return np.where(valid, label, -1).astype(np.int8)


def predicted_label(path: str | Path, name: str) -> np.ndarray:
    """Predicted class (h, w) of each pixel of a micrograph; of two classes, particle where its probability is half.

    Parameters
    ----------
    path : str or Path
        Batch file of the predictions.
    name : str
        Micrograph.
    """
    if name in array_names(path, "class"):
        return read_array(path, "class", name).data
    return np.where(read_array(path, "probability", name).data >= 0.5, PARTICLE, BACKGROUND).astype(np.uint8)
