"""Checks of the classes of networks: labels that show them, and distances to them."""

from collections.abc import Sequence

from crisp_core.classes import AVOIDED, REGISTRY
from crisp_core.errors import UserError
from crisp_core.picking.settings import CLEANING_KEYS
from crisp_core.segmentation.checkpoints import read_facts
from crisp_core.segmentation.shipped import network_file
from crisp_core.settings.config import Config, ExperimentSettings
from crisp_core.settings.questions import split_run
from crisp_core.settings.starts import Training, trained_classes, training_of_entry


def check_shown(place: str, missing: Sequence[str], datasets: Sequence[str]) -> None:
    """Refuse to train a network on labels that never show it some of its classes.

    Parameters
    ----------
    place : str
        Key of the config that the error message names.
    missing : sequence of str
        Classes of the network that its labels do not show.
    datasets : sequence of str
        Names of the datasets that train the network.
    """
    if missing:
        raise UserError(
            f"{place}: the labels of {' and '.join(datasets)} do not show {' and '.join(missing)}; "
            f"{_how_to_show(missing)}"
        )


def _how_to_show(missing: Sequence[str]) -> str:
    """Remedy for classes that labels do not show: their scenery, or an element for a class that has none."""
    without = [each.name for each in REGISTRY if each.name in missing and not each.elements]
    if without:
        return (
            f"leave {' and '.join(without)} out, since no element of a simulation's scenery has this class "
            "(elements in crisp_core/classes.py)"
        )
    elements = [element for each in REGISTRY if each.name in missing for element in each.elements]
    return f"leave this out, or train on a simulation with labels truth and this in its scenery: {', '.join(elements)}"


def check_removal(run: str, settings: Config) -> None:
    """Refuse a distance to a class that a run's picker or network does not predict, and rules without outlines.

    Only distances that the config gives are checked. The network of `trained` is checked when the plan is made.
    """
    dataset, name = split_run(run)
    experiment = settings.experiments[name]
    _check_outlines(name, experiment)
    if experiment.trained is None and (given_distances(experiment) or experiment.removal.rank == "junk_distance"):
        check_distances(name, experiment, predicted_classes(experiment, dataset, settings))


def _check_outlines(name: str, experiment: ExperimentSettings) -> None:
    """Refuse rules and ranks of another picker that need the outlines or classes of a network."""
    removal = experiment.removal
    if experiment.picker is None:
        return
    for key in CLEANING_KEYS:
        if getattr(removal, key) is not None:
            raise UserError(
                f"config, experiments/{name}/removal/{key}: picks of another program are not measured; leave it "
                "out, or give the experiment a network"
            )


def given_distances(experiment: ExperimentSettings) -> list[str]:
    """Classes for which the config gives an experiment a removal distance."""
    removal = experiment.removal
    keys = {each.name: f"{each.name}_diameters" for each in AVOIDED}
    return [name for name, key in keys.items() if key in removal.model_fields_set and getattr(removal, key) is not None]


def predicted_classes(experiment: ExperimentSettings, dataset: str, settings: Config) -> list[str]:
    """Classes of an experiment's network, as its section, its entry or its file says; none for another picker.

    Parameters
    ----------
    experiment : ExperimentSettings
        Settings of the experiment.
    dataset : str
        Name of the dataset on which it is run.
    settings : Config
        Settings of the whole configuration.
    """
    network = experiment.network
    if experiment.picker is not None:
        return []
    if not isinstance(network, str):
        return trained_classes(Training((dataset,), experiment), settings)
    if network in settings.networks:
        return trained_classes(training_of_entry(settings.networks[network]), settings)
    return read_facts(network_file(network)).classes


def check_distances(name: str, experiment: ExperimentSettings, classes: Sequence[str]) -> None:
    """Refuse a removal distance of an experiment to a class that is not predicted.

    Parameters
    ----------
    name : str
        Name of the experiment in the config.
    experiment : ExperimentSettings
        Its settings.
    classes : sequence of str
        Classes that its network predicts; empty for another picker.
    """
    if experiment.removal.rank == "junk_distance" and not {each.name for each in AVOIDED} & set(classes):
        raise UserError(
            f"config, experiments/{name}/removal/rank: junk_distance needs a network with the class "
            f"{' or '.join(each.name for each in AVOIDED)}; give another rank or such a network"
        )
    unknown = next((each for each in given_distances(experiment) if each not in classes), None)
    if unknown is not None:
        what = f"the network's classes are {', '.join(classes)}" if classes else "another picker predicts no classes"
        raise UserError(
            f"config, experiments/{name}/removal/{unknown}_diameters: {what}; leave the distance out, or give a "
            f"network with the class {unknown}"
        )
