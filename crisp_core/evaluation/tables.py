"""Tables of several experiments: one row per experiment and seed, mean and standard deviation over the seeds."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from crisp_core.errors import UserError

PIXELS = ("iou", "precision", "recall", "f1")
PICKS = ("precision", "recall", "f1", "ap", "map_paper")


def experiment_row(pixels: pd.DataFrame, picks: pd.DataFrame, *, part: str = "test") -> dict[str, float]:
    """Return the pooled measures of one experiment: pixel_iou …, pick_precision ….

    Parameters
    ----------
    pixels, picks : DataFrame
        Results of `pixels.pixel_table` and `pick_tables.picks_table`.
    part : str
        Part of the split.

    Raises
    ------
    UserError
        If the part is empty.
    """
    tables = {"pixel": (pixels, PIXELS), "pick": (picks, PICKS)}
    row: dict[str, float] = {}
    for kind, (table, measures) in tables.items():
        pooled = table[(table["part"] == part) & (table["micrograph"] == "all")]
        if pooled.empty:
            raise UserError(
                f"split/{part}: has no scored micrograph; put one into it, or see the quarantine of the run"
            )
        row |= {f"{kind}_{measure}": float(pooled[measure].iloc[0]) for measure in measures}
    return row


def add_mean_and_sd(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return a table of the rows, followed by one row `mean` and one row `sd` per experiment.

    Parameters
    ----------
    rows : sequence of mappings
        Keys dataset, experiment, seed, and measures.

    Returns
    -------
    DataFrame
        Column seed contains the seed, mean or sd (of the sample; NaN with a single seed).
    """
    table = pd.DataFrame(rows)
    measures = table.columns.drop(["dataset", "experiment", "seed"])
    groups = table.groupby(["dataset", "experiment"], sort=False)[list(measures)]
    summaries = [groups.mean().reset_index().assign(seed="mean"), groups.std().reset_index().assign(seed="sd")]
    return pd.concat([table, *summaries], ignore_index=True)[list(table.columns)]
