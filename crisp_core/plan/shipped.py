"""A network that comes with CRISP, as rules take it: its name and digest, its finder and threshold."""

from pathlib import Path
from typing import Any

from crisp_core.plan.networks import trained_run
from crisp_core.plan.plan import Plan
from crisp_core.segmentation.shipped import check_digest, read_shipped_centers
from crisp_core.settings.shipped import given_centers, shipped_name


def shipped_network_of(plan: Plan, dataset: str, experiment: str) -> str | None:
    """Name of the shipped network that predicts in a run; None for any other network.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    run = trained_run(plan, dataset, experiment)
    if experiment in plan.pickers or isinstance(run, Path):
        return None
    return shipped_name(plan.experiment(run[1]).network, plan.settings.networks)


def shipped_record(plan: Plan, *, dataset: str, experiment: str) -> dict[str, Any]:
    """Name and SHA-256 of the shipped network of a run, for its results; nothing for any other network.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    name = shipped_network_of(plan, dataset, experiment)
    return {} if name is None else {"shipped": {"name": name, "sha256": read_shipped_centers(name)["sha256"]}}


def centers_to_set(plan: Plan, *, dataset: str, experiment: str) -> dict[str, Any]:
    """Finder, threshold and any calibration of a run without a validation part: `settings.shipped.given_centers`.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    return given_centers(plan.experiment(experiment).centers, shipped_network_of(plan, dataset, experiment))


def check_shipped_networks(plan: Plan) -> None:
    """Refuse a shipped network whose file is damaged, where an experiment names it."""
    for experiment in plan.settings.experiments.values():
        name = shipped_name(experiment.network, plan.settings.networks)
        if name is not None:
            check_digest(name)
