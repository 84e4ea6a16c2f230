"""Training of a segmentation network on random crops of labelled micrographs."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import h5py
import numpy as np
import segmentation_models_pytorch as smp
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset

from crisp_core.arrays import read_array, read_window
from crisp_core.classes import PARTICLE, merged_classes
from crisp_core.errors import UserError
from crisp_core.inference import padded_logits, predict
from crisp_core.losses import IGNORED, Loss, make_loss

log = logging.getLogger("crisp")


class LabelledMicrograph(NamedTuple):
    """A micrograph's name and the batch files that hold its image and its label."""

    name: str
    images: str
    labels: str


class Score(NamedTuple):
    """Loss and pooled pixel scores of the particle class on the validation micrographs."""

    loss: float
    iou: float
    f1: float


class Crops(Dataset):
    """Random crops, turned and mirrored; item `i` is always the same crop, whatever was read before.

    Every epoch of `len(micrographs) × crops_per_micrograph` items takes the same number from each micrograph. Crops
    are read from disk one by one; nothing is kept in memory.
    """

    def __init__(
        self,
        micrographs: Sequence[LabelledMicrograph],
        *,
        crop_px: int,
        n_items: int,
        contrast_jitter: float,
        n_classes: int,
        seed: int,
    ) -> None:
        self.micrographs = list(micrographs)
        self.crop_px = crop_px
        self.n_items = n_items
        self.contrast_jitter = contrast_jitter
        self.n_classes = n_classes
        self.seed = seed

    def __len__(self) -> int:
        return self.n_items

    def __getitem__(self, item: int) -> tuple[np.ndarray, np.ndarray]:
        """Return image (1, crop_px, crop_px) float32 and label (crop_px, crop_px) uint8 with `IGNORED` pixels."""
        rng = np.random.default_rng([self.seed, item])
        image, label = read_crop(
            self.micrographs[item % len(self.micrographs)], self.crop_px, rng, n_classes=self.n_classes
        )
        image = jitter_contrast(image, self.contrast_jitter, rng)
        quarter_turns, mirrored = rng.integers(4), rng.integers(2)
        image, label = (np.rot90(a[:, ::-1] if mirrored else a, quarter_turns).copy() for a in (image, label))
        return image[None], label


