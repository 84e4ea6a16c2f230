"""Part `train` of benchmarks/clicks.py: networks that are trained on labels from clicks, from a control, and on discs.

Four sets on which no setting was chosen: a shell (7odw), a barrel with carbon (1oel), a long particle (3f3f) and a
membrane protein with a micelle (7l2i). Each set has 4 training, 1 validation and 2 test micrographs of 448² at 16 px
per diameter. A training has 160 steps of 8 crops of 64², in one thread on the CPU. A cell is one training: a set, a
kind of label and a seed, which also seeds the simulation. Its result is one JSON file; cells that have one are skipped.
"""

import fcntl
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import pandas as pd
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.click_labels import BEST_DISC_RADII, CONTROL, control_label, crf_label
from benchmarks.reconstruction import DATA, SIMULATION
from crisp_core.evaluation.curves import best_threshold, counts_at_threshold
from crisp_core.evaluation.scores import f1, pool_scores, score_picks
from crisp_core.formats.arrays import read_array, write_array
from crisp_core.formats.settings import DownloadSettings
from crisp_core.labels.discs import disc_label
from crisp_core.labels.settings import ClickSettings
from crisp_core.labels.thresholds import threshold_label
from crisp_core.picking.search import find_centers
from crisp_core.preparation.normalization import prepare
from crisp_core.segmentation.crops import LabelledMicrograph
from crisp_core.segmentation.inference import predict
from crisp_core.segmentation.networks import build_network
from crisp_core.segmentation.settings import NetworkSettings, PredictionSettings
from crisp_core.segmentation.training import fit
from crisp_core.segmentation.training_settings import TrainingSettings
from crisp_core.simulation.library import build_volume
from crisp_core.simulation.micelle import with_micelle
from crisp_core.simulation.micrograph import simulate_micrograph
from crisp_core.simulation.settings import ScenerySettings

PIXELS_PER_DIAMETER, SIDE_PX, N_PARTICLES = 16, 448, 70
PARTS = {"train": 4, "validation": 1, "test": 2}
TRAINING = TrainingSettings(epochs=4, crops_per_micrograph=80, crops_per_step=8, crop_px=64)
KINDS = ("clicks", "control", "best_disc", "disc")
THRESHOLDS = np.arange(0.05, 0.96, 0.05)
CARBON = ScenerySettings.of({"carbon": {"probability": 0.6, "area_share": [0.1, 0.3]}})


class TrainedSet(NamedTuple):
    """Simulated set: file of the model, longest extent of the model and diameter of the particle in Å, and extras."""

    model: str
    extent_angstrom: float
    diameter_angstrom: float
    scenery: ScenerySettings | None = None
    micelle: bool = False


SETS = {
    "shell": TrainedSet("7odw", 241, 241),
    "carbon": TrainedSet("1oel", 189, 189, scenery=CARBON),
    "long": TrainedSet("3f3f", 279, 279),
    "micelle": TrainedSet("7l2i", 138, 160, micelle=True),
}


class Cell(NamedTuple):
    """A training."""

    set: str
    kind: str
    seed: int


def density(name: str) -> np.ndarray:
    """Return the density (n, n, n) of a set at its working pixel size."""
    made = SETS[name]
    pixel_size = made.diameter_angstrom / PIXELS_PER_DIAMETER
    volume = build_volume(
        str(DATA / f"models/{made.model}.cif.gz"),
        extent_px=made.extent_angstrom / pixel_size,
        resolution_angstrom=2 * pixel_size,
        membrane=made.micelle,
        downloads=DownloadSettings(),
    )
    if not made.micelle or volume.slab is None:
        return volume.density
    belt = with_micelle(volume.density, volume.slab, pixel_size=volume.pixel_size, width_angstrom=25.0, level=0.6)
    return belt[:-1, :-1, :-1] if len(belt) % 2 else belt


