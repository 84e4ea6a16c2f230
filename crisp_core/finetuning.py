"""Further training of a trained network with a CRF, and of its control without one."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from crisp_core.crf.layer import PUBLISHED
from crisp_core.crf.network import CrfNetwork

# learned features are normalised, and unlike pixels 1 to 4 apart; the others' is the paper's
LEARNED_BETA = 0.5


def layer_settings(crf: Mapping[str, Any], n_labels: int) -> dict[str, Any]:
    """Settings of a `CrfLayer` from the section `crf` of an experiment: type names the features.

    Where they are null, `operator` and `beta` become what suits the features.
    """
    learned = crf["type"] == "learned"
    several = learned or (crf["type"] == "logits" and n_labels > 2)
    suited = {"operator": "pooled" if several else "grid", "beta": LEARNED_BETA if learned else PUBLISHED["beta"]}
    given = {key: value for key, value in crf.items() if key in PUBLISHED and value is not None}
    return PUBLISHED | suited | given | {"features": crf["type"]}


def with_crf(network: nn.Module, crf: Mapping[str, Any], n_labels: int) -> nn.Module:
    """Return the network with the CRF of a section `crf`; the network itself for the control."""
    return network if crf["type"] == "control" else CrfNetwork(network, layer_settings(crf, n_labels), n_labels)


def finetuning_settings(training: Mapping[str, Any], crf: Mapping[str, Any]) -> dict[str, Any]:
    """Section `training` of an experiment with the epochs and the two learning rates of its section `crf`."""
    return dict(training) | {
        "epochs": crf["epochs"],
        "learning_rate": crf["network_learning_rate"],
        "crf_learning_rate": crf["crf_learning_rate"],
    }
