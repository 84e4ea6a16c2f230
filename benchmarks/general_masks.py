"""Classes of pixels of a network against the class labels of EMPIAR-10017 (CASSPER's, made half by hand).

Their colours: red protein, green ice, contaminant or the carbon's edge, blue background, magenta the border. Green does
not tell contaminant from carbon, so the union of both is compared with it, and each alone.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from general_entries import Network, map_file
from general_sets import DATA, TestSet
from PIL import Image

from crisp_core.classes import CARBON, CONTAMINANT, PARTICLE
from crisp_core.evaluation.pixels import PixelCounts, iou, pool_pixels, precision, recall

RED, GREEN, MAGENTA = (255, 0, 0), (0, 255, 0), (255, 0, 255)
# Name, classes of the network, colours of the label.
COMPARED = (
    ("contaminant or carbon / green", (CONTAMINANT, CARBON), (GREEN,)),
    ("contaminant / green", (CONTAMINANT,), (GREEN,)),
    ("carbon / green", (CARBON,), (GREEN,)),
    ("particle / red", (PARTICLE,), (RED,)),
    ("carbon or masked / magenta", (CARBON,), (MAGENTA,)),
)


def class_label(micrograph: str, shape: tuple[int, int]) -> np.ndarray:
    """Colours (h, w, 3) of a micrograph's label in the frame of its picture, on a coarser grid."""
    colors = np.asarray(Image.open(DATA / "empiar-10017/class_labels" / f"{micrograph}.png").convert("RGB"))
    rows, columns = (np.arange(n) * side // n for n, side in zip(shape, colors.shape, strict=False))
    # the labels are in the row order of the MRC, the pictures are upside down to it
    return colors[::-1][rows][:, columns]


def is_color(colors: np.ndarray, wanted: Sequence[tuple[int, int, int]]) -> np.ndarray:
    """Pixels (h, w) of some colours."""
    return np.any([np.all(colors == color, axis=-1) for color in wanted], axis=0)


def junk_scores(networks: Sequence[Network], test: TestSet, folder: Path) -> pd.DataFrame:
    """Precision, recall and IoU of the classes, pooled over the micrographs.

    The border counts in the row of magenta alone, with masked pixels as found; elsewhere it is left out.
    """
    rows = []
    for network in networks:
        counts: dict[str, list[PixelCounts]] = {name: [] for name, *_ in COMPARED}
        for micrograph in test.micrographs["micrograph"]:
            with np.load(map_file(folder, network, test.name, micrograph), allow_pickle=False) as stored:
                classes, valid = stored["classes"], stored["valid"]
            if classes.size == 0:
                raise SystemExit(f"{network.name}: has two classes and no masks of contaminants; leave part masks out")
            for name, own in class_counts(classes, valid, micrograph).items():
                counts[name].append(own)
        rows += [{"network": network.name, "class / label": name, **ratios(each)} for name, each in counts.items()]
    return pd.DataFrame(rows)


def class_counts(classes: np.ndarray, valid: np.ndarray, micrograph: str) -> dict[str, PixelCounts]:
    """Counts of the pixels of every row of `COMPARED` on one micrograph.

    Parameters
    ----------
    classes : (h, w) array
        Class of every pixel, as numbered in label files.
    valid : (h, w) bool array
        Pixels that are not masked.
    micrograph : str
        Name of the micrograph.
    """
    colors, counts = class_label(micrograph, classes.shape), {}
    for name, found, wanted in COMPARED:
        border = MAGENTA in wanted
        seen = np.isin(classes, found) & valid | (~valid if border else False)
        counted = np.ones_like(valid) if border else valid & ~is_color(colors, [MAGENTA])
        counts[name] = compared(seen, is_color(colors, wanted), counted)
    return counts


def compared(found: np.ndarray, wanted: np.ndarray, counted: np.ndarray) -> PixelCounts:
    """Counts of the pixels of two masks (h, w), where a third is true."""
    pairs = ((found, wanted), (found, ~wanted), (~found, wanted), (~found, ~wanted))
    return PixelCounts(*(int(np.count_nonzero(a & b & counted)) for a, b in pairs))


def ratios(counts: Sequence[PixelCounts]) -> dict[str, float]:
    """Scores of pooled counts, and the shares of the label and of what was found."""
    pooled = pool_pixels(counts)
    total = sum(pooled)
    return {
        **{measure.__name__: measure(pooled) for measure in (precision, recall, iou)},
        "share labelled": (pooled.tp + pooled.fn) / total,
        "share found": (pooled.tp + pooled.fp) / total,
    }