def read_crop(
    micrograph: LabelledMicrograph, crop_px: int, rng: np.random.Generator, *, n_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Read a crop at a random place: image float32 and label uint8, both (crop_px, crop_px).

    A micrograph smaller than the crop is continued with ignored zeros.
    """
    with h5py.File(micrograph.images) as images, h5py.File(micrograph.labels) as labels:
        shape = images[f"image/{micrograph.name}"].shape
        y, x = (int(rng.integers(max(n - crop_px, 0) + 1)) for n in shape)
        place = (slice(y, y + crop_px), slice(x, x + crop_px))
        image = read_window(images, "image", micrograph.name, *place)
        valid = read_window(images, "valid", micrograph.name, *place)
        label = read_window(labels, "label", micrograph.name, *place)
    missing = [(0, crop_px - n) for n in image.shape]
    label = np.where(valid, merged_classes(label, n_classes), IGNORED).astype(np.uint8)
    return np.pad(image, missing), np.pad(label, missing, constant_values=IGNORED)


def jitter_contrast(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Scale and shift a normalised image by up to `strength`: ice thickness and dose differ between micrographs."""
    gain, offset = rng.uniform(-strength, strength, 2)
    return (image * (1 + gain) + offset).astype(np.float32)


def fit(
    network: nn.Module,
    training: Sequence[LabelledMicrograph],
    validation: Sequence[LabelledMicrograph],
    *,
    settings: Mapping[str, Any],
    prediction: Mapping[str, Any],
    n_classes: int = 2,
    device: str,
    seed: int,
) -> tuple[dict[str, torch.Tensor], list[dict[str, float]]]:
    """Train `network` in place and return the weights of its best epoch.

    Parameters
    ----------
    network : Module
        Logits (b, labels, h, w) from images (b, 1, h, w).
    training, validation : sequences of LabelledMicrograph
        Neither may be empty.
    settings : mapping
        Section `training` of an experiment.
    prediction : mapping
        Section `prediction` of an experiment: tiles of the validation micrographs.
    n_classes : int
        Channels of the network; labels of other classes count as background.
    device : str
    seed : int

    Returns
    -------
    state : dict of tensors
        Weights of the epoch with the highest validation IoU.
    history : list of dicts
        One row per epoch: epoch, train_loss, validation_loss, validation_iou, validation_f1, learning_rate, seconds.
    """
    for part, micrographs in (("train", training), ("validation", validation)):
        if not micrographs:
            raise UserError(
                f"training: no labelled micrograph in the part {part!r}; give more coordinates or correct split"
            )
    epochs, n_items = settings["epochs"], len(training) * settings["crops_per_micrograph"]
    crops = Crops(
        training,
        crop_px=settings["crop_px"],
        n_items=epochs * n_items,
        contrast_jitter=settings["contrast_jitter"],
        n_classes=n_classes,
        seed=seed,
    )
    network.to(device, memory_format=torch.channels_last)
    # a last step of a single crop would leave batch normalisation without statistics
    per_step = min(settings["crops_per_step"], n_items)
    optimizer, schedule = make_optimizer(network, settings, n_steps=epochs * (n_items // per_step))
    averaged = averaged_weights(network, settings["averaging_decay"])
    loss = make_loss(settings["loss"])

    best, state, history = -1.0, {}, []
    for epoch in range(epochs):
        start = time.perf_counter()
        order = np.random.default_rng([seed, epoch]).permutation(n_items) + epoch * n_items
        epoch_crops = Subset(crops, order.tolist())
        batches = DataLoader(epoch_crops, per_step, num_workers=settings["workers"], drop_last=True)
        train_loss = train_epoch(network, averaged, batches, loss, optimizer, schedule, device=device)
        score = validate(averaged.module, validation, loss, prediction=prediction, n_classes=n_classes, device=device)
        history.append(_history_row(epoch, train_loss, score, schedule.get_last_lr()[0], time.perf_counter() - start))
        log.info(
            "epoch %d of %d: train loss %.4f, validation loss %.4f, IoU %.4f, %.0f s",
            *(epoch + 1, epochs, train_loss, score.loss, score.iou, history[-1]["seconds"]),
        )
        if np.isfinite(train_loss + score.loss) and score.iou > best:
            best = score.iou
            state = {name: tensor.detach().clone() for name, tensor in averaged.module.state_dict().items()}
    if not state:
        raise UserError("training: the loss is not finite from the first epoch on; lower training/learning_rate")
    return state, history


def _history_row(epoch: int, train_loss: float, score: Score, rate: float, seconds: float) -> dict[str, float]:
    return {
        "epoch": epoch + 1,
        "train_loss": train_loss,
        "validation_loss": score.loss,
        "validation_iou": score.iou,
        "validation_f1": score.f1,
        "learning_rate": rate,
        "seconds": seconds,
    }


def make_optimizer(
    network: nn.Module, settings: Mapping[str, Any], *, n_steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """AdamW (Adam where `weight_decay` is 0), one-cycle learning rate over `n_steps` steps (Smith & Topin 2019)."""
    rate = settings["learning_rate"]
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=settings["weight_decay"])
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=rate, total_steps=n_steps + 1)


def averaged_weights(network: nn.Module, decay: float) -> torch.optim.swa_utils.AveragedModel:
    """Exponential moving average of the network's weights; `decay` 0 follows the network itself."""
    average = torch.optim.swa_utils.get_ema_multi_avg_fn(decay)
    return torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=average, use_buffers=True)


def train_epoch(
    network: nn.Module,
    averaged: torch.optim.swa_utils.AveragedModel,
    loader: Iterator[tuple[torch.Tensor, torch.Tensor]],
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    *,
    device: str,
) -> float:
    """Take one optimiser step per batch of crops and return the mean loss."""
    network.train()
    losses = []
    for images, labels in loader:
        images = images.to(device)
        value = loss(padded_logits(network, images), labels.to(device))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        schedule.step()
        averaged.update_parameters(network)
        losses.append(value.item())
    return float(np.mean(losses))


def validate(
    network: nn.Module,
    micrographs: Sequence[LabelledMicrograph],
    loss: Loss,
    *,
    prediction: Mapping[str, Any],
    n_classes: int,
    device: str,
) -> Score:
    """Predict whole micrographs and score the particle class with counts pooled over all of them."""
    network.eval()
    losses, counts = [], []
    for micrograph in micrographs:
        image = read_array(micrograph.images, "image", micrograph.name).data
        valid = read_array(micrograph.images, "valid", micrograph.name).data
        label = read_array(micrograph.labels, "label", micrograph.name).data
        probability = torch.from_numpy(predict(network, image, device=device, **prediction))
        label = merged_classes(label, n_classes)
        target = torch.from_numpy(np.where(valid, label, IGNORED))
        # softmax(log p) = p: the log-probabilities are logits of the stitched map
        losses.append(loss(probability.clamp_min(1e-7).log()[None], target[None]).item())
        particle = torch.from_numpy(valid)
        of_particle = probability[PARTICLE][particle][None], (target[particle] == PARTICLE).long()[None]
        counts.append(smp.metrics.get_stats(*of_particle, mode="binary", threshold=0.5))
    pooled = [torch.cat(values) for values in zip(*counts, strict=True)]
    iou, f1 = (score(*pooled, reduction="micro").item() for score in (smp.metrics.iou_score, smp.metrics.f1_score))
    return Score(float(np.mean(losses)), iou, f1)
