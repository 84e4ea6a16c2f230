"""Registry of the classes of pixels: names, numbers in label files, colours, and the scenery that shows them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class PixelClass(NamedTuple):
    """Class of pixels.

    Attributes
    ----------
    name : str
        Name in configs, checkpoints and tables.
    number : int
        Number in label files: the place of the class in `REGISTRY`.
    color : str
        Colour in pictures and tables, as #rrggbb.
    layer : int
        Where several classes meet in a label, the one of the highest layer is visible; background has layer 0.
    elements : tuple of str
        Elements of a simulation's scenery (keys of `simulation/scenery`) whose pixels have this class.
    removal_diameters : float, optional
        Default distance to this class, in particle diameters, within which picks are removed; None: picks stay.
    """

    name: str
    number: int
    color: str
    layer: int
    elements: tuple[str, ...] = ()
    removal_diameters: float | None = None


REGISTRY = (
    PixelClass("background", 0, "#000000", layer=0),
    PixelClass("particle", 1, "#009E73", layer=2),
    PixelClass("contaminant", 2, "#D55E00", layer=3, elements=("ice", "ethane", "aggregates"), removal_diameters=0.5),
    PixelClass("carbon", 3, "#56B4E9", layer=1, elements=("carbon",), removal_diameters=0.5),
)
# names by number; a network has its own list of names, in its own order
CLASSES = tuple(each.name for each in REGISTRY)
BACKGROUND, PARTICLE, CONTAMINANT, CARBON = map(CLASSES.index, ("background", "particle", "contaminant", "carbon"))
# classes of which picks keep a distance
AVOIDED = tuple(each for each in REGISTRY if each.removal_diameters is not None)

# label of pixels that do not count in training; label files have a mask of valid pixels instead
IGNORED = 255


def class_of_element(element: str) -> int:
    """Number of the class of an element of a simulation's scenery; background where no class has it."""
    return next((each.number for each in REGISTRY if element in each.elements), BACKGROUND)


def layers() -> np.ndarray:
    """Layer of every class, by its number, shape (n,)."""
    return np.array([each.layer for each in REGISTRY])


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
    background = channel(classes, CLASSES[BACKGROUND])
    table = [channel(classes, name) if name in classes else background for name in CLASSES]
    return np.asarray(table, dtype=label.dtype)[label]


def file_label(channels: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """Label (h, w) uint8 by the numbers of label files, from the channels of a network with these classes."""
    return np.asarray([CLASSES.index(name) for name in classes], dtype=np.uint8)[channels]
