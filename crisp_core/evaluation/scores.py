"""Scoring of picks: one-to-one matching gives counts, pure reductions make numbers of them.

A pick and a truth may be paired within half a particle diameter. Every count follows from a maximum one-to-one
matching, also along the precision-recall curve: going down the scores, a pick is a true one when it enlarges the
maximum matching. So at each threshold the number of true picks is that of a fresh matching of the picks kept there,
recall never falls as the threshold does, and the order of the rows changes nothing.

Labels of real micrographs are incomplete, so a precision on them is a lower bound.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from crisp_core.errors import UserError
from crisp_core.formats.arrays import Array
from crisp_core.geometry import Shape, rescaled_xy

# Column of a picks' table.
EXPECTED_PRECISION = "expected_precision"
MATCH_FRACTION = 1 / 2
STRICTER_FRACTIONS = {"d3": 1 / 3, "d4": 1 / 4, "d8": 1 / 8}
IOU_LEVELS = np.arange(50, 100, 5) / 100
ROUNDING = 1e-9
PICK_COLUMNS = [
    *("part", "micrograph", "n_truth", "n_picks", "n_matched", "precision", "recall", "f1", "f1_low", "f1_high"),
    *("auprc", "ap", "map_paper", "median_error_angstrom", "duplicates"),
]


class Pairs(NamedTuple):
    """Pairs of a truth and a pick, by row numbers, with a value each (a distance in px, or an IoU)."""

    truth: np.ndarray  # (k,)
    pick: np.ndarray  # (k,)
    value: np.ndarray  # (k,)


class PickCounts(NamedTuple):
    """Numbers of true particles, of picks, and of pairs between them; integers or arrays of one shape."""

    n_truth: int | np.ndarray
    n_picks: int | np.ndarray
    n_matched: int | np.ndarray


class PickScore(NamedTuple):
    """What a micrograph, or several pooled, contributes to every measure."""

    n_truth: int
    errors_px: np.ndarray  # (n_matched,) distances of the matched pairs
    n_stricter: np.ndarray  # (3,) pairs within the STRICTER_FRACTIONS of the diameter
    n_crowded: int  # truths with a neighbour nearer than one diameter
    n_crowded_matched: int
    duplicates: int
    n_on_masked_area: int
    scores: np.ndarray  # (n_picks,) -inf where a pick has none
    true: np.ndarray  # (n_picks,) bool, in score order, by distance
    true_at_iou: np.ndarray  # (10, n_picks) bool, in score order, by box IoU
    reached: np.ndarray  # (10, n_truth) best score of any pick whose box reaches the IoU, NaN where none does

    @property
    def counts(self) -> PickCounts:
        """Counts of the matching within half a diameter."""
        return PickCounts(self.n_truth, self.scores.size, self.errors_px.size)


class Curve(NamedTuple):
    """Counts of the picks whose score is at least each of the distinct scores, highest first."""

    threshold: np.ndarray
    n_true: np.ndarray
    n_picks: np.ndarray


def near_pairs(truth_xy: np.ndarray, picks_xy: np.ndarray, *, max_distance_px: float) -> Pairs:
    """All pairs of (n, 2) truths and (m, 2) picks at most `max_distance_px` apart (inclusive up to rounding)."""
    return _tree_pairs(truth_xy, picks_xy, max_distance_px, norm=2)


def _tree_pairs(truth_xy: np.ndarray, picks_xy: np.ndarray, reach: float, *, norm: float) -> Pairs:
    if len(truth_xy) == 0 or len(picks_xy) == 0:
        return Pairs(np.zeros(0, dtype=int), np.zeros(0, dtype=int), np.zeros(0))
    near = cKDTree(truth_xy).sparse_distance_matrix(
        cKDTree(picks_xy), reach * (1 + ROUNDING), p=norm, output_type="ndarray"
    )
    order = np.lexsort((near["j"], near["i"]))
    return Pairs(near["i"][order], near["j"][order], near["v"][order])


def box_pairs(truth_xy: np.ndarray, picks_xy: np.ndarray, *, box_px: float) -> Pairs:
    """All pairs whose square boxes of side `box_px` have an IoU of at least 0.50, with that IoU."""
    # IoU >= 1/2 of equal squares needs an overlap of 2/3 of the area, so no offset beyond a third of the side.
    near = _tree_pairs(truth_xy, picks_xy, box_px / 3, norm=np.inf)
    offsets = np.abs(np.asarray(truth_xy)[near.truth] - np.asarray(picks_xy)[near.pick])
    shared = np.prod(1 - offsets.reshape(-1, 2) / box_px, axis=1)
    value = shared / (2 - shared)
    enough = value >= IOU_LEVELS[0] - ROUNDING
    return Pairs(near.truth[enough], near.pick[enough], value[enough])


def match(truth_xy: np.ndarray, picks_xy: np.ndarray, *, max_distance_px: float) -> Pairs:
    """One-to-one pairs within `max_distance_px` (inclusive): as many as possible, then the least total distance.

    The assignment is solved in each connected part of the graph of neighbours, so that its cost stays small.

    Parameters
    ----------
    truth_xy, picks_xy : (n, 2) and (m, 2) arrays
        Positions as (x, y) in the same pixels as `max_distance_px`.

    Returns
    -------
    Pairs
        Sorted by truth, with the distances in px.
    """
    near = near_pairs(truth_xy, picks_xy, max_distance_px=max_distance_px)
    part = _connected_part(near, len(truth_xy), len(picks_xy))
    order = np.argsort(part, kind="stable")
    starts = np.flatnonzero(np.diff(part[order], prepend=-1))
    chosen = [members[_assigned(near, members)] for members in np.split(order, starts[1:])]
    kept = np.sort(np.concatenate(chosen))
    return Pairs(*(column[kept] for column in near))


def _connected_part(near: Pairs, n_truth: int, n_picks: int) -> np.ndarray:
    n = n_truth + n_picks
    graph = coo_array((np.ones(near.truth.size), (near.truth, near.pick + n_truth)), shape=(n, n))
    return connected_components(graph, directed=False)[1][near.truth]


def _assigned(near: Pairs, members: np.ndarray) -> np.ndarray:
    """Positions in `members`, the pairs of one connected part, of those that a best assignment uses."""
    if members.size < 2:
        return np.arange(members.size)
    rows, row = np.unique(near.truth[members], return_inverse=True)
    columns, column = np.unique(near.pick[members], return_inverse=True)
    distance = near.value[members]
    # One forbidden pair costs more than all allowed ones, so the least cost has the most allowed pairs.
    forbidden = 1.0 + distance.max() * (min(rows.size, columns.size) + 1)
    cost = np.full((rows.size, columns.size), forbidden)
    cost[row, column] = distance
    position = np.full(cost.shape, -1)
    position[row, column] = np.arange(members.size)
    used = position[linear_sum_assignment(cost)]
    return used[used >= 0]


def true_in_score_order(pairs: Pairs, scores: np.ndarray) -> np.ndarray:
    """Say of each pick whether it enlarges the maximum matching of the better-scored ones, shape (n_picks,).

    Among equal scores the order of the rows decides who is true, never how many are.
    """
    true = np.zeros(len(scores), dtype=bool)
    true[found_in_score_order(pairs, scores).pick] = True
    return true


def found_in_score_order(pairs: Pairs, scores: np.ndarray) -> Pairs:
    """Return the true picks, best score first, each with the truth that is found from its score on, and that score.

    A truth that is found stays found as the threshold falls, although not always by the same pick.
    """
    candidates: list[list[int]] = [[] for _ in range(len(scores))]
    for truth, pick in zip(pairs.truth.tolist(), pairs.pick.tolist(), strict=True):
        candidates[pick].append(truth)
    owner: dict[int, int] = {}
    closed: set[int] = set()
    order = np.argsort(-np.asarray(scores, dtype=float), kind="stable").tolist()
    picks = np.array([pick for pick in order if _augments(pick, candidates, owner, closed)], dtype=int)
    # Each augmenting path adds one truth, and a dictionary keeps the order in which its keys were added.
    return Pairs(np.array(list(owner), dtype=int), picks, np.asarray(scores, dtype=float)[picks])


def _augments(pick: int, candidates: list[list[int]], owner: dict[int, int], closed: set[int]) -> bool:
    """Find `pick` a truth by an augmenting path (breadth first); change `owner`, or on failure `closed`."""
    visited_by: dict[int, int] = {}
    given: dict[int, int | None] = {pick: None}
    queue = [pick]
    for current in queue:
        for truth in candidates[current]:
            if truth in visited_by or truth in closed:
                continue
            visited_by[truth] = current
            if truth not in owner:
                _shift(truth, visited_by, given, owner)
                return True
            given[owner[truth]] = truth
            queue.append(owner[truth])
    # No free truth can ever be reached from these again: later searches need not enter them.
    closed.update(visited_by)
    return False


def _shift(truth: int | None, visited_by: dict[int, int], given: dict[int, int | None], owner: dict[int, int]) -> None:
    while truth is not None:
        owner[truth] = visited_by[truth]
        truth = given[visited_by[truth]]


def score_picks(
    truth_xy: np.ndarray,  # (n, 2)
    picks_xy: np.ndarray,  # (m, 2)
    scores: np.ndarray,  # (m,)
    *,
    diameter_px: float,
    on_masked_area: np.ndarray | None = None,  # (m,) bool
) -> PickScore:
    """Match the picks of one micrograph with its true particles, in every way that the measures need.

    Parameters
    ----------
    truth_xy, picks_xy : (n, 2) and (m, 2) arrays
        Positions as (x, y) in the same pixels as `diameter_px`.
    scores : (m,) array
        Higher is better; NaN (no score) ranks last.
    diameter_px : float
        Particle diameter; pairs lie within half of it, boxes have it as their side.
    on_masked_area : (m,) bool array, optional
        As `on_masked_area` gives it; counted only.
    """
    truth_xy = np.asarray(truth_xy, dtype=float).reshape(-1, 2)
    picks_xy = np.asarray(picks_xy, dtype=float).reshape(-1, 2)
    scores = np.nan_to_num(np.asarray(scores, dtype=float), nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    near = near_pairs(truth_xy, picks_xy, max_distance_px=diameter_px * MATCH_FRACTION)
    matched = match(truth_xy, picks_xy, max_distance_px=diameter_px * MATCH_FRACTION)
    boxes = box_pairs(truth_xy, picks_xy, box_px=diameter_px)
    levels = [Pairs(*(column[boxes.value >= iou - ROUNDING] for column in boxes)) for iou in IOU_LEVELS]
    crowded = _crowded(truth_xy, diameter_px)
    return PickScore(
        n_truth=len(truth_xy),
        errors_px=matched.value,
        n_stricter=np.array(
            [match(truth_xy, picks_xy, max_distance_px=diameter_px * f).truth.size for f in STRICTER_FRACTIONS.values()]
        ),
        n_crowded=int(crowded.sum()),
        n_crowded_matched=int(crowded[matched.truth].sum()),
        duplicates=np.setdiff1d(near.pick, matched.pick).size,
        n_on_masked_area=0 if on_masked_area is None else int(np.count_nonzero(on_masked_area)),
        scores=scores,
        true=true_in_score_order(near, scores),
        true_at_iou=np.array([true_in_score_order(level, scores) for level in levels]),
        reached=np.array([_best_score(level, scores, len(truth_xy)) for level in levels]),
    )


def _crowded(truth_xy: np.ndarray, diameter_px: float) -> np.ndarray:
    if len(truth_xy) < 2:
        return np.zeros(len(truth_xy), dtype=bool)
    return cKDTree(truth_xy).query(truth_xy, k=2)[0][:, 1] < diameter_px


def _best_score(pairs: Pairs, scores: np.ndarray, n_truth: int) -> np.ndarray:
    best = np.full(n_truth, np.nan)
    np.fmax.at(best, pairs.truth, scores[pairs.pick])
    return best


def pooled_picks(parts: Sequence[PickScore]) -> PickScore:
    """Several micrographs as one: counts added, lists of picks and truths joined."""
    joined: dict[str, Any] = {}
    for field in PickScore._fields:
        values = [getattr(part, field) for part in parts]
        if field in ("errors_px", "scores", "true", "true_at_iou", "reached"):
            joined[field] = np.concatenate(values, axis=-1)
        else:
            joined[field] = np.sum(values, axis=0)
    return PickScore(**joined)


def precision(counts: PickCounts) -> np.ndarray:
    """True share of the picks: NaN without picks, but 1 where there is no truth either."""
    return _share(counts, counts.n_matched, counts.n_picks)


def recall(counts: PickCounts) -> np.ndarray:
    """Found share of the truths: NaN without truths, but 1 where there is no pick either."""
    return _share(counts, counts.n_matched, counts.n_truth)


def f1(counts: PickCounts) -> np.ndarray:
    """Harmonic mean of precision and recall: 0 where only truths or only picks exist, 1 where neither does."""
    return _share(counts, 2 * np.asarray(counts.n_matched), np.add(counts.n_truth, counts.n_picks))


def _share(counts: PickCounts, part: ArrayLike, whole: ArrayLike) -> np.ndarray:
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
    """95 % interval of F1 when micrographs are drawn with replacement; NaN for fewer than two micrographs.

    `macro` takes the mean of the micrographs' F1, otherwise the F1 of the summed counts.
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


