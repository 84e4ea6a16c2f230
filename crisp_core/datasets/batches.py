"""Batches of a dataset's micrographs, recorded in a file so that every micrograph stays in its batch."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from crisp_core.errors import UserError

COLUMNS = ("micrograph", "batch", "addition")


class Place(NamedTuple):
    """Numbers of a micrograph's batch and of the addition to the dataset with which it came; 0 is the first run."""

    batch: int
    addition: int


def assign_batches(names: Iterable[str], kept: Mapping[str, Place], *, size: int, closed: bool) -> dict[str, Place]:
    """Assign a batch to every micrograph: known ones keep theirs, new ones fill new batches.

    Parameters
    ----------
    names : iterable of str
        Micrographs of the dataset, in order.
    kept : mapping of str to Place
        Batches of earlier calls; micrographs that are not in `names` are left out of the result.
    size : int
        Number of micrographs in a batch.
    closed : bool
        Whether the first addition, from which train and validation parts are drawn, is complete.

    Returns
    -------
    dict of str to Place
        Ordered by batch, and in a batch in the order of arrival.
    """
    names = list(names)
    wanted = set(names)
    places = {name: place for name, place in kept.items() if name in wanted}
    first_batch = 1 + max((place.batch for place in kept.values()), default=-1)
    last_addition = max((place.addition for place in kept.values()), default=0)
    addition = last_addition + 1 if kept and (closed or last_addition) else 0
    new = (name for name in names if name not in kept)
    return places | {name: Place(first_batch + i // size, addition) for i, name in enumerate(new)}


def write_places(path: str | Path, places: Mapping[str, Place]) -> None:
    """Write the table of batches atomically: an interrupted write leaves the previous file intact."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [COLUMNS, *((name, f"{place.batch:04d}", str(place.addition)) for name, place in places.items())]
    unfinished = path.with_suffix(".tmp")
    unfinished.write_text("".join("\t".join(row) + "\n" for row in rows))
    unfinished.replace(path)


def read_places(path: str | Path) -> dict[str, Place]:
    """Read a file of `write_places`; an empty result if the file does not exist.

    Raises
    ------
    UserError
        If a line is not a micrograph with its batch and addition.
    """
    path = Path(path)
    if not path.exists():
        return {}
    header, *rows = path.read_text().splitlines() or [""]
    places = {}
    for number, row in enumerate([header, *rows], start=1):
        cells = row.split("\t")
        good = cells == list(COLUMNS) if number == 1 else len(cells) == 3 and all(map(str.isdecimal, cells[1:]))
        if not good:
            raise UserError(
                f"{path}: line {number} is not a micrograph with its batch and addition; "
                "restore the file, or remove it to assign all batches anew"
            )
        if number > 1:
            places[cells[0]] = Place(int(cells[1]), int(cells[2]))
    return places
