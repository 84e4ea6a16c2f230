"""Classes contaminant and carbon after a training on coordinates alone.

Usage: python benchmarks/keeping.py FOLDER [--controls 2] [--seeds 1]

FOLDER is that of `learning_curve.py --datasets empiar-10017 --starts general`, whose runs start from the general
network. The classes of pixels of all its runs (0 labelled micrographs: the general network as it comes) are compared
with CASSPER's class labels of the two validation and the four test micrographs, which no run learns from and which hold
nearly all green pixels (ice, contaminant or carbon). F1 is that of the run's picks on the test micrographs.

--controls trains from the files of the run with so many labelled micrographs again, with carbon and contaminant as
background in the loss, instead of their joint probability with it. FOLDER/keeping.tsv has the rows.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from general_masks import class_counts, ratios

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.learning_curve import CROPS_PER_STEP, DATASETS, TRAININGS, crops_of  # noqa: E402
from crisp_core.classes import file_label  # noqa: E402
from crisp_core.formats.arrays import read_array  # noqa: E402
from crisp_core.segmentation.crops import LabelledMicrograph  # noqa: E402
from crisp_core.segmentation.inference import predict  # noqa: E402
from crisp_core.segmentation.settings import NetworkSettings, PredictionSettings  # noqa: E402
from crisp_core.segmentation.shipped import network_file  # noqa: E402
from crisp_core.segmentation.training import fit  # noqa: E402
from crisp_core.segmentation.training_settings import TrainingSettings  # noqa: E402
from crisp_core.segmentation.transfer import begin  # noqa: E402

NAME = "empiar-10017"
SPLIT = DATASETS[NAME]["split"]
SEEN = [*SPLIT["validation"], *SPLIT["test"]]


def scores(classes: dict[str, np.ndarray], images: Path) -> dict[str, float]:
    """Scores of the classes, pooled over micrographs.

    Parameters
    ----------
    classes : dict of (h, w) arrays
        Class of every pixel, by micrograph.
    images : Path
        File of the prepared images.
    """
    counts = [
        class_counts(array, read_array(images, "valid", name).data.astype(bool), name)
        for name, array in classes.items()
    ]
    found = {name: ratios([each[name] for each in counts]) for name in counts[0]}
    return {f"{name}: {key}": found[name][key] for name in found for key in ("precision", "recall", "iou")}


def curve_rows(folder: Path) -> pd.DataFrame:
    """Rows of the learning curve for the runs that start from the general network."""
    rows = pd.read_csv(folder / "learning_curve.tsv", sep="\t")
    return rows.query("dataset == @NAME and start == 'general' and labels == 'disc'")


def run_rows(folder: Path) -> Iterator[dict[str, Any]]:
    """Rows of the runs that predicted."""
    for row in curve_rows(folder).itertuples():
        dataset = folder / f"results/{NAME}-{row.labelled}"
        maps = dataset / f"general-seed{row.seed}/probability/0000.h5"
        classes = {name: read_array(maps, "class", name).data for name in SEEN}
        found = scores(classes, dataset / "images/0000.h5")
        yield {"loss": "joined", "labelled": row.labelled, "seed": row.seed, "f1": row.f1, **found}


def control_row(folder: Path, labelled: int, seed: int) -> dict[str, Any]:
    """Train with carbon and contaminant as background, for as many steps as the run, and score the classes.

    Parameters
    ----------
    folder : Path
        Folder of the learning curve.
    labelled : int
        Number of labelled micrographs.
    seed : int
        Seed of the training.
    """
    torch.manual_seed(seed)
    images, labels = (folder / f"results/{NAME}-{labelled}" / kind / "0000.h5" for kind in ("images", "labels"))
    names = SPLIT | {"train": SPLIT["train"][:labelled]}
    parts = {part: [LabelledMicrograph(name, str(images), str(labels)) for name in names[part]] for part in names}
    epochs, _ = TRAININGS["general"]
    steps = curve_rows(folder).query("labelled == @labelled and seed == @seed")["steps"].item()
    crops = crops_of(steps, epochs, labelled)
    given = TrainingSettings(epochs=epochs, crops_per_micrograph=crops, crops_per_step=CROPS_PER_STEP)
    network, classes, settings = begin(NetworkSettings(encoder_weights=None), given, network_file("general"))
    options: dict[str, Any] = {"settings": settings, "prediction": PredictionSettings(), "classes": classes}
    state, _ = fit(network, parts["train"], parts["validation"], device="cpu", seed=seed, **options)
    network.load_state_dict(state)
    network.eval()
    found = {
        name: predict(network, read_array(images, "image", name).data, device="cpu", **dict(PredictionSettings()))
        for name in SEEN
    }
    by_number = {name: file_label(array.argmax(axis=0), classes) for name, array in found.items()}
    return {"loss": "background", "labelled": labelled, "seed": seed, **scores(by_number, images)}


def main() -> None:
    """Score the runs and the controls, and write their rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--controls", nargs="*", type=int, default=[])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    given = parser.parse_args()
    rows = list(run_rows(given.folder))
    rows += [control_row(given.folder, number, seed) for number in given.controls for seed in given.seeds]
    table = pd.DataFrame(rows)
    table.to_csv(given.folder / "keeping.tsv", sep="\t", index=False, float_format="%.4f")
    print(table.round(3).to_string())


if __name__ == "__main__":
    main()
