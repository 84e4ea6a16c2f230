"""Counts of true and false picks, and precision, recall and F1 as pure reductions of the counts.

Coordinates of real micrographs are incomplete, so that a precision measured on them is a lower bound.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy
from numpy.typing import ArrayLike

from crisp_core.errors import UserError
from crisp_core.evaluation.matching import (
    IOU_LEVELS,
    MATCH_FRACTION,
    ROUNDING,
    STRICTER_FRACTIONS,
    Pairs,
    find_near_pairs,
    find_overlapping_boxes,
    mark_true_picks,
    match_one_to_one,
)


class PickCounts(NamedTuple):
    """Numbers of true particles, picks and matched pairs: integers, or arrays of one shape."""

    n_truth: int | np.ndarray
    n_picks: int | np.ndarray
    n_matched: int | np.ndarray


class PickScore(NamedTuple):
    """Contribution of one micrograph, or of several pooled micrographs, to every measure."""

    n_truth: int
    errors_px: np.ndarray  # (n_matched,) distances of the matched pairs
    n_stricter: np.ndarray  # (3,) pairs matched within the STRICTER_FRACTIONS of the diameter
    n_crowded: int  # true particles with a neighbour closer than one diameter
    n_crowded_matched: int
    duplicates: int
    n_on_masked_area: int
    scores: np.ndarray  # (n_picks,) -inf where a pick has none
    true: np.ndarray  # (n_picks,) bool, in score order, by distance
    true_at_iou: np.ndarray  # (10, n_picks) bool, in score order, by box IoU
    best_score_at_iou: np.ndarray  # (10, n_truth) highest score of a pick whose box has the IoU, NaN without one

    @property
    def counts(self) -> PickCounts:
        """Counts of the matching within half a particle diameter."""
        return PickCounts(self.n_truth, self.scores.size, self.errors_px.size)


def score_picks(
    truth_xy: np.ndarray,  # (n, 2)
    picks_xy: np.ndarray,  # (m, 2)
    scores: np.ndarray,  # (m,)
    *,
    diameter_px: float,
    on_masked_area: np.ndarray | None = None,  # (m,) bool
) -> PickScore:
    """Match the picks of one micrograph with its true particles, for all measures.

    Parameters
    ----------
    truth_xy, picks_xy : (n, 2) and (m, 2) arrays
        Positions of true particles and picks as (x, y), in px.
    scores : (m,) array
        Scores of the picks, higher is better; NaN (no score) ranks last.
    diameter_px : float
        Particle diameter in the same px: a pair is at most half of it apart, and it is the side of a box.
    on_masked_area : (m,) bool array, optional
        Result of `masked_area.on_masked_area` for the picks; it is counted only.
    """
    truth_xy = np.asarray(truth_xy, dtype=float).reshape(-1, 2)
    picks_xy = np.asarray(picks_xy, dtype=float).reshape(-1, 2)
    scores = np.nan_to_num(np.asarray(scores, dtype=float), nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    near = find_near_pairs(truth_xy, picks_xy, max_distance_px=diameter_px * MATCH_FRACTION)
    matched = match_one_to_one(truth_xy, picks_xy, max_distance_px=diameter_px * MATCH_FRACTION)
    boxes = find_overlapping_boxes(truth_xy, picks_xy, box_px=diameter_px)
    levels = [Pairs(*(column[boxes.value >= iou - ROUNDING] for column in boxes)) for iou in IOU_LEVELS]
    crowded = _is_crowded(truth_xy, diameter_px)
    return PickScore(
        n_truth=len(truth_xy),
        errors_px=matched.value,
        n_stricter=np.array(
            [
                match_one_to_one(truth_xy, picks_xy, max_distance_px=diameter_px * f).truth.size
                for f in STRICTER_FRACTIONS.values()
            ]
        ),
        n_crowded=int(crowded.sum()),
        n_crowded_matched=int(crowded[matched.truth].sum()),
        duplicates=np.setdiff1d(near.pick, matched.pick).size,
        n_on_masked_area=0 if on_masked_area is None else int(np.count_nonzero(on_masked_area)),
        scores=scores,
        true=mark_true_picks(near, scores),
        true_at_iou=np.array([mark_true_picks(level, scores) for level in levels]),
        best_score_at_iou=np.array([_best_score_per_truth(level, scores, len(truth_xy)) for level in levels]),
    )


def _is_crowded(truth_xy: np.ndarray, diameter_px: float) -> np.ndarray:
    if len(truth_xy) < 2:
        return np.zeros(len(truth_xy), dtype=bool)
    return scipy.spatial.cKDTree(truth_xy).query(truth_xy, k=2)[0][:, 1] < diameter_px


def _best_score_per_truth(pairs: Pairs, scores: np.ndarray, n_truth: int) -> np.ndarray:
    best = np.full(n_truth, np.nan)
    np.fmax.at(best, pairs.truth, scores[pairs.pick])
    return best


def score_micrographs(
    truth: pd.DataFrame, picks: pd.DataFrame, micrographs: Iterable[str], *, diameter_px: float
) -> dict[str, PickScore]:
    """Return the result of `score_picks` for every listed micrograph, also without true particles or picks.

    Parameters
    ----------
    truth, picks : DataFrame
        True particles and picks: columns micrograph, x, y in px; picks also score and, optionally, on_masked_area
        (bool). Rows of unlisted micrographs are ignored.
    micrographs : iterable of str
        Stems of the micrographs that the picker was given.
    diameter_px : float
        Particle diameter in px of x and y.
    """
    truths = _rows_by_micrograph(truth, "true coordinates", ["x", "y"])
    picked = _rows_by_micrograph(picks, "picks", ["x", "y", "score"])
    scored = {}
    for stem in micrographs:
        found = picked.get(stem, picks.iloc[:0])
        scored[stem] = score_picks(
            truths.get(stem, truth.iloc[:0])[["x", "y"]].to_numpy(float),
            found[["x", "y"]].to_numpy(float),
            found["score"].to_numpy(float),
            diameter_px=diameter_px,
            on_masked_area=found["on_masked_area"].to_numpy(bool) if "on_masked_area" in found else None,
        )
    return scored


def _rows_by_micrograph(table: pd.DataFrame, name: str, columns: list[str]) -> dict[str, pd.DataFrame]:
    missing = [column for column in ["micrograph", *columns] if column not in table]
    if missing:
        raise UserError(f"table of {name}: the column {missing[0]} is missing; add it")
    if not np.isfinite(table[["x", "y"]].to_numpy(float)).all():
        raise UserError(f"table of {name}: a coordinate is not a finite number; remove its row")
    return dict(iter(table.groupby("micrograph")))


def pool_scores(parts: Sequence[PickScore]) -> PickScore:
    """Pool several micrographs: counts are added, lists of picks and of true particles are joined."""
    joined: dict[str, Any] = {}
    for field in PickScore._fields:
        values = [getattr(part, field) for part in parts]
        if field in ("errors_px", "scores", "true", "true_at_iou", "best_score_at_iou"):
            joined[field] = np.concatenate(values, axis=-1)
        else:
            joined[field] = np.sum(values, axis=0)
    return PickScore(**joined)


def precision(counts: PickCounts) -> np.ndarray:
    """Share of the picks that are true: NaN without picks, but 1 if there are no true particles either."""
    return _ratio(counts, counts.n_matched, counts.n_picks)


def recall(counts: PickCounts) -> np.ndarray:
    """Share of the true particles that are found: NaN without true particles, but 1 if there are no picks either."""
    return _ratio(counts, counts.n_matched, counts.n_truth)


def f1(counts: PickCounts) -> np.ndarray:
    """Harmonic mean of precision and recall: 0 if there are only true particles or only picks, 1 if neither."""
    return _ratio(counts, 2 * np.asarray(counts.n_matched), np.add(counts.n_truth, counts.n_picks))


def _ratio(counts: PickCounts, part: ArrayLike, whole: ArrayLike) -> np.ndarray:
    part, whole = np.asarray(part, dtype=float), np.asarray(whole, dtype=float)
    rightly_empty = np.add(counts.n_truth, counts.n_picks) == 0
    share = np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=whole > 0)
    return np.where(rightly_empty, 1.0, share)


def bootstrap_f1(
    counts: PickCounts,  # arrays over micrographs
    *,
    macro: bool = False,
    draws: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """95 % bootstrap interval of F1: micrographs are drawn with replacement; NaN for fewer than two micrographs.

    Parameters
    ----------
    counts : PickCounts
        Arrays, one value per micrograph.
    macro : bool
        True for the mean of the micrographs' F1, False for the F1 of the summed counts.
    draws : int
        Number of bootstrap samples.
    seed : int
        Seed of the random draws.
    """
    n = len(np.atleast_1d(counts.n_truth))
    if n < 2:
        return math.nan, math.nan
    drawn = np.random.default_rng(seed).integers(n, size=(draws, n))
    if macro:
        values = f1(counts)[drawn].mean(axis=1)
    else:
        values = f1(PickCounts(*(np.asarray(count)[drawn].sum(axis=1) for count in counts)))
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
