"""Checks of networks, experiments and runs across sections."""

from collections.abc import Sequence
from pathlib import Path

from crisp_core.classes import CLASSES
from crisp_core.errors import UserError
from crisp_core.options import chosen
from crisp_core.picking.finders import FINDERS
from crisp_core.picking.settings import CenterSettings
from crisp_core.segmentation.crf.settings import check_operator
from crisp_core.segmentation.losses import LOSSES
from crisp_core.segmentation.shipped import DEFAULT_NETWORK, SHIPPED_NETWORKS
from crisp_core.segmentation.training_settings import TrainingSettings
from crisp_core.settings.class_checks import check_removal, check_shown
from crisp_core.settings.config import Config, ExperimentSettings, NetworkEntry
from crisp_core.settings.dataset_checks import check_n_micrographs, check_sizes
from crisp_core.settings.questions import (
    has_own_network,
    has_truth,
    is_empty,
    label_classes,
    particle_boxes,
    parts_needed,
    searches_centers,
    split_run,
)
from crisp_core.settings.shipped import given_centers, shipped_name
from crisp_core.settings.sizes import dataset_difference, dataset_input, named_input
from crisp_core.settings.starts import Training, check_start, start_facts, trained_classes, training_of_entry


def check_defined(place: str, section: str, name: str, settings: Config, *, shown: str | None = None) -> None:
    """Refuse a name that is not an entry of a section.

    Parameters
    ----------
    place : str
        Key of the config that names the entry.
    section, name : str
        Section of the config, and name of its entry.
    settings : Config
        Settings of the whole configuration.
    shown : str, optional
        The name as the config gives it, such as a run; `name` by default.
    """
    if name not in (entries := getattr(settings, section)):
        raise UserError(f"{place}: {shown or name} is not an entry of {section}; defined are {', '.join(entries)}")


def check_references(settings: Config) -> None:
    """Refuse a network of datasets that are not defined, and an experiment whose network is not found."""
    for name, entry in settings.networks.items():
        for dataset in entry.datasets:
            check_defined(f"config, networks/{name}/datasets", "datasets", dataset, settings)
    for name, experiment in settings.experiments.items():
        network, place = experiment.network, f"config, experiments/{name}/network"
        if not isinstance(network, str) or network in settings.networks or network in SHIPPED_NETWORKS:
            continue
        if not network.endswith(".pt"):
            known = ", ".join(dict.fromkeys([*settings.networks, *SHIPPED_NETWORKS]))
            raise UserError(f"{place}: {network} is neither an entry of networks nor a .pt file; give one of {known}")
        if not Path(network).is_file():
            raise UserError(f"{place}: {network} does not exist; correct the path, or name an entry of networks")


def check_recipe(place: str, entry: ExperimentSettings | NetworkEntry) -> None:
    """Refuse combinations of the sections that networks and experiments share that cannot work."""
    check_losses(place, entry.training)
    prediction = entry.prediction
    if 2 * prediction.overlap_px > prediction.tile_px:
        raise UserError(
            f"{place}/prediction: overlap_px {prediction.overlap_px} is more than half of tile_px "
            f"{prediction.tile_px}; make it smaller"
        )
    if not isinstance(entry.network, str):
        n_labels = len(entry.network.classes or CLASSES[:2])
        check_operator(entry.crf.type, entry.crf.operator, n_labels, place=f"{place}/crf")


def check_losses(place: str, training: TrainingSettings) -> None:
    """Refuse a loss that is not registered, or options that it does not have, in the section `training`."""
    for term in training.loss:
        chosen(LOSSES, term, place=f"{place}/training/loss")


def check_finder(place: str, centers: CenterSettings) -> None:
    """Refuse a finder that is not registered, or parameters that it does not have, in the section `centers`."""
    if centers.finder != "search":
        chosen(FINDERS, centers.finder, place=f"{place}/centers/finder", others=("search",))


def check_experiment(name: str, experiment: ExperimentSettings) -> None:
    """Refuse combinations of an experiment's settings that cannot work."""
    place, resolution = f"config, experiments/{name}", experiment.resolution
    check_finder(place, experiment.centers)
    if resolution.program == "aspire" and resolution.symmetry[0].upper() not in "CD":
        raise UserError(
            f"{place}/resolution/symmetry: aspire reconstructs with Cn and Dn, not {resolution.symmetry}; "
            "give one of its subgroups, or set program to relion"
        )


def check_network(name: str, settings: Config) -> None:
    """Refuse a network whose datasets do not look alike to it, cannot be trained on, or lack its classes."""
    entry, place = settings.networks[name], f"config, networks/{name}"
    first = entry.datasets[0]
    for dataset in entry.datasets:
        if difference := dataset_difference(dataset_input(settings.datasets[first]), dataset, settings):
            raise UserError(f"{place}/datasets: {dataset} does not look like {first}: {difference}")
        check_trains(f"{place}/datasets", dataset, settings)
    check_parts_of_datasets(f"{place}/datasets", entry.datasets, settings)
    for dataset in entry.datasets:
        if is_empty(settings.datasets[dataset].split, "train"):
            continue
        check_n_micrographs(place, dataset, entry.training.n_micrographs, settings)
    training = training_of_entry(entry)
    check_start(place, training, settings)
    check_shown(f"{place}/network/classes", unknown_classes(training, settings), entry.datasets)


