"""The quarantine table lists refused files, so that they neither stop a run nor disappear."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from crisp_core.errors import UserError
from crisp_core.formats.stems import micrograph_stem
from crisp_core.formats.tables import read_table, write_table


class Refused(NamedTuple):
    """A file that cannot be used, the stage that refused it, and the reason in one line."""

    path: str
    stage: str
    reason: str


# Stages that refuse the micrograph itself, so that it has no picks.
PICKING_STAGES = ("prepare", "predict", "pick")


def write_quarantine(path: str | Path, refused: Iterable[Refused]) -> None:
    """Write the table path, stage, reason (tab-separated); only a header line if nothing was refused."""
    write_table(pd.DataFrame(list(refused), columns=Refused._fields), path)


def read_quarantine(*paths: str | Path) -> list[Refused]:
    """Read files of `write_quarantine`, one after the other."""
    tables = [read_table(path, keep_default_na=False) for path in paths]
    return [Refused(*row) for table in tables for row in table[[*Refused._fields]].itertuples(index=False)]


def read_unpicked(*paths: str | Path) -> list[Refused]:
    """Read the rows of `read_quarantine` that refuse a micrograph itself; the others are picked all the same."""
    return [row for row in read_quarantine(*paths) if row.stage in PICKING_STAGES]


def failed_micrographs(*paths: str | Path) -> set[str]:
    """Micrographs (stems) of `read_unpicked`, such as those that a run could not predict."""
    return {micrograph_stem(row.path) for row in read_unpicked(*paths)}


def refused_micrographs(reasons: Mapping[str, str], paths: Mapping[str, str], *, stage: str) -> list[Refused]:
    """Rows for micrographs that a stage refused.

    Parameters
    ----------
    reasons, paths : mapping of str to str
        Reason of each refused micrograph, and path of each micrograph, by name.
    stage : str
        Name of the stage.
    """
    return [Refused(paths[name], stage, reason) for name, reason in reasons.items()]


def check_micrographs(
    given: Mapping[str, str], used: Iterable[str], refused: Iterable[Refused], *, source: str
) -> None:
    """Raise an error unless every micrograph is either used or quarantined, and at least one is used.

    Parameters
    ----------
    given : mapping of name to path
        All micrographs of the dataset.
    used : iterable of str
        Names of the usable micrographs.
    refused : iterable of Refused
        Rows of the quarantine table.
    source : str
        The dataset, for the message.

    Raises
    ------
    UserError
        With the first micrograph that was lost or counted twice, or the reason why none is usable.
    """
    used, refused = list(used), list(refused)
    if given and not used and refused:
        raise UserError(
            f"{source}: none of {len(given)} micrographs can be used; correct them, the first: {refused[0].reason}"
        )
    found = Counter(given[name] for name in used) + Counter(path for path, _, _ in refused)
    wrong = _first_difference(Counter(given.values()), found)
    if wrong is not None:
        raise UserError(
            f"{source}: {len(given)} micrographs are not {len(used)} used + {len(refused)} quarantined, see {wrong}; "
            "delete its folders images and quarantine, and run again"
        )


def check_picks(picks: Iterable[str], particles: Iterable[str], dropped: Iterable[str], *, source: str) -> None:
    """Raise an error unless every pick is either a particle or a listed drop.

    Parameters
    ----------
    picks, particles, dropped : iterable of str
        The micrograph of every pick, particle and dropped pick.
    source : str
        The run, for the message.

    Raises
    ------
    UserError
        With the numbers, and the first micrograph where they differ.
    """
    n_picks, n_particles, n_dropped = Counter(picks), Counter(particles), Counter(dropped)
    wrong = _first_difference(n_picks, n_particles + n_dropped)
    if wrong is not None:
        raise UserError(
            f"{source}: {n_picks.total()} picks are not {n_particles.total()} particles + {n_dropped.total()} dropped, "
            f"see {wrong}; delete its folder particles and run again"
        )


def _first_difference(expected: Counter[str], found: Counter[str]) -> str | None:
    return min(((expected - found) + (found - expected)).keys(), default=None)
