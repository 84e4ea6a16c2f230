"""Data-parallel training: a process (worker) per GPU, started by torchrun; each takes its share of every step's crops.

Gradients are averaged over the workers, and batch normalisation takes its statistics from all of them, so that a step
is that of one process with all crops, except for losses that are no mean over pixels (Dice) and for crops with unequal
numbers of pixels that count.
"""

import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import nn

from crisp_core.logs import start_log
from crisp_core.segmentation.devices import gpu_names, start_torch, take_gpu

Item = TypeVar("Item")


def start_workers(log_path: str, *, gpus: int) -> logging.Logger:
    """Start the log and, for several GPUs, this script once per GPU; the process that does so ends with them.

    Parameters
    ----------
    log_path : str
        Log file of the job; only the first worker writes it.
    gpus : int
        GPUs that the scheduler granted. Fewer workers start if fewer are free, and none without a GPU.
    """
    log = start_log(log_path if os.environ.get("RANK", "0") == "0" else os.devnull)
    if gpus < 2 or is_worker():
        return log
    taken = sorted({number for number in (take_gpu() for _ in range(gpus)) if number is not None})
    if not taken:
        return log
    names = gpu_names(torch.cuda.device_count())
    visible = {"CUDA_VISIBLE_DEVICES": ",".join(names[number] for number in taken)}
    sys.exit(subprocess.run(torchrun(len(taken), sys.argv[0]), env=os.environ | visible).returncode)


def torchrun(n: int, script: str) -> list[str]:
    """Command line that runs a script in n processes of this machine."""
    return [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(n), script]


def is_worker() -> bool:
    """Whether torchrun started this process."""
    return "LOCAL_RANK" in os.environ


def start_worker(*, threads: int, gpus: int) -> str:
    """Device of this process, as `devices.start_torch`; a worker joins the others and takes the GPU of its number.

    Parameters
    ----------
    threads, gpus : int
        What the scheduler granted to the job.
    """
    if not is_worker():
        return start_torch(threads=threads, gpus=gpus)
    device = start_torch(threads=threads // int(os.environ["WORLD_SIZE"]), gpus=0)
    if gpus and torch.cuda.is_available():
        device = "cuda"
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if device == "cuda" else "gloo")
    return device


def end_other_workers() -> None:
    """End all workers but the first, which writes the results."""
    if not dist.is_initialized():
        return
    is_first = dist.get_rank() == 0
    dist.destroy_process_group()
    if not is_first:
        sys.exit()


def is_first_worker() -> bool:
    """Whether this process is the first worker, or the only one."""
    return not dist.is_initialized() or dist.get_rank() == 0


def own_share(items: Sequence[Item]) -> Sequence[Item]:
    """Items that this worker takes: all, where it is the only one."""
    return items[dist.get_rank() :: dist.get_world_size()] if dist.is_initialized() else items


def gathered(items: list[Item]) -> list[Item]:
    """Items of all workers, in the same order for each of them."""
    if not dist.is_initialized():
        return items
    parts: list[list[Item]] = [[] for _ in range(dist.get_world_size())]
    dist.all_gather_object(parts, items)
    return [item for part in parts for item in part]


def with_shared_statistics(network: nn.Module, device: str) -> nn.Module:
    """Network whose batch normalisation takes its statistics from all workers, where they are on GPUs."""
    if dist.is_initialized() and device == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(network)
    return network


def average_gradients(network: nn.Module) -> None:
    """Replace each gradient by its mean over the workers."""
    if dist.is_initialized():
        for parameter in network.parameters():
            if parameter.grad is not None:
                dist.all_reduce(parameter.grad)
                parameter.grad /= dist.get_world_size()


def share_buffers(network: nn.Module) -> None:
    """Give all workers the running statistics of the first one."""
    if dist.is_initialized():
        for buffer in network.buffers():
            dist.broadcast(buffer, 0)
