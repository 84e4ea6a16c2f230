"""Part 5: the paper's synthetic experiment at the largest scale that fits the part's budget."""

import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import paper as experiment
from benchmarks.gpu.work import Add, Work, epochs_that_fit
from crisp_core.evaluation.pixels import f1, iou, pool_pixels, recall
from crisp_core.segmentation.crops import LabelledMicrograph
from crisp_core.segmentation.devices import processors, start_torch

# the one that `experiment` uses
synthetic = experiment.synthetic

# Share of the budget for simulation; of what is left then, that for training.
SIMULATION_SHARE, TRAINING_SHARE = 0.35, 0.7
N_TRAIN, N_VALIDATION = 16, 6
SMALL_NETWORK = {"architecture": "unetplusplus", "encoder": "tu-resnet10t"}
REHEARSAL = {"epochs": 2, "crop_px": 64, "crops_per_micrograph": 4}
REHEARSAL_SIDE_PX = 256


def measure(add: Add, work: Work) -> None:
    """Simulate, train, predict, score; numbers as soon as they are known."""
    with ProcessPoolExecutor(processors()) as pool:
        simulated = simulate(add, work, pool)
        parts = split(simulated)
        add({f"n_{part}": len(micrographs) for part, micrographs in parts.items()})
        network_settings = SMALL_NETWORK if work.rehearse else experiment.NETWORK
        settings = experiment.TRAINING | (REHEARSAL if work.rehearse else {})
        # the pool's processes exist by now: they know nothing of the GPU
        device = start_torch(threads=work.threads(), gpus=int(work.device == "cuda"))
        trained = partial(synthetic.trained, parts, network_settings, prediction=experiment.PREDICTION, device=device)
        settings["epochs"] = affordable_epochs(add, trained, settings, work)
        network, history, seconds = trained(training=settings)
        add({"epochs": settings["epochs"], "training_s": seconds, "seconds_per_epoch": seconds / len(history)})
        add({"seconds_of_50_epochs": 50 * seconds / len(history), "validation_iou": history["validation_iou"].max()})
        maps, per_micrograph = synthetic.predicted(network, parts["test"], experiment.PREDICTION, device)
        add({"prediction_s_per_micrograph": per_micrograph})
        counts = pool.map(partial(score, work.scratch), maps.items())
        pixels = pool_pixels([one for counted in counts for one in counted])
    add({"iou": float(iou(pixels)), "recall": float(recall(pixels)), "f1": float(f1(pixels))})


def simulate(add: Add, work: Work, pool: ProcessPoolExecutor) -> list[LabelledMicrograph]:
    """Simulate and prepare as many of the 84 micrographs as the share of the budget allows, on all cores."""
    sizes = experiment.SMALL | {"n": 4, "side_px": REHEARSAL_SIDE_PX, "n_particles": (2, 3)}
    sizes = dict(sizes if work.rehearse else experiment.FULL)
    start, allowed_s = time.perf_counter(), SIMULATION_SHARE * work.left_s()
    one = partial(simulate_one, work.scratch, experiment.density(), sizes["side_px"], sizes["n_particles"])
    made: list[LabelledMicrograph] = []
    n_minimum = 3 if work.rehearse else N_TRAIN + N_VALIDATION + 2
    names = [f"m{i:03d}" for i in range(sizes["n"])]
    for i in range(0, len(names), processors()):
        made += pool.map(one, names[i : i + processors()])
        add({"n_simulated": len(made), "simulation_s": time.perf_counter() - start})
        if len(made) >= n_minimum and time.perf_counter() - start > allowed_s:
            break
    return made


def simulate_one(
    folder: Path, volume: np.ndarray, side_px: int, n_particles: tuple[int, int], name: str
) -> LabelledMicrograph:
    """Simulate and prepare a micrograph."""
    synthetic.simulate_one(folder, volume, side_px, n_particles, "finufft", name)
    return synthetic.prepared(folder, [name], synthetic.PIXEL_SIZE)[name]


def split(micrographs: list[LabelledMicrograph]) -> dict[str, list[LabelledMicrograph]]:
    """Parts in the paper's numbers, of few micrographs in the same order of size."""
    n_train = min(N_TRAIN, len(micrographs) - 2)
    n_validation = min(N_VALIDATION, len(micrographs) - n_train - 1)
    rest = micrographs[n_train:]
    return {"train": micrographs[:n_train], "validation": rest[:n_validation], "test": rest[n_validation:]}


def affordable_epochs(add: Add, trained: Any, settings: dict[str, Any], work: Work) -> int:
    """Number of epochs that fit, at most the settings', from the second of two epochs that do not count."""
    _, history, _ = trained(training=settings | {"epochs": 2})
    first, second = history.to_dict("records")
    add({"seconds_of_the_first_epoch": first["seconds"]})
    parts = ("", "data_", "compute_", "validation_")
    add({f"{part}seconds_of_the_second_epoch": second[f"{part}seconds"] for part in parts})
    return epochs_that_fit(settings["epochs"], second["seconds"], TRAINING_SHARE * work.left_s())


def score(folder: Path, predicted: tuple[str, np.ndarray]) -> Any:
    """Counts of a micrograph's pixels."""
    return synthetic.full_size_counts(folder, dict([predicted]))