def curve(scores: np.ndarray, true: np.ndarray) -> Curve:
    """Count picks and true picks down the distinct scores; picks of one score enter together."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last_of_score = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)[: ranked.size])
    return Curve(ranked[last_of_score], np.cumsum(true[order])[last_of_score], last_of_score + 1)


def average_precision(scores: np.ndarray, true: np.ndarray, n_truth: int) -> float:
    """Area under the precision-recall curve as the sum of precision × step in recall, without interpolation.

    0 without picks, NaN without truths, 1 without either. (Straight lines between the points would overstate it:
    Davis & Goadrich, ICML 2006.)
    """
    if n_truth == 0:
        return math.nan if scores.size else 1.0
    points = curve(scores, true)
    steps = np.diff(points.n_true, prepend=0) / n_truth
    return float(np.sum(steps * points.n_true / points.n_picks))


def mean_average_precision(score: PickScore) -> float:
    """Mean over box IoU 0.50:0.05:0.95 of the average precision with one-to-one matching in score order."""
    return float(np.mean([average_precision(score.scores, true, score.n_truth) for true in score.true_at_iou]))


def map_paper(score: PickScore, *, threshold: float = -math.inf) -> float:
    """Mean over box IoU 0.50:0.05:0.95 of the share of truths that any pick's box reaches (CRISP's Algorithm 2).

    False positives and duplicates don't count, so more picks never lower it. NaN without truths.
    """
    return float(np.mean(score.reached >= threshold)) if score.n_truth else math.nan


def curve_counts(score: PickScore) -> tuple[np.ndarray, PickCounts]:
    """Thresholds (highest first) and, at each, the counts of the picks that score at least as much."""
    points = curve(score.scores, score.true)
    return points.threshold, PickCounts(np.full(points.n_true.shape, score.n_truth), points.n_picks, points.n_true)


def best_threshold(score: PickScore) -> float:
    """Return the score from which on (inclusive) the picks have the highest F1; of equals the highest; NaN if none."""
    thresholds, counts = curve_counts(score)
    return float(thresholds[np.argmax(f1(counts))]) if thresholds.size else math.nan


def threshold_for_precision(score: PickScore, target: float) -> float:
    """Lowest score from which on (inclusive) the picks reach the precision `target`, hence its highest recall.

    Raises
    ------
    UserError
        If no threshold reaches it.
    """
    thresholds, counts = curve_counts(score)
    reached = precision(counts)
    if not np.any(reached >= target):
        best = f"the highest is {reached.max():.3f}" if reached.size else "there are no picks"
        raise UserError(f"No score threshold reaches a precision of {target:g} ({best}): lower the target precision.")
    return float(thresholds[reached >= target].min())


def midway_below(score: PickScore, threshold: float, *, lowest: float | None = None) -> float:
    """Halfway from a threshold to the next lower score: the same picks here, the widest margin for other micrographs.

    `lowest`, where given, is the lowest score that there can be; without it and without a lower score, the threshold.
    """
    lower = score.scores[score.scores < threshold]
    if lowest is not None:
        lower = np.append(lower, lowest)
    return float((threshold + lower.max()) / 2) if lower.size else threshold


def counts_at(score: PickScore, threshold: float) -> PickCounts:
    """Counts of a fresh one-to-one matching of the picks that score at least `threshold`."""
    kept = score.scores >= threshold
    return PickCounts(score.n_truth, int(kept.sum()), int(score.true[kept].sum()))


def on_masked_area(xy: np.ndarray, valid: np.ndarray, *, full_shape: Shape) -> np.ndarray:
    """Say of each pick whether it lies on masked area, or outside of the micrograph, shape (n,).

    Parameters
    ----------
    xy : (n, 2) array
        Positions as (x, y) in pixels of the micrograph of `full_shape`.
    valid : (h, w) bool array
        Valid area, on any grid over the same micrograph.
    """
    columns, rows = np.rint(rescaled_xy(xy, full_shape, valid.shape)).astype(int).T
    x, y = np.asarray(xy, dtype=float).reshape(-1, 2).T
    inside = (x >= -0.5) & (x < full_shape[1] - 0.5) & (y >= -0.5) & (y < full_shape[0] - 0.5)
    rows, columns = rows.clip(0, valid.shape[0] - 1), columns.clip(0, valid.shape[1] - 1)
    return ~(inside & np.asarray(valid, dtype=bool)[rows, columns])


def flag_masked(picks: pd.DataFrame, valid: Iterable[tuple[str, Array]]) -> pd.DataFrame:
    """Picks, in full-resolution pixels, with the column on_masked_area; `valid` are micrographs and their masks."""
    flags = pd.Series(False, index=picks.index)
    for name, mask in valid:
        here = picks["micrograph"] == name
        xy = picks.loc[here, ["x", "y"]].to_numpy(float)
        flags[here] = on_masked_area(xy, mask.data, full_shape=mask.full_shape)
    return picks.assign(on_masked_area=flags)


def score_tables(
    truth: pd.DataFrame, picks: pd.DataFrame, micrographs: Iterable[str], *, diameter_px: float
) -> dict[str, PickScore]:
    """`score_picks` of every micrograph in the list, also of those without truths or without picks.

    Parameters
    ----------
    truth, picks : DataFrame
        Columns micrograph, x, y, and for picks score and optionally on_masked_area (bool). Rows of micrographs that
        are not in the list don't count.
    micrographs : iterable of str
        Stems of the micrographs that were given to the picker.
    diameter_px : float
        Particle diameter in the pixels of x and y.
    """
    truths = _by_micrograph(truth, "true coordinates", ["x", "y"])
    picked = _by_micrograph(picks, "picks", ["x", "y", "score"])
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


def _by_micrograph(table: pd.DataFrame, name: str, columns: list[str]) -> dict[str, pd.DataFrame]:
    missing = [column for column in ["micrograph", *columns] if column not in table]
    if missing:
        raise UserError(f"The table of {name} lacks the column {missing[0]}: add it.")
    if not np.isfinite(table[["x", "y"]].to_numpy(float)).all():
        raise UserError(f"The table of {name} holds a coordinate that is not a finite number: remove that row.")
    return dict(iter(table.groupby("micrograph")))


def picks_table(
    truth: pd.DataFrame,
    picks: pd.DataFrame,
    parts: Mapping[str, str],
    *,
    candidates: pd.DataFrame | None = None,
    diameter_px: float,
    pixel_size: float,
    seed: int = 0,
) -> pd.DataFrame:
    """Table of the measures, one row per micrograph and one pooled row `all` per part.

    Parameters
    ----------
    truth, picks : DataFrame
        As in `score_tables`.
    parts : mapping of str to str
        Part (train, validation, test) of every micrograph that was given to the picker, also of those that got no
        pick or have no truth.
    candidates : DataFrame, optional
        What the picks were chosen from by their score, if that was done: areas under curves and best thresholds are
        then those of the candidates.
    diameter_px : float
        Particle diameter in the pixels of x and y.
    pixel_size : float
        Å per pixel of x and y.
    seed : int
        Of the bootstrap over micrographs.

    Returns
    -------
    DataFrame
        `PICK_COLUMNS` first, then error_95_angstrom, both errors in px, F1 within d/3, d/4 and d/8, the best F1 that
        a threshold could reach and that threshold, recall of crowded particles (a neighbour nearer than one diameter),
        picks on masked area, and in the rows `all` the means over micrographs (macro; a micrograph whose ratio is NaN
        is left out of its mean). Intervals exist in the rows `all` only.
    """
    scored = score_tables(truth, picks, parts, diameter_px=diameter_px)
    ranked = scored
    if candidates is not None:
        ranked = score_tables(truth, candidates, parts, diameter_px=diameter_px)
    records = []
    for part in dict.fromkeys(parts.values()):
        stems = [stem for stem in parts if parts[stem] == part]
        for stem in stems:
            records.append({"part": part, "micrograph": stem, **_measures(scored[stem], ranked[stem], pixel_size)})
        together = [scored[stem] for stem in stems]
        records.append(
            {
                "part": part,
                "micrograph": "all",
                **_measures(pooled_picks(together), pooled_picks([ranked[stem] for stem in stems]), pixel_size),
                **_over_micrographs(together, seed),
            }
        )
    table = pd.DataFrame(records)
    return table[[*PICK_COLUMNS, *table.columns.difference(PICK_COLUMNS, sort=False)]] if records else table


def _measures(score: PickScore, ranked: PickScore, pixel_size: float) -> dict[str, Any]:
    n_truth, n_picks, n_matched = score.n_truth, score.scores.size, score.errors_px.size
    median, high = np.quantile(score.errors_px, [0.5, 0.95]) if n_matched else (math.nan, math.nan)
    best = best_threshold(ranked)
    stricter = {
        f"f1_{name}": float(f1(PickCounts(n_truth, n_picks, n)))
        for name, n in zip(STRICTER_FRACTIONS, score.n_stricter, strict=True)
    }
    return {
        "n_truth": n_truth,
        "n_picks": n_picks,
        "n_matched": n_matched,
        **{measure.__name__: float(measure(score.counts)) for measure in (precision, recall, f1)},
        "f1_low": math.nan,
        "f1_high": math.nan,
        "auprc": average_precision(ranked.scores, ranked.true, n_truth),
        "ap": mean_average_precision(ranked),
        "map_paper": map_paper(score),
        "median_error_angstrom": median * pixel_size,
        "duplicates": score.duplicates,
        "error_95_angstrom": high * pixel_size,
        "median_error_px": median,
        "error_95_px": high,
        **stricter,
        "best_f1": float(f1(counts_at(ranked, best) if len(ranked.scores) else score.counts)),
        "best_threshold": best,
        "n_crowded": score.n_crowded,
        "recall_crowded": score.n_crowded_matched / score.n_crowded if score.n_crowded else math.nan,
        "n_on_masked_area": score.n_on_masked_area,
        **dict.fromkeys(("precision_macro", "recall_macro", "f1_macro", "f1_macro_low", "f1_macro_high"), math.nan),
    }


def _over_micrographs(scored: Sequence[PickScore], seed: int) -> dict[str, float]:
    counts = PickCounts(*(np.array(column) for column in zip(*(score.counts for score in scored), strict=True)))
    means = {}
    for measure in (precision, recall, f1):
        defined = measure(counts)[np.isfinite(measure(counts))]
        means[f"{measure.__name__}_macro"] = float(defined.mean()) if defined.size else math.nan
    f1_low, f1_high = bootstrap_f1(counts, seed=seed)
    macro_low, macro_high = bootstrap_f1(counts, macro=True, seed=seed)
    return {"f1_low": f1_low, "f1_high": f1_high, **means, "f1_macro_low": macro_low, "f1_macro_high": macro_high}


def curve_table(
    truth: pd.DataFrame, picks: pd.DataFrame, parts: Mapping[str, str], *, diameter_px: float
) -> pd.DataFrame:
    """Precision and recall of each part as the threshold falls; arguments as in `picks_table`.

    Returns
    -------
    DataFrame
        Columns part, threshold, n_picks, precision, recall, f1; pooled over the part's micrographs.
    """
    scored = score_tables(truth, picks, parts, diameter_px=diameter_px)
    tables = []
    for part in dict.fromkeys(parts.values()):
        pooled = pooled_picks([scored[stem] for stem in parts if parts[stem] == part])
        thresholds, counts = curve_counts(pooled)
        columns = {"threshold": thresholds, "n_picks": counts.n_picks}
        columns |= {measure.__name__: measure(counts) for measure in (precision, recall, f1)}
        tables.append(pd.DataFrame({"part": part, **columns}))
    return pd.concat(tables, ignore_index=True)


def calibration_table(
    truth: pd.DataFrame,
    picks: pd.DataFrame,
    parts: Mapping[str, str],
    *,
    knots: pd.DataFrame | None,
    diameter_px: float,
) -> pd.DataFrame:
    """Reliability of the score before and after calibration, for each part; other arguments as in `picks_table`.

    Parameters
    ----------
    knots : DataFrame or None
        Of `fit_calibration`; None leaves the rows after calibration out.

    Returns
    -------
    DataFrame
        Columns part, kind (score or calibrated), those of `reliability_table`, and expected_calibration_error, which is
        the same in all rows of a part and kind.
    """
    scored = score_tables(truth, picks, parts, diameter_px=diameter_px)
    tables = []
    for part in dict.fromkeys(parts.values()):
        pooled = pooled_picks([scored[stem] for stem in parts if parts[stem] == part])
        kinds = {"score": pooled.scores}
        if knots is not None:
            kinds["calibrated"] = calibrated(pooled.scores, knots)
        for kind, scores in kinds.items():
            table = reliability_table(scores, pooled.true)
            error = expected_calibration_error(table)
            tables.append(table.assign(part=part, kind=kind, expected_calibration_error=error))
    table = pd.concat(tables, ignore_index=True)
    return table[["part", "kind", *table.columns.drop(["part", "kind"])]]


def flag_matched(truth: pd.DataFrame, picks: pd.DataFrame, *, diameter_px: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Truth and picks of one micrograph with a column `matched`: whether each has a partner within half a diameter."""
    pairs = match(*(table[["x", "y"]].to_numpy(float) for table in (truth, picks)), max_distance_px=diameter_px / 2)
    return tuple(
        table.assign(matched=np.isin(np.arange(len(table)), chosen))
        for table, chosen in ((truth, pairs.truth), (picks, pairs.pick))
    )


