"""Micrographs of the datasets, the batches that one job handles, and the files of one, some or all of them."""

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

import pandas as pd

from crisp_core.datasets.batches import Place, assign_batches
from crisp_core.datasets.byproducts import find_byproducts
from crisp_core.datasets.exported import exported_name, is_mrc
from crisp_core.datasets.pixel_sizes import agreed_pixel_size, stated_pixel_size
from crisp_core.errors import UserError
from crisp_core.formats.coordinates.names import nearest_name
from crisp_core.formats.stems import micrograph_stem
from crisp_core.paths import exact_paths, matching_files
from crisp_core.plan.additions import is_closed, record_places, recorded_places
from crisp_core.plan.plan import Plan
from crisp_core.settings.config import Config
from crisp_core.settings.questions import datasets_in_use

COLUMNS = ("dataset", "micrograph", "path", "batch", "addition")
# braces are wildcards to Snakemake; tabs and all line breaks of Unicode end a cell of a table
UNUSABLE_IN_PATHS = re.compile(r"[{}\t\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")


def make_plan(settings: Config, *, is_main: bool, prefix: str = "") -> Plan:
    """Find the micrographs of all datasets in use and place each in a batch.

    Parameters
    ----------
    settings : Config
        Validated settings.
    is_main : bool
        False in a job's own process, as on a cluster: it sees recorded micrographs alone, whatever has arrived since.
    prefix : str
        As in `Plan`.
    """
    rows, gone = [], {}
    for dataset in datasets_in_use(settings):
        recorded = recorded_places(dataset, prefix)
        found, gone[dataset] = find_micrographs(settings, dataset, recorded, is_main=is_main)
        paths = by_name(found, dataset)
        places = assign_batches(paths, recorded, size=settings.micrographs_per_job, closed=is_closed(dataset, prefix))
        rows += [
            (dataset, name, paths[name], f"{place.batch:04d}", str(place.addition)) for name, place in places.items()
        ]
    return Plan(settings, pd.DataFrame(rows, columns=list(COLUMNS)), prefix, gone)


def left_out_paths(plan: Plan, *, dataset: str) -> Mapping[str, str]:
    """Files of a dataset that are left out, as {path: reason}."""
    return plan.left_out.get(dataset, {})


def find_micrographs(
    settings: Config, dataset: str, recorded: Collection[str], *, is_main: bool
) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """Find the micrographs of a dataset, and the files that its patterns match but that are not to be picked.

    Parameters
    ----------
    settings : Config
        Validated settings.
    dataset : str
        Name of the dataset.
    recorded : collection of str
        Names of the micrographs that earlier calls knew.
    is_main : bool
        As in `make_plan`; a job's own process takes recorded micrographs alone, and looks for no files to leave out.

    Returns
    -------
    micrographs : list of (name, path)
        The path of a simulated micrograph is empty.
    left_out : mapping of path to reason
    """
    entry = settings.datasets[dataset]
    if entry.simulation is not None:
        return [(f"simulated_{i + 1:04d}", "") for i in range(entry.simulation.n_micrographs)], {}
    patterns = entry.micrographs or []
    place, paths = f"config, datasets/{dataset}/micrographs", matching_files(patterns)
    rows = [(micrograph_stem(path), path) for path in paths]
    if not rows:
        later = "" if settings.watch is None else ", or call again later"
        raise UserError(f"{place}: no file matches {patterns}; correct the path or glob{later}")
    if recorded and not is_main:
        rows = [row for row in rows if row[0] in recorded]
        # a link has the name of its file; to look at other files would cost every job their time
        n_files = Counter(name for name, _ in rows)
        alike = [path for name, path in rows if n_files[name] > 1]
        links = find_byproducts(alike, known=set(recorded)) if alike else {}
        return [row for row in rows if row[1] not in links], {}
    if entry.micrographs_from_rules:
        # the same before and after the rules made them
        return rows, {}
    gone = find_byproducts(paths, exact=exact_paths(patterns), known=set(recorded))
    rows = [row for row in rows if row[1] not in gone]
    return rows if settings.watch is None else arrived_files(rows, recorded, settings.watch, place), gone


def arrived_files(
    rows: Sequence[tuple[str, str]], recorded: Collection[str], seconds: float, place: str
) -> list[tuple[str, str]]:
    """Return the micrographs that are recorded, or whose files have not changed for some time.

    Parameters
    ----------
    rows : sequence of (name, path)
        Micrographs.
    recorded : collection of str
        Names of the micrographs that earlier calls knew.
    seconds : float
        Time without a change after which a file is complete.
    place : str
        Key of the config, for the message.
    """
    from crisp_core.datasets.arrivals import has_arrived  # reads images, which few calls need

    arrived = [row for row in rows if row[0] in recorded or has_arrived(row[1], seconds=seconds)]
    if not arrived:
        raise UserError(f"{place}: none of {len(rows)} files has been unchanged for {seconds:g} s; call again later")
    return arrived


def check_path(place: str, path: str) -> None:
    """Refuse a path that tables or Snakemake cannot hold, of the config's key `place`."""
    shown = path.encode(errors="replace").decode()
    if shown != path or UNUSABLE_IN_PATHS.search(path):
        raise UserError(
            f"{place}: {shown} has a brace, a tab, a line break or bytes that are not UTF-8 in its path; rename it"
        )


