"""The list of what was refused, so that nothing stops a run and nothing disappears."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pandas as pd


class Refused(NamedTuple):
    """A file that cannot be used, the stage that refused it, and the reason in one line."""

    path: str
    stage: str
    reason: str


def write_quarantine(path: str | Path, refused: Iterable[Refused]) -> None:
    """Write the table path, stage, reason (tab-separated); a header line alone where nothing was refused."""
    pd.DataFrame(list(refused), columns=Refused._fields).to_csv(path, sep="\t", index=False)


def read_quarantine(path: str | Path) -> list[Refused]:
    """Read what `write_quarantine` wrote."""
    return [Refused(*row) for row in pd.read_csv(path, sep="\t", dtype=str).itertuples(index=False)]
