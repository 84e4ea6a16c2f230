"""Further training of a trained network with a CRF, and of its control without one."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from crisp_core.segmentation.crf.grid_size import check_tile
from crisp_core.segmentation.crf.network import CrfNetwork
from crisp_core.segmentation.crf.settings import (
    KEYS_IN_DIAMETERS,
    CrfSettings,
    LayerSettings,
    has_several_features,
)
from crisp_core.segmentation.crf.solvers import pairwise
from crisp_core.segmentation.crops import LabelledMicrograph
from crisp_core.segmentation.inference import padded_logits
from crisp_core.segmentation.loading import uncertain_distances
from crisp_core.segmentation.losses.total import make_loss
from crisp_core.segmentation.resuming import Resume
from crisp_core.segmentation.settings import PredictionSettings
from crisp_core.segmentation.training import fit, validate
from crisp_core.segmentation.training_settings import TrainingSettings
from crisp_core.segmentation.transfer import joined_with_background

log = logging.getLogger("crisp")

# learned features are normalised, and unlike pixels 1 to 4 apart; the others' is the paper's
LEARNED_BETA = 0.5


class CrfSteps(NamedTuple):
    """Logits, message and probabilities of one square of a micrograph with a CRF; all arrays are (height, width)."""

    corner: tuple[int, int]
    """Row and column of the square's first pixel."""
    logit: np.ndarray
    """Log odds of particle that the network gives alone."""
    message: np.ndarray
    """Contribution of the neighbours to them at the start: −(Px⁰) of particle against all other labels."""
    before: np.ndarray
    after: np.ndarray
    """Probability of particle without the CRF and with it."""


def layer_settings(crf: CrfSettings, n_labels: int, *, diameter_px: float) -> LayerSettings:
    """Return the settings of a `CrfLayer` from the section `crf` of an experiment; its type names the features.

    Where they are null, `operator` and `beta` suit the features, and `initial_weight` the solver.

    Parameters
    ----------
    crf : CrfSettings
        Section `crf` of an experiment.
    n_labels : int
        Number of labels of the network.
    diameter_px : float
        Diameter of the particle in the images of the network, in px.
    """
    suited = {
        "operator": "pooled" if has_several_features(crf.type, n_labels) else "grid",
        "beta": LEARNED_BETA if crf.type == "learned" else LayerSettings().beta,
        "initial_weight": crf.share_of_start(),
    }
    lengths = {old: getattr(crf, new) * diameter_px for old, new in KEYS_IN_DIAMETERS.items()}
    given = {key: value for key, value in crf if key in LayerSettings.model_fields and value is not None}
    return LayerSettings(**{**suited, **lengths, **given, "features": crf.type})


def with_crf(
    network: nn.Module,
    crf: CrfSettings,
    n_labels: int,
    *,
    diameter_px: float,
    tile_px: int,
) -> nn.Module:
    """Return the network with the CRF of a section `crf`; the network itself for the control.

    Parameters
    ----------
    network : Module
        Network without a CRF.
    crf : CrfSettings
        Section `crf` of an experiment.
    n_labels : int
        Number of labels of the network.
    diameter_px : float
        Diameter of the particle in the images of the network, in px.
    tile_px : int
        Side of the tiles of the prediction, in px.

    Raises
    ------
    UserError
        If the CRF may take too much memory for a tile of the prediction.
    """
    if crf.type == "control":
        return network
    settings = layer_settings(crf, n_labels, diameter_px=diameter_px)
    check_tile(settings, tile_px)
    return CrfNetwork(network, settings, n_labels)


def finetuning_settings(training: TrainingSettings, crf: CrfSettings) -> TrainingSettings:
    """Section `training` of an experiment with the epochs and the learning rate of its section `crf`."""
    return training.changed(epochs=crf.epochs, learning_rate=crf.network_learning_rate)


