"""Scores of an entry on a test set, and the tables as Markdown."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from general_sets import TestSet

from crisp_core.evaluation.curves import best_threshold, counts_at_threshold, counts_by_threshold, widen_threshold
from crisp_core.evaluation.scores import (
    PickCounts,
    PickScore,
    bootstrap_f1,
    f1,
    pool_scores,
    precision,
    recall,
    score_picks,
)

RECALL = 0.85
# Columns of the tables, and how a number is shown.
SHOWN = {
    **{"entry": "picker", "leak": "leak", "n_micrographs": "micrographs", "threshold": "threshold", "n_picks": "picks"},
    **{"precision": "P", "recall": "R", "f1": "F1", "interval": "95 % interval", "best_f1": "best F1"},
    **{"best_threshold": "at", "precision_at_recall": f"P at R {RECALL:g}"},
}
GOALS = (
    ("empiar-10017", "f1", "EMPIAR-10017, 12 micrographs: F1 as delivered", ".80", ".86"),
    ("empiar-10146", "f1", "EMPIAR-10146, 7 micrographs: F1 as delivered", ".93", ".96"),
    ("empiar-10017", "precision_at_recall", "EMPIAR-10017: precision at recall .85", ".75", ".85"),
    ("empiar-10146", "precision_at_recall", "EMPIAR-10146: precision at recall .85", ".75", ".85"),
    ("proteins", "f1", "12 simulated proteins, SNR as in EMPIAR-10146: F1", ".95", ".98"),
    ("proteins-half-snr", "f1", "12 simulated proteins, half of that SNR: F1", ".90", ".95"),
    ("micassess", "empty_picks", "MicAssess classes 3 and 5, 6 empty micrographs: picks each", "≤ 2", "0"),
)


def scores(test: TestSet, found: pd.DataFrame, least: float = -math.inf) -> dict[str, PickScore]:
    """Score the picks of every micrograph, at its own diameter, from a lowest score on.

    Parameters
    ----------
    test : TestSet
    found : DataFrame
        Candidates: micrograph, x, y, score.
    least : float
        Lowest score; candidates without one count as -inf.
    """
    kept = found[found["score"].fillna(-math.inf) >= least]
    scored = {}
    for row in test.micrographs.itertuples():
        picks = kept[kept["micrograph"] == row.micrograph]
        scored[row.micrograph] = score_picks(
            test.truth.loc[test.truth["micrograph"] == row.micrograph, ["x", "y"]].to_numpy(float),
            picks[["x", "y"]].to_numpy(float),
            picks["score"].to_numpy(float),
            diameter_px=row.diameter_angstrom / row.pixel_size,
        )
    return scored


def chosen_threshold(test: TestSet, found: pd.DataFrame) -> dict[str, float]:
    """Threshold of best F1 on the validation proteins, as rule choose_threshold finds it, with its scores there."""
    pooled = pool_scores(list(scores(test, found).values()))
    threshold = widen_threshold(pooled, best_threshold(pooled))
    counts = counts_at_threshold(pooled, threshold)
    return {"threshold": threshold} | {m.__name__: float(m(counts)) for m in (precision, recall, f1)}


def row_of(test: TestSet, found: pd.DataFrame, threshold: float) -> dict[str, Any]:
    """Measures of an entry, pooled over a test set: picks as delivered, and the curve of its candidates."""
    delivered = scores(test, found, threshold)
    pooled, ranked = (pool_scores(list(each.values())) for each in (delivered, scores(test, found)))
    by_micrograph = [score.counts for score in delivered.values()]
    low, high = bootstrap_f1(PickCounts(*(np.array(column) for column in zip(*by_micrograph, strict=True))))
    best = best_threshold(ranked)
    return {
        "n_micrographs": len(by_micrograph),
        **dict(zip(("n_truth", "n_picks", "n_matched"), pooled.counts, strict=True)),
        "threshold": threshold,
        **{measure.__name__: float(measure(pooled.counts)) for measure in (precision, recall, f1)},
        "f1_low": low,
        "f1_high": high,
        "best_f1": float(f1(counts_at_threshold(ranked, best))) if ranked.scores.size else math.nan,
        "best_threshold": best,
        "precision_at_recall": precision_at_recall(ranked),
        "highest_recall": float(ranked.true.sum() / ranked.n_truth) if ranked.n_truth else math.nan,
        "picks_per_micrograph": pooled.scores.size / len(by_micrograph),
    }


def precision_at_recall(score: PickScore, least: float = RECALL) -> float:
    """Highest precision of all thresholds with at least a recall; NaN if no threshold reaches it."""
    _, counts = counts_by_threshold(score)
    reached = recall(counts) >= least
    return float(precision(counts)[reached].max()) if reached.any() else math.nan


def group_rows(test: TestSet, found: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """Counts and scores by group of micrographs, such as the protein."""
    delivered = scores(test, found, threshold)
    rows = []
    for group, members in test.micrographs.groupby("group", sort=False):
        counts = pool_scores([delivered[name] for name in members["micrograph"]]).counts
        rows.append(
            {
                "group": group,
                "diameter_angstrom": round(float(members["diameter_angstrom"].iloc[0])),
                **counts._asdict(),
                **{measure.__name__: float(measure(counts)) for measure in (precision, recall, f1)},
                "picks_per_micrograph": counts.n_picks / len(members),
            }
        )
    return pd.DataFrame(rows)


def number(value: Any) -> str:
    """Number for a table: three digits without the leading zero; a dash where there is none."""
    if isinstance(value, str):
        return value
    if value is None or not math.isfinite(value):
        return "–"
    if float(value).is_integer() and abs(value) > 1:
        return str(int(value))
    return f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.2f}"


def markdown(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> str:
    """Markdown table of some columns under other titles."""
    lines = [list(columns.values()), ["---"] * len(columns)]
    lines += [[number(row.get(key, math.nan)) for key in columns] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def with_interval(row: Mapping[str, Any]) -> dict[str, Any]:
    """Row with the interval of F1 in one cell."""
    return {**row, "interval": f"{number(row['f1_low'])} – {number(row['f1_high'])}"}


def set_section(title: str, table: pd.DataFrame) -> str:
    """Section of a test set."""
    shown = {key: name for key, name in SHOWN.items() if key != "n_micrographs" or table["n_micrographs"].nunique() > 1}
    return f"### {title}\n\n" + markdown([with_interval(row) for row in table.to_dict("records")], shown)


def goals_table(found: Mapping[tuple[str, str], Sequence[float]], more: Iterable[Sequence[str]]) -> str:
    """Table of goals: test, goal, stretch goal, and the measure of every network.

    Parameters
    ----------
    found : mapping of (set, measure) to values
        Of the networks, one value for each.
    more : iterable of rows
        Finished rows of other parts.
    """
    lines = ["| test | goal | stretch | CRISP general |", "| --- | --- | --- | --- |"]
    for name, measure, title, goal, stretch in GOALS:
        values = found.get((name, measure), ())
        lines.append(f"| {title} | {goal} | {stretch} | {', '.join(map(number, values)) or 'not run'} |")
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in more)])


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that an interruption leaves the earlier one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    part.rename(path)