def simulate_set(path: Path, name: str, seed: int) -> None:
    """Write image, valid, truth and coordinates of all micrographs of a set to one HDF5 file."""
    made, volume = SETS[name], density(name)
    pixel_size = made.diameter_angstrom / PIXELS_PER_DIAMETER
    changes: dict[str, Any] = {
        "seed": seed,
        "shape": (SIDE_PX, SIDE_PX),
        "pixel_size": pixel_size,
        "n_particles": (N_PARTICLES, N_PARTICLES),
        "min_distance_angstrom": 0.9 * made.diameter_angstrom,
        "margin_angstrom": made.diameter_angstrom / 2,
        "diameter_angstrom": made.diameter_angstrom,
        "scenery": made.scenery,
    }
    part_file = path.with_suffix(".part")
    with h5py.File(part_file, "w") as file:
        for micrograph in micrograph_names():
            simulated = simulate_micrograph(volume, name=f"{name}_{micrograph}", **{**SIMULATION, **changes})
            ready = prepare(simulated.image, pixel_size, working_pixel_size=pixel_size)
            truth = threshold_label(simulated.ctf_free, method="li")
            for kind, array in (("image", ready.image), ("valid", ready.valid), ("truth", truth)):
                write_array(file, kind, micrograph, array, pixel_size=pixel_size, full_shape=truth.shape)
            file[f"xy/{micrograph}"] = simulated.coordinates[["x", "y"]].to_numpy()
    part_file.rename(path)


def micrograph_names(part: str | None = None) -> list[str]:
    """Return the micrographs of a part, or of all."""
    return [f"{each}{i}" for each, n in PARTS.items() for i in range(n) if part in (None, each)]


def read_micrograph_of(path: Path, name: str) -> dict[str, np.ndarray]:
    """Return image, valid, truth and xy of a micrograph of a set."""
    with h5py.File(path) as file:
        xy = file[f"xy/{name}"][()]
    image, valid, truth = (read_array(path, kind, name).data for kind in ("image", "valid", "truth"))
    return {"image": image, "valid": valid.astype(bool), "truth": truth.astype(bool), "xy": xy}


def label_function(kind: str, path: Path) -> Callable[[dict[str, np.ndarray]], np.ndarray]:
    """Return the function that labels a micrograph; the best disc is the best of the training part by its truth."""
    if kind == "clicks":
        return lambda m: crf_label(m["image"], m["valid"], m["xy"], PIXELS_PER_DIAMETER, ClickSettings()).instances > 0
    if kind == "control":
        return lambda m: control_label(m["image"], m["valid"], m["xy"], PIXELS_PER_DIAMETER, *CONTROL).instances > 0

    def discs(m: dict[str, np.ndarray], radius: float) -> np.ndarray:
        return disc_label(m["truth"].shape, m["xy"], radius_px=radius * PIXELS_PER_DIAMETER).astype(bool)

    if kind == "disc":
        return partial(discs, radius=0.25)
    known = [read_micrograph_of(path, name) for name in micrograph_names("train")]
    found = {r: pooled_iou([(discs(m, r), m["truth"], m["valid"]) for m in known]) for r in BEST_DISC_RADII}
    return partial(discs, radius=max(found, key=lambda r: found[r]))


