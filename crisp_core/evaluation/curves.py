"""Precision-recall curves, average precision, and score thresholds."""

import math
from typing import NamedTuple

import numpy as np

from crisp_core.errors import UserError
from crisp_core.evaluation.scores import PickCounts, PickScore, f1, precision


class ScoreCurve(NamedTuple):
    """Numbers of picks, and of true picks, at or above each distinct score; highest score first."""

    threshold: np.ndarray
    n_true: np.ndarray
    n_picks: np.ndarray


def score_curve(scores: np.ndarray, true: np.ndarray) -> ScoreCurve:
    """Count picks and true picks from the highest score down; picks of equal score are counted together."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last_of_score = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)[: ranked.size])
    return ScoreCurve(ranked[last_of_score], np.cumsum(true[order])[last_of_score], last_of_score + 1)


def counts_by_threshold(score: PickScore) -> tuple[np.ndarray, PickCounts]:
    """Return all distinct thresholds, highest first, and the counts of the picks at or above each."""
    points = score_curve(score.scores, score.true)
    return points.threshold, PickCounts(np.full(points.n_true.shape, score.n_truth), points.n_picks, points.n_true)


def counts_at_threshold(score: PickScore, threshold: float) -> PickCounts:
    """Return the counts of a one-to-one matching of the picks whose score is at least `threshold`."""
    kept = score.scores >= threshold
    return PickCounts(score.n_truth, int(kept.sum()), int(score.true[kept].sum()))


def average_precision(scores: np.ndarray, true: np.ndarray, n_truth: int) -> float:
    """Area under the precision-recall curve: sum of precision × step in recall, without interpolation.

    0 without picks, NaN without true particles, 1 without either. Linear interpolation would overestimate the area
    (Davis & Goadrich, ICML 2006).

    Parameters
    ----------
    scores : (m,) array
        Scores of the picks.
    true : (m,) bool array
        Whether each pick is true, as `matching.mark_true_picks` returns it.
    n_truth : int
        Number of true particles.
    """
    if n_truth == 0:
        return math.nan if scores.size else 1.0
    points = score_curve(scores, true)
    steps = np.diff(points.n_true, prepend=0) / n_truth
    return float(np.sum(steps * points.n_true / points.n_picks))


def mean_average_precision(score: PickScore) -> float:
    """Mean average precision over the box IoUs 0.50, 0.55 … 0.95, with one-to-one matching in score order."""
    return float(np.mean([average_precision(score.scores, true, score.n_truth) for true in score.true_at_iou]))


def map_paper(score: PickScore, *, threshold: float = -math.inf) -> float:
    """Mean recall over the box IoUs 0.50, 0.55 … 0.95, without one-to-one matching (CRISP's Algorithm 2).

    A true particle is found if the box of any pick has the IoU. False and duplicate picks are not counted, so that more
    picks never lower the value. NaN without true particles.
    """
    return float(np.mean(score.best_score_at_iou >= threshold)) if score.n_truth else math.nan


def best_threshold(score: PickScore) -> float:
    """Return the threshold with the highest F1; the highest threshold of several, NaN without picks."""
    thresholds, counts = counts_by_threshold(score)
    return float(thresholds[np.argmax(f1(counts))]) if thresholds.size else math.nan


def threshold_for_precision(score: PickScore, target: float) -> float:
    """Return the lowest threshold at which the precision is at least `target`, hence with the highest recall.

    Raises
    ------
    UserError
        If there is no such threshold.
    """
    thresholds, counts = counts_by_threshold(score)
    reached = precision(counts)
    if not np.any(reached >= target):
        best = f"the highest is {reached.max():.3f}" if reached.size else "there are no picks"
        raise UserError(f"target precision: no threshold has a precision of {target:g} ({best}); lower it")
    return float(thresholds[reached >= target].min())


def widen_threshold(score: PickScore, threshold: float, *, lowest: float | None = None) -> float:
    """Lower a threshold halfway to the next lower score: the same picks here, with a margin for other micrographs.

    Parameters
    ----------
    score : PickScore
        Scored picks.
    threshold : float
        Threshold to lower. It is returned unchanged if there is no lower score and no `lowest`.
    lowest : float, optional
        Lowest possible score.
    """
    lower = score.scores[score.scores < threshold]
    if lowest is not None:
        lower = np.append(lower, lowest)
    return float((threshold + lower.max()) / 2) if lower.size else threshold
