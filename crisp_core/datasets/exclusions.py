"""Micrographs that the curation excludes from the extraction."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from crisp_core.formats.tables import read_table


def read_excluded(paths: Iterable[str | Path]) -> dict[str, str]:
    """Excluded micrographs with the reason, from the tables of some batches; none without a table."""
    found: dict[str, str] = {}
    for path in paths:
        table = read_table(path, keep_default_na=False)
        found |= dict(zip(table["micrograph"], table["excluded"], strict=True))
    return found


def without_excluded(picks: pd.DataFrame, excluded: Mapping[str, str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Part the picks into those on other micrographs, and those on excluded ones with the column reason.

    Parameters
    ----------
    picks : DataFrame
        Picks with the column micrograph.
    excluded : mapping of str to str
        Reason by excluded micrograph.
    """
    gone = picks["micrograph"].isin(list(excluded))
    reasons = "micrograph excluded: " + picks.loc[gone, "micrograph"].map(dict(excluded)).astype(str)
    return picks[~gone].reset_index(drop=True), picks[gone].assign(reason=reasons)
