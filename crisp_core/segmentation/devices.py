"""Device and number of threads of PyTorch."""

import fcntl
import logging
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import torch

log = logging.getLogger("crisp")
# the lock of this process on its GPU, which ends with it
held: list[BinaryIO] = []


def start_torch(*, threads: int, gpus: int) -> str:
    """Limit PyTorch to `threads` or the processors there are, whichever is fewer, and choose the device.

    Parameters
    ----------
    threads, gpus : int
        What the scheduler granted to the job.

    Returns
    -------
    str
        ``"cuda"`` if the job has a GPU and PyTorch can use it, else ``"cpu"``.
    """
    torch.set_num_threads(max(1, min(threads, processors())))
    number = take_gpu() if gpus else None
    if number is None:
        return "cpu"
    torch.cuda.set_device(number)
    return "cuda"


def take_gpu() -> int | None:
    """Number of a GPU that no other job of this user has, for this process until its end; None where there is none.

    Where all are taken, it is the first.
    """
    if not torch.cuda.is_available():
        return None
    n_gpus = torch.cuda.device_count()
    if n_gpus == 1:
        return 0
    number, lock = free_gpu(gpu_names(n_gpus), Path(tempfile.gettempdir()))
    held.append(lock)
    log.info("GPU %d of %d", number, n_gpus)
    return number


def gpu_names(n_gpus: int) -> list[str]:
    """Identifiers of the GPUs that PyTorch sees, the same for all jobs on the machine."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",")[:n_gpus] if visible else [str(number) for number in range(n_gpus)]


def free_gpu(names: Sequence[str], folder: Path) -> tuple[int, BinaryIO]:
    """Choose the first GPU that no other job of this user uses, since Snakemake does not assign GPUs to local jobs.

    Parameters
    ----------
    names : sequence of str
        GPUs, as `gpu_names` calls them.
    folder : Path
        Holds one lock file for each; the system frees a lock when its process ends, however it ends.

    Returns
    -------
    (number, lock)
        The place in `names`; it is taken while the lock is open. Where all are taken, the first.
    """
    for number, name in enumerate(names):
        lock = open(folder / f"crisp-{os.getuid()}-gpu-{name.strip().replace('/', '-')}.lock", "wb")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        return number, lock
    return 0, open(os.devnull, "wb")


def processors() -> int:
    """Number of processors that this process may use."""
    # macOS has no affinity
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
