"""Tables of the workflow: tab-separated values under a line of column names."""

from collections.abc import Sequence
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


def write_table(
    rows: Any, path: str | Path, *, columns: Sequence[str] | None = None, digits: int | None = None
) -> None:
    """Write a table without its index.

    Parameters
    ----------
    rows : DataFrame, or what makes one
        Such as a list of rows, or a mapping of columns.
    path : path
        File to write.
    columns : sequence of str, optional
        Names of the columns.
    digits : int, optional
        Significant digits of numbers that are not whole; None writes all.
    """
    table = pd.DataFrame(rows, columns=columns)
    table.to_csv(path, sep="\t", index=False, float_format=None if digits is None else f"%.{digits}g")
