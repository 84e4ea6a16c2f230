"""Whether a network may have been trained on micrographs that test it."""

import os
from pathlib import Path

from crisp_core.errors import UserError
from crisp_core.plan.corrections import has_scores
from crisp_core.plan.datasets import dataset_sizes, simulation_seed, simulation_settings
from crisp_core.plan.micrographs import micrograph_names
from crisp_core.plan.networks import network_folder, trained_run, training_of
from crisp_core.plan.plan import Plan
from crisp_core.plan.shipped import shipped_network_of
from crisp_core.plan.starts import start_of, starts_from_entry
from crisp_core.segmentation.shipped import SHIPPED_NETWORKS
from crisp_core.settings.questions import is_zoo

SNR_KEYS = ("snr", "snr_pixel_size")


def check_draws(plan: Plan, dataset: str, experiment: str) -> None:
    """Refuse a simulation with the micrographs of the one that trains the network, divided into other parts.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    if experiment in plan.pickers or dataset not in plan.simulated:
        return
    for source in training_datasets(plan, dataset, experiment) or ():
        if source != dataset and draw_alike(plan, source, dataset):
            parts = [(plan.dataset(name).split, micrograph_names(plan, name)) for name in (source, dataset)]
            if parts[0] != parts[1]:
                raise UserError(
                    f"config, datasets/{dataset}: simulates the micrographs of {source} again, on which the network of "
                    f"{experiment} is trained, and divides them otherwise; set simulation/seed to another number"
                )


def parts_are_unknown(plan: Plan, dataset: str, experiment: str) -> bool:
    """Whether a network may have been trained on the test part: that of an earlier run, a file, or of other datasets.

    Other datasets count if they have a micrograph in common with this one, whose parts may be others.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    sources = training_datasets(plan, dataset, experiment)
    if sources is None:
        return True
    return any(source != dataset and share_micrographs(plan, source, dataset) for source in sources)


def scores_may_leak(plan: Plan, dataset: str, experiment: str) -> bool:
    """Whether a run's scores may count micrographs on which its network was trained; a shipped one has seen none.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    if experiment in plan.pickers or shipped_network_of(plan, dataset, experiment) is not None:
        return False
    return has_scores(plan, dataset) and parts_are_unknown(plan, dataset, experiment)


def training_datasets(plan: Plan, dataset: str, experiment: str) -> tuple[str, ...] | None:
    """Datasets of this plan on which the network of an experiment is trained, also those of networks it starts from.

    None if the network, or one from which it starts, comes from elsewhere. A shipped network as a start adds no
    dataset: it was trained on simulations alone.

    Parameters
    ----------
    plan : Plan
        Plan of the whole configuration.
    dataset, experiment : str
        Names of the dataset and of the experiment in the config.
    """
    run = trained_run(plan, dataset, experiment)
    folder = None if isinstance(run, Path) else network_folder(plan, *run)
    datasets: tuple[str, ...] = ()
    while folder is not None:
        datasets += training_of(plan, folder).datasets
        start = start_of(plan, folder)
        if start is None or (start in SHIPPED_NETWORKS and not starts_from_entry(plan, folder)):
            return datasets
        folder = f"networks/{start}" if starts_from_entry(plan, folder) else None
    return None


def share_micrographs(plan: Plan, one: str, other: str) -> bool:
    """Whether two datasets have a micrograph in common: a file, or a simulated one with the same draws."""
    if draw_alike(plan, one, other):
        return True
    paths = [
        {os.path.realpath(path) for batch in plan.batches[dataset].values() for path in batch.values() if path}
        for dataset in (one, other)
    ]
    return not paths[0].isdisjoint(paths[1])


def draw_alike(plan: Plan, one: str, other: str) -> bool:
    """Whether two simulations draw the same particles and noise; zoos also draw by the dataset's name."""
    if not {one, other} <= set(plan.simulated) or any(is_zoo(plan.dataset(dataset)) for dataset in (one, other)):
        return False
    draws = [
        (
            simulation_seed(plan, dataset=dataset),
            dataset_sizes(plan, dataset=dataset),
            # an SNR changes the strength of the noise, a volume the particles at the same places
            {key: value for key, value in simulation_settings(plan, dataset=dataset).items() if key not in SNR_KEYS},
        )
        for dataset in (one, other)
    ]
    return draws[0] == draws[1]