def pooled_iou(rows: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> float:
    """Return the IoU over all valid pixels of triples of label, truth and valid."""
    both = sum(int((label & truth & valid).sum()) for label, truth, valid in rows)
    return both / sum(int(((label | truth) & valid).sum()) for label, truth, valid in rows)


def make_cell(folder: Path, cell: Cell) -> dict[str, Any]:
    """Label, train and score; return the numbers of the cell."""
    start, path = time.process_time(), folder / f"{cell.set}-{cell.seed}.h5"
    if not path.exists():
        simulate_set(path, cell.set, cell.seed)
    label_of = label_function(cell.kind, path)
    micrographs = {name: read_micrograph_of(path, name) for name in micrograph_names()}
    labels = {name: label_of(m) for name, m in micrographs.items() if not name.startswith("test")}
    network = train(folder, path, cell, labels)
    maps = {
        name: predict(network, micrographs[name]["image"], device="cpu", **dict(PredictionSettings()))[1]
        for part in ("validation", "test")
        for name in micrograph_names(part)
    }
    trained_on = [(labels[name], m["truth"], m["valid"]) for name, m in micrographs.items() if name in labels]
    return {
        **cell._asdict(),
        "label_iou": pooled_iou(trained_on),
        **score_maps(maps, micrographs, labels),
        "seconds": time.process_time() - start,
    }


def train(folder: Path, path: Path, cell: Cell, labels: dict[str, np.ndarray]) -> torch.nn.Module:
    """Return the network of the best epoch, trained on labels of a cell."""
    label_path = folder / f"{cell.set}-{cell.kind}-{cell.seed}.h5"
    pixel_size = SETS[cell.set].diameter_angstrom / PIXELS_PER_DIAMETER
    with h5py.File(label_path, "w") as file:
        for name, label in labels.items():
            arrays = label.astype(np.uint8)
            write_array(file, "label", name, arrays, pixel_size=pixel_size, full_shape=label.shape)
    parts = [
        [LabelledMicrograph(name, str(path), str(label_path)) for name in micrograph_names(part)]
        for part in ("train", "validation")
    ]
    torch.manual_seed(cell.seed)
    network = build_network(NetworkSettings(encoder_weights=None), 2)
    options = {"prediction": PredictionSettings(), "device": "cpu", "seed": cell.seed}
    state, _ = fit(network, *parts, settings=TRAINING, **options)
    network.load_state_dict(state)
    return network.eval()


def score_maps(
    maps: dict[str, np.ndarray], micrographs: dict[str, dict[str, np.ndarray]], labels: dict[str, np.ndarray]
) -> dict[str, float]:
    """Return IoU with the true outlines at two thresholds, and F1 of the picks, of the test micrographs.

    Parameters
    ----------
    maps : dict of (h, w) arrays
        Probability of particle of the validation and test micrographs.
    micrographs : dict of dicts
        Results of `read_micrograph_of`.
    labels : dict of (h, w) bool arrays
        Labels of the validation micrographs, on which the thresholds are chosen.
    """

    def iou(part: str, threshold: float, truth: Callable[[str], np.ndarray]) -> float:
        names = micrograph_names(part)
        return pooled_iou([(maps[name] >= threshold, truth(name), micrographs[name]["valid"]) for name in names])

    def true(name: str) -> np.ndarray:
        return micrographs[name]["truth"]

    threshold = max(THRESHOLDS, key=lambda t: iou("validation", t, labels.__getitem__))
    picks = {part: pick_score(maps, micrographs, part) for part in ("validation", "test")}
    return {
        "iou": iou("test", 0.5, true),
        "threshold": float(threshold),
        "iou_at_threshold": iou("test", threshold, true),
        "pick_f1": float(f1(counts_at_threshold(picks["test"], best_threshold(picks["validation"])))),
    }


def pick_score(maps: dict[str, np.ndarray], micrographs: dict[str, dict[str, np.ndarray]], part: str) -> Any:
    """Return the score of the centres on the maps of a part, with the finder nms and its default settings."""
    scores = []
    for name in micrograph_names(part):
        found = find_centers(maps[name], "nms", diameter_px=PIXELS_PER_DIAMETER)
        xy = found[["x", "y"]].to_numpy()
        scores.append(score_picks(micrographs[name]["xy"], xy, found["score"], diameter_px=PIXELS_PER_DIAMETER))
    return pool_scores(scores)


def cells(seeds: Sequence[int]) -> Iterator[Cell]:
    """Yield the trainings in an order in which a part of the table is useful: set by set, the default disc last."""
    for seed in seeds:
        yield from (Cell(name, kind, seed) for name in SETS for kind in KINDS[:3])
    yield from (Cell(name, KINDS[3], seed) for seed in seeds for name in SETS)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def train_cells(folder: Path, seeds: Sequence[int], lock: Path | None) -> None:
    """Make the missing cells, and print the table of all that are there.

    Parameters
    ----------
    folder : Path
        Folder of the sets and of one JSON file for each cell.
    seeds : sequence of int
        Seeds of simulation and training.
    lock : Path or None
        File that is locked during each cell, so that other programs which lock it get their turn.
    """
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    for cell in cells(seeds):
        path = folder / f"{cell.set}-{cell.kind}-{cell.seed}.json"
        if not path.exists():
            with locked(lock) if lock else nullcontext():
                path.write_text(json.dumps(make_cell(folder, cell)))
            print(path.read_text(), flush=True)
    print_table(pd.DataFrame([json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]))


def print_table(rows: pd.DataFrame) -> None:
    """Print the mean of every set and kind of label over the seeds, and the differences of clicks by seed."""
    measures = ["label_iou", "iou", "iou_at_threshold", "pick_f1"]
    print(rows.groupby(["set", "kind"])[measures].agg(["mean", "std"]).round(4).to_string())
    print(rows.groupby(["set", "kind"]).size().to_string())
    wide = rows.pivot(index=["set", "seed"], columns="kind", values=measures)
    for measure in measures:
        for kind in KINDS[1:]:
            if (measure, kind) in wide and (measure, "clicks") in wide:
                difference = (wide[measure, "clicks"] - wide[measure, kind]).dropna().groupby("set")
                print(f"{measure}: clicks - {kind}", difference.agg(["mean", "sem", "size"]).round(4).to_string())
