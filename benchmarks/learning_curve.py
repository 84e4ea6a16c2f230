"""What is a start from the general network worth? F1 against the number of labelled micrographs.

Usage: python benchmarks/learning_curve.py FOLDER [--datasets empiar-10146] [--starts general random topaz]
       [--labelled 0 1 2 3 6] [--seeds 1 2 3] [--steps 600] [--labels disc clicks] [--learning-rate 0.002]
       [--data ../shared/data] [--network general]

Trains on the first micrographs of the training part, chooses finder and threshold on the validation part (the same for
every row, labelled too), and scores the test part, one-to-one within half a diameter. From random weights a training
takes --steps steps of 8 crops, from the general network a quarter of them. Without labelled micrographs (0) the general
network picks as it comes, with its own finder and threshold (a file, with a threshold of 0.5). --network is the general
network: the one that comes with CRISP, or a .pt file. Topaz trains from its own pretrained network. --labels are the
sources of the training labels; Topaz takes the coordinates themselves. Other steps or another learning rate need
another folder.

Every part is a run of the workflow in FOLDER, and a row of FOLDER/learning_curve.tsv as soon as it is scored; a part
whose row is there is passed over, unless the general network has changed since. FOLDER/learning_curve.png is drawn anew
after every part.
"""

import argparse
import itertools
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from crisp_core.figures.style import clean_axes, line_style, new_figure, save_figure  # noqa: E402
from crisp_core.segmentation.shipped import SHIPPED_NETWORKS, network_file, read_shipped_centers, sha256  # noqa: E402

STEPS, CROPS_PER_STEP = 600, 8
# epochs, and share of the steps
TRAININGS = {"random": (8, 1.0), "general": (4, 0.25), "general-two-classes": (4, 0.25)}
STARTS = ("general", "random", "topaz", "general-two-classes")
LABELS = ("disc", "clicks")
LABELLED = (0, 1, 2, 3, 6)
# as in examples/compare-empiar-10146.yaml
TOPAZ = {"program": "topaz", "updates_per_epoch": 100, "minibatch_size": 64}
DATASETS: dict[str, dict[str, Any]] = {
    "empiar-10146": {
        "micrographs": "empiar-10146/micrographs/*.png",
        "pixel_size": 1.5,
        "particle_diameter_angstrom": 123,
        # the parts that examples/compare-empiar-10146.yaml draws
        "split": {
            "train": ["May08_03.05.02", "May08_03.13.02", "May08_04.33.57"],
            "validation": ["May08_04.32.27"],
            "test": ["May08_03.15.02", "May08_03.43.44", "May08_04.36.57"],
        },
    },
    # the parts of examples/empiar-10017.yaml
    "empiar-10017": yaml.safe_load((ROOT / "examples/empiar-10017.yaml").read_text())["datasets"]["empiar-10017"],
}


class Part(NamedTuple):
    """A point of the curve: dataset, start of the training, number and kind of labelled micrographs, and seed."""

    dataset: str
    start: str
    labelled: int
    seed: int
    labels: str

    @property
    def run(self) -> str:
        """Dataset and experiment of the part's run."""
        kind = "" if self.labels == "disc" else f"-{self.labels}"
        return f"{self.dataset}-{self.labelled}{kind}/{self.start}-seed{self.seed}"


def parts(given: argparse.Namespace) -> Iterator[Part]:
    """Parts to make, the most telling ones first: one seed of everything, few labelled micrographs first."""
    for seed in given.seeds:
        for labelled in sorted(given.labelled, key=lambda n: (n > 1, n)):
            for start, dataset, labels in itertools.product(given.starts, given.datasets, given.labels):
                untrained = labelled == 0 and (start != "general" or seed != given.seeds[0])
                # without labels, or from the coordinates alone: once
                repeated = (labelled == 0 or start == "topaz") and labels != given.labels[0]
                if not (untrained or repeated) and labelled <= len(DATASETS[dataset]["split"]["train"]):
                    yield Part(dataset, start, labelled, seed, labels)


