"""Corrections of a dataset for the rules: files, digests of the corrected micrographs, and remarks on them.

The main process reads the files, so that a bad one ends the run before any job. Jobs get the digests of their own
micrographs as a parameter: a correction of two micrographs reruns only the labels of their batches.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from crisp_core.datasets.corrections import Corrected, Merged, merge_corrections
from crisp_core.datasets.pixel_sizes import equal_pixel_sizes
from crisp_core.datasets.settings import CorrectionSettings
from crisp_core.errors import UserError
from crisp_core.formats.coordinates.names import nearest_name
from crisp_core.formats.corrections import Corrections, read_corrections
from crisp_core.paths import matching_files
from crisp_core.plan.micrographs import micrograph_names
from crisp_core.plan.plan import Plan

# experiment of the corrections that the page without picks saves, and its folder below that of the dataset
ANNOTATION = "annotate"
OWN_PICKS = "corrected from CRISP's own picks"


class FileState(NamedTuple):
    """File of corrections as the config names it, its absolute path, and its time in ns: a changed file is reread."""

    path: str
    place: str
    time: int


def settings_of(plan: Plan, dataset: str) -> CorrectionSettings:
    """Section corrections of a dataset that has it."""
    settings = plan.dataset(dataset).corrections
    if settings is None:
        raise KeyError(f"{dataset} has no corrections")
    return settings


def correction_files(plan: Plan, *, dataset: str) -> list[str]:
    """Files of corrections of a dataset; none for another dataset."""
    return matching_files(settings_of(plan, dataset).files) if dataset in plan.with_corrections else []


def merged_corrections(plan: Plan, dataset: str) -> Merged:
    """Corrections of all files of a dataset."""
    return _merged(_states(plan, dataset), plan.dataset(dataset).particle_diameter_angstrom)


def _states(plan: Plan, dataset: str) -> tuple[FileState, ...]:
    paths = [Path(path) for path in correction_files(plan, dataset=dataset)]
    return tuple(FileState(str(path), str(path.absolute()), _time(path)) for path in paths)


def _time(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


@cache
def _merged(files: tuple[FileState, ...], diameter_angstrom: float) -> Merged:
    return merge_corrections(_read(files), diameter_angstrom=diameter_angstrom)


@cache
def _read(files: tuple[FileState, ...]) -> tuple[Corrections, ...]:
    return tuple(read_corrections(path) for path, *_ in files)


def used_corrections(plan: Plan, dataset: str) -> dict[str, Corrected]:
    """Corrected micrographs that label a dataset: those that nobody marked as bad."""
    if dataset not in plan.with_corrections:
        return {}
    return {name: one for name, one in merged_corrections(plan, dataset).micrographs.items() if not one.bad}


def corrected_names(plan: Plan, *, dataset: str) -> list[str]:
    """Micrographs that somebody corrected or marked as bad."""
    return list(merged_corrections(plan, dataset).micrographs) if dataset in plan.with_corrections else []


def batch_corrections(plan: Plan, *, dataset: str, batch: str) -> dict[str, str]:
    """Digests of the corrections of a batch, by micrograph.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, batch : str
        Name of the dataset in the config, and number of the batch.
    """
    used = used_corrections(plan, dataset)
    return {name: used[name].digest for name in plan.batch(dataset, batch) if name in used}


def addition_corrections(plan: Plan, *, dataset: str, addition: str) -> dict[str, str]:
    """Digests of the corrections of an addition, by micrograph.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, addition : str
        Name of the dataset in the config, and number of the addition.
    """
    digests: dict[str, str] = {}
    for batch in plan.batches_of(dataset, addition):
        digests |= batch_corrections(plan, dataset=dataset, batch=batch)
    return digests


def trusted_micrographs(plan: Plan, *, dataset: str) -> dict[str, bool]:
    """Corrected micrographs of a dataset, and whether their unchanged area counts, by the setting trust."""
    trust = settings_of(plan, dataset).trust
    return {
        name: trust == "all" or (trust == "reviewed" and one.reviewed)
        for name, one in used_corrections(plan, dataset).items()
    }


def unscored_micrographs(plan: Plan, *, dataset: str) -> list[str]:
    """Corrected micrographs that are not trusted, so that they have no scores."""
    if dataset not in plan.with_corrections:
        return []
    return [name for name, is_trusted in trusted_micrographs(plan, dataset=dataset).items() if not is_trusted]


def has_scores(plan: Plan, dataset: str) -> bool:
    """Whether picks of a dataset can be scored: it has coordinates, and not only corrections that are not trusted."""
    if dataset not in plan.with_corrections:
        return dataset in plan.labelled
    return any(trusted_micrographs(plan, dataset=dataset).values())


def batch_trust(plan: Plan, *, dataset: str, batch: str) -> dict[str, bool]:
    """Corrected micrographs of a batch, and whether their unchanged area counts.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, batch : str
        Name of the dataset in the config, and number of the batch.
    """
    trusted = trusted_micrographs(plan, dataset=dataset)
    return {name: trusted[name] for name in plan.batch(dataset, batch) if name in trusted}


def changed_weight(plan: Plan, *, dataset: str) -> int:
    """Number of times that a changed pixel counts in the loss."""
    return settings_of(plan, dataset).weight


def truth_remark(plan: Plan, *, dataset: str) -> str | None:
    """Remark on the scores of a dataset whose truth is not independent; None for another dataset."""
    return OWN_PICKS if dataset in plan.with_corrections and not is_annotated(plan, dataset) else None


def is_annotated(plan: Plan, dataset: str) -> bool:
    """Whether all corrections are particles that were marked on micrographs without picks (target annotate)."""
    merged = merged_corrections(plan, dataset)
    return {name for one in merged.micrographs.values() for name in one.experiments} == {ANNOTATION}


def correction_notices(plan: Plan, *, dataset: str) -> list[str]:
    """Sentences about a dataset's corrections: their origin, contradictions, and micrographs that are not used."""
    merged = merged_corrections(plan, dataset)
    experiments = sorted({name for one in merged.micrographs.values() for name in one.experiments})
    bad = [name for name, one in merged.micrographs.items() if one.bad]
    known = f"the known particles of {len(merged.micrographs) - len(bad)} micrographs are"
    origin = f"{known} {OWN_PICKS} ({', '.join(experiments)}); scores against them are not an independent measure"
    if is_annotated(plan, dataset):
        origin = f"{known} marked by hand on micrographs without picks"
    return [origin, *merged.notices, *(f"{name} is marked as bad; it is not used" for name in bad)]


