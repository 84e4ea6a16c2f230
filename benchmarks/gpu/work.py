"""What every part gets, and how it measures."""

import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from crisp_core.segmentation.devices import processors

Add = Callable[[Mapping[str, Any]], None]
"""Writes numbers, by names with their units, into the files of the run."""


class Work(NamedTuple):
    """Places, device and time of a part."""

    out: Path
    """Folder that is kept."""
    scratch: Path
    """Folder for files that are not."""
    general: Path
    """Config of the general network."""
    device: str
    rehearse: bool
    """Tiny sizes."""
    deadline: float
    """By `time.monotonic`."""

    def threads(self) -> int:
        """Threads of PyTorch: all of the machine, one where a rehearsal's arrays are too small for more."""
        return 1 if self.rehearse else processors()

    def left_s(self) -> float:
        """Seconds until the part is cut off."""
        return self.deadline - time.monotonic()


def synchronise(device: str) -> None:
    """Wait until the device has done all that it was asked."""
    if device == "cuda":
        import torch

        torch.cuda.synchronize()


def median_seconds(action: Callable[[], Any], *, device: str, repeats: int) -> float:
    """Median of several runs of an action, after one that does not count."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        action()
        synchronise(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def epochs_that_fit(wanted: int, epoch_s: float, seconds: float) -> int:
    """As many epochs as the time allows, at least one, at most those wanted."""
    return max(1, min(wanted, int(seconds / epoch_s)))
