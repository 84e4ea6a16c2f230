"""Optimiser of a training, its learning rates, and the average of the weights."""

from typing import Any

import torch
from torch import nn

from crisp_core.segmentation.crf.network import CrfNetwork
from crisp_core.segmentation.training_settings import TrainingSettings


def make_optimizer(
    network: nn.Module, settings: TrainingSettings, *, n_steps: int, crf_learning_rate: float | None = None
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """AdamW (Adam where `weight_decay` is 0), one-cycle learning rate over `n_steps` steps (Smith & Topin 2019).

    Parameters
    ----------
    network : nn.Module
        Network to train.
    settings : TrainingSettings
        Section `training` of an experiment.
    n_steps : int
        Optimiser steps of the whole training.
    crf_learning_rate : float or None
        Highest learning rate of the CRF; only a `CrfNetwork` needs it.
    """
    groups = parameter_groups(network, settings.schedule().learning_rate, crf_learning_rate)
    optimizer = torch.optim.AdamW(groups, weight_decay=settings.weight_decay)
    rates = [group["lr"] for group in groups]
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=rates, total_steps=n_steps + 1)


def parameter_groups(
    network: nn.Module, learning_rate: float, crf_learning_rate: float | None = None
) -> list[dict[str, Any]]:
    """Parameters with their learning rates; those of a CRF are a second group, without weight decay.

    Parameters
    ----------
    network : nn.Module
        Network to train.
    learning_rate : float
        Highest learning rate of the network.
    crf_learning_rate : float or None
        Highest learning rate of the CRF; only a `CrfNetwork` needs it.
    """
    if not isinstance(network, CrfNetwork):
        return [{"params": list(network.parameters()), "lr": learning_rate}]
    if crf_learning_rate is None:
        raise ValueError("a network with a CRF needs crf_learning_rate")
    of_network = {"params": list(network.network.parameters()), "lr": learning_rate}
    of_crf = {"params": list(network.crf.parameters()), "lr": crf_learning_rate, "weight_decay": 0.0}
    return [of_network, of_crf]


def averaged_weights(network: nn.Module, decay: float) -> torch.optim.swa_utils.AveragedModel:
    """Exponential moving average of the network's weights; `decay` 0 follows the network itself."""
    average = torch.optim.swa_utils.get_ema_multi_avg_fn(decay)
    return torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=average, use_buffers=True)
