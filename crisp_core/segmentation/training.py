"""Training of a segmentation network on random crops of labelled micrographs."""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import segmentation_models_pytorch as smp
import torch
from torch import nn

from crisp_core.classes import CLASSES, IGNORED, PARTICLE, channel
from crisp_core.errors import UserError
from crisp_core.formats.arrays import read_array
from crisp_core.segmentation.crops import (
    ALL_CERTAIN,
    LabelledMicrograph,
    Uncertain,
    read_label,
    training_label,
)
from crisp_core.segmentation.inference import padded_logits, predict
from crisp_core.segmentation.loading import check_parts, crop_loader, epoch_batches, training_crops, uncertain_distances
from crisp_core.segmentation.losses.term import Loss
from crisp_core.segmentation.losses.total import make_loss
from crisp_core.segmentation.optimization import averaged_weights, make_optimizer
from crisp_core.segmentation.parallel import (
    average_gradients,
    gathered,
    is_first_worker,
    own_share,
    share_buffers,
    with_shared_statistics,
)
from crisp_core.segmentation.resuming import Resume, Run, continue_run, restore_random_state, save_run
from crisp_core.segmentation.settings import PredictionSettings
from crisp_core.segmentation.training_settings import TrainingSettings
from crisp_core.segmentation.transfer import joined_with_background

log = logging.getLogger("crisp")

# compute capability (Ampere) from which a GPU has bfloat16 of its own
BFLOAT16_CAPABILITY = 8


class Score(NamedTuple):
    """Loss and pooled pixel scores of the particle class on the validation micrographs."""

    loss: float
    iou: float
    f1: float


class Steps(NamedTuple):
    """Mean loss of an epoch's steps, seconds spent waiting for crops, and seconds spent computing."""

    loss: float
    data_seconds: float
    compute_seconds: float


def fit(
    network: nn.Module,
    training: Sequence[LabelledMicrograph],
    validation: Sequence[LabelledMicrograph],
    *,
    settings: TrainingSettings,
    prediction: PredictionSettings,
    classes: Sequence[str] = CLASSES[:2],
    unlabelled: Sequence[str] = (),
    device: str,
    seed: int,
    crf_learning_rate: float | None = None,
    resume: Resume | None = None,
) -> tuple[dict[str, torch.Tensor], list[dict[str, float]]]:
    """Train `network` in place and return the weights of its best epoch.

    Parameters
    ----------
    network : Module
        Logits (b, labels, h, w) from images (b, 1, h, w).
    training, validation : sequences of LabelledMicrograph
        Neither may be empty.
    settings : TrainingSettings
        Section `training` of an experiment.
    prediction : PredictionSettings
        Section `prediction` of an experiment: tiles of the validation micrographs.
    classes : sequence of str
        Names of the network's channels; labels of other classes count as background.
    unlabelled : sequence of str
        Classes of the network whose pixels are background in all labels; see `joined_with_background`.
    device : str
    seed : int
    crf_learning_rate : float, optional
        Peak of the learning rate of the CRF; a `CrfNetwork` needs it.
    resume : Resume, optional
        Where the state is kept, so that a training that was killed goes on after the last epoch kept there and ends as
        if nothing had happened. The caller removes the file when the result is safe.

    Returns
    -------
    state : dict of tensors
        Weights of the epoch with the highest validation IoU.
    history : list of dicts
        One row per epoch: epoch, train_loss, validation_loss, validation_iou, validation_f1, learning_rate, seconds,
        and of these data_seconds (waiting for crops), compute_seconds (training steps) and validation_seconds.
    """
    check_parts(training, validation, uncertain_distances(settings))
    epochs, n_items = settings.schedule().epochs, len(training) * settings.crops_per_micrograph
    # a last step of a single crop would leave batch normalisation without statistics
    per_step = min(settings.crops_per_step, n_items)
    n_steps = n_items // per_step
    # both at once, which the method takes although its stub does not say so
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    network = with_shared_statistics(network, device)
    run = start_run(network, settings, n_steps=epochs * n_steps, crf_learning_rate=crf_learning_rate)
    random_state = continue_run(run, resume)
    batches = [
        list(own_share(step)) for step in epoch_batches(range(len(run.history), epochs), n_items, per_step, seed=seed)
    ]
    crops = training_crops(training, settings, n_items=epochs * n_items, classes=classes, seed=seed)
    stream = iter(crop_loader(crops, batches, workers=settings.workers, device=device))
    # the loader draws from PyTorch's generator when it starts
    restore_random_state(random_state)
    score_options: dict[str, Any] = {
        "prediction": prediction,
        "classes": classes,
        "uncertain": crops.uncertain,
        "device": device,
    }
    step_options: dict[str, Any] = {
        "max_norm": settings.gradient_norm,
        "mixed": settings.mixed_precision,
        "device": device,
    }
    loss = joined_with_background(make_loss(settings.loss), classes, unlabelled)
    for _ in range(len(run.history), epochs):
        if out_of_patience(run, settings.patience):
            break
        start = time.perf_counter()
        steps = train_epoch(run, islice(stream, n_steps), loss, **step_options)
        score = validate(run.averaged.module, validation, loss, mixed=settings.mixed_precision, **score_options)
        finish_epoch(run, steps, score, seconds=time.perf_counter() - start)
        log_epoch(run.history[-1], epochs)
        save_run(run, resume if is_first_worker() else None)
    if not run.best_state:
        raise UserError("training: the loss is not finite from the first epoch on; lower training/learning_rate")
    return run.best_state, run.history


