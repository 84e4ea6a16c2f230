"""Weights with which a training starts: of a trained network, of another entry of `networks`, or random."""

from collections.abc import Sequence
from pathlib import Path

from crisp_core.errors import UserError
from crisp_core.segmentation.checkpoints import NetworkFacts, input_difference, read_facts, training_input
from crisp_core.segmentation.settings import NetworkSettings
from crisp_core.segmentation.shipped import DEFAULT_NETWORK, SHIPPED_NETWORKS, is_placeholder, network_file
from crisp_core.segmentation.starts import network_classes, weights_difference
from crisp_core.segmentation.training_settings import AUTO, RANDOM
from crisp_core.settings.config import Config, ExperimentSettings, NetworkEntry
from crisp_core.settings.sizes import dataset_input


def start_network(entry: ExperimentSettings | NetworkEntry, datasets: Sequence[str], settings: Config) -> str | None:
    """Network from which a training starts: the name of a shipped one, a path, or None for random weights.

    Parameters
    ----------
    entry : ExperimentSettings or NetworkEntry
        Entry that describes the network and its training.
    datasets : sequence of str
        Names of the datasets from which the network learns.
    settings : Config
        Settings of the whole configuration.
    """
    start = entry.training.start
    if start == AUTO:
        return DEFAULT_NETWORK if starts_from_default(entry.network, datasets, settings) else None
    return None if start == RANDOM else start


def start_entry(
    entry: ExperimentSettings | NetworkEntry, datasets: Sequence[str], settings: Config
) -> NetworkEntry | None:
    """Entry of `networks` from whose network a training starts; None for any other start.

    An entry cannot start from itself: in `general`, the start `general` is the shipped network.

    Parameters
    ----------
    entry : ExperimentSettings or NetworkEntry
        Entry that describes the network and its training.
    datasets : sequence of str
        Names of the datasets from which the network learns.
    settings : Config
        Settings of the whole configuration.
    """
    named = settings.networks.get(start_network(entry, datasets, settings) or "")
    # not ==: another entry may have equal settings
    return None if named is entry else named


def starts_from_default(network: NetworkSettings | str, datasets: Sequence[str], settings: Config) -> bool:
    """Whether the shipped network is the default start: for micrographs from files that look as it knows them.

    Parameters
    ----------
    network : NetworkSettings or str
        Section `network` of the entry.
    datasets : sequence of str
        Names of the datasets from which the network learns.
    settings : Config
        Settings of the whole configuration.
    """
    if isinstance(network, str) or is_placeholder(DEFAULT_NETWORK):
        return False
    if any(settings.datasets[dataset].simulation is not None for dataset in datasets):
        return False
    return start_difference(read_facts(network_file(DEFAULT_NETWORK)), network, datasets, settings) is None


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
    for name in datasets:
        dataset = settings.datasets[name]
        diameter = dataset.particle_diameter_angstrom
        if difference := input_difference(training_input(start), dataset_input(dataset), diameter_angstrom=diameter):
            return f"{difference} in datasets/{name}"
    return None


def start_facts(
    entry: ExperimentSettings | NetworkEntry, datasets: Sequence[str], settings: Config
) -> NetworkFacts | None:
    """Facts of the network from which a training starts; None for random weights.

    Parameters
    ----------
    entry : ExperimentSettings or NetworkEntry
        Entry that describes the network and its training.
    datasets : sequence of str
        Names of the datasets from which the network learns.
    settings : Config
        Settings of the whole configuration.
    """
    start, named = start_network(entry, datasets, settings), start_entry(entry, datasets, settings)
    if named is not None:
        seen = dataset_input(settings.datasets[named.datasets[0]])
        return NetworkFacts(trained_classes(named, named.datasets, settings), seen, named.network)
    return None if start is None else read_facts(network_file(start))


def trained_classes(entry: ExperimentSettings | NetworkEntry, datasets: Sequence[str], settings: Config) -> list[str]:
    """Classes of a network that is trained: those in its settings, or those of its start.

    Parameters
    ----------
    entry : ExperimentSettings or NetworkEntry
        Entry that describes the network and its training.
    datasets : sequence of str
        Names of the datasets from which the network learns.
    settings : Config
        Settings of the whole configuration.
    """
    if isinstance(entry.network, str):
        raise ValueError(f"network {entry.network} is trained elsewhere")
    return network_classes(entry.network, start_facts(entry, datasets, settings))


def check_start(
    place: str, entry: ExperimentSettings | NetworkEntry, datasets: Sequence[str], settings: Config
) -> None:
    """Refuse a start that does not exist, or whose weights or input do not fit the network and its datasets.

    Parameters
    ----------
    place : str
        Entry of the config that the error message names.
    entry : ExperimentSettings or NetworkEntry
        Entry that describes the network and its training.
    datasets : sequence of str
        Names of the datasets from which the network learns.
    settings : Config
        Settings of the whole configuration.
    """
    start, key = entry.training.start, f"{place}/training/start"
    if start in (AUTO, RANDOM) or isinstance(entry.network, str):
        return
    if start_entry(entry, datasets, settings) is not None:
        check_chain(key, entry, datasets, settings)
    elif start not in SHIPPED_NETWORKS:
        check_start_file(key, start)
    elif is_placeholder(start):
        raise UserError(
            f"{key}: the weights of {start} are a placeholder in this copy of CRISP; give random, or a file"
        )
    facts = start_facts(entry, datasets, settings)
    if facts and (difference := start_difference(facts, entry.network, datasets, settings)):
        raise UserError(f"{key}: {start} does not fit this network: {difference}; or set start to random")


def check_chain(key: str, entry: ExperimentSettings | NetworkEntry, datasets: Sequence[str], settings: Config) -> None:
    """Refuse entries of `networks` that start from one another in a circle.

    Parameters
    ----------
    key : str
        Place of the start in the config.
    entry : ExperimentSettings or NetworkEntry
        Entry that describes the network and its training.
    datasets : sequence of str
        Names of the datasets from which the network learns.
    settings : Config
        Settings of the whole configuration.
    """
    seen, named = [], start_entry(entry, datasets, settings)
    while named is not None:
        seen.append(named)
        named = start_entry(named, named.datasets, settings)
        if named in seen:
            raise UserError(f"{key}: {entry.training.start} starts from itself; give one of the networks another start")


def check_start_file(key: str, path: str) -> None:
    """Refuse a start that is neither a known word nor a file of a network; `key` is its place in the config."""
    if not path.endswith(".pt"):
        known = ", ".join([AUTO, RANDOM, *SHIPPED_NETWORKS])
        raise UserError(
            f"{key}: {path} is not a start and not a .pt file; give one of {known}, an entry of networks, or a path"
        )
    if not Path(path).is_file():
        raise UserError(f"{key}: {path} does not exist; correct the path")
