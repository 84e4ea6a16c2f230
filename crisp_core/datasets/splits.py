"""Division of the micrographs into training, validation and test parts."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from crisp_core.datasets.quarantine import Refused
from crisp_core.errors import UserError
from crisp_core.formats.stems import micrograph_stem
from crisp_core.formats.tables import read_table

PARTS = ("train", "validation", "test")
REST = "rest"


def split_by_counts(
    names: Iterable[str], *, train: int, validation: int, test: int | str = REST, seed: int, n_refused: int = 0
) -> pd.DataFrame:
    """Draw the parts at random; equal names and seed give equal parts, in any order of the names.

    Parameters
    ----------
    names : iterable of str
        Micrographs.
    train, validation : int
        Number of micrographs in these parts.
    test : int or "rest"
        Number of micrographs in the test part; rest takes all others. Micrographs beyond the number are in no part.
    seed : int
        Seed of the random draw.
    n_refused : int
        Number of quarantined micrographs; if there are too few micrographs, the test part gets up to so many fewer.
        If no number is asked for it, the training part does, and keeps one.

    Returns
    -------
    DataFrame
        Columns micrograph, part; sorted by part, then name.

    Raises
    ------
    UserError
        If a name is repeated, a count is negative, or there are too few micrographs.
    """
    names = sorted(names)
    _check_unique(names, "among the micrographs")
    asked_for = {"train": train, "validation": validation, "test": 0 if test == REST else test}
    counts: dict[str, int] = {}
    for part, count in asked_for.items():
        if isinstance(count, str) or count < 0:
            raise UserError(f"split/{part}: {count!r} is not a number of micrographs; give 0 or more")
        counts[part] = count
    missing = max(0, min(sum(counts.values()) - len(names), n_refused))
    part, least = ("test", 0) if counts["test"] else ("train", 1)
    counts[part] -= max(0, min(missing, counts[part] - least))
    needed = sum(counts.values())
    if needed > len(names):
        asked = " + ".join(str(count) for count in counts.values())
        raise UserError(
            f"split: train + validation + test = {asked} = {needed} micrographs, but {len(names)} have coordinates; "
            + ("a training needs two, so label another" if len(names) == 1 else "lower one of them")
        )
    if test == REST:
        counts["test"] = len(names) - needed
    drawn = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
    ends = np.cumsum([counts[part] for part in PARTS])
    parts = dict(zip(PARTS, np.split(np.array(drawn, dtype=object), ends)[: len(PARTS)], strict=True))
    return _table(parts)


def split_by_lists(
    names: Iterable[str],
    *,
    train: Sequence[str],
    validation: Sequence[str],
    test: Sequence[str] | str = REST,
    unlabelled: Iterable[str] = (),
    n_refused: int = 0,
) -> pd.DataFrame:
    """Take the parts as listed, without quarantined micrographs; `test` may be "rest".

    Parameters
    ----------
    names : iterable of str
        Micrographs.
    train, validation, test : sequences of str
        Names of the micrographs in each part.
    unlabelled : iterable of str
        Micrographs without coordinates.
    n_refused : int
        Number of quarantined micrographs; so many without coordinates may be listed.

    Returns
    -------
    DataFrame
        Columns micrograph, part; sorted by part, then name.

    Raises
    ------
    UserError
        If a listed micrograph does not exist, is listed twice, or has no coordinates although nothing refused it.
    """
    names = sorted(names)
    _check_unique(names, "among the micrographs")
    without = set(unlabelled) - set(names)
    parts = {"train": train, "validation": validation, "test": [] if test == REST else test}
    missing = sorted(without & {name for members in parts.values() for name in members})
    if len(missing) > n_refused:
        raise UserError(
            f"split: {missing[0]} is listed, but has no coordinates; add them, or take it out of the list "
            f"({len(missing)} such names)"
        )
    parts = {part: [name for name in members if name not in without] for part, members in parts.items()}
    listed = [name for members in parts.values() for name in members]
    _check_unique(listed, "in the split's lists")
    unknown = sorted(set(listed) - set(names))
    if unknown:
        raise UserError(f"split: no micrograph is called {unknown[0]}; correct the list ({len(unknown)} such names)")
    if test == REST:
        parts["test"] = sorted(set(names) - set(listed))
    return _table(parts)


def n_quarantined(unlabelled: Collection[str], names: pd.DataFrame, refused: Iterable[Refused]) -> int:
    """Maximum number of micrographs that lack coordinates since the quarantine took them.

    Parameters
    ----------
    unlabelled : collection of str
        Micrographs without coordinates.
    names : DataFrame
        Matched names: columns path, micrograph (empty where none matches).
    refused : iterable of Refused
        Rows of the stages prepare and coordinates.
    """
    matched = names.loc[names["micrograph"] != "", "path"].value_counts()
    n = 0
    for row in dict.fromkeys(refused):
        is_own, n_left = micrograph_stem(row.path) in unlabelled, int(matched.get(row.path, 0))
        if row.stage != "prepare" and not n_left and not is_own:
            # nothing is left of the file, and nobody knows of which micrographs it was
            return len(unlabelled)
        # of a file of several micrographs, one; the file of a single one that is labelled has lost some coordinates
        n += is_own or n_left > 1
    return min(n, len(unlabelled))


def check_particles(split: pd.DataFrame, n_coordinates: Mapping[str, int], *, source: str) -> None:
    """Refuse a training or validation part without particles, since nothing can be learned from it.

    Parameters
    ----------
    split : DataFrame
        Columns micrograph, part.
    n_coordinates : mapping of str to int
        Number of particles by micrograph.
    source : str
        The dataset, for the message.

    Raises
    ------
    UserError
        If such a part has micrographs, and none of them has a particle.
    """
    for part in ("train", "validation"):
        names = split.loc[split["part"] == part, "micrograph"].tolist()
        if names and not any(n_coordinates.get(name) for name in names):
            raise UserError(
                f"{source}/split/{part}: none of its {len(names)} micrographs has a particle (first: {names[0]}); "
                f"list micrographs with coordinates there, take more of them, or set {part} to 0 if it is not needed"
            )


def read_part(split: str | Path, part: str) -> list[str]:
    """Names of the micrographs of a part, in the order of the file of a split."""
    table = read_table(split, keep_default_na=False)
    return table.loc[table["part"] == part, "micrograph"].tolist()


def with_added(drawn: pd.DataFrame, added: Iterable[str]) -> pd.DataFrame:
    """Add micrographs to the test part; the other parts stay unchanged.

    Parameters
    ----------
    drawn : DataFrame
        Columns micrograph, part.
    added : iterable of str
        Micrographs; one that already has a part keeps it.
    """
    parts = {part: drawn.loc[drawn["part"] == part, "micrograph"].tolist() for part in PARTS}
    parts["test"] += sorted(set(added) - set(drawn["micrograph"]))
    return _table(parts)


def read_scored_parts(
    split: str | Path, named: Iterable[str | Path] = (), *, failed: Collection[str] = ()
) -> dict[str, str]:
    """Part of every scored micrograph in the file of a split.

    Parameters
    ----------
    split : str or Path
        Table with the columns micrograph, part.
    named : iterable of str or Path
        Tables with the column micrograph, one per picker: only micrographs in all of them are scored.
    failed : collection of str
        Micrographs without picks since a step failed: their particles were not missed.

    Raises
    ------
    UserError
        If no micrograph is left.
    """
    table = read_table(split)
    for path in named:
        table = table[table["micrograph"].isin(read_table(path)["micrograph"])]
    if len(table) and table["micrograph"].isin(list(failed)).all():
        raise UserError(f"{split}: a step failed on every scored micrograph; see quarantine.tsv of the run")
    table = table[~table["micrograph"].isin(list(failed))]
    if table.empty:
        raise UserError(
            f"{split}: has no micrograph with scored picks; add some to a part, or correct the names of the picks"
        )
    return dict(zip(table["micrograph"], table["part"], strict=True))


def _check_unique(names: Sequence[str], place: str) -> None:
    repeated = sorted(name for name, count in Counter(names).items() if count > 1)
    if repeated:
        raise UserError(f"split: {repeated[0]} is repeated {place}; remove one of them")


def _table(parts: Mapping[str, Iterable[str]]) -> pd.DataFrame:
    rows = [(name, part) for part in PARTS for name in sorted(parts[part])]
    return pd.DataFrame(rows, columns=["micrograph", "part"]).astype(str)
