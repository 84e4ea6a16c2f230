"""Part 3: training steps per second from crops on disk, the GPU's busy share, and how fast the loader reads."""

import time
from collections.abc import Iterable
from itertools import islice
from typing import Any

import h5py
import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu.work import Add, Work
from benchmarks.segmentation import CASES, CROPS_PER_STEP
from crisp_core.formats.arrays import write_array
from crisp_core.segmentation.crops import LabelledMicrograph
from crisp_core.segmentation.devices import processors, start_torch
from crisp_core.segmentation.loading import crop_loader, epoch_batches, training_crops
from crisp_core.segmentation.losses.total import make_loss
from crisp_core.segmentation.networks import build_network
from crisp_core.segmentation.resuming import Run
from crisp_core.segmentation.settings import NetworkSettings
from crisp_core.segmentation.training import (
    start_run,
    train_epoch,
)
from crisp_core.segmentation.training_settings import TrainingSettings

# As the defaults of the settings, and as the paper's.
SETTINGS: dict[str, dict[str, Any]] = {
    "default": {"contrast_jitter": 0.1, "weight_decay": 0.01},
    "paper": {"contrast_jitter": 0.0, "weight_decay": 0.0},
}
N_MICROGRAPHS = 6
WARM_STEPS, STEPS, PROFILED_STEPS = 4, 40, 4
WORKERS = (1, 2, 4, 8, 16)


def measure(add: Add, work: Work) -> None:
    """Measure both configurations."""
    # the loader has as many processes as the job has threads
    start_torch(threads=work.threads(), gpus=int(work.device == "cuda"))
    for name in CASES:
        case = CASES["default" if work.rehearse else name]
        crop_px, side_px = (32, 64) if work.rehearse else (case["crop_px"], case["side_px"])
        folder = work.scratch / name
        folder.mkdir()
        micrographs = write_micrographs(folder, side_px)
        settings = TrainingSettings(learning_rate=1e-3, crop_px=crop_px, loss=case["loss"], **SETTINGS[name])
        network = build_network(NetworkSettings(encoder_weights=None, **case["network"]), 2)
        network.to(work.device, memory_format=torch.channels_last)
        run = start_run(network, settings, n_steps=10_000)
        crops_per_s = add_steps(add, name, run, micrographs, settings, work)
        add_loader(add, name, micrographs, settings, crops_per_s, work)


def write_micrographs(folder: Any, side_px: int) -> list[LabelledMicrograph]:
    """Write noise with squares as labels, in one file per micrograph, as large as the case's."""
    made = []
    for i in range(2 if side_px < 256 else N_MICROGRAPHS):
        rng, path = np.random.default_rng(i), folder / f"m{i}.h5"
        image = rng.standard_normal((side_px, side_px), dtype=np.float32)
        label = np.kron(rng.integers(0, 2, (8, 8)), np.ones((side_px // 8, side_px // 8))).astype(np.uint8)
        with h5py.File(path, "w") as file:
            for kind, values in (("image", image), ("valid", np.ones(image.shape, bool)), ("label", label)):
                write_array(file, kind, f"m{i}", values, pixel_size=1.77, full_shape=image.shape)
        made.append(LabelledMicrograph(f"m{i}", str(path), str(path)))
    return made


def stream(
    micrographs: list[LabelledMicrograph], settings: TrainingSettings, n_steps: int, *, workers: int | None, device: str
) -> Iterable[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of crops as the training reads them."""
    n_items = n_steps * CROPS_PER_STEP
    crops = training_crops(micrographs, settings, n_items=n_items, classes=["background", "particle"], seed=0)
    return crop_loader(crops, epoch_batches(range(1), n_items, CROPS_PER_STEP, seed=0), workers=workers, device=device)


def add_steps(
    add: Add, name: str, run: Run, micrographs: list[LabelledMicrograph], settings: TrainingSettings, work: Work
) -> float:
    """Steps per second, time without crops, and the GPU's busy share; returns crops per second of the network alone."""
    warm, n_steps, profiled = (1, 2, 1) if work.rehearse else (WARM_STEPS, STEPS, PROFILED_STEPS)
    batches = iter(stream(micrographs, settings, warm + 3 * n_steps + profiled, workers=None, device=work.device))
    loss = make_loss(settings.loss)

    def steps(n: int, *, mixed: bool) -> Any:
        return train_epoch(run, islice(batches, n), loss, mixed=mixed, device=work.device)

    steps(warm, mixed=True)
    for kind, mixed in (("bfloat16", True), ("float32", False)):
        steps(1, mixed=mixed)
        start = time.perf_counter()
        taken = steps(n_steps, mixed=mixed)
        seconds = time.perf_counter() - start
        add(
            {
                f"{name}/{kind}/steps_per_s": n_steps / seconds,
                f"{name}/{kind}/waiting_share": taken.data_seconds / seconds,
            }
        )
        if mixed:
            crops_per_s, step_s = CROPS_PER_STEP * n_steps / taken.compute_seconds, seconds / n_steps
    activity = ProfilerActivity.CUDA if work.device == "cuda" else ProfilerActivity.CPU
    with profile(activities=[activity]) as profiler:
        steps(profiled, mixed=True)
    add({f"{name}/bfloat16/gpu_busy_share": device_seconds(profiler, work.device) / profiled / step_s})
    if work.device == "cuda":
        add({f"{name}/peak_gpu_mib": torch.cuda.max_memory_allocated() / 2**20})
        torch.cuda.reset_peak_memory_stats()
    return crops_per_s


def device_seconds(profiler: profile, device: str) -> float:
    """Seconds of all kernels and copies of the GPU, or of all operators of the processor."""
    if device == "cuda":
        events = [event for event in profiler.events() if event.device_type == torch.autograd.DeviceType.CUDA]
        return sum(event.self_device_time_total for event in events) / 1e6
    return sum(event.self_cpu_time_total for event in profiler.events()) / 1e6


def add_loader(
    add: Add,
    name: str,
    micrographs: list[LabelledMicrograph],
    settings: TrainingSettings,
    crops_per_s: float,
    work: Work,
) -> None:
    """Crops per second of the loader by its number of processes, and how many the network takes."""
    add({f"{name}/crops_per_s_of_the_network": crops_per_s})
    enough = None
    n_steps = 2 if work.rehearse else 30
    for workers in WORKERS[:1] if work.rehearse else WORKERS:
        if workers > processors():
            break
        batches = iter(stream(micrographs, settings, n_steps, workers=workers, device=work.device))
        # the start of the processes does not count
        next(batches)
        start = time.perf_counter()
        n_crops = sum(len(images) for images, _ in batches)
        read_per_s = n_crops / (time.perf_counter() - start)
        add({f"{name}/crops_per_s_of_{workers}_workers": read_per_s})
        if enough is None and read_per_s >= crops_per_s:
            enough = workers
    add({f"{name}/workers_that_keep_up": enough or "more than tried"})
