"""Classes of pixels by name, and the numbers that stand for them in label files."""

from collections.abc import Sequence

import numpy as np

# names by number: the numbers of all label files; a network has its own list of names, in its own order
CLASSES = ("background", "particle", "contaminant", "carbon")
PARTICLE, CONTAMINANT, CARBON = 1, 2, 3

# label of pixels that count for nothing, in training alone: stored labels have a mask beside them instead
IGNORED = 255


def channel(classes: Sequence[str], name: str) -> int:
    """Channel of a class in a network with these classes.

    Raises
    ------
    ValueError
        If the network has no such class.
    """
    return list(classes).index(name)


def network_label(label: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """Label (h, w) by the channels of a network; a class that it does not have becomes its background."""
    background = channel(classes, "background")
    table = [channel(classes, name) if name in classes else background for name in CLASSES]
    return np.asarray(table, dtype=label.dtype)[label]


def file_label(channels: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """Label (h, w) uint8 by the numbers of label files, from the channels of a network with these classes."""
    return np.asarray([CLASSES.index(name) for name in classes], dtype=np.uint8)[channels]
