"""Calibration of scores: the precision to expect of a pick with a given score."""

import math

import numpy as np
import pandas as pd

from crisp_core.errors import UserError

# Column of a table of picks.
EXPECTED_PRECISION = "expected_precision"


def fit_calibration(scores: np.ndarray, true: np.ndarray) -> pd.DataFrame:
    """Fit an isotonic calibration of the score; the data should be the validation part.

    Returns
    -------
    DataFrame
        Knots for `apply_calibration`: columns score (increasing) and precision (never decreasing).
    """
    # Imported here, since the import is slow and nothing else needs it.
    from sklearn.isotonic import IsotonicRegression

    if len(scores) == 0:
        raise UserError("calibration: there are no picks to fit it on; lower the threshold of the finder")
    fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(scores, np.asarray(true, dtype=float))
    return pd.DataFrame({"score": fitted.X_thresholds_, "precision": fitted.y_thresholds_})


def apply_calibration(scores: np.ndarray, knots: pd.DataFrame) -> np.ndarray:
    """Return the expected precision at each score: linear between the knots, constant outside them."""
    return np.interp(scores, knots["score"], knots["precision"])


def add_expected_precision(picks: pd.DataFrame, knots: pd.DataFrame) -> pd.DataFrame:
    """Add the column `EXPECTED_PRECISION`: the expected share of true picks among picks of the same score.

    It never decreases with the score. It is too low if the coordinates of the validation part are incomplete.

    Parameters
    ----------
    picks : DataFrame
        Picks with a column score.
    knots : DataFrame
        Result of `fit_calibration`.
    """
    return picks.assign(**{EXPECTED_PRECISION: apply_calibration(picks["score"].to_numpy(float), knots)})


def reliability_table(scores: np.ndarray, true: np.ndarray, *, n_bins: int = 10) -> pd.DataFrame:
    """Expected and observed precision of picks, in equal bins of a score between 0 and 1.

    Parameters
    ----------
    scores : (m,) array
        Scores of the picks.
    true : (m,) bool array
        Whether each pick is true.
    n_bins : int
        Number of bins.

    Returns
    -------
    DataFrame
        Columns low, high, n_picks, mean_score, precision. A bin holds low ≤ score < high, the last bin also
        score = high; an empty bin has NaN.
    """
    edges = np.linspace(0, 1, n_bins + 1)
    bins = np.clip(np.digitize(scores, edges) - 1, 0, n_bins - 1)
    n, total, hits = (np.bincount(bins, weights=w, minlength=n_bins) for w in (None, scores, np.asarray(true, float)))
    with np.errstate(invalid="ignore"):
        return pd.DataFrame(
            {"low": edges[:-1], "high": edges[1:], "n_picks": n, "mean_score": total / n, "precision": hits / n}
        )


def expected_calibration_error(table: pd.DataFrame) -> float:
    """Mean |mean score − precision| over the bins of a reliability table, weighted by picks; NaN without picks."""
    filled = table[table["n_picks"] > 0]
    if filled.empty:
        return math.nan
    return float(np.average((filled["mean_score"] - filled["precision"]).abs(), weights=filled["n_picks"]))
