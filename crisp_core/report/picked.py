"""Data of the threshold slider of the report page: picks and true particles at every threshold, and outliers.

True picks and found particles at all thresholds follow from one matching in score order
(`evaluation.matching.match_in_score_order`), so that the page only compares scores and shows the numbers of
metrics/picks.tsv.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from crisp_core.evaluation.calibration import EXPECTED_PRECISION
from crisp_core.evaluation.matching import MATCH_FRACTION, find_near_pairs, match_in_score_order
from crisp_core.robust import SD_PER_MAD

# Number of steps of the slider.
STEPS = 1000
# Minimum deviation of an outlier in robust standard deviations.
OUTLIER_SDS = 3


class Picked(NamedTuple):
    """Candidates of one micrograph, highest score first, and its true particles; x and y in px of the micrograph."""

    candidates: pd.DataFrame  # x, y, score, optionally expected_precision and, with true particles, true (bool)
    truth: pd.DataFrame | None  # x, y, found: highest threshold at which it is found, NaN if it is never found


def match_candidates(candidates: pd.DataFrame, truth: pd.DataFrame | None, *, diameter_px: float) -> Picked:
    """Match the candidates of one micrograph with its true particles, for all thresholds.

    Parameters
    ----------
    candidates, truth : DataFrame
        Candidates and true particles (or None): columns x, y; candidates also score and, optionally,
        expected_precision.
    diameter_px : float
        Particle diameter in px of x and y.
    """
    ranked = candidates.sort_values("score", ascending=False, kind="stable", ignore_index=True)
    ranked = ranked[[column for column in ("x", "y", "score", EXPECTED_PRECISION) if column in ranked]]
    if truth is None:
        return Picked(ranked, None)
    near = find_near_pairs(
        truth[["x", "y"]].to_numpy(float),
        ranked[["x", "y"]].to_numpy(float),
        max_distance_px=diameter_px * MATCH_FRACTION,
    )
    pairs = match_in_score_order(near, ranked["score"].to_numpy(float))
    true, found = np.zeros(len(ranked), dtype=bool), np.full(len(truth), np.nan)
    true[pairs.pick], found[pairs.truth] = True, pairs.value
    return Picked(ranked.assign(true=true), truth[["x", "y"]].assign(found=found))


def match_micrographs(
    candidates: pd.DataFrame,
    truth: pd.DataFrame | None,
    names: Iterable[str],
    parts: Mapping[str, str],
    *,
    diameter_px: float,
) -> dict[str, Picked]:
    """Return the result of `match_candidates` for every micrograph.

    Parameters
    ----------
    candidates, truth : DataFrame
        Candidates and true particles (or None), as in `match_candidates`, with the column micrograph.
    names : iterable of str
        Micrographs.
    parts : mapping of micrograph to part
        Parts of the split. The other micrographs have no known particles.
    diameter_px : float
        Particle diameter in px of x and y.
    """
    found = {}
    for name in names:
        known = truth[truth["micrograph"] == name] if truth is not None and name in parts else None
        rows = candidates[candidates["micrograph"] == name]
        found[name] = match_candidates(rows, known, diameter_px=diameter_px)
    return found


def fill_missing_scores(candidates: pd.DataFrame) -> pd.DataFrame:
    """Replace missing scores by the lowest score of all, or by 0 if there are no scores."""
    least = candidates["score"].min()
    return candidates.assign(score=candidates["score"].fillna(0.0 if np.isnan(least) else least))


def chosen_threshold(given: object, scores: np.ndarray) -> float:
    """Return the minimum score of a pick: the given value, if it is a number, otherwise the lowest score."""
    if isinstance(given, int | float):
        return float(given)
    return float(np.min(scores)) if len(scores) else 0.0


def threshold_grid(chosen: float, scores: np.ndarray) -> np.ndarray:
    """Return the thresholds of the slider, increasing: 1001 over the range of the scores, and the chosen one.

    The range is 0 to 1 or, for scores outside of it (of other pickers), wider.
    """
    low, high = (float(limit(np.append(scores, end))) for limit, end in ((np.min, 0.0), (np.max, 1.0)))
    low, high = np.floor(low), np.ceil(high)
    return np.unique(np.append(low + np.arange(STEPS + 1) * (high - low) / STEPS, chosen))


def count_at_least(scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Count the scores at or above each threshold."""
    return len(scores) - np.searchsorted(np.sort(scores), thresholds, side="left")


