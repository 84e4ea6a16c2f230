"""Training that starts from a trained network: weights by the names of the classes, and labels that lack classes."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from crisp_core.classes import BACKGROUND, CLASSES, IGNORED, channel
from crisp_core.segmentation.checkpoints import read_facts
from crisp_core.segmentation.losses.term import Loss
from crisp_core.segmentation.networks import build_network, load_network
from crisp_core.segmentation.pixel_weights import STEP
from crisp_core.segmentation.settings import NetworkSettings
from crisp_core.segmentation.starts import network_classes
from crisp_core.segmentation.training_settings import FROM_NETWORK, FROM_RANDOM, TrainingSettings

HEAD = "segmentation_head."


class Beginning(NamedTuple):
    """Network before its first step, names of its classes, and settings of its training, with the number of epochs."""

    network: nn.Module
    classes: list[str]
    training: TrainingSettings


def begin(settings: NetworkSettings, training: TrainingSettings, start: str | Path | None) -> Beginning:
    """Build the network that is to be trained, with the weights of a checkpoint or random ones.

    Parameters
    ----------
    settings : NetworkSettings
        Section `network` of the new network.
    training : TrainingSettings
        Section `training`; without a number of epochs or a learning rate, those of such a start are taken.
    start : str, Path or None
        Checkpoint from which the training starts; None for random weights.
    """
    classes = network_classes(settings, None if start is None else read_facts(start))
    if start is None:
        network, schedule = build_network(settings, len(classes)), training.schedule(FROM_RANDOM)
    else:
        network, schedule = network_from(start, settings, classes), training.schedule(FROM_NETWORK)
    return Beginning(network, classes, training.changed(**schedule._asdict()))


def network_from(path: str | Path, settings: NetworkSettings, classes: Sequence[str]) -> nn.Module:
    """Network with the weights of a checkpoint; its last layer has the rows of the classes with the same names.

    Parameters
    ----------
    path : str or Path
        Checkpoint of a network of the same architecture, encoder and options that knows all classes.
    settings : NetworkSettings
        Section `network` of the new network.
    classes : sequence of str
        Names of the new network's classes.
    """
    start = load_network(path)
    if list(classes) == list(start.facts.classes):
        return start.network
    rows = [channel(start.facts.classes, name) for name in classes]
    weights = {
        name: tensor[rows] if name.startswith(HEAD) else tensor for name, tensor in start.network.state_dict().items()
    }
    network = build_network(settings, len(classes), pretrained=False)
    network.load_state_dict(weights)
    return network


def joined_with_background(loss: Loss, classes: Sequence[str], joined: Sequence[str]) -> Loss:
    """Loss for labels in which pixels of some classes are background.

    The probability of background becomes the sum over background and these classes, so that the labels do not teach
    the network to call carbon background: they only say that it is not a particle. Source: marginal loss of Shi et al.
    2021, Medical Image Analysis 70, 101979.

    Parameters
    ----------
    loss : function
        Loss of logits and labels of the other classes.
    classes : sequence of str
        Names of the network's classes.
    joined : sequence of str
        Classes that the labels do not show; the loss itself where there are none.
    """
    if not joined:
        return loss
    background = channel(classes, CLASSES[BACKGROUND])
    kept = [i for i, name in enumerate(classes) if name not in joined]
    summed = [background, *(channel(classes, name) for name in joined)]
    number = torch.full((IGNORED + 1,), IGNORED)
    # corrections may show a joined class on single pixels, which are then background too
    own = [kept.index(background if i in summed else i) for i in range(len(classes))]
    for repeated in range(0, IGNORED - STEP + 1, STEP):
        number[repeated : repeated + len(own)] = torch.tensor(own) + repeated

    def joined_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the loss of the labels that can be told apart."""
        channels = [logits[:, summed].logsumexp(dim=1) if i == background else logits[:, i] for i in kept]
        return loss(torch.stack(channels, dim=1), number.to(labels.device)[labels.long()])

    return joined_loss
