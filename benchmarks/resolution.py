"""Which working pixel size pays: `python benchmarks/resolution.py FOLDER [--pixel-sizes 7.08 3.54 …]`.

The same simulated micrographs (4096² at 1.77 Å/px, SNR 0.005), the same small network, the same number of steps on
crops of 128² at every working pixel size. Pixels are scored at full resolution, with the probabilities up-sampled to
it; picks with the settings and the threshold that suit the validation part. FOLDER keeps the micrographs and a row per
pixel size, so that a second call goes on where the first one ended.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import synthetic
import torch

from crisp_core.evaluation.curves import counts_at_threshold
from crisp_core.evaluation.pixels import f1 as pixel_f1
from crisp_core.evaluation.pixels import iou, pool_pixels
from crisp_core.evaluation.scores import f1
from crisp_core.formats.volumes import read_volume
from crisp_core.logs import start_log
from crisp_core.picking.finders import all_settings
from crisp_core.picking.search import choose, scores_by_setting, search_table
from crisp_core.segmentation.devices import start_torch
from crisp_core.simulation.volumes import resample_volume

SIDE_PX, N_MICROGRAPHS, N_PARTICLES = 4096, 12, (100, 200)
PARTS = {"train": range(6), "validation": range(6, 8), "test": range(8, 12)}
NETWORK = {"architecture": "unetplusplus", "encoder": "tu-resnet10t"}
PREDICTION = {"tile_px": 512, "overlap_px": 64}
CROPS_PER_STEP = 8


def training(n_steps: int, epochs: int) -> dict:
    """Settings of a training of `n_steps` in all, validated `epochs` times."""
    return {
        "loss": ["dice", "cross_entropy"],
        "epochs": epochs,
        "crops_per_micrograph": round(n_steps * CROPS_PER_STEP / epochs / len(PARTS["train"])),
        "crops_per_step": CROPS_PER_STEP,
        "crop_px": 128,
        "learning_rate": 2e-3,
        "weight_decay": 0.01,
        "contrast_jitter": 0.1,
        "averaging_decay": 0.0,
        "workers": 0,
    }


def measured(folder: Path, truth: pd.DataFrame, pixel_size: float, settings: dict, device: str) -> dict[str, float]:
    """Train and test at one working pixel size."""
    names = {part: [f"m{i:03d}" for i in numbers] for part, numbers in PARTS.items()}
    micrographs = synthetic.prepared(folder, [f"m{i:03d}" for i in range(N_MICROGRAPHS)], pixel_size)
    parts = {part: [micrographs[name] for name in names[part]] for part in names}
    network, _, seconds = synthetic.trained(parts, NETWORK, settings, PREDICTION, device)
    maps, predict_seconds = synthetic.predicted(network, parts["validation"] + parts["test"], PREDICTION, device)
    pixels = pool_pixels(synthetic.full_size_counts(folder, {name: maps[name] for name in names["test"]}))
    diameter_px = synthetic.DIAMETER_ANGSTROM / pixel_size
    return {
        "pixel_size": pixel_size,
        "diameter_px": diameter_px,
        "iou": iou(pixels),
        "f1": pixel_f1(pixels),
        "pick_f1": pick_f1(names, maps, truth, diameter_px),
        "train_seconds": seconds,
        "predict_seconds": predict_seconds,
    }


def pick_f1(names: dict[str, list[str]], maps: dict[str, np.ndarray], truth: pd.DataFrame, diameter_px: float) -> float:
    """One-to-one F1 of the test picks, with what the search on the validation part chose."""
    on_grid = truth.copy()
    on_grid[["x", "y"]] *= next(iter(maps.values())).shape[0] / SIDE_PX
    given = {part: on_grid[on_grid["micrograph"].isin(names[part])] for part in names}
    of_part = {part: [(name, maps[name]) for name in names[part]] for part in ("validation", "test")}
    rows = search_table(scores_by_setting(of_part["validation"], given["validation"], diameter_px=diameter_px))
    best = all_settings()[choose(rows)]
    threshold = rows.loc[choose(rows), "threshold"]
    scored = scores_by_setting(of_part["test"], given["test"], diameter_px=diameter_px, settings=[best])[best]
    return float(f1(counts_at_threshold(scored, threshold)))


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--pixel-sizes", type=float, nargs="+", default=[10.6, 7.08, 5.3, 3.54, 1.77])
    arguments.add_argument("--steps", type=int, default=384)
    arguments.add_argument("--epochs", type=int, default=8, help="how often the steps are interrupted to validate")
    arguments.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    given = arguments.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    start_log(given.folder / "log.txt")
    device = start_torch(threads=torch.get_num_threads(), gpus=int(given.device == "cuda"))
    volume = resample_volume(*read_volume(synthetic.MAP), synthetic.PIXEL_SIZE)
    truth = synthetic.simulate(
        *(given.folder, volume),
        n=N_MICROGRAPHS,
        side_px=SIDE_PX,
        n_particles=N_PARTICLES,
        workers=1,
        projector="finufft",
    )
    path = given.folder / "resolution.tsv"
    rows = pd.read_csv(path, sep="\t").to_dict("records") if path.exists() else []
    for pixel_size in given.pixel_sizes:
        if any(row["pixel_size"] == pixel_size for row in rows):
            continue
        rows.append(measured(given.folder, truth, pixel_size, training(given.steps, given.epochs), device))
        pd.DataFrame(rows).to_csv(path, sep="\t", index=False, float_format="%.5g")
        print(pd.DataFrame(rows).to_string(index=False, float_format="%.4g"), flush=True)


if __name__ == "__main__":
    main()
