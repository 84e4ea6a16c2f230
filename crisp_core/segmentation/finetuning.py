"""Further training of a trained network with a CRF, and of its control without one."""

from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from crisp_core.segmentation.crf.network import CrfNetwork
from crisp_core.segmentation.crf.settings import CrfSettings, LayerSettings
from crisp_core.segmentation.crf.solvers import pairwise
from crisp_core.segmentation.inference import padded_logits
from crisp_core.segmentation.training_settings import TrainingSettings

# learned features are normalised, and unlike pixels 1 to 4 apart; the others' is the paper's
LEARNED_BETA = 0.5


class CrfSteps(NamedTuple):
    """What a CRF does to one square of a micrograph; all arrays are (height, width)."""

    corner: tuple[int, int]
    """Row and column of the square's first pixel."""
    logit: np.ndarray
    """Log odds of particle that the network gives alone."""
    message: np.ndarray
    """What the neighbours add to them at the start: −(Px⁰) of particle against all other labels."""
    before: np.ndarray
    after: np.ndarray
    """Probability of particle without the CRF and with it."""


def layer_settings(crf: CrfSettings, n_labels: int) -> LayerSettings:
    """Settings of a `CrfLayer` from the section `crf` of an experiment: type names the features.

    Where they are null, `operator` and `beta` become what suits the features.
    """
    learned = crf.type == "learned"
    several = learned or (crf.type == "logits" and n_labels > 2)
    suited = {"operator": "pooled" if several else "grid", "beta": LEARNED_BETA if learned else LayerSettings().beta}
    given = {key: value for key, value in crf if key in LayerSettings.model_fields and value is not None}
    return LayerSettings(**{**suited, **given, "features": crf.type})


def with_crf(network: nn.Module, crf: CrfSettings, n_labels: int) -> nn.Module:
    """Return the network with the CRF of a section `crf`; the network itself for the control.

    Parameters
    ----------
    network : Module
        Network without a CRF.
    crf : CrfSettings
        Section `crf` of an experiment.
    n_labels : int
        Number of labels of the network.
    """
    return network if crf.type == "control" else CrfNetwork(network, layer_settings(crf, n_labels), n_labels)


def finetuning_settings(training: TrainingSettings, crf: CrfSettings) -> TrainingSettings:
    """Section `training` of an experiment with the epochs and the learning rate of its section `crf`."""
    return training.changed(epochs=crf.epochs, learning_rate=crf.network_learning_rate)


@torch.inference_mode()
def crf_steps(network: CrfNetwork, image: np.ndarray, *, side_px: int) -> CrfSteps:
    """Follow a CRF on the square of a prepared micrograph in which it changes the probabilities most.

    Parameters
    ----------
    network : CrfNetwork
        In evaluation mode, on the CPU.
    image : (height, width) float32 array
    side_px : int
        Side of the square; the squares that are compared lie edge to edge.
    """
    height, width = (min(side_px, n) for n in image.shape)
    corners = [
        (y, x)
        for y in range(0, image.shape[0] - height + 1, height)
        for x in range(0, image.shape[1] - width + 1, width)
    ]
    steps = [_square_steps(network, image[y : y + height, x : x + width], (y, x)) for y, x in corners]
    return max(steps, key=lambda step: float(np.abs(step.after - step.before).mean()))


def _square_steps(network: CrfNetwork, square: np.ndarray, corner: tuple[int, int]) -> CrfSteps:
    image = torch.from_numpy(np.ascontiguousarray(square))[None, None]
    height, width = square.shape
    kept: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    # the layer's own input, so that padding and features are those of a prediction
    handle = network.crf.register_forward_pre_hook(lambda _, inputs: kept.update(inputs=inputs))
    after = padded_logits(network, image).exp()[0, 1]
    handle.remove()
    logits, features = kept["inputs"]
    before = logits.softmax(1)
    message = -pairwise(before, network.crf.terms(logits, features))
    odds = [x[0, 1] - torch.cat([x[0, :1], x[0, 2:]]).logsumexp(0) for x in (logits, message)]
    return CrfSteps(corner, *(x[:height, :width].numpy() for x in (*odds, before[0, 1], after)))
