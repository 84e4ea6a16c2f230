"""Weights with which a training starts: of a trained network, of another entry of `networks`, or random."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from crisp_core.errors import UserError
from crisp_core.segmentation.checkpoints import NetworkFacts, read_facts, training_input
from crisp_core.segmentation.settings import NetworkSettings
from crisp_core.segmentation.shipped import DEFAULT_NETWORK, SHIPPED_NETWORKS, is_placeholder, network_file
from crisp_core.segmentation.starts import network_classes, weights_difference
from crisp_core.segmentation.training_settings import AUTO, RANDOM
from crisp_core.settings.config import Config, ExperimentSettings, NetworkEntry
from crisp_core.settings.sizes import dataset_difference, dataset_input


class Training(NamedTuple):
    """Training of a network.

    Attributes
    ----------
    datasets : tuple of str
        Names of the datasets whose training and validation parts it takes.
    settings : NetworkEntry or ExperimentSettings
        Sections network, training, crf and prediction, and seed.
    """

    datasets: tuple[str, ...]
    settings: NetworkEntry | ExperimentSettings


def training_of_entry(entry: NetworkEntry) -> Training:
    """Training of an entry of `networks`."""
    return Training(tuple(entry.datasets), entry)


def start_network(training: Training, settings: Config) -> str | None:
    """Network from which a training starts: the name of a shipped one, a path, or None for random weights."""
    start = training.settings.training.start
    if start == AUTO:
        return DEFAULT_NETWORK if starts_from_default(training, settings) else None
    return None if start == RANDOM else start


def start_entry(training: Training, settings: Config) -> NetworkEntry | None:
    """Entry of `networks` from whose network a training starts; None for any other start.

    An entry cannot start from itself: in `general`, the start `general` is the shipped network.
    """
    named = settings.networks.get(start_network(training, settings) or "")
    # not ==: another entry may have equal settings
    return None if named is training.settings else named


def starts_from_default(training: Training, settings: Config) -> bool:
    """Whether the shipped network is the default start: for micrographs from files that look as it knows them."""
    network = training.settings.network
    if isinstance(network, str) or is_placeholder(DEFAULT_NETWORK):
        return False
    if any(settings.datasets[dataset].simulation is not None for dataset in training.datasets):
        return False
    facts = read_facts(network_file(DEFAULT_NETWORK))
    return start_difference(facts, network, training.datasets, settings) is None


def start_difference(
    start: NetworkFacts, network: NetworkSettings, datasets: Sequence[str], settings: Config
) -> str | None:
    """First difference for which a training cannot start from a network, and its cure; None if it can.

    Parameters
    ----------
    start : NetworkFacts
        Facts of the network from which the training starts.
    network : NetworkSettings
        Section `network` of the new network.
    datasets : sequence of str
        Names of the datasets from which the network learns.
    settings : Config
        Settings of the whole configuration.
    """
    if difference := weights_difference(start, network):
        return difference
    found = (dataset_difference(training_input(start), name, settings) for name in datasets)
    return next(filter(None, found), None)


def start_facts(training: Training, settings: Config) -> NetworkFacts | None:
    """Facts of the network from which a training starts; None for random weights."""
    start, named = start_network(training, settings), start_entry(training, settings)
    if named is not None:
        seen = dataset_input(settings.datasets[named.datasets[0]])
        return NetworkFacts(trained_classes(training_of_entry(named), settings), seen, named.network)
    return None if start is None else read_facts(network_file(start))


def trained_classes(training: Training, settings: Config) -> list[str]:
    """Classes of a network that is trained: those in its settings, or those of its start."""
    network = training.settings.network
    if isinstance(network, str):
        raise ValueError(f"network {network} is trained elsewhere")
    return network_classes(network, start_facts(training, settings))


def check_start(place: str, training: Training, settings: Config) -> None:
    """Refuse a start that does not exist, or whose weights or input do not fit the network and its datasets.

    Parameters
    ----------
    place : str
        Entry of the config that the error message names.
    training : Training
        Training that starts.
    settings : Config
        Settings of the whole configuration.
    """
    network, start = training.settings.network, training.settings.training.start
    key = f"{place}/training/start"
    if start in (AUTO, RANDOM) or isinstance(network, str):
        return
    if start_entry(training, settings) is not None:
        check_chain(key, training, settings)
    elif start not in SHIPPED_NETWORKS:
        check_start_file(key, start)
    elif is_placeholder(start):
        raise UserError(
            f"{key}: the weights of {start} are a placeholder in this copy of CRISP; give random, or a file"
        )
    facts = start_facts(training, settings)
    if facts and (difference := start_difference(facts, network, training.datasets, settings)):
        raise UserError(f"{key}: {start} does not fit this network: {difference}; or set start to random")


def check_chain(key: str, training: Training, settings: Config) -> None:
    """Refuse entries of `networks` that start from one another in a circle; `key` is the place of the start."""
    seen, named = [], start_entry(training, settings)
    while named is not None:
        seen.append(named)
        named = start_entry(training_of_entry(named), settings)
        if named in seen:
            start = training.settings.training.start
            raise UserError(f"{key}: {start} starts from itself; give one of the networks another start")


def check_start_file(key: str, path: str) -> None:
    """Refuse a start that is neither a known word nor a file of a network; `key` is its place in the config."""
    if not path.endswith(".pt"):
        known = ", ".join([AUTO, RANDOM, *SHIPPED_NETWORKS])
        raise UserError(
            f"{key}: {path} is not a start and not a .pt file; give one of {known}, an entry of networks, or a path"
        )
    if not Path(path).is_file():
        raise UserError(f"{key}: {path} does not exist; correct the path")