def check_corrections(plan: Plan, dataset: str) -> None:
    """Refuse corrections of another dataset, of unknown micrographs, or at another pixel size, and none at all.

    Raises
    ------
    UserError
        Naming the file and the micrograph.
    """
    place = f"config, datasets/{dataset}/corrections"
    names = set(micrograph_names(plan, dataset))
    known = {dataset, *extended_datasets(plan, dataset)}
    pixel_size = plan.dataset(dataset).pixel_size
    files = _states(plan, dataset)
    for (path, *_), file in zip(files, _read(files), strict=True):
        if file.dataset not in known:
            raise UserError(
                f"{path}, dataset: the corrections are of {file.dataset} and not of {dataset}; remove the file from "
                f"datasets/{dataset}/corrections, or rename the dataset to {file.dataset}"
            )
        for one in file.micrographs:
            if one.micrograph not in names:
                near = nearest_name(one.micrograph, sorted(names))
                raise UserError(
                    f"{path}: no micrograph of {dataset} is called {one.micrograph}, the nearest name is {near}; "
                    f"remove the entry, or change datasets/{dataset}/micrographs"
                )
            if not equal_pixel_sizes(one.pixel_size_angstrom, pixel_size):
                raise UserError(
                    f"{path}, {one.micrograph}: was corrected at {one.pixel_size_angstrom:g} Å/px, and "
                    f"datasets/{dataset}/pixel_size is {pixel_size:g}; correct one of them"
                )
    if not used_corrections(plan, dataset):
        raise UserError(
            f"{place}: all micrographs in the files are marked as bad, or there are none; correct one on the report "
            "page"
        )


def extended_datasets(plan: Plan, dataset: str) -> Iterator[str]:
    """Datasets from which a dataset inherits."""
    parent = plan.dataset(dataset).extend
    while parent is not None:
        yield parent
        parent = plan.dataset(parent).extend
