"""Scores of pixels: counts of the particle class, and ratios of pooled counts."""

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
        Probability of the particle class.
    label : (h, w) integer or bool array
        Class of each pixel: 1 is particle, all other values are not.
    valid : (h, w) bool array
        True on valid pixels, False on masked or padded margins.
    threshold : float
        Minimum probability of a predicted particle pixel.
    """
    valid = np.asarray(valid, dtype=bool)
    predicted = np.asarray(probability) >= threshold
    particle = np.asarray(label) == PARTICLE
    tp = int(np.count_nonzero(valid & predicted & particle))
    fp = int(np.count_nonzero(valid & predicted & ~particle))
    fn = int(np.count_nonzero(valid & ~predicted & particle))
    return PixelCounts(tp, fp, fn, int(np.count_nonzero(valid)) - tp - fp - fn)


def pool_pixels(counts: Iterable[PixelCounts]) -> PixelCounts:
    """Sum the counts of several micrographs."""
    return PixelCounts(*(int(n) for n in np.sum([*counts, PixelCounts(0, 0, 0, 0)], axis=0)))


def iou(counts: PixelCounts) -> float:
    """Intersection over union; see `pixel_table` for undefined ratios."""
    return _ratio(counts, counts.tp, counts.tp + counts.fp + counts.fn)


def precision(counts: PixelCounts) -> float:
    """Share of the predicted particle pixels that are true."""
    return _ratio(counts, counts.tp, counts.tp + counts.fp)


def recall(counts: PixelCounts) -> float:
    """Share of the true particle pixels that are found."""
    return _ratio(counts, counts.tp, counts.tp + counts.fn)


def accuracy(counts: PixelCounts) -> float:
    """Share of all valid pixels that are classified correctly."""
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
    """Return a table of the ratios: one row per micrograph and one row `all` of pooled counts per part.

    Parameters
    ----------
    rows : iterable of (part, micrograph, counts)

    Returns
    -------
    DataFrame
        Columns part, micrograph, iou, precision, recall, accuracy, f1, tp, fp, fn, tn; parts in order of first
        appearance, each with `all` last. A ratio 0 / 0 is NaN, such as the precision without predicted pixels, but 1
        for a micrograph with neither true nor predicted particle pixels.
    """
    records = [
        {"part": part, "micrograph": micrograph, **_ratios(counts), **counts._asdict()}
        for part, micrograph, counts in add_pooled_rows(rows, pool_pixels)
    ]
    columns = ["part", "micrograph", *_ratios(PixelCounts(0, 0, 0, 0)), *PixelCounts._fields]
    return pd.DataFrame(records, columns=columns)


def _ratios(counts: PixelCounts) -> dict[str, float]:
    return {measure.__name__: measure(counts) for measure in (iou, precision, recall, accuracy, f1)}
