"""The CTF of each batch from a dataset's CTF file, which the main process reads."""

from functools import cache
from typing import TYPE_CHECKING, Any

from crisp_core.plan.batches import all_batches
from crisp_core.plan.datasets import microscope
from crisp_core.plan.plan import Plan

if TYPE_CHECKING:
    from crisp_core.datasets.importing_ctf import ImportedCtf


def ctf_of(plan: Plan, dataset: str) -> "ImportedCtf":
    """CTF of a dataset's micrographs in the file that its entry names, with the lines that are refused."""
    settings = plan.dataset(dataset)
    if settings.ctf is None:
        raise KeyError(f"{dataset} has no CTF file")
    paths = tuple((name, path) for rows in plan.batches[dataset].values() for name, path in rows.items())
    options = {"pixel_size": settings.pixel_size, "origin": settings.ctf_origin, **microscope(plan, dataset)}
    return _ctf_of(settings.ctf, paths, tuple(options.items()))


@cache
def _ctf_of(path: str, micrographs: tuple[tuple[str, str], ...], options: tuple[tuple[str, Any], ...]) -> "ImportedCtf":
    from crisp_core.datasets.importing_ctf import import_ctf  # reads images, which few calls need

    return import_ctf(path, dict(micrographs), **dict(options))


def batch_ctf(plan: Plan, *, dataset: str, batch: str) -> dict[str, Any]:
    """Lines of a batch in the dataset's CTF file, so that a file that grows reruns only what it changes.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, batch : str
        Name of the dataset in the config, and number of the batch.
    """
    ctf, _, _ = ctf_of(plan, dataset)
    names = list(plan.batch(dataset, batch))
    rows = ctf.micrographs[ctf.micrographs["micrograph"].isin(names)]
    groups = ctf.groups[ctf.groups["rlnOpticsGroup"].isin(rows["optics_group"])]
    return {"micrographs": rows.to_dict("list"), "groups": groups.to_dict("list")}


def refused_ctf(plan: Plan, *, dataset: str, batch: str) -> dict[str, str]:
    """Reasons for the lines of a batch in the dataset's CTF file that are refused, by micrograph.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset : str
        Name of the dataset in the config.
    batch : str
        Number of the batch, as text.
    """
    _, refused, _ = ctf_of(plan, dataset)
    return {name: refused[name] for name in plan.batch(dataset, batch) if name in refused}


def ctf_notices(plan: Plan, *, dataset: str) -> list[str]:
    """Contradictions between the dataset's CTF file and its entry, one line each."""
    return [] if plan.dataset(dataset).ctf is None else ctf_of(plan, dataset).notices


def imported_ctf(plan: Plan, *, dataset: str, batch: str) -> list[str]:
    """CTF of a batch, where the dataset names a CTF file.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset : str
        Name of the dataset in the config.
    batch : str
        Number of the batch, as text.
    """
    return [] if plan.dataset(dataset).ctf is None else [f"results/{dataset}/ctf/{batch}.star"]


def ctf_quarantine(plan: Plan, *, dataset: str) -> list[str]:
    """Tables of the micrographs without CTF, where the dataset names a CTF file."""
    if plan.dataset(dataset).ctf is None:
        return []
    return all_batches(plan, "results/{dataset}/quarantine/ctf-{batch}.tsv", dataset=dataset)
