"""Every finder with its published settings, and the search for the best setting on validation maps."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

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
from crisp_core.picking.finders import crocker_grier, morphology, nms
from crisp_core.picking.finders.footprint import LEAST_SCORE, centers_table
from crisp_core.picking.splitting import measure_depths, split_merged

CRITERIA = ("ap", "f1", "map_paper")
NOTHING_USABLE = (
    "No setting of the finders gives usable centres on the validation maps: "
    "train longer, check the particle diameter, or lower the target precision."
)


class Setting(NamedTuple):
    """A finder with its two hyper-parameters."""

    finder: str
    e: float
    s: float


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


ALL_SETTINGS = tuple(Setting(name, e, s) for name, finder in FINDERS.items() for e in finder.e for s in finder.s)


def default_setting(name: str) -> Setting:
    """The setting that a finder takes where none is searched."""
    finder = _finder(name)
    return Setting(name, finder.default_e, finder.default_s)


def given_settings(finder: str, threshold: float) -> dict[str, str | float]:
    """What `pick` takes where the config gives the threshold: a finder, nms where none is named, with its defaults."""
    setting = default_setting("nms" if finder == "search" else finder)
    return {"finder": setting.finder, "e": setting.e, "s": setting.s, "threshold": float(threshold)}


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
    """Centres on one probability map, best score first; centres of merged outlines are split (see `splitting`).

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
    setting = Setting(finder, tools.default_e if e is None else e, tools.default_s if s is None else s)
    ((_, xy),) = _centers_by_setting(probability, [setting], diameter_px)
    table = centers_table(probability, xy, diameter_px)
    return table[table["score"] >= threshold].reset_index(drop=True)


def scores_by_setting(
    maps: Iterable[tuple[str, np.ndarray]],
    truth: pd.DataFrame,
    *,
    diameter_px: float,
    settings: Sequence[Setting] = ALL_SETTINGS,
    keep: Callable[[str], Callable[[pd.DataFrame], pd.DataFrame]] | None = None,
) -> dict[Setting, PickScore]:
    """Score of every setting, pooled over the maps; each map is read once, and no step repeated.

    Parameters
    ----------
    maps : iterable of (micrograph, (h, w) array)
        Predicted probabilities, or labels as 0 and 1; may be a generator, so that one map is in memory at a time.
    truth : DataFrame
        Columns micrograph, x, y in px of the maps.
    diameter_px : float
        Particle diameter in px of the maps.
    settings : sequence of Setting
        What to try.
    keep : function of a micrograph, optional
        Returns the function that takes its centres and gives back those that stay: what will be dropped by rule must
        not count. Asked once per micrograph.
    """
    scored: dict[Setting, list[PickScore]] = {}
    truths = {stem: rows[["x", "y"]].to_numpy(float) for stem, rows in truth.groupby("micrograph")}
    for micrograph, probability in maps:
        true_xy = truths.get(micrograph, np.zeros((0, 2)))
        staying = keep(micrograph) if keep is not None else None
        for setting, xy in _centers_by_setting(probability, settings, diameter_px):
            found = centers_table(probability, xy, diameter_px)
            if staying is not None:
                found = staying(found)
            score = score_picks(true_xy, found[["x", "y"]].to_numpy(), found["score"], diameter_px=diameter_px)
            scored.setdefault(setting, []).append(score)
    if not scored:
        raise UserError("The search for centres got no validation map: put a micrograph into the validation part.")
    return {setting: pool_scores(scored[setting]) for setting in settings}


def _centers_by_setting(
    probability: np.ndarray, settings: Sequence[Setting], diameter_px: float
) -> Iterable[tuple[Setting, np.ndarray]]:
    depths = measure_depths(probability, diameter_px=diameter_px)
    for name, of_finder in groupby(sorted(settings), key=lambda setting: setting.finder):
        tools = _finder(name)
        known = tools.prepare is measure_depths
        prepared = depths if known else tools.prepare(probability, diameter_px=diameter_px)
        for e, of_e in groupby(of_finder, key=lambda setting: setting.e):
            proposed = tools.propose(prepared, e=e)
            for setting in of_e:
                yield setting, split_merged(depths, tools.select(proposed, diameter_px=diameter_px, s=setting.s))


def search_table(scored: Mapping[Setting, PickScore], target_precision: float | None = None) -> pd.DataFrame:
    """Table of `scores_by_setting`, one row per setting.

    Returns
    -------
    DataFrame
        finder, e, s, ap (of all centres, one-to-one over box IoU), f1, threshold, map_paper, precision, recall,
        n_picks, n_truth. The threshold is the one of best F1, or the lowest that reaches `target_precision`; f1 to
        n_picks are of the centres that reach it, pooled over the maps. Where none reaches that precision, they are NaN.
    """
    return pd.DataFrame([setting._asdict() | _summary(score, target_precision) for setting, score in scored.items()])


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


def choose(rows: pd.DataFrame, criterion: str = "ap") -> Setting:
    """Best setting of a `search_table` by `criterion` (ap, f1 or map_paper), of equals by F1, then the first.

    Raises
    ------
    UserError
        If the criterion is unknown, or no setting found a usable threshold.
    """
    if criterion not in CRITERIA:
        raise UserError(f"There is no search criterion called {criterion}: choose one of {', '.join(CRITERIA)}.")
    usable = rows[rows["threshold"].notna() & rows[criterion].notna()]
    if usable.empty:
        raise UserError(NOTHING_USABLE)
    best = usable.sort_values([criterion, "f1"], ascending=False, kind="stable").iloc[0]
    return Setting(best["finder"], float(best["e"]), float(best["s"]))


def pick_settings(setting: Setting, score: PickScore, target_precision: float | None = None) -> dict[str, Any]:
    """What `pick` needs to apply a setting elsewhere, as plain values for a YAML file.

    Parameters
    ----------
    setting : Setting
    score : PickScore
        Of this setting on predicted maps of the validation part.
    target_precision : float, optional
        As in `search_table`.

    Returns
    -------
    dict
        finder, e, s, threshold, expected_precision and expected_recall of the picks that reach the threshold, and
        calibration: lists score and precision, the knots of `evaluation.calibration.apply_calibration`.

    Raises
    ------
    UserError
        If no threshold is usable.
    """
    measures = _summary(score, target_precision)
    if math.isnan(measures["threshold"]) or not score.scores.size:
        raise UserError(NOTHING_USABLE)
    return {
        **setting._asdict(),
        "threshold": float(measures["threshold"]),
        "expected_precision": measures["precision"],
        "expected_recall": measures["recall"],
        "calibration": fit_calibration(score.scores, score.true).to_dict("list"),
    }
