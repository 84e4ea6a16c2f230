"""Part 6: the general network, trained as its config says with ten times the steps; general.pt comes back."""

import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import torch
import yaml

from benchmarks.gpu.work import Add, Work, epochs_that_fit
from benchmarks.simulation import simulate
from crisp_core.formats.arrays import write_array
from crisp_core.formats.settings import DownloadSettings
from crisp_core.geometry import angstrom_to_px
from crisp_core.labels.pixel_classes import add_scenery_classes
from crisp_core.labels.thresholds import local_window_px, threshold_label
from crisp_core.preparation.normalization import fourier_resample, prepare
from crisp_core.preparation.settings import PreparationSettings
from crisp_core.segmentation.checkpoints import NetworkFacts, network_input
from crisp_core.segmentation.crops import LabelledMicrograph
from crisp_core.segmentation.devices import processors, start_torch
from crisp_core.segmentation.networks import TrainedNetwork, build_network, save_network
from crisp_core.segmentation.settings import NetworkSettings, PredictionSettings
from crisp_core.segmentation.starts import network_classes
from crisp_core.segmentation.training import fit
from crisp_core.segmentation.training_settings import TrainingSettings
from crisp_core.settings.checks import check_settings
from crisp_core.simulation.volumes import read_density

ROOT = Path(__file__).parents[2]
SEED = 1
TIMES_THE_STEPS = 10
VALIDATION_SHARE = 0.2
# Of the time that is left after the simulation.
TRAINING_SHARE = 0.8


def measure(add: Add, work: Work) -> None:
    """Train and write the weights, where there is a config; else say so."""
    if not work.general.is_file():
        add({"not run": f"{work.general.name}: there is no such config yet"})
        return
    dataset, experiment = read_config(work.general)
    micrographs = simulated(dataset, work)
    n_validation = max(1, int(VALIDATION_SHARE * len(micrographs)))
    parts = micrographs[n_validation:], micrographs[:n_validation]
    add({"n_train": len(parts[0]), "n_validation": n_validation, "simulation_and_start_left_s": work.left_s()})
    device = start_torch(threads=work.threads(), gpus=int(work.device == "cuda"))
    train = partial(trained, parts, experiment, device=device)
    _, _, history = train(epochs=2)
    wanted = experiment["training"]["epochs"] * TIMES_THE_STEPS
    epochs = epochs_that_fit(wanted, history["seconds"].iloc[-1], TRAINING_SHARE * work.left_s())
    add({"seconds_per_epoch": float(history["seconds"].iloc[-1]), "epochs": epochs, "epochs_wanted": wanted})
    network, state, history = train(epochs=epochs)
    seen = network_input(PreparationSettings.of(dataset["preparation"]), dataset["particle_diameter_angstrom"])
    network_settings = NetworkSettings.of(experiment["network"])
    facts = NetworkFacts(network_classes(network_settings, None), seen, network_settings)
    save_network(work.out / "general.pt", TrainedNetwork(network, facts), state=state)
    history.to_csv(work.out / "general.tsv", sep="\t", index=False, float_format="%.6g")
    add({"validation_iou": float(history["validation_iou"].max())})
    add({"weights_mib": (work.out / "general.pt").stat().st_size / 2**20})


def read_config(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """First dataset of a config's first network, or of its first run, and that network's settings with all defaults."""
    settings = check_settings(yaml.safe_load(path.read_text())).plain()
    for entry in settings["networks"].values():
        return settings["datasets"][entry["datasets"][0]], entry
    dataset, experiment = settings["run"][0].split("/")
    return settings["datasets"][dataset], settings["experiments"][experiment]


def simulated(dataset: dict[str, Any], work: Work) -> list[LabelledMicrograph]:
    """Simulate, prepare and label a dataset's micrographs on all cores."""
    simulation = dataset["simulation"]
    volume = read_density(
        str(data_file(simulation["volume"])),
        pixel_size=dataset["pixel_size"],
        volume_pixel_size=simulation["volume_pixel_size"],
        resolution_angstrom=simulation["model_resolution_angstrom"],
        downloads=DownloadSettings(),
    )
    names = [f"{i:04d}" for i in range(simulation["n_micrographs"])]
    with ProcessPoolExecutor(processors()) as pool:
        return list(pool.map(partial(simulated_one, volume, dataset, work.scratch), names))


def data_file(name: str) -> Path:
    """A file of the config, or the one of that name among the carried data."""
    carried = Path(os.environ.get("CRISP_TEST_DATA", ROOT / "../shared/data"))
    return next((path for path in (ROOT / name, *carried.rglob(Path(name).name)) if path.is_file()), Path(name))


def simulated_one(volume: np.ndarray, dataset: dict[str, Any], folder: Path, name: str) -> LabelledMicrograph:
    """Simulate a micrograph, and write its prepared image, valid area and label as the rules do."""
    made = simulate(volume, dataset, name)
    prepared = prepare(made.image, dataset["pixel_size"], **dataset["preparation"])
    particles = fourier_resample(made.ctf_free, prepared.image.shape)
    window_px = local_window_px(angstrom_to_px(dataset["particle_diameter_angstrom"], prepared.pixel_size))
    label = threshold_label(particles, method=dataset["simulation"]["threshold"], window_px=window_px)
    if made.scenery is not None:
        label = add_scenery_classes(label, made.scenery)
    path = folder / f"{name}.h5"
    with h5py.File(path, "w") as file:
        for kind, values in (("image", prepared.image), ("valid", prepared.valid), ("label", label)):
            write_array(file, kind, name, values, pixel_size=prepared.pixel_size, full_shape=made.image.shape)
    return LabelledMicrograph(name, str(path), str(path))


def trained(
    parts: tuple[list[LabelledMicrograph], list[LabelledMicrograph]],
    experiment: dict[str, Any],
    *,
    epochs: int,
    device: str,
) -> tuple[torch.nn.Module, dict[str, torch.Tensor], pd.DataFrame]:
    """Network, weights of its best epoch, and history."""
    torch.manual_seed(SEED)
    settings = NetworkSettings.of(experiment["network"])
    classes = network_classes(settings, None)
    network = build_network(settings, len(classes))
    state, history = fit(
        network,
        *parts,
        settings=TrainingSettings.of(experiment["training"] | {"epochs": epochs}),
        prediction=PredictionSettings.of(experiment["prediction"]),
        classes=classes,
        device=device,
        seed=SEED,
    )
    return network, state, pd.DataFrame(history)
