"""Whether a training may start from a trained network; without PyTorch, for the check of the config."""

from collections.abc import Sequence

from crisp_core.classes import CLASSES
from crisp_core.segmentation.checkpoints import NetworkFacts
from crisp_core.segmentation.settings import NetworkSettings

# settings of a network on which the shapes of its weights depend
ARCHITECTURE = ("architecture", "encoder", "options")


def network_classes(network: NetworkSettings, start: NetworkFacts | None) -> list[str]:
    """Names of a network's classes: given, those of the network from which its training starts, or two."""
    if network.classes is not None:
        return network.classes
    return [*CLASSES[:2]] if start is None else start.classes


def weights_difference(start: NetworkFacts, network: NetworkSettings) -> str | None:
    """First difference for which a network cannot take the weights of `start`, and its cure; None if it can."""
    for key in ARCHITECTURE:
        known, given = getattr(start.network, key), getattr(network, key)
        if known != given:
            known = "null" if known is None else known
            return f"it has {key} {known}, not {'null' if given is None else given}; set network/{key} to {known}"
    if start.crf is not None:
        return "it has a CRF; name the network.pt beside it"
    if missing := [name for name in network_classes(network, start) if name not in start.classes]:
        return f"it does not know {' and '.join(missing)}; leave that out of network/classes"
    return None


def unlabelled_classes(classes: Sequence[str], labelled: Sequence[str]) -> list[str]:
    """Classes of a network that no label shows, and which its training can only keep.

    Parameters
    ----------
    classes : sequence of str
        Names of the network's classes.
    labelled : sequence of str
        Names of the classes that the labels can have.
    """
    return [name for name in classes if name not in labelled]
