"""The network from which a training starts, as rule `train` takes it."""

from pathlib import Path

from crisp_core.plan.networks import training_of
from crisp_core.plan.plan import Plan
from crisp_core.segmentation.shipped import SHIPPED_NETWORKS, check_digest, network_file, sha256
from crisp_core.settings.questions import label_classes
from crisp_core.settings.starts import start_entry, start_network


def start_of(plan: Plan, network: str) -> str | None:
    """Start of the training in a folder: a shipped network or an entry by name, a path, or None for random weights."""
    return start_network(training_of(plan, network), plan.settings)


def starts_from_entry(plan: Plan, network: str) -> bool:
    """Whether the training in a folder starts from an entry of `networks`."""
    return start_entry(training_of(plan, network), plan.settings) is not None


def start_files(plan: Plan, *, network: str) -> list[str]:
    """Checkpoint from which the training in a folder starts; none for random weights."""
    start = start_of(plan, network)
    if starts_from_entry(plan, network):
        return [f"results/networks/{start}/network.pt"]
    return [] if start is None else [network_file(start)]


def start_record(plan: Plan, *, network: str) -> dict[str, str] | None:
    """Start of the training in a folder, and the SHA-256 of its file, so that other weights train again.

    A network of this workflow has no file yet; as an input of the rule, it trains again when it changes.
    """
    start = start_of(plan, network)
    if start is None:
        return None
    if starts_from_entry(plan, network):
        return {"network": start}
    if start in SHIPPED_NETWORKS:
        check_digest(start)
    return {"network": start, "sha256": sha256(Path(network_file(start)))}


def labelled_classes(plan: Plan, *, network: str) -> list[str]:
    """Classes that the labels of a network's datasets can have."""
    datasets = training_of(plan, network).datasets
    shown = [name for dataset in datasets for name in label_classes(plan.dataset(dataset))]
    return list(dict.fromkeys(shown))