def dataset_entry(part: Part, data: Path) -> dict[str, Any]:
    """Entry of the config for a dataset with so many labelled micrographs.

    Parameters
    ----------
    part : Part
        Point of the curve.
    data : Path
        Folder of the downloaded datasets.
    """
    entry = DATASETS[part.dataset]
    coordinates = {"files": str(data / part.dataset / "coordinates/*.csv"), "format": "cryoppp", "origin": "top-left"}
    files = Path(entry["micrographs"]).name
    # a part may not be empty; without labelled micrographs nothing is trained or chosen on these
    split = entry["split"] | {"train": entry["split"]["train"][: max(1, part.labelled)]}
    changes = {"micrographs": str(data / part.dataset / "micrographs" / files), "coordinates": coordinates}
    return entry | changes | {"split": split, "labels": {"source": part.labels}}


def experiment_entry(part: Part, steps: int, learning_rate: float | None, general: str) -> dict[str, Any]:
    """Entry of the config for a training of so many steps from random weights, or a share of them from others.

    Parameters
    ----------
    part : Part
        Point of the curve.
    steps : int
        Number of steps of a training from random weights.
    learning_rate : float or None
        None is the default of the start.
    general : str
        The general network: general, or a path.
    """
    if part.labelled == 0:
        centers = read_shipped_centers(general) if general in SHIPPED_NETWORKS else {"finder": "nms", "threshold": 0.5}
        return {"network": general, "centers": {key: centers[key] for key in ("finder", "threshold")}}
    if part.start == "topaz":
        return {"picker": TOPAZ, "seed": part.seed}
    epochs, _ = TRAININGS[part.start]
    crops = crops_of(steps_of(part, steps), epochs, part.labelled)
    network: dict[str, Any] = {"encoder_weights": None}
    if part.start == "general-two-classes":
        network["classes"] = ["background", "particle"]
    start = "random" if part.start == "random" else general
    training = {"start": start, "epochs": epochs, "crops_per_micrograph": crops, "crops_per_step": CROPS_PER_STEP}
    if learning_rate:
        training["learning_rate"] = learning_rate
    return {"seed": part.seed, "network": network, "training": training}


def crops_of(steps: int, epochs: int, labelled: int) -> int:
    """Crops of each labelled micrograph in an epoch, for so many steps in all epochs."""
    return max(2, round(steps * CROPS_PER_STEP / epochs / labelled))


def make(part: Part, given: argparse.Namespace) -> dict[str, Any]:
    """Run the workflow for a part and return its row."""
    dataset, experiment = part.run.split("/")
    config = {
        "run": [part.run],
        "datasets": {dataset: dataset_entry(part, given.data.resolve())},
        "experiments": {experiment: experiment_entry(part, given.steps, given.learning_rate, given.network)},
    }
    (given.folder / "part.yaml").write_text(yaml.safe_dump(config))
    tables = [f"results/{part.run}/metrics/{name}.tsv" for name in ("picks", "precision_recall")]
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(given.folder), "--workflow-profile", str(ROOT / "profiles/default")]
    command += ["--cores", str(given.cores), "--rerun-incomplete", "--configfile", str(given.folder / "part.yaml")]
    subprocess.run([*command, "--", *tables], check=True)
    picks, curve = (pd.read_csv(given.folder / path, sep="\t") for path in tables)
    return {
        **part._asdict(),
        "steps": steps_of(part, given.steps),
        **scores(picks, curve),
        "general": digest(part, given.network),
    }


