"""Tables of the report page as plain data."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd


def table_rows(table: pd.DataFrame) -> dict[str, list]:
    """Return columns and rows of a table for the template and JSON; missing and infinite values become None."""
    rows = [[_plain(value) for value in row] for row in table.itertuples(index=False)]
    return {"columns": [str(column) for column in table.columns], "rows": rows}


def _plain(value: object) -> object:
    if pd.isna(value) or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value.item() if hasattr(value, "item") else value


def counts_by_reason(dropped: Mapping[str, list]) -> list[tuple[str, int]]:
    """Return the reasons of a table of dropped picks with their numbers, the most frequent first."""
    counts: dict[str, int] = {}
    for row in dropped["rows"]:
        cells = dict(zip(dropped["columns"], row, strict=True))
        counts[cells["reason"]] = counts.get(cells["reason"], 0) + cells["n_picks"]
    return sorted(counts.items(), key=lambda item: -item[1])


def first_row(table: Mapping[str, list]) -> dict[str, Any]:
    """Return the first row of a table as a dictionary."""
    return dict(zip(table["columns"], table["rows"][0], strict=True))


def pooled_rows(table: Mapping[str, list] | None) -> list[dict[str, Any]]:
    """Return the rows `all` of a table of scores as dictionaries, none without a table."""
    if table is None:
        return []
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]
    return [row for row in rows if row["micrograph"] == "all"]
