"""Part 6: the general network, trained as its config says with up to ten times the steps; general.pt comes back.

Its micrographs are those of the workflow: the same zoos, seeds and parts.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import pandas as pd
import torch
import yaml

from benchmarks.gpu.work import Add, Work, epochs_that_fit
from crisp_core.datasets.splits import split_by_counts
from crisp_core.formats.arrays import write_array
from crisp_core.labels.pixel_classes import sample_classes
from crisp_core.plan.batches import drawn_micrographs, drawn_parts
from crisp_core.plan.datasets import dataset_optics, simulation_of
from crisp_core.plan.micrographs import make_plan
from crisp_core.plan.networks import training_seed
from crisp_core.plan.plan import Plan
from crisp_core.plan.zoo import library_settings, settings_of
from crisp_core.preparation.normalization import prepare
from crisp_core.segmentation.checkpoints import NetworkFacts, network_input
from crisp_core.segmentation.crops import LabelledMicrograph, labelled_parts
from crisp_core.segmentation.devices import processors, start_torch
from crisp_core.segmentation.networks import TrainedNetwork, save_network
from crisp_core.segmentation.training import fit
from crisp_core.segmentation.transfer import begin
from crisp_core.settings.checks import check_settings
from crisp_core.simulation.library import build_library, read_library
from crisp_core.simulation.zoo_micrograph import simulate_zoo_micrograph

ROOT = Path(__file__).parents[2]
NETWORK = "general"
TIMES_THE_STEPS = 10
# Of the time that is left after the simulation.
TRAINING_SHARE = 0.8


def measure(add: Add, work: Work) -> None:
    """Train and write the weights."""
    plan = read_plan(work.general)
    entry = plan.settings.networks[NETWORK]
    with ProcessPoolExecutor(processors()) as pool:
        datasets = [
            simulated_parts(plan, name, work.scratch, pool) for name in plan.settings.networks[NETWORK].datasets
        ]
    parts = [[one for dataset in datasets for one in dataset.get(part, [])] for part in ("train", "validation")]
    add({"n_train": len(parts[0]), "n_validation": len(parts[1]), "simulation_and_start_left_s": work.left_s()})
    device = start_torch(threads=work.threads(), gpus=int(work.device == "cuda"))
    *_, history = trained(plan, *parts, epochs=2, device=device)
    # the first one compiles and warms up
    epoch_s = float(history["seconds"].iloc[-1])
    wanted = entry.training.schedule().epochs * TIMES_THE_STEPS
    epochs = epochs_that_fit(wanted, epoch_s, TRAINING_SHARE * work.left_s())
    add({"seconds_per_epoch": epoch_s, "epochs": epochs, "epochs_wanted": wanted})
    network, state, history = trained(plan, *parts, epochs=epochs, device=device)
    save_network(work.out / "general.pt", network, state=state)
    history.to_csv(work.out / "general.tsv", sep="\t", index=False, float_format="%.6g")
    add({"validation_iou": float(history["validation_iou"].max())})
    add({"weights_mib": (work.out / "general.pt").stat().st_size / 2**20})


def read_plan(config: Path) -> Plan:
    """Plan of a config with a network `general`; the models and maps are those of the carried data, if any."""
    data = os.environ.get("CRISP_TEST_DATA", str(ROOT / "../shared/data"))
    return make_plan(check_settings(yaml.safe_load(config.read_text().replace("../shared/data", data))), is_main=True)


def simulated_parts(
    plan: Plan, dataset: str, folder: Path, pool: ProcessPoolExecutor
) -> dict[str, list[LabelledMicrograph]]:
    """Simulate, prepare and label the micrographs of a zoo on all cores, and return those of each part."""
    settings = library_settings(plan, dataset=dataset)
    volumes = [dict(share) for share in shares(list(settings.pop("volumes").items()))]
    libraries = [folder / f"{dataset}-library-{i}.h5" for i in range(len(volumes))]
    options = settings | {"downloads": plan.settings.downloads}
    list(pool.map(partial(write_library, options=options), libraries, volumes))
    split = split_by_counts(
        drawn_micrographs(plan, dataset=dataset), **drawn_parts(plan, dataset=dataset), seed=plan.settings.seed
    )
    batches = shares(list(split["micrograph"]))
    paths = [folder / f"{dataset}-{i}.h5" for i in range(len(batches))]
    list(pool.map(partial(write_micrographs, plan, dataset, libraries), paths, batches))
    return labelled_parts(split, list(map(str, paths)), list(map(str, paths)), dataset=dataset)


def shares(items: Sequence[Any]) -> list[Sequence[Any]]:
    """Share of every processor; none is empty."""
    n = processors()
    return [items[i::n] for i in range(min(n, len(items)))]


def write_library(path: Path, volumes: dict[str, str], options: dict[str, Any]) -> None:
    """Write the densities of some volumes of a zoo."""
    list(build_library(path, volumes, **options))


def write_micrographs(plan: Plan, dataset: str, libraries: Sequence[Path], path: Path, names: Sequence[str]) -> None:
    """Write the prepared images, valid areas and labels of some micrographs of a zoo, as the rules do."""
    entry, optics = plan.dataset(dataset), dataset_optics(plan, dataset=dataset)
    # in the order of the one file that the workflow writes: it decides the draws
    library = dict(sorted((name, volume) for part in libraries for name, volume in read_library(part).items()))
    pixel_size, (height, width) = entry.pixel_size, simulation_of(plan, dataset).shape_px
    with h5py.File(path, "w") as file:
        for name in names:
            made = simulate_zoo_micrograph(
                settings_of(plan, dataset),
                library,
                name=name,
                dataset=dataset,
                seed=plan.settings.seed,
                shape=(height, width),
                diameter_px=optics["diameter_px"],
                pixel_size=pixel_size,
                voltage_kv=optics["microscope"]["voltage_kv"],
            )
            prepared = prepare(made.image, pixel_size, **entry.preparation.plain())
            label = sample_classes(made.truth, prepared.image.shape)
            for kind, values in (("image", prepared.image), ("valid", prepared.valid), ("label", label)):
                write_array(file, kind, name, values, pixel_size=prepared.pixel_size, full_shape=made.image.shape)


def trained(
    plan: Plan,
    training: list[LabelledMicrograph],
    validation: list[LabelledMicrograph],
    *,
    epochs: int,
    device: str,
) -> tuple[TrainedNetwork, dict[str, torch.Tensor], pd.DataFrame]:
    """Network, weights of its best epoch, and history, from random weights."""
    entry = plan.settings.networks[NETWORK]
    seed = training_seed(plan, network=f"networks/{NETWORK}")
    torch.manual_seed(seed)
    network, classes, settings = begin(entry.network, entry.training, None)
    state, history = fit(
        network,
        training,
        validation,
        settings=settings.changed(epochs=epochs),
        prediction=entry.prediction,
        classes=classes,
        device=device,
        seed=seed,
    )
    first = plan.dataset(entry.datasets[0])
    seen = network_input(first.preparation, first.particle_diameter_angstrom)
    facts = NetworkFacts(classes, seen, entry.network.changed(classes=classes))
    return TrainedNetwork(network, facts), state, pd.DataFrame(history)
