"""What the page's threshold slider shows: picks and true particles at every threshold, and micrographs that stand out.

Which picks are true at a threshold, and which particles they find, follows from one walk down the scores
(`evaluation.matching.match_in_score_order`), so the page need not match anything itself and shows the numbers of
metrics/picks.tsv.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from crisp_core.evaluation.calibration import EXPECTED_PRECISION
from crisp_core.evaluation.matching import MATCH_FRACTION, find_near_pairs, match_in_score_order

STEPS = 1000
# Of a normal distribution, the median absolute deviation is the standard deviation divided by this.
MAD_TO_SD = 1.4826
OUTLIER_SDS = 3


class Picked(NamedTuple):
    """Candidates of one micrograph, best first, and its true particles; x and y in pixels of the micrograph."""

    candidates: pd.DataFrame  # x, y, score, perhaps expected_precision, and true (bool) where there is a truth
    truth: pd.DataFrame | None  # x, y, found: the highest threshold at which a pick has it, NaN if none


def match_candidates(candidates: pd.DataFrame, truth: pd.DataFrame | None, *, diameter_px: float) -> Picked:
    """Say of every candidate whether it is true at the thresholds that keep it, and of every particle when it is found.

    Parameters
    ----------
    candidates, truth : DataFrame
        Of one micrograph; columns x, y and, for candidates, score and perhaps expected_precision. Truth is None where
        there is none.
    diameter_px : float
        Particle diameter in the pixels of x and y.
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
    """`match_candidates` of every micrograph; only those in a part of the split have a truth, which may be empty."""
    found = {}
    for name in names:
        known = truth[truth["micrograph"] == name] if truth is not None and name in parts else None
        rows = candidates[candidates["micrograph"] == name]
        found[name] = match_candidates(rows, known, diameter_px=diameter_px)
    return found


def fill_missing_scores(candidates: pd.DataFrame) -> pd.DataFrame:
    """Candidates with the least score of all in place of none (NaN), and 0 where nothing has a score."""
    least = candidates["score"].min()
    return candidates.assign(score=candidates["score"].fillna(0.0 if np.isnan(least) else least))


def chosen_threshold(given: object, scores: np.ndarray) -> float:
    """Return the least score of a pick: what is given, if that is a number, else the lowest score there is."""
    if isinstance(given, int | float):
        return float(given)
    return float(np.min(scores)) if len(scores) else 0.0


def threshold_grid(chosen: float, scores: np.ndarray) -> np.ndarray:
    """Thresholds of the slider, rising: 1001 over the scores' range, and the chosen one itself.

    The range is 0 to 1, and wider where scores are, as other pickers' may be.
    """
    low, high = (float(limit(np.append(scores, end))) for limit, end in ((np.min, 0.0), (np.max, 1.0)))
    low, high = np.floor(low), np.ceil(high)
    return np.unique(np.append(low + np.arange(STEPS + 1) * (high - low) / STEPS, chosen))


def count_at_least(scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Return how many scores are at least each of the thresholds."""
    return len(scores) - np.searchsorted(np.sort(scores), thresholds, side="left")


def pooled_counts(
    micrographs: Mapping[str, Picked], parts: Mapping[str, str], thresholds: np.ndarray
) -> dict[str, dict[str, object]]:
    """Counts of all micrographs (`all`) and of each part of the split, at every threshold.

    Returns
    -------
    dict
        By part: n_micrographs, n_picks (list over the thresholds) and, for parts, n_truth and n_true (list).
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
    """Mark the micrographs whose number of picks is beyond three robust standard deviations of the median.

    The deviation is 1.4826 × the median absolute deviation, and at least the counting noise √median: where most counts
    agree, a pick more or less is no outlier.

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
    deviation = (values - middle) / max(MAD_TO_SD * mad, np.sqrt(middle), 1.0)
    return pd.DataFrame(
        {
            "micrograph": counts.index.astype(str),
            "n_picks": counts.to_numpy(int),
            "deviation": deviation,
            "outlier": np.abs(deviation) > OUTLIER_SDS,
        }
    )


def pick_counts(micrographs: Mapping[str, Picked], threshold: float) -> pd.Series:
    """Number of picks of every micrograph at a threshold."""
    counts = {name: int((one.candidates["score"] >= threshold).sum()) for name, one in micrographs.items()}
    return pd.Series(counts, dtype=int)


def score_groups(micrographs: Mapping[str, Picked]) -> dict[str, np.ndarray]:
    """Scores of true and of other candidates, where truth is known; of all candidates where it is not."""
    known = [one.candidates for one in micrographs.values() if one.truth is not None]
    if not known:
        return {"candidates": _scores(one.candidates for one in micrographs.values())}
    return {
        "true": _scores(table[table["true"]] for table in known),
        "not in the truth": _scores(table[~table["true"]] for table in known),
    }


def _scores(tables: Iterable[pd.DataFrame]) -> np.ndarray:
    return np.concatenate([np.zeros(0), *(table["score"].to_numpy(float) for table in tables)])