def start_run(
    network: nn.Module, settings: TrainingSettings, *, n_steps: int, crf_learning_rate: float | None = None
) -> Run:
    """State before the first of `n_steps` steps; a `CrfNetwork` needs the learning rate of its CRF.

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
    optimizer, schedule = make_optimizer(network, settings, n_steps=n_steps, crf_learning_rate=crf_learning_rate)
    return Run(network, averaged_weights(network, settings.averaging_decay), optimizer, schedule)


def mixed_precision(device: str, *, wanted: bool) -> torch.autocast:
    """Context of bfloat16 where a GPU computes it by itself; never on a CPU, since most emulate it."""
    able = device.startswith("cuda") and torch.cuda.get_device_capability(device)[0] >= BFLOAT16_CAPABILITY
    return torch.autocast("cuda" if able else "cpu", torch.bfloat16, enabled=wanted and able)


def train_epoch(
    run: Run,
    batches: Iterable[tuple[torch.Tensor, torch.Tensor]],
    loss: Loss,
    *,
    max_norm: float | None = None,
    mixed: bool = True,
    device: str,
) -> Steps:
    """Take one optimiser step per batch of crops; gradients longer than `max_norm` are shortened to it.

    Parameters
    ----------
    run : Run
        State of the training, which is changed.
    batches : iterable of (Tensor, Tensor)
        Images (n, 1, h, w) and labels (n, h, w) of every step.
    loss : Loss
        Function of logits and labels.
    max_norm : float or None
        Longest gradient; None does not shorten.
    mixed : bool
        Use bfloat16 where the device computes it.
    device : str
        Device of PyTorch.
    """
    run.network.train()
    losses, data_seconds, start = [], 0.0, time.perf_counter()
    asked = start
    for images, labels in batches:
        data_seconds += time.perf_counter() - asked
        with mixed_precision(device, wanted=mixed):
            logits = padded_logits(run.network, images.to(device, non_blocking=True))
        value = loss(logits, labels.to(device, non_blocking=True))
        run.optimizer.zero_grad()
        value.backward()
        average_gradients(run.network)
        if max_norm is not None:
            nn.utils.clip_grad_norm_(run.network.parameters(), max_norm)
        run.optimizer.step()
        run.schedule.step()
        run.averaged.update_parameters(run.network)
        # waits for the device, so that what follows is time in which it has nothing to do
        losses.append(value.item())
        asked = time.perf_counter()
    return Steps(float(np.mean(gathered(losses))), data_seconds, asked - start - data_seconds)


def validate(
    network: nn.Module,
    micrographs: Sequence[LabelledMicrograph],
    loss: Loss,
    *,
    prediction: PredictionSettings,
    classes: Sequence[str],
    device: str,
    uncertain: Uncertain = ALL_CERTAIN,
    mixed: bool = True,
) -> Score:
    """Predict whole micrographs and score the particle class with counts pooled over all of them.

    Pixels that do not count in training do not count here either.

    Parameters
    ----------
    network : nn.Module
        Network to score.
    micrographs : sequence of LabelledMicrograph
        Micrographs of the validation part.
    loss : Loss
        Function of logits and labels.
    prediction : PredictionSettings
        Tiles of the prediction.
    classes : sequence of str
        Names of the classes, in the order of the channels.
    device : str
        Device of PyTorch.
    uncertain : Uncertain
        Distances (Å) within which pixels do not count.
    mixed : bool
        Use bfloat16 where the device computes it.
    """
    network.eval()
    share_buffers(network)
    particle = channel(classes, CLASSES[PARTICLE])
    losses, counts = [], []
    for micrograph in own_share(micrographs):
        image = read_array(micrograph.images, "image", micrograph.name).data
        target = torch.from_numpy(training_label(*read_label(micrograph, uncertain), classes))
        with mixed_precision(device, wanted=mixed):
            probability = torch.from_numpy(predict(network, image, device=device, **dict(prediction)))
        # softmax(log p) = p: the log-probabilities are logits of the stitched map
        losses.append(loss(probability.clamp_min(1e-7).log()[None], target[None]).item())
        counted = target != IGNORED
        of_particle = probability[particle][counted][None, None], (target[counted] == particle).long()[None, None]
        counts.append(smp.metrics.get_stats(*of_particle, mode="binary", threshold=0.5))
    pooled = [torch.cat(values) for values in zip(*gathered(counts), strict=True)]
    iou, f1 = (score(*pooled, reduction="micro").item() for score in (smp.metrics.iou_score, smp.metrics.f1_score))
    return Score(float(np.mean(gathered(losses))), iou, f1)


def finish_epoch(run: Run, steps: Steps, score: Score, *, seconds: float) -> None:
    """Add the epoch to the history, and keep its weights if they are the best so far.

    Parameters
    ----------
    run : Run
        State of the training, which is changed.
    steps : Steps
        Loss and seconds of the epoch.
    score : Score
        Scores of the validation part.
    seconds : float
        Seconds of the epoch, validation included.
    """
    epoch = len(run.history) + 1
    run.history.append(
        {
            "epoch": epoch,
            "train_loss": steps.loss,
            "validation_loss": score.loss,
            "validation_iou": score.iou,
            "validation_f1": score.f1,
            "learning_rate": float(run.schedule.get_last_lr()[0]),
            "seconds": seconds,
            "data_seconds": steps.data_seconds,
            "compute_seconds": steps.compute_seconds,
            "validation_seconds": seconds - steps.data_seconds - steps.compute_seconds,
        }
    )
    if np.isfinite(steps.loss + score.loss) and score.iou > run.best_iou:
        run.best_iou, run.best_epoch = score.iou, epoch
        run.best_state = {name: tensor.detach().clone() for name, tensor in run.averaged.module.state_dict().items()}


def log_epoch(row: Mapping[str, float], epochs: int) -> None:
    """Report an epoch in one line."""
    log.info(
        "epoch %d of %d: train loss %.4f, validation loss %.4f, IoU %.4f, "
        "%.1f s (waiting for crops %.1f, steps %.1f, validation %.1f)",
        *(row["epoch"], epochs, row["train_loss"], row["validation_loss"], row["validation_iou"]),
        *(row[f"{part}seconds"] for part in ("", "data_", "compute_", "validation_")),
    )


def out_of_patience(run: Run, patience: int | None) -> bool:
    """Whether the last `patience` epochs brought no better IoU; None never loses patience."""
    if patience is None or len(run.history) < run.best_epoch + patience:
        return False
    log.info("no better IoU in %d epochs: stops after epoch %d", patience, len(run.history))
    return True
