"""Inputs and parameters of rules from an experiment, without its network."""

from pathlib import Path
from typing import Any

from crisp_core.picking.settings import CLEANING_KEYS
from crisp_core.picking.sizes import read_last_batch
from crisp_core.plan.batches import addition_batches, all_batches, training_batches
from crisp_core.plan.plan import Plan
from crisp_core.settings.questions import particle_boxes


def searched_labels(plan: Plan, *, dataset: str, experiment: str) -> list[str]:
    """Labels, where the finders are compared on them; else nothing.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    if plan.experiment(experiment).centers.maps != "labels":
        return []
    return training_batches(plan, "results/{dataset}/labels/{batch}.h5", dataset=dataset)


def particle_settings(plan: Plan, *, experiment: str) -> dict[str, Any]:
    """Settings on which particle images depend."""
    return plan.experiment(experiment).particles.plain(without=("extract",))


def search_removal(plan: Plan, *, experiment: str) -> dict[str, Any]:
    """Rules of removal that the search for centers applies: those of places, not those of the picks' outlines."""
    return plan.experiment(experiment).removal.plain(without=CLEANING_KEYS)


def first_picks(plan: Plan, *, dataset: str, experiment: str) -> list[str]:
    """Picks from which the box follows: those of the first run, so that added micrographs do not change it.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    last = last_first_batch(plan, dataset=dataset, experiment=experiment)
    batches = addition_batches(plan, "{batch}", dataset=dataset)
    # if none of the first run is left, the present ones stand in
    batches = [batch for batch in batches if int(batch) <= last] or batches
    return [f"results/{dataset}/{experiment}/picks/{batch}.star" for batch in batches]


def last_first_batch(plan: Plan, *, dataset: str, experiment: str) -> int:
    """Number of the last batch of the first run, as recorded beside the box; later batches have higher numbers.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    made = Path(f"{plan.prefix}results/{dataset}/{experiment}/first_sizes.tsv")
    recorded = read_last_batch(made) if made.exists() else None
    present = map(int, addition_batches(plan, "{batch}", dataset=dataset))
    return max(present, default=0) if recorded is None else recorded


def suggested_box(plan: Plan, *, dataset: str, experiment: str) -> list[str]:
    """Sizes of the first picks, where the box follows from them: the diameter is auto, and no box is given.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    is_estimated = plan.dataset(dataset).diameter_estimated and experiment in plan.with_network
    if not is_estimated or plan.experiment(experiment).particles.box_angstrom is not None:
        return []
    return [f"results/{dataset}/{experiment}/first_sizes.tsv"]


def verdicts(plan: Plan, *, dataset: str, experiment: str) -> list[str]:
    """Table of the verdicts; nothing for the picks of another program.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    return [f"results/{dataset}/{experiment}/curation.tsv"] if experiment in plan.with_network else []


def extracted(plan: Plan, pattern: str, *, dataset: str, experiment: str) -> list[str]:
    """`pattern`, which holds {batch}, for every batch; nothing where the default target extracts no particles.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    pattern : str
        Path of a result with placeholders in braces: {dataset}, {experiment} and {batch}.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    if not plan.experiment(experiment).particles.extract:
        return []
    return all_batches(plan, pattern, dataset=dataset, experiment=experiment)


def edge_box_px(plan: Plan, *, dataset: str, experiment: str) -> int:
    """Side of the box that must lie inside the micrograph; 0 where picks at the edge stay.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    settings = plan.experiment(experiment)
    return particle_boxes(plan.dataset(dataset), settings).box_px if settings.removal.edge else 0