def reliability_table(scores: np.ndarray, true: np.ndarray, *, n_bins: int = 10) -> pd.DataFrame:
    """Expected against observed precision of picks, in `n_bins` equal bins of a score in [0, 1].

    Returns
    -------
    DataFrame
        Columns low, high, n_picks, mean_score, precision; a bin holds low ≤ score < high, the last one its high too;
        an empty bin has NaN.
    """
    edges = np.linspace(0, 1, n_bins + 1)
    bins = np.clip(np.digitize(scores, edges) - 1, 0, n_bins - 1)
    n, total, hits = (np.bincount(bins, weights=w, minlength=n_bins) for w in (None, scores, np.asarray(true, float)))
    with np.errstate(invalid="ignore"):
        return pd.DataFrame(
            {"low": edges[:-1], "high": edges[1:], "n_picks": n, "mean_score": total / n, "precision": hits / n}
        )


def expected_calibration_error(table: pd.DataFrame) -> float:
    """Mean |mean score − precision| over the bins of a reliability table, weighted by their picks; NaN if empty."""
    filled = table[table["n_picks"] > 0]
    if filled.empty:
        return math.nan
    return float(np.average((filled["mean_score"] - filled["precision"]).abs(), weights=filled["n_picks"]))


def fit_calibration(scores: np.ndarray, true: np.ndarray) -> pd.DataFrame:
    """Isotonic calibration of a score, to be fitted on the validation part.

    Returns
    -------
    DataFrame
        Knots: columns score (rising) and precision (never falling), for `calibrated`.
    """
    # Slow to import, and needed nowhere else.
    from sklearn.isotonic import IsotonicRegression

    if len(scores) == 0:
        raise UserError("There are no picks to calibrate the score on: lower the threshold of the finder.")
    fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(scores, np.asarray(true, dtype=float))
    return pd.DataFrame({"score": fitted.X_thresholds_, "precision": fitted.y_thresholds_})


def calibrated(scores: np.ndarray, knots: pd.DataFrame) -> np.ndarray:
    """Expected precision of picks with these scores: linear between the knots, constant beyond them."""
    return np.interp(scores, knots["score"], knots["precision"])


def with_expected_precision(picks: pd.DataFrame, knots: pd.DataFrame) -> pd.DataFrame:
    """Picks with the column `EXPECTED_PRECISION`: the share of true ones to expect among picks of such a score.

    It never falls with the score, and is as good as the coordinates of the validation part are complete.

    Parameters
    ----------
    picks : DataFrame
        Column score.
    knots : DataFrame
        Of `fit_calibration`.
    """
    return picks.assign(**{EXPECTED_PRECISION: calibrated(picks["score"].to_numpy(float), knots)})
