"""Label images with several classes: background (0), particle (1), contaminant (2), carbon (3)."""

import numpy as np

from crisp_core.classes import CARBON, CONTAMINANT, PARTICLE


def add_scenery_classes(label: np.ndarray, scenery: np.ndarray) -> np.ndarray:
    """Add contaminants and carbon to a label of particles.

    A contaminant (2) replaces every other class; carbon (3) replaces background (0), but not particles (1).

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
    rows, columns = (
        np.minimum(np.rint(np.arange(n) * (fine / n)).astype(int), fine - 1)
        for n, fine in zip(label.shape, scenery.shape, strict=True)
    )
    sampled = scenery[np.ix_(rows, columns)]
    covers = (sampled == CONTAMINANT) | ((sampled == CARBON) & (label != PARTICLE))
    return np.where(covers, sampled, label)


def signed_label(label: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Return a label (h, w) int8 for other programs: numbers of the classes, −1 on masked pixels."""
    return np.where(valid, label, -1).astype(np.int8)
