"""Tables of the report page as plain data."""

import math
from collections import Counter
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


def empty_columns(table: Mapping[str, list]) -> list[str]:
    """Columns of a table without any value, such as measures for which a run has no data."""
    return [
        column
        for i, column in enumerate(table["columns"])
        if all(row[i] is None or row[i] == "" for row in table["rows"])
    ]


def value_counts(table: Mapping[str, list], column: str) -> dict[str, int]:
    """Number of rows by the value of a column, in the order of the first rows; rows without a value do not count."""
    index = table["columns"].index(column)
    return dict(Counter(row[index] for row in table["rows"] if row[index]))


def pooled_rows(table: Mapping[str, list] | None) -> list[dict[str, Any]]:
    """Return the rows `all` of a table of scores as dictionaries, none without a table."""
    if table is None:
        return []
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]
    return [row for row in rows if row["micrograph"] == "all"]
