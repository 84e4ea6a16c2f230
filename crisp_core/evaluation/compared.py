"""Files of the entries of a comparison: micrographs they name, their picks, and the cost of their jobs."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from crisp_core.datasets.quarantine import failed_micrographs
from crisp_core.evaluation.performance import job_cost
from crisp_core.formats.arrays import Array, array_names, read_array
from crisp_core.formats.relion_coordinates import read_coordinates_stars
from crisp_core.formats.tables import read_table

# from the best to the worst, whether an entry may have been trained on the compared micrographs
LEAKS = ["no", "unknown", "yes"]


def named_micrographs(paths: Iterable[str]) -> dict[str, set[str]]:
    """Micrographs that the files of picks of an entry name, by entry; the parent folder of a table is its entry."""
    return {Path(path).parent.name: set(read_table(path)["micrograph"]) for path in paths}


def seen_micrographs(
    micrographs: Iterable[str], names: Iterable[str], quarantines: Iterable[str]
) -> dict[str, set[str]]:
    """Micrographs that each entry of a comparison has picked, by entry.

    Parameters
    ----------
    micrographs : iterable of str
        Micrographs of the dataset's parts.
    names : iterable of str
        Tables of `named_micrographs`, for entries whose picks come from files.
    quarantines : iterable of str
        Tables ``<entry>/quarantine.tsv`` of all entries: micrographs that one could not predict or pick are left out.
    """
    named = named_micrographs(names)
    seen = {}
    for path in quarantines:
        entry = Path(path).parent.name
        seen[entry] = named.get(entry, set(micrographs)) - failed_micrographs(path)
    return seen


def read_entries(paths: Iterable[str], entries: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Read the tables of all entries.

    Parameters
    ----------
    paths : iterable of str
        Star files ``<entry>/<kind>/<batch>.star`` of all entries.
    entries : sequence of str
        Names of the entries.
    """
    files = [Path(path) for path in paths]
    return {entry: read_coordinates_stars(p for p in files if p.parts[-3] == entry) for entry in entries}


def valid_areas(paths: Iterable[str], micrographs: Collection[str]) -> Iterator[tuple[str, Array]]:
    """Yield the valid area of some micrographs from files of prepared images, one at a time."""
    for path in paths:
        for name in array_names(path, "valid"):
            if name in micrographs:
                yield name, read_array(path, "valid", name)


def entry_costs(
    jobs: Mapping[str, Mapping[str, Iterable[tuple[str, str]]]], *, n_micrographs: int
) -> dict[str, dict[str, float]]:
    """Time and memory of the training and of the picking of every entry.

    Parameters
    ----------
    jobs : mapping of entry to mapping
        Folders and rules of the jobs of `training` and of `picking`.
    n_micrographs : int
        Number of picked micrographs.
    """
    costs = {}
    for entry, kinds in jobs.items():
        training, picking = job_cost(kinds["training"]), job_cost(kinds["picking"])
        costs[entry] = {
            "training_seconds": training.seconds,
            "training_peak_mib": training.peak_mib,
            "seconds_per_micrograph": picking.seconds / n_micrographs,
            "picking_peak_mib": picking.peak_mib,
        }
    return costs


def consensus_facts(facts: Mapping[str, Mapping[str, Any]], *, at_least: int) -> dict[str, Any]:
    """Facts of the consensus of several entries, whose leak is the worst of theirs.

    Parameters
    ----------
    facts : mapping of entry to mapping
        Facts of every entry, with `leak`.
    at_least : int
        Number of entries that must agree.
    """
    worst = max((fact["leak"] for fact in facts.values()), key=LEAKS.index)
    return {"kind": f"at least {at_least} agree", "leak": worst}
