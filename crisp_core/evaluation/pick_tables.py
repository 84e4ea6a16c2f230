"""Tables of the measures, the precision-recall curves and the calibration of picks, by part and micrograph."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from crisp_core.evaluation.calibration import apply_calibration, expected_calibration_error, reliability_table
from crisp_core.evaluation.curves import (
    average_precision,
    best_threshold,
    counts_at_threshold,
    counts_by_threshold,
    map_paper,
    mean_average_precision,
)
from crisp_core.evaluation.matching import STRICTER_FRACTIONS
from crisp_core.evaluation.scores import (
    PickCounts,
    PickScore,
    bootstrap_f1,
    f1,
    pool_scores,
    precision,
    recall,
    score_micrographs,
)

PICK_COLUMNS = [
    *("part", "micrograph", "n_truth", "n_picks", "n_matched", "precision", "recall", "f1", "f1_low", "f1_high"),
    *("auprc", "ap", "map_paper", "median_error_angstrom", "duplicates"),
]


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
    """Measure picks: one row per micrograph, and one pooled row `all` per part.

    Parameters
    ----------
    truth, picks : DataFrame
        As in `scores.score_micrographs`.
    parts : mapping of str to str
        Part (train, validation, test) of every micrograph that the picker was given, also without picks or true
        particles.
    candidates : DataFrame, optional
        Candidates from which the picks were chosen by a threshold. Areas under curves and best thresholds are then
        those of the candidates.
    diameter_px : float
        Particle diameter in px of x and y.
    pixel_size : float
        Pixel size of x and y, in Å/px.
    seed : int
        Seed of the bootstrap over micrographs.

    Returns
    -------
    DataFrame
        `PICK_COLUMNS`, then error_95_angstrom, both errors in px, F1 within d/3, d/4 and d/8, the best F1 of all
        thresholds and its threshold, recall of crowded particles (with a neighbour closer than one diameter), picks on
        masked area and, in rows `all`, means over micrographs (macro; NaN values are left out of a mean). Intervals are
        in rows `all` only.
    """
    scored = score_micrographs(truth, picks, parts, diameter_px=diameter_px)
    ranked = scored
    if candidates is not None:
        ranked = score_micrographs(truth, candidates, parts, diameter_px=diameter_px)
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
                **_measures(pool_scores(together), pool_scores([ranked[stem] for stem in stems]), pixel_size),
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
        "best_f1": float(f1(counts_at_threshold(ranked, best) if len(ranked.scores) else score.counts)),
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
    """Precision and recall of each part at every threshold, highest threshold first.

    Parameters
    ----------
    truth, picks, parts, diameter_px
        As in `picks_table`.

    Returns
    -------
    DataFrame
        Columns part, threshold, n_picks, precision, recall, f1; the micrographs of a part are pooled.
    """
    scored = score_micrographs(truth, picks, parts, diameter_px=diameter_px)
    tables = []
    for part in dict.fromkeys(parts.values()):
        pooled = pool_scores([scored[stem] for stem in parts if parts[stem] == part])
        thresholds, counts = counts_by_threshold(pooled)
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
    """Reliability of the score before and after calibration, for each part.

    Parameters
    ----------
    truth, picks, parts, diameter_px
        As in `picks_table`.
    knots : DataFrame or None
        Result of `calibration.fit_calibration`; without it, the table has no rows of the calibrated score.

    Returns
    -------
    DataFrame
        Columns part, kind (score or calibrated), the columns of `calibration.reliability_table`, and
        expected_calibration_error, which is equal in all rows of a part and kind.
    """
    scored = score_micrographs(truth, picks, parts, diameter_px=diameter_px)
    tables = []
    for part in dict.fromkeys(parts.values()):
        pooled = pool_scores([scored[stem] for stem in parts if parts[stem] == part])
        kinds = {"score": pooled.scores}
        if knots is not None:
            kinds["calibrated"] = apply_calibration(pooled.scores, knots)
        for kind, scores in kinds.items():
            table = reliability_table(scores, pooled.true)
            error = expected_calibration_error(table)
            tables.append(table.assign(part=part, kind=kind, expected_calibration_error=error))
    table = pd.concat(tables, ignore_index=True)
    return table[["part", "kind", *table.columns.drop(["part", "kind"])]]
