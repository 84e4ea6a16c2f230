"""State of an unfinished training on disk, from which the training continues after an interruption."""

import hashlib
import json
import logging
import os
import pickle
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from crisp_core.segmentation.crops import LabelledMicrograph

log = logging.getLogger("crisp")

# writing takes at most this share of the time of a training
SAVING_SHARE = 0.1


class Resume(NamedTuple):
    """File of an unfinished training's state, and the digest of all that its result depends on."""

    path: Path
    digest: str


@dataclass
class Run:
    """State of a training: everything that changes from step to step."""

    network: nn.Module
    averaged: torch.optim.swa_utils.AveragedModel
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    best_iou: float = -1.0
    best_epoch: int = 0
    best_state: dict[str, torch.Tensor] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    saved_at: float = float("-inf")
    saving_seconds: float = 0.0


# what has a state of its own, and what is a plain value or holds tensors alone
STATEFUL = ("network", "averaged", "optimizer", "schedule")
PLAIN = ("best_iou", "best_epoch", "best_state", "history")


def training_digest(parts: Mapping[str, Sequence[LabelledMicrograph]], settings: Mapping[str, Any]) -> str:
    """Digest of the settings, the parts, and the names, sizes and times of the micrographs' files."""
    paths = sorted({path for micrographs in parts.values() for m in micrographs for path in (m.images, m.labels)})
    files = [(path, os.stat(path).st_size, os.stat(path).st_mtime_ns) for path in paths]
    names = {part: [f"{m.dataset}/{m.name}" for m in micrographs] for part, micrographs in parts.items()}
    return hashlib.sha256(json.dumps([settings, names, files], sort_keys=True).encode()).hexdigest()


def save_run(run: Run, resume: Resume | None) -> None:
    """Replace the file by the state after an epoch.

    An epoch is passed over where writing all of them would take more than `SAVING_SHARE` of the time.
    """
    start = time.perf_counter()
    if resume is None or start - run.saved_at < run.saving_seconds / SAVING_SHARE:
        return
    state = {name: getattr(run, name).state_dict() for name in STATEFUL} | {name: getattr(run, name) for name in PLAIN}
    on_gpu = torch.cuda.is_available() and torch.cuda.is_initialized()
    state["random"] = [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if on_gpu else [])]
    resume.path.parent.mkdir(parents=True, exist_ok=True)
    # whoever is killed while writing leaves the state before
    unfinished = resume.path.with_suffix(".tmp")
    torch.save({"digest": resume.digest, **state}, unfinished)
    unfinished.replace(resume.path)
    run.saved_at = time.perf_counter()
    run.saving_seconds = run.saved_at - start


def continue_run(run: Run, resume: Resume | None) -> list[torch.Tensor]:
    """Restore the state in the file, if it belongs to the same training.

    Returns
    -------
    list of tensors
        State of PyTorch's random generators, for `restore_random_state`; empty if the training starts again.
    """
    state = _read_state(resume) if resume is not None else None
    if state is None:
        return []
    for name in STATEFUL:
        getattr(run, name).load_state_dict(state[name])
    for name in PLAIN:
        setattr(run, name, state[name])
    log.info("training continues after epoch %d", len(run.history))
    return state["random"]


def _read_state(resume: Resume) -> dict[str, Any] | None:
    if not resume.path.exists():
        return None
    try:
        state = torch.load(resume.path, map_location="cpu", weights_only=True)
        known = state["digest"]
    except (pickle.UnpicklingError, RuntimeError, KeyError, TypeError, EOFError, OSError):
        log.warning("%s cannot be read: training starts again from epoch 1", resume.path)
        return None
    if known != resume.digest:
        log.info("%s was written with other settings, files or code: training starts again from epoch 1", resume.path)
        return None
    return state


def restore_random_state(states: Sequence[torch.Tensor]) -> None:
    """Set PyTorch's generators, of the CPU and of each GPU, as they were; nothing is done for an empty list."""
    for number, state in enumerate(states):
        if number == 0:
            torch.set_rng_state(state)
        elif number <= torch.cuda.device_count():
            torch.cuda.set_rng_state(state, number - 1)


def forget_run(resume: Resume) -> None:
    """Remove the file of a training that is finished, and its folder if nothing else is in it."""
    resume.path.unlink(missing_ok=True)
    folder = resume.path.parent
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
