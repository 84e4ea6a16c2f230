"""Micrographs of a training, checked, and their crops, step by step."""

from collections.abc import Iterable, Sequence
from typing import cast

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from crisp_core.classes import PARTICLE
from crisp_core.errors import UserError
from crisp_core.segmentation.crops import Crops, LabelledMicrograph, Uncertain, read_label
from crisp_core.segmentation.training_settings import TrainingSettings

MAX_WORKERS = 8


def uncertain_distances(settings: TrainingSettings) -> Uncertain:
    """Distances of the section `training` within which labels are uncertain."""
    return Uncertain(settings.ignore_band_angstrom, settings.ignore_unlabelled_angstrom)


def check_parts(
    training: Sequence[LabelledMicrograph], validation: Sequence[LabelledMicrograph], uncertain: Uncertain
) -> None:
    """Refuse to train without micrographs to train on or to choose the best epoch by, or without particles on them.

    Parameters
    ----------
    training, validation : sequences of LabelledMicrograph
        Micrographs of the two parts.
    uncertain : Uncertain
        Distances within which labels do not count.
    """
    for part, micrographs in (("train", training), ("validation", validation)):
        if not micrographs:
            raise UserError(
                f"training: no labelled micrograph in the part {part!r}; give more coordinates or correct split"
            )
        any_labelled = False
        for micrograph in micrographs:
            label, counts = read_label(micrograph, uncertain)
            particle = label == PARTICLE
            any_labelled |= bool(particle.any())
            if particle[counts].any():
                break
        else:
            raise UserError(_no_particle(part, micrographs, uncertain, any_labelled=any_labelled))


def _no_particle(
    part: str, micrographs: Sequence[LabelledMicrograph], uncertain: Uncertain, *, any_labelled: bool
) -> str:
    """Message about a part without a pixel of a particle that counts."""
    if not any_labelled:
        return (
            f"training: no particle in the labels of the {len(micrographs)} micrographs of the part {part!r} (the "
            f"first is {micrographs[0].name}); give coordinates of others, or correct split"
        )
    band = uncertain.band_angstrom
    return f"training/ignore_band_angstrom: {band:g} Å leave no pixel of a particle that counts in part {part!r}; " + (
        "give less than the radius of the labels" if band else "its particles are on masked or unsure area"
    )


def training_crops(
    micrographs: Sequence[LabelledMicrograph],
    settings: TrainingSettings,
    *,
    n_items: int,
    classes: Sequence[str],
    seed: int,
) -> Crops:
    """Crops as the section `training` of an experiment describes them.

    Parameters
    ----------
    micrographs : sequence of LabelledMicrograph
        Micrographs with their labels.
    settings : TrainingSettings
        Section `training` of an experiment.
    n_items : int
        Crops in the whole training, or in one epoch where each has crops of its own.
    classes : sequence of str
        Names of the classes, in the order of the channels.
    seed : int
        Seed of the draws.
    """
    return Crops(
        micrographs,
        n_items=n_items,
        uncertain=uncertain_distances(settings),
        classes=classes,
        seed=seed,
        crop_px=settings.crop_px,
        contrast_jitter=settings.contrast_jitter,
        defocus_jitter=settings.defocus_jitter,
        empty_share=settings.empty_share,
    )


def epoch_batches(epochs: Iterable[int], n_items: int, per_step: int, *, seed: int) -> list[list[int]]:
    """Numbers of the crops of every step; each epoch has crops and an order of its own, whatever came before.

    Parameters
    ----------
    epochs : iterable of int
        Numbers of the epochs to come.
    n_items : int
        Crops in an epoch.
    per_step : int
        Crops in a step.
    seed : int
        Seed of the draws.
    """
    batches = []
    for epoch in epochs:
        order = np.random.default_rng([seed, epoch]).permutation(n_items) + epoch * n_items
        batches += [order[i : i + per_step].tolist() for i in range(0, n_items - per_step + 1, per_step)]
    return batches


def crop_loader(crops: Crops, batches: list[list[int]], *, workers: int | None, device: str) -> DataLoader:
    """Loader of all steps to come, so that its processes read on between the epochs.

    Without a number, a CPU gets no `workers`, since its cores are busy with the network, and a GPU one per thread of
    this process, up to `MAX_WORKERS`.

    Parameters
    ----------
    crops : Crops
        Crops by number.
    batches : list of lists of int
        Numbers of the crops of every step.
    workers : int or None
        Processes that read crops; None chooses by the device.
    device : str
        Device of PyTorch.
    """
    on_gpu = device.startswith("cuda")
    if workers is None:
        workers = min(torch.get_num_threads(), MAX_WORKERS) if on_gpu else 0
    # it takes whatever has a length and items
    dataset = cast(Dataset, crops)
    return DataLoader(dataset, batch_sampler=batches, num_workers=workers, pin_memory=on_gpu)