def unknown_classes(training: Training, settings: Config) -> list[str]:
    """Classes of a network that neither its labels nor the network from which its training starts know."""
    start = start_facts(training, settings)
    shown = {name for dataset in training.datasets for name in label_classes(settings.datasets[dataset])}
    known = shown.union([] if start is None else start.classes)
    return [name for name in trained_classes(training, settings) if name not in known]


def check_trains(place: str, dataset: str, settings: Config) -> None:
    """Refuse to train on a dataset without coordinates, or without training and validation micrographs.

    Parameters
    ----------
    place : str
        Key of the config that the error message names.
    dataset : str
        Name of the dataset in the config.
    settings : Config
        Settings of the whole configuration.
    """
    entry = settings.datasets[dataset]
    if not has_truth(entry):
        raise UserError(f"{place}: {dataset} has no coordinates to train on; give datasets/{dataset}/coordinates")
    if is_empty(entry.split, "train") and is_empty(entry.split, "validation"):
        raise UserError(
            f"{place}: datasets/{dataset}/split has no training and no validation micrographs; give it some, or take "
            f"{dataset} out"
        )
    check_sizes(dataset, settings)


def check_parts_of_datasets(place: str, datasets: Sequence[str], settings: Config) -> None:
    """Refuse a network none of whose datasets has training micrographs, or none validation micrographs.

    Parameters
    ----------
    place : str
        Key of the config that the error message names.
    datasets : sequence of str
        Names of the datasets that train the network.
    settings : Config
        Settings of the whole configuration.
    """
    for part in ("train", "validation"):
        if all(is_empty(settings.datasets[dataset].split, part) for dataset in datasets):
            raise UserError(f"{place}: datasets/{datasets[0]}/split/{part} is empty; put a micrograph into it")


def check_run(run: str, settings: Config) -> None:
    """Refuse a run whose dataset or experiment is not defined, or that has nothing to train on."""
    dataset, experiment = split_run(run)
    for section, name in (("datasets", dataset), ("experiments", experiment)):
        check_defined("config, run", section, name, settings, shown=run)
    particle_boxes(settings.datasets[dataset], settings.experiments[experiment])
    check_split(run, settings)
    check_classes(run, settings)
    check_removal(run, settings)
    known = has_truth(settings.datasets[dataset])
    if settings.experiments[experiment].picker is not None:
        if not known and parts_needed(settings.experiments[experiment]):
            raise UserError(
                f"config, run: {run} has no coordinates to train or choose a threshold on; give "
                f"datasets/{dataset}/coordinates, or for a picker that trains nothing "
                f"experiments/{experiment}/picker/threshold"
            )
    elif isinstance(network := settings.experiments[experiment].network, str):
        check_named_run(run, network, settings)
    elif not known and settings.experiments[experiment].trained is None:
        raise UserError(
            f"config, run: {run} has no coordinates to train on; give datasets/{dataset}/coordinates, or "
            f"experiments/{experiment}/network: {DEFAULT_NETWORK}, or trained, the folder of an experiment that is "
            "trained already"
        )


def check_named_run(run: str, network: str, settings: Config) -> None:
    """Refuse a named network for a dataset that looks different to it, and a run without any threshold.

    Parameters
    ----------
    run : str
        Dataset and experiment, such as ``mine/unet``.
    network : str
        Network of the experiment: an entry of networks, or a file.
    settings : Config
        Whole config.
    """
    dataset, experiment = split_run(run)
    entry, recipe = settings.datasets[dataset], settings.experiments[experiment]
    if difference := dataset_difference(named_input(network, settings), dataset, settings):
        raise UserError(f"config, run: {run}: {difference}")
    if searches_centers(entry, recipe):
        return
    if given_centers(recipe.centers, shipped_name(network, settings.networks))["threshold"] is None:
        raise UserError(
            f"config, run: {run} has no validation micrographs with coordinates to choose a threshold on; give "
            f"experiments/{experiment}/centers/threshold, such as 0.5, or datasets/{dataset}/coordinates"
        )


def check_classes(run: str, settings: Config) -> None:
    """Refuse to train an experiment's own network from an unfit start, or without labels of one of its classes."""
    dataset, name = split_run(run)
    experiment, place = settings.experiments[name], f"config, experiments/{name}"
    if has_own_network(experiment):
        training = Training((dataset,), experiment)
        check_start(place, training, settings)
        check_shown(f"{place}/network/classes", unknown_classes(training, settings), [dataset])


def check_split(run: str, settings: Config) -> None:
    """Refuse parts that cannot be filled, and a training without micrographs."""
    dataset, experiment = split_run(run)
    sizes, place = check_sizes(dataset, settings), f"config, datasets/{dataset}/split"
    for part in parts_needed(settings.experiments[experiment]):
        if sizes[part] == 0:
            picker = settings.experiments[experiment].picker
            what = "a training" if picker is None or part == "train" else f"the threshold of {experiment}"
            raise UserError(f"{place}/{part}: {what} needs at least one micrograph; add one")
    if "train" not in parts_needed(settings.experiments[experiment]):
        return
    wanted = settings.experiments[experiment].training.n_micrographs
    check_n_micrographs(f"config, experiments/{experiment}", dataset, wanted, settings)
