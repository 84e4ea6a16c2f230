"""Classes of pixels, by their number in a label."""

import numpy as np

CLASSES = ("background", "particle", "contaminant", "carbon")
PARTICLE, CONTAMINANT, CARBON = 1, 2, 3

# label of pixels that count for nothing, in training alone: stored labels have a mask beside them instead
IGNORED = 255


def merged_classes(label: np.ndarray, n_classes: int) -> np.ndarray:
    """Label with only the first `n_classes` classes; what belongs to another becomes background."""
    return np.where(label < n_classes, label, 0).astype(label.dtype)