def by_name(rows: Iterable[tuple[str, str]], dataset: str) -> dict[str, str]:
    """Paths by name.

    Raises
    ------
    UserError
        If two micrographs share a name, or a path holds what tables or Snakemake cannot.
    """
    paths: dict[str, str] = {}
    for name, path in rows:
        check_path(f"config, datasets/{dataset}/micrographs", path)
        if name in paths:
            raise UserError(
                f"config, datasets/{dataset}: {paths[name]} and {path} share the name {name}; rename one, since "
                "results are named by it"
            )
        paths[name] = path
    return paths


def places(plan: Plan, dataset: str) -> dict[str, Place]:
    """Batch and addition of a dataset's micrographs, for the record."""
    rows = plan.micrographs[plan.micrographs["dataset"] == dataset]
    return {row.micrograph: Place(int(row.batch), int(row.addition)) for row in rows.itertuples()}


def micrograph_names(plan: Plan, dataset: str) -> list[str]:
    """Micrographs of a dataset, in the order of their batches."""
    return [name for rows in plan.batches[dataset].values() for name in rows]


def unknown_micrograph(place: str, name: str, known: Sequence[str]) -> UserError:
    """Error about a name that no micrograph has, with the nearest name.

    Parameters
    ----------
    place : str
        Key of the config.
    name : str
        Name in the config.
    known : sequence of str
        Names of the micrographs.
    """
    stem = micrograph_stem(name)
    near = stem if stem in known else nearest_name(name, known)
    return UserError(
        f"{place}: no micrograph is called {name}; give names without folder and suffix, the nearest is {near}"
    )


def batch_files(plan: Plan, *, dataset: str, batch: str) -> list[str]:
    """Micrograph files of a batch that can be opened; rule prepare quarantines the others.

    Those that rules of an importing workflow make are all here: Snakemake makes them first, or says that no rule does.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, batch : str
        Name of the dataset in the config, and number of the batch.
    """
    paths = list(plan.batch(dataset, batch).values())
    if plan.dataset(dataset).micrographs_from_rules:
        return paths
    return [path for path in paths if Path(path).is_file() and os.access(path, os.R_OK)]


def header_pixel_size(plan: Plan, *, dataset: str) -> float | None:
    """Pixel size (Å/px) on which the headers of a dataset's first batch agree.

    None where they say none, and for files that rules make: the same before and after.
    """
    if plan.dataset(dataset).micrographs_from_rules:
        return None
    first = next(iter(plan.batches[dataset].values()), {})
    return _agreed_pixel_size(tuple(path for path in first.values() if path), plan.dataset(dataset).pixel_size)


@cache
def _agreed_pixel_size(paths: tuple[str, ...], configured: float) -> float | None:
    return agreed_pixel_size([stated_pixel_size(path) for path in paths], configured)


def converted_batches(plan: Plan, *, dataset: str) -> list[str]:
    """Folders of the micrographs that were converted to MRC, for the batches that have any."""
    return [
        f"results/{dataset}/converted/{batch}"
        for batch, rows in plan.batches[dataset].items()
        if not all(is_mrc(path) for path in rows.values() if path)
    ]


def batch_paths(plan: Plan, *, dataset: str, batch: str) -> dict[str, str]:
    """Micrographs of a batch as {name: path}.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, batch : str
        Name of the dataset in the config, and number of the batch.
    """
    return _with_simulated(dataset, batch, plan.batch(dataset, batch))


def dataset_paths(plan: Plan, *, dataset: str) -> dict[str, str]:
    """Micrographs of a dataset as {name: path}, in the order of their batches."""
    paths: dict[str, str] = {}
    for batch, rows in plan.batches[dataset].items():
        paths |= _with_simulated(dataset, batch, rows)
    return paths


def _with_simulated(dataset: str, batch: str, rows: Mapping[str, str]) -> dict[str, str]:
    return {name: path or f"results/{dataset}/simulation/{batch}.h5" for name, path in rows.items()}


def star_paths(plan: Plan, *, dataset: str, batch: str | None = None) -> dict[str, str]:
    """Paths by which star files name the micrographs of a batch, or of all, as {name: path}.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset : str
        Name of the dataset in the config.
    batch : str, optional
        Number of the batch; all batches of the dataset when not given.
    """
    return {
        name: f"results/{dataset}/micrographs/{exported_name(path or f'{name}.mrc')}"
        for number in (plan.batches[dataset] if batch is None else [batch])
        for name, path in plan.batch(dataset, number).items()
    }


def shown_paths(plan: Plan, *, dataset: str, batch: str) -> dict[str, str]:
    """Paths of a batch's micrographs in tables, as {name: path}: the user's, or in star files that of a simulated one.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, batch : str
        Name of the dataset in the config, and number of the batch.
    """
    own = star_paths(plan, dataset=dataset, batch=batch)
    return {name: path or own[name] for name, path in plan.batch(dataset, batch).items()}


def record(plan: Plan) -> None:
    """Record the batches of the plan's micrographs for later calls; those that are left out by now are removed."""
    for dataset in plan.datasets:
        gone = set(map(micrograph_stem, left_out_paths(plan, dataset=dataset)))
        record_places(dataset, places(plan, dataset), gone=gone, prefix=plan.prefix)