def finetune(
    network: nn.Module,
    parts: Mapping[str, Sequence[LabelledMicrograph]],
    *,
    crf: CrfSettings,
    training: TrainingSettings,
    prediction: PredictionSettings,
    classes: Sequence[str],
    unlabelled: Sequence[str] = (),
    device: str,
    seed: int,
    resume: Resume | None = None,
) -> tuple[dict[str, torch.Tensor], list[dict[str, float]]]:
    """Train a network further and return the best weights, which may be those of the start, and the history.

    The first row of the history, epoch 0, is the network before the further training and without a CRF.

    Parameters
    ----------
    network : Module
        Result of `with_crf`; it is trained in place.
    parts : mapping of sequences of LabelledMicrograph
        Parts train and validation.
    crf : CrfSettings
        Section `crf`.
    training : TrainingSettings
        Section `training` of the experiment.
    prediction : PredictionSettings
        Section `prediction`.
    classes : sequence of str
        Names of the network's channels.
    unlabelled : sequence of str
        Classes of the network whose pixels are background in all labels, see `training.fit`.
    device : str
        Device that computes.
    seed : int
        Seed of the crops.
    resume : Resume, optional
        State of an interrupted training, see `training.fit`.
    """
    alone = network.network if isinstance(network, CrfNetwork) else network
    start = {name: tensor.clone() for name, tensor in alone.state_dict().items()}
    options: dict[str, Any] = {"prediction": prediction, "classes": classes, "device": device}
    score = validate(
        alone.to(device),
        parts["validation"],
        joined_with_background(make_loss(training.loss), classes, unlabelled),
        uncertain=uncertain_distances(training),
        mixed=training.mixed_precision,
        **options,
    )
    state, history = fit(
        network,
        parts["train"],
        parts["validation"],
        settings=finetuning_settings(training, crf),
        unlabelled=unlabelled,
        seed=seed,
        crf_learning_rate=crf.crf_learning_rate,
        resume=resume,
        **options,
    )
    scores = {f"validation_{name}": value for name, value in score._asdict().items()}
    history = [{"epoch": 0, "train_loss": float("nan"), **scores}, *history]
    return keep_better(network, start, state, history), history


def keep_better(
    network: nn.Module,
    start: Mapping[str, torch.Tensor],
    state: dict[str, torch.Tensor],
    history: Sequence[Mapping[str, float]],
) -> dict[str, torch.Tensor]:
    """Return the weights after the further training, or those before it if no epoch has a higher validation IoU.

    A CRF is then turned off: the settings of `network.crf` give its result no share.

    Parameters
    ----------
    network : Module
        Network after the further training.
    start : mapping of tensors
        Weights of the network before it, without a CRF.
    state : dict of tensors
        Weights of the best epoch of `network`.
    history : sequence of mappings
        Rows of the epochs; the first is epoch 0.
    """
    finite = [row for row in history[1:] if np.isfinite(row["train_loss"] + row["validation_loss"])]
    best, before = max(row["validation_iou"] for row in finite), history[0]["validation_iou"]
    if best > before:
        return state
    log.info("no epoch has a higher validation IoU (%.4f) than the start (%.4f): the start is kept", best, before)
    if not isinstance(network, CrfNetwork):
        return dict(start)
    network.crf.settings = network.crf.settings.changed(initial_weight=1.0)
    return {**state, **{f"network.{name}": tensor for name, tensor in start.items()}}


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
    settings = network.crf.settings
    # without a share in the result, the CRF scales nothing and sends nothing
    is_on = settings.share_of_start() < 1
    scaled = (settings.unary_scale if is_on else 1.0) * logits
    before = scaled.softmax(1)
    message = -pairwise(before, network.crf.terms(logits, features)) * is_on
    odds = [x[0, 1] - torch.cat([x[0, :1], x[0, 2:]]).logsumexp(0) for x in (scaled, message)]
    return CrfSteps(corner, *(x[:height, :width].numpy() for x in (*odds, before[0, 1], after)))
