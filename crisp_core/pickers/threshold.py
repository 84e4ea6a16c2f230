"""Threshold of the score for candidates of another picker."""

import math

import numpy as np
import pandas as pd

from crisp_core.errors import UserError
from crisp_core.evaluation.curves import best_threshold, counts_at_threshold, widen_threshold
from crisp_core.evaluation.scores import pool_scores, precision, recall, score_micrographs

PUBLISHED = "published"


def choose_threshold(
    truth: pd.DataFrame, candidates: pd.DataFrame, micrographs: list[str], *, diameter_px: float
) -> dict:
    """Threshold of best F1, chosen as `picking.search` does for the candidates of a network.

    Parameters
    ----------
    truth, candidates : DataFrame
        As in `evaluation.scores.score_micrographs`.
    micrographs : list of str
        The validation part.
    diameter_px : float
        Particle diameter in the pixels of x and y.

    Returns
    -------
    dict
        threshold, expected_precision and expected_recall of the picks that reach it.

    Raises
    ------
    UserError
        If there is no validation micrograph, no candidate on one, or no score.
    """
    cure = "set picker/threshold to a number or to published"
    if not micrographs:
        raise UserError(f"picker/threshold: the validation part has no picked micrograph; {cure}")
    scored = score_micrographs(truth, candidates, micrographs, diameter_px=diameter_px)
    score = pool_scores(list(scored.values()))
    best = best_threshold(score)
    if math.isnan(best):
        raise UserError(f"picker/threshold: the picker found nothing on the validation part; {cure}")
    if np.isneginf(score.scores).any():
        raise UserError(f"picker/threshold: some picks have no score, so no threshold can be chosen; {cure}")
    counts = counts_at_threshold(score, best)
    return {
        "threshold": widen_threshold(score, best),
        "expected_precision": float(precision(counts)),
        "expected_recall": float(recall(counts)),
    }


def above_threshold(candidates: pd.DataFrame, threshold: float | str) -> pd.DataFrame:
    """Candidates with at least the threshold as score; all candidates if the threshold is PUBLISHED.

    Raises
    ------
    UserError
        If a number is to choose among picks without a score.
    """
    if threshold == PUBLISHED:
        return candidates
    if candidates["score"].isna().any():
        raise UserError("picker/threshold: some picks have no score, and a threshold needs scores; set it to published")
    return candidates[candidates["score"] >= threshold]