def pooled_counts(
    micrographs: Mapping[str, Picked], parts: Mapping[str, str], thresholds: np.ndarray
) -> dict[str, dict[str, object]]:
    """Count the picks and true picks of all micrographs (`all`) and of each part, at every threshold.

    Parameters
    ----------
    micrographs : mapping of micrograph to Picked
        Matched candidates.
    parts : mapping of micrograph to part
        Parts of the split.
    thresholds : (m,) array
        Minimum scores.

    Returns
    -------
    dict
        By part: n_micrographs, n_picks (list over thresholds) and, for parts, n_truth and n_true (list).
    """
    every = {"n_micrographs": len(micrographs), **_count_picks(micrographs.values(), thresholds)}
    pooled: dict[str, dict[str, object]] = {"all": every}
    for part in dict.fromkeys(parts.values()):
        members = [one for name, one in micrographs.items() if parts.get(name) == part]
        true = _scores(one.candidates[one.candidates["true"]] for one in members)
        pooled[part] = {
            "n_micrographs": len(members),
            **_count_picks(members, thresholds),
            "n_truth": sum(len(one.truth) for one in members if one.truth is not None),
            "n_true": count_at_least(true, thresholds).tolist(),
        }
    return pooled


def _count_picks(members: Iterable[Picked], thresholds: np.ndarray) -> dict[str, list[int]]:
    return {"n_picks": count_at_least(_scores(one.candidates for one in members), thresholds).tolist()}


def mark_outliers(counts: pd.Series) -> pd.DataFrame:
    """Mark micrographs whose number of picks deviates from the median by more than three robust standard deviations.

    The robust standard deviation is 1.4826 × the median absolute deviation, but at least the counting noise √median, so
    that a pick more or less is not an outlier if most counts are equal.

    Parameters
    ----------
    counts : Series
        Number of picks by micrograph.

    Returns
    -------
    DataFrame
        Columns micrograph, n_picks, deviation (in robust standard deviations), outlier (bool).
    """
    values = counts.to_numpy(float)
    middle = float(np.median(values)) if values.size else 0.0
    mad = float(np.median(np.abs(values - middle))) if values.size else 0.0
    deviation = (values - middle) / max(SD_PER_MAD * mad, np.sqrt(middle), 1.0)
    return pd.DataFrame(
        {
            "micrograph": counts.index.astype(str),
            "n_picks": counts.to_numpy(int),
            "deviation": deviation,
            "outlier": np.abs(deviation) > OUTLIER_SDS,
        }
    )


def pick_counts(micrographs: Mapping[str, Picked], threshold: float) -> pd.Series:
    """Count the picks of every micrograph at a threshold."""
    counts = {name: int((one.candidates["score"] >= threshold).sum()) for name, one in micrographs.items()}
    return pd.Series(counts, dtype=int)


def score_groups(micrographs: Mapping[str, Picked]) -> dict[str, np.ndarray]:
    """Group scores into true and other candidates on micrographs with known particles; otherwise one group."""
    known = [one.candidates for one in micrographs.values() if one.truth is not None]
    if not known:
        return {"candidates": _scores(one.candidates for one in micrographs.values())}
    return {
        "true": _scores(table[table["true"]] for table in known),
        "not in the truth": _scores(table[~table["true"]] for table in known),
    }


def _scores(tables: Iterable[pd.DataFrame]) -> np.ndarray:
    return np.concatenate([np.zeros(0), *(table["score"].to_numpy(float) for table in tables)])
