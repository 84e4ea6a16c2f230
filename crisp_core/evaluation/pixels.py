"""Scoring of pixels: counts of the particle class first, then ratios of pooled counts."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from crisp_core.classes import PARTICLE
from crisp_core.evaluation.parts import add_pooled_rows


class PixelCounts(NamedTuple):
    """Pixels of the particle class: true and false positives, false and true negatives."""

    tp: int
    fp: int
    fn: int
    tn: int


def count_pixels(
    probability: np.ndarray,  # (h, w)
    label: np.ndarray,  # (h, w)
    valid: np.ndarray,  # (h, w)
    *,
    threshold: float = 0.5,
) -> PixelCounts:
    """Compare a map of the particle class with its label, on valid pixels only.

    Parameters
    ----------
    probability : (h, w) float array
        Probability of the particle class; a pixel counts as particle where it is at least `threshold`.
    label : (h, w) integer or bool array
        Class of each pixel: 1 is particle, any other value is not.
    valid : (h, w) bool array
        Pixels that count; cropped or padded margins are False.
    """
    valid = np.asarray(valid, dtype=bool)
    predicted = np.asarray(probability) >= threshold
    particle = np.asarray(label) == PARTICLE
    tp = int(np.count_nonzero(valid & predicted & particle))
    fp = int(np.count_nonzero(valid & predicted & ~particle))
    fn = int(np.count_nonzero(valid & ~predicted & particle))
    return PixelCounts(tp, fp, fn, int(np.count_nonzero(valid)) - tp - fp - fn)


def pool_pixels(counts: Iterable[PixelCounts]) -> PixelCounts:
    """Sum of the counts of several micrographs."""
    return PixelCounts(*(int(n) for n in np.sum([*counts, PixelCounts(0, 0, 0, 0)], axis=0)))


def iou(counts: PixelCounts) -> float:
    """Intersection over union; see `pixel_table` for counts that leave it undefined."""
    return _ratio(counts, counts.tp, counts.tp + counts.fp + counts.fn)


def precision(counts: PixelCounts) -> float:
    """True share of the predicted particle pixels."""
    return _ratio(counts, counts.tp, counts.tp + counts.fp)


def recall(counts: PixelCounts) -> float:
    """Found share of the true particle pixels."""
    return _ratio(counts, counts.tp, counts.tp + counts.fn)


def accuracy(counts: PixelCounts) -> float:
    """Rightly classified share of all valid pixels."""
    return _ratio(counts, counts.tp + counts.tn, sum(counts))


def f1(counts: PixelCounts) -> float:
    """Harmonic mean of precision and recall (Dice coefficient)."""
    return _ratio(counts, 2 * counts.tp, 2 * counts.tp + counts.fp + counts.fn)


def _ratio(counts: PixelCounts, numerator: int, denominator: int) -> float:
    if denominator:
        return numerator / denominator
    rightly_empty = counts.tn > 0 and counts.tp + counts.fp + counts.fn == 0
    return 1.0 if rightly_empty else math.nan


def pixel_table(rows: Iterable[tuple[str, str, PixelCounts]]) -> pd.DataFrame:
    """Table of the ratios, one row per micrograph and one row `all` of pooled counts per part.

    Parameters
    ----------
    rows : iterable of (part, micrograph, counts)

    Returns
    -------
    DataFrame
        Columns part, micrograph, iou, precision, recall, accuracy, f1, tp, fp, fn, tn; parts in order of first
        appearance, `all` last in each. A ratio of nothing to nothing is NaN (the precision where no pixel was
        predicted, for instance), except that a micrograph without particles in which none was predicted has 1.
    """
    records = [
        {"part": part, "micrograph": micrograph, **_ratios(counts), **counts._asdict()}
        for part, micrograph, counts in add_pooled_rows(rows, pool_pixels)
    ]
    columns = ["part", "micrograph", *_ratios(PixelCounts(0, 0, 0, 0)), *PixelCounts._fields]
    return pd.DataFrame(records, columns=columns)


def _ratios(counts: PixelCounts) -> dict[str, float]:
    return {measure.__name__: measure(counts) for measure in (iou, precision, recall, accuracy, f1)}
