"""Order of the rows of tables by part and micrograph, with pooled rows."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import pandas as pd

Counts = TypeVar("Counts")


def with_remark(table: pd.DataFrame, remark: str | None) -> pd.DataFrame:
    """Table of scores with a column `truth`: the reason why the truth is not independent. None adds no column."""
    return table if remark is None else table.assign(truth=remark)


def add_pooled_rows(
    rows: Iterable[tuple[str, str, Counts]], pool: Callable[[Sequence[Counts]], Counts]
) -> Iterator[tuple[str, str, Counts]]:
    """Group rows (part, micrograph, counts) by part in order of appearance, and add a pooled row `all` to each part."""
    parts: dict[str, list[tuple[str, Counts]]] = {}
    for part, micrograph, counts in rows:
        parts.setdefault(part, []).append((micrograph, counts))
    for part, counted in parts.items():
        for micrograph, counts in [*counted, ("all", pool([counts for _, counts in counted]))]:
            yield part, micrograph, counts