def scores(picks: pd.DataFrame, curve: pd.DataFrame) -> dict[str, float]:
    """Scores of the test part: picks as delivered, and the best F1 of any threshold; and F1 of the validation part."""
    pooled = picks.query("micrograph == 'all'").set_index("part")
    found = {name: pooled.loc["test", name] for name in ("precision", "recall", "f1")}
    found["best_f1"] = curve.query("part == 'test'")["f1"].max()
    found["validation_f1"] = pooled["f1"].get("validation", math.nan)
    return {name: round(float(value), 4) for name, value in found.items()}


def steps_of(part: Part, steps: int) -> int:
    """Number of steps of a part's training; those of Topaz are its own."""
    if part.labelled == 0:
        return 0
    if part.start == "topaz":
        return 10 * TOPAZ["updates_per_epoch"]
    return round(TRAININGS[part.start][1] * steps)


def digest(part: Part, general: str) -> str:
    """First digits of the SHA-256 of the general network; nothing for parts that do not use it."""
    return sha256(Path(network_file(general)))[:12] if part.start.startswith("general") else ""


def read_rows(path: Path) -> pd.DataFrame:
    """Rows that are made already."""
    types = {"general": str}
    return pd.read_csv(path, sep="\t", dtype=types, keep_default_na=False) if path.exists() else pd.DataFrame()


def is_made(part: Part, rows: pd.DataFrame, steps: int, general: str) -> bool:
    """Whether there is a row of a part with these steps and the same general network.

    Parameters
    ----------
    part : Part
        Point of the curve.
    rows : DataFrame
        Rows that are made already.
    steps : int
        Number of steps of a training from random weights.
    general : str
        The general network: general, or a path.
    """
    wanted = {**part._asdict(), "steps": steps_of(part, steps), "general": digest(part, general)}
    return any(all(row[key] == value for key, value in wanted.items()) for row in rows.to_dict("records"))


def draw(rows: pd.DataFrame, path: Path) -> None:
    """Draw F1 against the number of labelled micrographs: one panel for each dataset, lines through the means."""
    datasets = list(dict.fromkeys(rows["dataset"]))
    figure = new_figure(4.6 * len(datasets), 3.6)
    for axes, dataset in zip(figure.subplots(1, len(datasets), squeeze=False)[0], datasets, strict=True):
        for i, (start, labels) in enumerate(itertools.product(STARTS, LABELS)):
            own = rows.query("dataset == @dataset and start == @start and labels == @labels")
            if own.empty:
                continue
            color, dashes = line_style(i)
            mean = own.groupby("labelled")["f1"].mean()
            name = start if labels == LABELS[0] else f"{start}, {labels}"
            axes.plot(mean.index, mean, color=color, linestyle=dashes, label=name)
            axes.plot(own["labelled"], own["f1"], "o", color=color, markersize=4)
        axes.set(title=dataset, xlabel="labelled training micrographs", ylabel="F1, test micrographs")
        axes.legend(frameon=False)
        clean_axes(axes)
    save_figure(figure, path)


def main() -> None:
    """Make the parts that are not there, and write their rows and the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--datasets", nargs="+", choices=list(DATASETS), default=list(DATASETS))
    parser.add_argument("--starts", nargs="+", choices=STARTS, default=list(STARTS[:3]))
    parser.add_argument("--labelled", type=int, nargs="+", default=list(LABELLED))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--labels", nargs="+", choices=LABELS, default=["disc"])
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--data", type=Path, default=ROOT / "../shared/data")
    parser.add_argument("--network", default="general")
    parser.add_argument("--cores", type=int, default=2)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    table = given.folder / "learning_curve.tsv"
    for part in parts(given):
        rows = read_rows(table)
        if is_made(part, rows, given.steps, given.network):
            continue
        row = make(part, given)
        rows = pd.concat([rows, pd.DataFrame([row])], ignore_index=True)
        rows.to_csv(table, sep="\t", index=False)
        draw(rows, table.with_suffix(".png"))
        print(f"{part.run}: F1 {row['f1']:.3f}, best {row['best_f1']:.3f}", flush=True)


if __name__ == "__main__":
    main()
