"""Label images with several classes: background (0), particle (1), contaminant (2), carbon (3)."""

import numpy as np

from crisp_core.classes import CARBON, CONTAMINANT, PARTICLE


def add_scenery_classes(label: np.ndarray, scenery: np.ndarray) -> np.ndarray:
    """Lay contaminants and carbon over a label of particles.

    A contaminant (2) covers what is under it; a particle (1) stays visible on carbon (3); carbon covers background (0).

    Parameters
    ----------
    label : (h, w) uint8 array
        0 background, 1 particle.
    scenery : (H, W) uint8 array
        Classes of the same micrograph on the same or a finer grid, sampled where the label's pixels are.

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
    """Label (h, w) int8 for other programs: the classes' numbers, and −1 where pixels count for nothing."""
    return np.where(valid, label, -1).astype(np.int8)
