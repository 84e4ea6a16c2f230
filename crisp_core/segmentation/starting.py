"""Start of a training job: device, random numbers and micrographs."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from crisp_core.segmentation.crops import LabelledMicrograph, parts_of_datasets
from crisp_core.segmentation.parallel import start_worker


def start_training(
    splits: Sequence[str],
    images: Sequence[str],
    labels: Sequence[str],
    *,
    datasets: Mapping[str, Mapping[str, Any]],
    n_train: int | None,
    seed: int,
    threads: int,
    gpus: int,
) -> tuple[dict[str, list[LabelledMicrograph]], str]:
    """Seed PyTorch, choose the device and read the training and validation micrographs.

    Parameters
    ----------
    splits : sequence of paths
        Table of the parts of every dataset.
    images, labels : sequences of paths
        Batch files of all datasets, one dataset after the other.
    datasets : mapping of dataset to mapping
        n_batches, the number of batch files of every dataset, in the same order; without_training, True for a dataset
        that is for validation alone.
    n_train : int or None
        Only the first training micrographs of every dataset.
    seed : int
        Seed of the weights.
    threads, gpus : int
        CPU threads and GPUs of the job.
    """
    torch.manual_seed(seed)
    device = start_worker(threads=threads, gpus=gpus)
    n_batches = {name: dataset["n_batches"] for name, dataset in datasets.items()}
    without_training = [name for name, dataset in datasets.items() if dataset.get("without_training")]
    parts = parts_of_datasets(
        splits, images, labels, n_batches=n_batches, n_train=n_train, without_training=without_training
    )
    return parts, device
