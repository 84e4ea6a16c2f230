"""Tables of the workflow: tab-separated values under a line of column names."""

from pathlib import Path
from typing import Any

import pandas as pd

# texts, whatever they look like: a micrograph may be called 0007
TEXTS = dict.fromkeys(
    (
        *("micrograph", "part", "batch", "addition", "excluded"),
        *("dataset", "experiment", "entry", "set"),
        *("path", "star_path", "name", "stage", "reason", "notice"),
    ),
    str,
)


def read_table(path: str | Path, *, dtype: dict[str, type] | None = None, **options: Any) -> pd.DataFrame:
    """Read a table; names and sentences are texts, the types of other columns follow from their values.

    Parameters
    ----------
    path : path
        Table of the workflow.
    dtype : dict or None
        Types of more columns.
    **options
        More options of `pandas.read_csv`.
    """
    return pd.read_csv(path, sep="\t", dtype=TEXTS | (dtype or {}), **options)


def write_table(table: pd.DataFrame, path: str | Path, *, digits: int | None = None) -> None:
    """Write a table without its index, with so many digits of a number, or all."""
    table.to_csv(path, sep="\t", index=False, float_format=None if digits is None else f"%.{digits}g")
