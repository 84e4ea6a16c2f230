"""Where and on how many threads PyTorch computes."""

import os

import torch


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
    return "cuda" if gpus and torch.cuda.is_available() else "cpu"


def processors() -> int:
    """Number of processors that this process may use."""
    # macOS has no affinity
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
