"""Are the suggested micrographs worth more than random ones? F1 after 1, 2 and 4 corrected micrographs.

Usage: python benchmarks/suggest.py FOLDER [--sets empiar-10017 simulated] [--numbers 1 2 4] [--seeds 1 2 3]
       [--orders suggested random] [--steps 150] [--data ../shared/data]

The general network picks the micrographs of the pool, a "person" who knows the truth corrects the chosen ones, a
network starts from the general one and learns from them, and picks the test micrographs (one-to-one within half a
diameter). The threshold is chosen on the validation part of the corrected micrographs, as in a run; the finder is that
of the general network. `suggested` takes the first ones of `suggest_micrographs`, so that seeds differ in the training
alone; `random` draws other micrographs for each seed. Row 0 is the general network as it comes.

EMPIAR-10017: pool of the 8 training and validation micrographs of examples/empiar-10017.yaml, its 4 test micrographs.
simulated: 8 and 4 micrographs of 5a1a of 1024² at a signal-to-noise ratio of 0.001; the general network
never saw this structure.

A part is a row of FOLDER/suggest.tsv as soon as it is scored; a part whose row is there is passed over.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import pandas as pd
import torch
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.clicks import SIMULATION, WORKING_PIXEL_SIZE  # noqa: E402
from crisp_core.classes import CLASSES, PARTICLE, channel, file_label  # noqa: E402
from crisp_core.datasets.corrections import merge_corrections, split_corrected  # noqa: E402
from crisp_core.evaluation.curation import add_verdicts, measure_micrograph  # noqa: E402
from crisp_core.evaluation.scores import f1, pool_scores, score_micrographs  # noqa: E402
from crisp_core.evaluation.settings import CurationSettings  # noqa: E402
from crisp_core.evaluation.suggestion import measure_doubt, suggest_micrographs  # noqa: E402
from crisp_core.formats.arrays import Grid, array_grids, read_array, write_array  # noqa: E402
from crisp_core.formats.coordinates.registry import read_coordinates  # noqa: E402
from crisp_core.formats.corrections import FORMAT, VERSION, Corrections  # noqa: E402
from crisp_core.formats.images import read_micrograph  # noqa: E402
from crisp_core.formats.settings import DownloadSettings  # noqa: E402
from crisp_core.geometry import rescaled_xy  # noqa: E402
from crisp_core.labels.corrections import label_corrected  # noqa: E402
from crisp_core.picking.finders import finder_of_file  # noqa: E402
from crisp_core.picking.removal import apply_rules  # noqa: E402
from crisp_core.picking.search import find_centers  # noqa: E402
from crisp_core.picking.settings import RemovalSettings  # noqa: E402
from crisp_core.preparation.normalization import prepare  # noqa: E402
from crisp_core.report.picked import match_candidates  # noqa: E402
from crisp_core.segmentation.crops import labelled_parts  # noqa: E402
from crisp_core.segmentation.inference import predict  # noqa: E402
from crisp_core.segmentation.networks import load_network  # noqa: E402
from crisp_core.segmentation.settings import NetworkSettings, PredictionSettings  # noqa: E402
from crisp_core.segmentation.shipped import network_file, read_shipped_centers  # noqa: E402
from crisp_core.segmentation.starts import unlabelled_classes  # noqa: E402
from crisp_core.segmentation.training import fit  # noqa: E402
from crisp_core.segmentation.training_settings import TrainingSettings  # noqa: E402
from crisp_core.segmentation.transfer import begin  # noqa: E402
from crisp_core.simulation.micrograph import simulate_micrograph  # noqa: E402
from crisp_core.simulation.volumes import read_density  # noqa: E402

REAL = yaml.safe_load((ROOT / "examples/empiar-10017.yaml").read_text())["datasets"]["empiar-10017"]
DIAMETERS = {"empiar-10017": 191.0, "simulated": 180.0}
EPOCHS, CROPS_PER_STEP = 4, 8
CENTERS = read_shipped_centers("general")


class Part(NamedTuple):
    """A number of corrected micrographs, how they are chosen, and a seed."""

    set: str
    order: str
    corrected: int
    seed: int


class Set(NamedTuple):
    """Prepared micrographs of a set: file of images, true particles (px of the images), pool, test part, diameter."""

    images: Path
    truth: pd.DataFrame
    pool: list[str]
    test: list[str]
    diameter_angstrom: float

    @property
    def grids(self) -> dict[str, Grid]:
        """Grids of the images."""
        return array_grids(self.images, "image")


def real_micrographs(data: Path) -> Iterator[tuple[str, np.ndarray, float, np.ndarray]]:
    """Name, image, Å/px and true particles of the micrographs of EMPIAR-10017."""
    for path in sorted((data / "empiar-10017/micrographs").glob("*.jpg")):
        image = read_micrograph(path, pixel_size=REAL["pixel_size"]).image
        table = read_coordinates(data / f"empiar-10017/coordinates/{path.stem}.csv")
        yield path.stem, image, REAL["pixel_size"], table[["x", "y"]].to_numpy()


def simulated_micrographs(data: Path) -> Iterator[tuple[str, np.ndarray, float, np.ndarray]]:
    """Name, image, Å/px and true particles of simulated micrographs."""
    options = {"volume_pixel_size": None, "resolution_angstrom": 8.0, "downloads": DownloadSettings()}
    path = data / "maps/sim_5a1a_bgal_D2_3.54A_80.mrc"
    volume = read_density(str(path), pixel_size=WORKING_PIXEL_SIZE, **options)
    for i in range(12):
        made = simulate_micrograph(volume, name=f"suggest_{i}", **{**SIMULATION, "snr": 0.001, "seed": 1})
        yield f"suggest_{i}", made.image, WORKING_PIXEL_SIZE, made.coordinates[["x", "y"]].to_numpy()


def make_set(name: str, folder: Path, data: Path) -> Set:
    """Prepare the micrographs of a set in a folder, once.

    Parameters
    ----------
    name : str
        Name of the set.
    folder : Path
        Folder of the set's files.
    data : Path
        Folder of the data.
    """
    folder.mkdir(parents=True, exist_ok=True)
    images, table = folder / "images.h5", folder / "truth.tsv"
    if not table.exists():
        rows = []
        with h5py.File(images, "w") as output:
            for micrograph, image, pixel_size, xy in {
                "empiar-10017": real_micrographs,
                "simulated": simulated_micrographs,
            }[name](data):
                ready = prepare(image, pixel_size, working_pixel_size=WORKING_PIXEL_SIZE)
                grid = {"pixel_size": ready.pixel_size, "full_shape": ready.image.shape}
                write_array(output, "image", micrograph, ready.image, **grid)
                write_array(output, "valid", micrograph, ready.valid, **grid)
                places = rescaled_xy(xy, image.shape, ready.image.shape)
                rows.append(pd.DataFrame({"micrograph": micrograph, "x": places[:, 0], "y": places[:, 1]}))
        pd.concat(rows).to_csv(table, sep="\t", index=False)
    names = list(array_grids(images, "image"))
    test = REAL["split"]["test"] if name == "empiar-10017" else names[8:]
    pool = [one for one in names if one not in test]
    return Set(images, pd.read_csv(table, sep="\t", dtype={"micrograph": str}), pool, test, DIAMETERS[name])


def found_by(network: Any, made: Set, names: list[str], maps: dict[str, np.ndarray] | None = None) -> pd.DataFrame:
    """Candidates of a network on some micrographs, after the removal rules.

    Parameters
    ----------
    network : TrainedNetwork
        Network and its facts.
    made : Set
        Prepared micrographs.
    names : list of str
        Micrographs to pick.
    maps : dict, optional
        Gets the predictions (classes, h, w) by micrograph.
    """
    tables, classes = [], network.facts.classes
    for name in names:
        image, valid = (read_array(made.images, kind, name).data for kind in ("image", "valid"))
        predicted = predict(network.network, image, device="cpu", **dict(PredictionSettings()))
        if maps is not None:
            maps[name] = predicted
        grid = made.grids[name]
        size = {"diameter_px": made.diameter_angstrom / grid.pixel_size}
        found = find_centers(predicted[channel(classes, CLASSES[PARTICLE])], finder_of_file(CENTERS), **size)
        label = file_label(predicted.argmax(axis=0), classes) if len(classes) > 2 else None
        kept, _ = apply_rules(found, grid, valid=valid, label=label, removal=RemovalSettings(), box_px=0, **size)
        tables.append(kept.assign(micrograph=name))
    return pd.concat(tables, ignore_index=True)


def pooled_f1(made: Set, candidates: pd.DataFrame, names: list[str], threshold: float) -> float:
    """F1 of the candidates above a threshold on some micrographs.

    Parameters
    ----------
    made : Set
        Prepared micrographs and true particles.
    candidates : DataFrame
        Candidates of these micrographs.
    names : list of str
        Micrographs.
    threshold : float
        Minimum score.
    """
    picks = candidates[candidates["score"] >= threshold]
    diameter_px = made.diameter_angstrom / made.grids[names[0]].pixel_size
    scored = score_micrographs(made.truth, picks, dict.fromkeys(names, "test"), diameter_px=diameter_px)
    return float(f1(pool_scores([scored[name] for name in names]).counts))


def best_threshold(made: Set, candidates: pd.DataFrame, names: list[str]) -> float:
    """Threshold of the highest F1 on some micrographs; parameters as in `pooled_f1`."""
    steps = np.linspace(0.02, 0.98, 49)
    return float(steps[int(np.argmax([pooled_f1(made, candidates, names, step) for step in steps]))])


def suggested_order(made: Set, folder: Path, general: Any) -> list[str]:
    """Micrographs of the pool in the order in which the target suggest lists them; kept in the folder.

    Parameters
    ----------
    made : Set
        Prepared micrographs.
    folder : Path
        Folder of the set's files.
    general : TrainedNetwork
        General network.
    """
    path, maps = folder / "suggest.tsv", {}
    if not path.exists():
        candidates = found_by(general, made, made.pool, maps)
        picks = candidates[candidates["score"] >= CENTERS["threshold"]]
        picks.to_csv(folder / "picks.tsv", sep="\t", index=False)
        classes, doubt, measures = general.facts.classes, [], []
        for name in made.pool:
            image, valid = (read_array(made.images, kind, name).data for kind in ("image", "valid"))
            turned = predict(general.network, np.rot90(image).copy(), device="cpu", **dict(PredictionSettings()))
            particle = channel(classes, CLASSES[PARTICLE])
            doubt.append(
                {"micrograph": name, **measure_doubt(maps[name][particle], np.rot90(turned[particle], -1), valid)}
            )
            facts = {"classes": classes, "grid": made.grids[name], "diameter_angstrom": made.diameter_angstrom}
            own = picks[picks["micrograph"] == name]
            label = file_label(maps[name].argmax(axis=0), classes)
            measures.append({"micrograph": name, **measure_micrograph(image, valid, label, own, **facts)})
        table = add_verdicts(pd.DataFrame(measures), CurationSettings())
        suggest_micrographs(pd.DataFrame(doubt), table).to_csv(path, sep="\t", index=False)
    return pd.read_csv(path, sep="\t", dtype={"micrograph": str})["micrograph"].tolist()


def corrected_by_truth(made: Set, picks: pd.DataFrame, names: list[str]) -> Corrections:
    """Corrections of a person who knows the truth and reviews the whole micrographs.

    Parameters
    ----------
    made : Set
        Prepared micrographs and true particles.
    picks : DataFrame
        Picks of the general network.
    names : list of str
        Micrographs that are corrected.
    """
    entries = []
    for name in names:
        grid = made.grids[name]
        own, truth = (table[table["micrograph"] == name].reset_index(drop=True) for table in (picks, made.truth))
        size = {"diameter_px": made.diameter_angstrom / grid.pixel_size}
        ranked, known = match_candidates(own, truth, **size)
        lists = {
            "kept": ranked.loc[ranked["true"], ["x", "y"]],
            "removed": ranked.loc[~ranked["true"], ["x", "y"]],
            "added": known.loc[known["found"].isna(), ["x", "y"]],
        }
        facts = {"micrograph": name, "pixel_size_angstrom": grid.pixel_size, "shape_px": list(grid.shape)}
        empty = {"moved": [], "junk": [], "unsure": [], "reviewed": True, "verdict": None}
        entries.append(facts | empty | {key: table.to_numpy().tolist() for key, table in lists.items()})
    facts = {"format": FORMAT, "version": VERSION, "dataset": "pool", "experiment": "general", "author": "truth"}
    return Corrections.model_validate(facts | {"saved": "2000-01-01T00:00:00Z", "micrographs": entries})


def make(part: Part, made: Set, folder: Path, steps: int) -> dict[str, Any]:
    """Correct, train, pick and score a part; return its row.

    Parameters
    ----------
    part : Part
        Number of corrected micrographs, order and seed.
    made : Set
        Prepared micrographs and true particles.
    folder : Path
        Folder of the set's files.
    steps : int
        Number of steps of the training.
    """
    general = load_network(network_file("general"))
    order = suggested_order(made, folder, general)
    if part.corrected == 0:
        candidates, threshold = found_by(general, made, made.test), CENTERS["threshold"]
        chosen = []
    else:
        drawn = np.random.default_rng(part.seed).permutation(made.pool).tolist()
        chosen = (order if part.order == "suggested" else drawn)[: part.corrected]
        picks = pd.read_csv(folder / "picks.tsv", sep="\t", dtype={"micrograph": str})
        files = [corrected_by_truth(made, picks, chosen)]
        trained, validation = train(part, made, folder, files, steps)
        threshold = best_threshold(made, found_by(trained, made, validation), validation)
        candidates = found_by(trained, made, made.test)
    best = best_threshold(made, candidates, made.test)
    scores = {
        "f1": pooled_f1(made, candidates, made.test, threshold),
        "best_f1": pooled_f1(made, candidates, made.test, best),
    }
    return {**part._asdict(), "steps": steps, **scores, "threshold": threshold, "micrographs": ",".join(chosen)}


def train(part: Part, made: Set, folder: Path, files: list[Corrections], steps: int) -> tuple[Any, list[str]]:
    """Train from the general network on corrections; return it with the micrographs of the validation part.

    Parameters
    ----------
    part : Part
        Part of the benchmark.
    made : Set
        Prepared micrographs.
    folder : Path
        Folder of the set's files.
    files : list of Corrections
        Corrections of the chosen micrographs.
    steps : int
        Number of steps.
    """
    torch.manual_seed(part.seed)
    merged = merge_corrections(files, diameter_angstrom=made.diameter_angstrom).micrographs
    split = split_corrected(dict.fromkeys(merged, True), train=None, validation=None, seed=part.seed, source="pool")
    labels = folder / f"labels-{part.order}-{part.corrected}-{part.seed}.h5"
    sizes = {"diameter_angstrom": made.diameter_angstrom, "disc_radius_angstrom": made.diameter_angstrom / 4}
    with h5py.File(labels, "w") as output:
        for name, corrected in merged.items():
            grid = made.grids[name]
            labelled = label_corrected(corrected, grid, trusted=True, weight=4, **sizes)
            for kind, array in labelled._asdict().items():
                write_array(output, kind, name, array, pixel_size=grid.pixel_size, full_shape=grid.full_shape)
    parts = labelled_parts(split, [str(made.images)], [str(labels)])
    crops = max(2, round(steps * CROPS_PER_STEP / EPOCHS / len(parts["train"])))
    settings = TrainingSettings(epochs=EPOCHS, crops_per_micrograph=crops, crops_per_step=CROPS_PER_STEP)
    start = network_file("general")
    network, classes, training = begin(NetworkSettings(encoder_weights=None), settings, start)
    options: dict[str, Any] = {"settings": training, "prediction": PredictionSettings(), "classes": classes}
    unlabelled = unlabelled_classes(classes, CLASSES[:2])
    state, _ = fit(
        network, parts["train"], parts["validation"], unlabelled=unlabelled, device="cpu", seed=part.seed, **options
    )
    network.load_state_dict(state)
    labels.unlink()
    trained = load_network(start)._replace(network=network.eval())
    return trained, [one.name for one in parts["validation"]]


def parts(given: argparse.Namespace) -> Iterator[Part]:
    """Parts, one seed of everything first."""
    for name in given.sets:
        yield Part(name, "general", 0, given.seeds[0])
    for seed in given.seeds:
        for number in given.numbers:
            yield from (Part(name, order, number, seed) for name in given.sets for order in given.orders)


def main() -> None:
    """Make the parts that are not there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", choices=list(DIAMETERS), default=list(DIAMETERS))
    parser.add_argument("--numbers", nargs="+", type=int, default=[1, 2, 4])
    parser.add_argument("--orders", nargs="+", choices=["suggested", "random"], default=["suggested", "random"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--data", type=Path, default=ROOT / "../shared/data")
    given = parser.parse_args()
    table = given.folder / "suggest.tsv"
    for part in parts(given):
        rows = pd.read_csv(table, sep="\t") if table.exists() else pd.DataFrame(columns=[*Part._fields, "steps"])
        key = {**part._asdict(), "steps": given.steps}
        if (rows[list(key)] == list(key.values())).all(axis=1).any():
            continue
        folder = given.folder / part.set
        row = make(part, make_set(part.set, folder, given.data), folder, given.steps)
        pd.concat([rows, pd.DataFrame([row])]).to_csv(table, sep="\t", index=False, float_format="%.4f")
        print(*(f"{name} {value}" for name, value in row.items()), flush=True)


if __name__ == "__main__":
    main()
