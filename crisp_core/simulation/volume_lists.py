"""Names of the volumes of a zoo: the files and entries that its patterns match, and the table with their properties.

The plan reads these lists, so that this module computes no density.
"""

import csv
from collections.abc import Iterable, Mapping
from glob import has_magic
from pathlib import Path
from typing import NamedTuple

from crisp_core.errors import UserError
from crisp_core.paths import matching_files
from crisp_core.simulation.volumes import volume_source

# Column of a table of volumes: the data set whose test a volume in the training would spoil.
GROUP_COLUMN = "keep_out_of_training_when_testing_on"
# Endings that a volume's name does not have.
ENDINGS = (".gz", ".bz2", ".mrc", ".map", ".ccp4", ".cif", ".mmcif", ".pdb", ".ent")


def volume_name(volume: str) -> str:
    """Name of a volume: its file without folder and endings, or its identifier in lower case.

    Examples
    --------
    >>> volume_name("models/1aon.cif.gz"), volume_name("pdb:5A1A")
    ('1aon', '5a1a')
    """
    kind, name = volume_source(volume)
    if kind in ("emdb", "pdb"):
        return name.lower()
    name = Path(name).name
    while name.endswith(ENDINGS):
        name = name[: name.rindex(".")]
    return name


def listed_volumes(volumes: str | Iterable[str], exclude: Iterable[str] = ()) -> dict[str, str]:
    """Volumes by name, from paths, globs and identifiers, without those whose name is excluded.

    Raises
    ------
    UserError
        If a pattern matches nothing, two volumes have one name, an excluded name is unknown, or none is left.
    """
    found: dict[str, str] = {}
    for pattern in [volumes] if isinstance(volumes, str) else volumes:
        is_glob = has_magic(pattern)
        is_entry = not is_glob and volume_source(pattern).kind in ("emdb", "pdb")
        for path in [pattern] if is_entry else matching_files([pattern]):
            name = volume_name(path)
            if found.setdefault(name, path) != path:
                raise UserError(f"simulation/volume: {found[name]} and {path} have one name; rename one of them")
    excluded = set(exclude)
    if unknown := sorted(excluded - set(found)):
        raise UserError(f"simulation/zoo/exclude: no volume is called {unknown[0]}; correct the name or remove it")
    left = {name: path for name, path in found.items() if name not in excluded}
    if not left:
        raise UserError("simulation/volume: no volume is left; correct the patterns or shorten simulation/zoo/exclude")
    return left


# Values of the column membrane; a row that is cut off has None.
MEMBRANE = {"yes": True, "": False, None: False}


class VolumeFacts(NamedTuple):
    """Row of a table of volumes: whether it is a membrane protein, and the leak group, empty where there is none."""

    is_membrane: bool
    group: str


def read_volume_table(path: str | Path | None) -> dict[str, VolumeFacts]:
    """Read a table of volumes by name in lower case; None is an empty one.

    Raises
    ------
    UserError
        If it is not a table with the columns id, membrane (yes or empty) and keep_out_of_training_when_testing_on.
    """
    if path is None:
        return {}
    try:
        with Path(path).open(newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        unclear = [row for row in rows if row["membrane"] not in MEMBRANE]
        if unclear:
            name, value = unclear[0]["id"], unclear[0]["membrane"]
            raise UserError(f"{path}: membrane of {name} is {value!r}; give yes or nothing")
        return {
            (row["id"] or "").lower(): VolumeFacts(MEMBRANE[row["membrane"]], row[GROUP_COLUMN] or "") for row in rows
        }
    except (OSError, UnicodeDecodeError, KeyError, csv.Error) as error:
        raise UserError(f"{path}: is not a table of volumes ({error}); see simulation/zoo/table") from None


def excluded_names(exclude: Iterable[str], table: Mapping[str, VolumeFacts], volumes: Iterable[str]) -> list[str]:
    """Names of the volumes that a list of names and leak groups leaves out.

    Parameters
    ----------
    exclude : strings
        Names of volumes, and parts of the names of leak groups.
    table : mapping of VolumeFacts
        Facts of each volume by its name, with its leak group.
    volumes : strings
        Names of all volumes that can be excluded.

    Raises
    ------
    UserError
        If an entry is neither the name of a volume nor part of a leak group's name.
    """
    names, found = list(volumes), []
    for entry in exclude:
        group = [name for name in names if name.lower() in table and entry in table[name.lower()].group]
        if entry not in names and not group:
            raise UserError(
                f"simulation/zoo/exclude: {entry} is neither a volume nor a leak group of the table; correct it"
            )
        found += [entry] if entry in names else group
    return sorted(set(found))


def membrane_names(table: Mapping[str, VolumeFacts], volumes: Iterable[str]) -> list[str]:
    """Names of the volumes that are membrane proteins according to the table."""
    return [name for name in volumes if name.lower() in table and table[name.lower()].is_membrane]
