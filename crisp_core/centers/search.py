"""Every finder with its published settings, and the search for the best setting on validation maps."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from crisp_core.centers import crocker_grier, morphology, nms
from crisp_core.centers.footprint import LEAST_SCORE, centers_table
from crisp_core.errors import UserError
from crisp_core.metrics.picks import (
    PickScore,
    best_threshold,
    counts_at,
    f1,
    map_paper,
    mean_average_precision,
    pooled_picks,
    precision,
    recall,
    score_picks,
    threshold_for_precision,
)

CRITERIA = ("ap", "f1", "map_paper")


class Finder(NamedTuple):
    """A finder in three steps, so that settings share what they have in common: map → per `e` → per `s`."""

    prepare: Callable[..., Any]  # (probability, diameter_px=) → prepared
    propose: Callable[..., Any]  # (prepared, e=) → proposed
    select: Callable[..., np.ndarray]  # (proposed, diameter_px=, s=) → (n, 2) x, y
    e: tuple[float, ...]
    s: tuple[float, ...]
    default_e: float
    default_s: float


FINDERS = {
    "morphology": Finder(
        *(morphology.prepare, morphology.propose, morphology.select, morphology.E, morphology.S),
        *(morphology.DEFAULT_E, morphology.DEFAULT_S),
    ),
    "crocker_grier": Finder(
        *(crocker_grier.prepare, crocker_grier.propose, crocker_grier.select, crocker_grier.E, crocker_grier.S),
        *(crocker_grier.DEFAULT_E, crocker_grier.DEFAULT_S),
    ),
    "nms": Finder(nms.prepare, nms.propose, nms.select, nms.E, nms.S, nms.DEFAULT_E, nms.DEFAULT_S),
}


def _finder(name: str) -> Finder:
    if name not in FINDERS:
        raise UserError(f"There is no finder of centres called {name}: choose one of {', '.join(FINDERS)}.")
    return FINDERS[name]


def find_centers(
    probability: np.ndarray,  # (h, w)
    finder: str,
    *,
    diameter_px: float,
    e: float | None = None,
    s: float | None = None,
    threshold: float = 0.0,
) -> pd.DataFrame:
    """Centres on one probability map, best score first.

    Parameters
    ----------
    probability : (h, w) float array
        Probability of the particle class.
    finder : str
        morphology, crocker_grier or nms.
    diameter_px : float
        Particle diameter in px of the map.
    e, s : float, optional
        The finder's settings for candidates and filtering; its defaults when not given.
    threshold : float
        Least score of a centre (inclusive).

    Returns
    -------
    DataFrame
        Columns x, y (sub-pixel, px of the map) and score (mean probability under the particle's middle).
    """
    tools = _finder(finder)
    prepared = tools.prepare(probability, diameter_px=diameter_px)
    proposed = tools.propose(prepared, e=tools.default_e if e is None else e)
    xy = tools.select(proposed, diameter_px=diameter_px, s=tools.default_s if s is None else s)
    table = centers_table(probability, xy, diameter_px)
    return table[table["score"] >= threshold].reset_index(drop=True)


def search(
    maps: Iterable[tuple[str, np.ndarray]],
    truth: pd.DataFrame,
    *,
    diameter_px: float,
    finders: Sequence[str] = tuple(FINDERS),
    target_precision: float | None = None,
) -> pd.DataFrame:
    """Score every setting of the finders on validation maps; each map is read once, and no step repeated.

    Parameters
    ----------
    maps : iterable of (micrograph, (h, w) array)
        Predicted probabilities, or labels as 0 and 1; may be a generator, so that one map is in memory at a time.
    truth : DataFrame
        Columns micrograph, x, y in px of the maps.
    diameter_px : float
        Particle diameter in px of the maps.
    finders : sequence of str
        Names of the finders to try.
    target_precision : float, optional
        Choose each setting's threshold as the lowest that reaches this precision instead of the one of best F1.

    Returns
    -------
    DataFrame
        One row per setting: finder, e, s, ap (of all centres, one-to-one over box IoU), f1, threshold, map_paper,
        precision, recall, n_picks, n_truth; f1 to n_picks are of the centres that reach the threshold, pooled over the
        maps. Where no threshold reaches the target precision, they are NaN.
    """
    scored: dict[tuple[str, float, float], list[PickScore]] = {}
    truths = {stem: rows[["x", "y"]].to_numpy(float) for stem, rows in truth.groupby("micrograph")}
    for micrograph, probability in maps:
        true_xy = truths.get(micrograph, np.zeros((0, 2)))
        for setting, xy in _all_settings(probability, finders, diameter_px):
            found = centers_table(probability, xy, diameter_px)
            score = score_picks(true_xy, found[["x", "y"]].to_numpy(), found["score"], diameter_px=diameter_px)
            scored.setdefault(setting, []).append(score)
    if not scored:
        raise UserError("The search for centres got no validation map: put a micrograph into the validation part.")
    rows = [
        dict(zip(("finder", "e", "s"), setting, strict=True)) | _summary(pooled_picks(scores), target_precision)
        for setting, scores in scored.items()
    ]
    return pd.DataFrame(rows)


def _all_settings(
    probability: np.ndarray, finders: Sequence[str], diameter_px: float
) -> Iterable[tuple[tuple[str, float, float], np.ndarray]]:
    for name in finders:
        tools = _finder(name)
        prepared = tools.prepare(probability, diameter_px=diameter_px)
        for e in tools.e:
            proposed = tools.propose(prepared, e=e)
            for s in tools.s:
                yield (name, e, s), tools.select(proposed, diameter_px=diameter_px, s=s)


def _summary(score: PickScore, target_precision: float | None) -> dict[str, float]:
    threshold = _threshold(score, target_precision)
    counts = counts_at(score, threshold)
    at_threshold = {
        "f1": float(f1(counts)),
        "threshold": threshold,
        "map_paper": map_paper(score, threshold=threshold),
        "precision": float(precision(counts)),
        "recall": float(recall(counts)),
        "n_picks": counts.n_picks,
    }
    if math.isnan(threshold) and score.scores.size:
        at_threshold = dict.fromkeys(at_threshold, math.nan)
    return {"ap": mean_average_precision(score), **at_threshold, "n_truth": score.n_truth}


def _threshold(score: PickScore, target_precision: float | None) -> float:
    if target_precision is None:
        return _with_margin(score, best_threshold(score))
    try:
        return _with_margin(score, threshold_for_precision(score, target_precision))
    except UserError:
        return math.nan


def _with_margin(score: PickScore, threshold: float) -> float:
    """Halfway to the next lower score: the same picks here, and the widest margin for other micrographs."""
    return (threshold + score.scores[score.scores < threshold].max(initial=LEAST_SCORE)) / 2


def default_settings(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of `search` that belong to each finder's default setting."""
    defaults = {(name, finder.default_e, finder.default_s) for name, finder in FINDERS.items()}
    return rows[[setting in defaults for setting in zip(rows["finder"], rows["e"], rows["s"], strict=True)]]


def choose(rows: pd.DataFrame, criterion: str = "ap") -> dict[str, Any]:
    """Row of the best setting by `criterion` (ap, f1 or map_paper), of equals by F1, then the first.

    Raises
    ------
    UserError
        If the criterion is unknown, or no setting found a usable threshold.
    """
    if criterion not in CRITERIA:
        raise UserError(f"There is no search criterion called {criterion}: choose one of {', '.join(CRITERIA)}.")
    usable = rows[rows["threshold"].notna() & rows[criterion].notna()]
    if usable.empty:
        raise UserError(
            "No setting of the finders gives usable centres on the validation maps: "
            "train longer, check the particle diameter, or lower the target precision."
        )
    return usable.sort_values([criterion, "f1"], ascending=False, kind="stable").iloc[0].to_dict()
