"""Centers on a probability map, and the search for the best finder and its parameters on validation maps."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from crisp_core.errors import UserError
from crisp_core.evaluation.calibration import fit_calibration
from crisp_core.evaluation.curves import (
    best_threshold,
    counts_at_threshold,
    map_paper,
    mean_average_precision,
    threshold_for_precision,
    widen_threshold,
)
from crisp_core.evaluation.scores import PickScore, f1, pool_scores, precision, recall, score_picks
from crisp_core.picking.finders import DEFAULT, all_settings, chosen_finder
from crisp_core.picking.finders.finder import Finder, FinderMap
from crisp_core.picking.finders.footprint import LEAST_SCORE, centers_table
from crisp_core.picking.splitting import split_merged

CRITERIA = ("ap", "f1", "map_paper")
NOTHING_USABLE = (
    "centers: no finder setting gives usable centres on the validation maps; "
    "train longer, correct particle_diameter_angstrom, or lower the target precision"
)


def given_settings(finder: str | Mapping[str, Any] | Finder, threshold: float) -> dict[str, Any]:
    """Contents of a `centers.yaml` where the config gives the threshold; `search` takes the default finder."""
    setting = chosen_finder(DEFAULT if finder == "search" else finder)
    return {"finder": setting.plain(), "threshold": float(threshold)}


def find_centers(
    probability: np.ndarray,  # (h, w)
    finder: str | Mapping[str, Any] | Finder,
    *,
    diameter_px: float,
    threshold: float = 0.0,
) -> pd.DataFrame:
    """Centres on one probability map, best score first; centres of merged outlines are split (see `splitting`).

    Parameters
    ----------
    probability : (h, w) float array
        Probability of the particle class.
    finder : str, mapping or Finder
        Name of a finder, which then has its default parameters; a mapping with `name` and parameters; or the model.
    diameter_px : float
        Particle diameter in px of the map.
    threshold : float
        Lowest score of a centre (inclusive).

    Returns
    -------
    DataFrame
        Columns x, y (sub-pixel, px of the map) and score (mean probability under the particle's middle).
    """
    ((_, xy),) = _centers_by_setting(probability, [chosen_finder(finder)], diameter_px)
    table = centers_table(probability, xy, diameter_px)
    return table[table["score"] >= threshold].reset_index(drop=True)


def scores_by_setting(
    maps: Iterable[tuple[str, np.ndarray]],
    truth: pd.DataFrame,
    *,
    diameter_px: float,
    settings: Sequence[Finder] | None = None,
    keep: Callable[[str], Callable[[pd.DataFrame], pd.DataFrame]] | None = None,
) -> dict[Finder, PickScore]:
    """Score of every setting, pooled over the maps; each map is read once, and no step repeated.

    Parameters
    ----------
    maps : iterable of (micrograph, (h, w) array)
        Predicted probabilities, or labels as 0 and 1; may be a generator, so that one map is in memory at a time.
    truth : DataFrame
        Columns micrograph, x, y in px of the maps.
    diameter_px : float
        Particle diameter in px of the maps.
    settings : sequence of Finder, optional
        Finders with their parameters; the grids of all finders when not given.
    keep : function of a micrograph, optional
        Returns a filter of its centres, so that centres which a rule drops do not count. Called once per micrograph.
    """
    tried = all_settings() if settings is None else settings
    scored: dict[Finder, list[PickScore]] = {}
    truths = {stem: rows[["x", "y"]].to_numpy(float) for stem, rows in truth.groupby("micrograph")}
    for micrograph, probability in maps:
        true_xy = truths.get(micrograph, np.zeros((0, 2)))
        staying = keep(micrograph) if keep is not None else None
        for setting, xy in _centers_by_setting(probability, tried, diameter_px):
            found = centers_table(probability, xy, diameter_px)
            if staying is not None:
                found = staying(found)
            score = score_picks(true_xy, found[["x", "y"]].to_numpy(), found["score"], diameter_px=diameter_px)
            scored.setdefault(setting, []).append(score)
    if not scored:
        raise UserError("centers: the search has no micrograph of the validation part; raise split/validation")
    return {setting: pool_scores(scored[setting]) for setting in tried}


def _centers_by_setting(
    probability: np.ndarray, settings: Sequence[Finder], diameter_px: float
) -> Iterator[tuple[Finder, np.ndarray]]:
    seen = FinderMap(probability, diameter_px)
    for setting in settings:
        yield setting, split_merged(seen.depths, setting.find(seen))


def search_table(scored: Mapping[Finder, PickScore], target_precision: float | None = None) -> pd.DataFrame:
    """Table of `scores_by_setting`, one row per setting.

    Returns
    -------
    DataFrame
        finder, a column for each parameter that the search varies (NaN where a finder does not have it), ap (of all
        centres, one-to-one over box IoU), f1, threshold, map_paper, precision, recall, n_picks, n_truth. The threshold
        is the one of best F1, or the lowest that reaches `target_precision`; f1 to n_picks are of the centres that
        reach it, pooled over the maps. Where none reaches that precision, they are NaN.
    """
    measures = [_summary(score, target_precision) for score in scored.values()]
    settings = pd.DataFrame([{"finder": setting.name} | setting.shown() for setting in scored])
    return pd.concat([settings, pd.DataFrame(measures)], axis=1)


def _summary(score: PickScore, target_precision: float | None) -> dict[str, float]:
    threshold = _threshold(score, target_precision)
    counts = counts_at_threshold(score, threshold)
    at_threshold: dict[str, float] = {
        "f1": float(f1(counts)),
        "threshold": threshold,
        "map_paper": map_paper(score, threshold=threshold),
        "precision": float(precision(counts)),
        "recall": float(recall(counts)),
        "n_picks": int(counts.n_picks),
    }
    if math.isnan(threshold) and score.scores.size:
        at_threshold = dict.fromkeys(at_threshold, math.nan)
    return {"ap": mean_average_precision(score), **at_threshold, "n_truth": score.n_truth}


def _threshold(score: PickScore, target_precision: float | None) -> float:
    if target_precision is None:
        return widen_threshold(score, best_threshold(score), lowest=LEAST_SCORE)
    try:
        return widen_threshold(score, threshold_for_precision(score, target_precision), lowest=LEAST_SCORE)
    except UserError:
        return math.nan


def choose(rows: pd.DataFrame, criterion: str = "ap") -> int:
    """Index of the best row of a `search_table` by `criterion` (ap, f1 or map_paper), of equals by F1, then the first.

    Raises
    ------
    UserError
        If the criterion is unknown, or no setting found a usable threshold.
    """
    if criterion not in CRITERIA:
        raise UserError(f"search criterion: {criterion} is unknown; give one of {', '.join(CRITERIA)}")
    usable = rows[rows["threshold"].notna() & rows[criterion].notna()]
    if usable.empty:
        raise UserError(NOTHING_USABLE)
    return int(usable.sort_values([criterion, "f1"], ascending=False, kind="stable").index[0])


def pick_settings(setting: Finder, score: PickScore, target_precision: float | None = None) -> dict[str, Any]:
    """Contents of a `centers.yaml`, with which `pick` applies a setting to all micrographs; plain values.

    Parameters
    ----------
    setting : Finder
        Chosen finder with its parameters.
    score : PickScore
        Of this setting on predicted maps of the validation part.
    target_precision : float, optional
        As in `search_table`.

    Returns
    -------
    dict
        finder (name and all parameters), threshold, expected_precision and expected_recall of the picks that reach the
        threshold, and calibration: lists score and precision, the knots of `evaluation.calibration.apply_calibration`.

    Raises
    ------
    UserError
        If no threshold is usable.
    """
    measures = _summary(score, target_precision)
    if math.isnan(measures["threshold"]) or not score.scores.size:
        raise UserError(NOTHING_USABLE)
    return {
        "finder": setting.plain(),
        "threshold": float(measures["threshold"]),
        "expected_precision": measures["precision"],
        "expected_recall": measures["recall"],
        "calibration": fit_calibration(score.scores, score.true).to_dict("list"),
    }
