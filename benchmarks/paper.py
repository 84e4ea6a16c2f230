"""The paper's synthetic experiment in one go: `python benchmarks/paper.py FOLDER [--device cuda] [--small]`.

84 micrographs of 4096² at 1.77 Å/px, SNR 0.005; 16 train U-Net++ with EfficientNet-b5 for 50 epochs by the published
recipe, 6 validate, the rest test. It prints IoU, recall and F1 beside the published ones. `--small` is the same on few
small micrographs with a small network, to prove it where there is no GPU.

`benchmarks/gpu.sh` runs it at the largest scale that fits its time, on a machine that lacks some packages.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import synthetic
import torch

from crisp_core.evaluation.pixels import f1, iou, pool_pixels, recall
from crisp_core.logs import start_log
from crisp_core.segmentation.devices import start_torch
from crisp_core.simulation.volumes import resample_volume

PUBLISHED = {"iou": 0.9233, "recall": 0.9569, "f1": 0.9601}
NETWORK = {
    "architecture": "unetplusplus",
    "encoder": "efficientnet-b5",
    "options": {"decoder_channels": [256, 128, 64, 32, 16]},
}
TRAINING = {
    **{"loss": ["dice"], "epochs": 50, "crops_per_micrograph": 4, "crops_per_step": 8, "crop_px": 512},
    **{"learning_rate": 1e-3, "weight_decay": 0.0, "contrast_jitter": 0.0, "averaging_decay": 0.0},
}
PREDICTION = {"tile_px": 512, "overlap_px": 64, "tiles_per_step": 16}
FULL = {"n": 84, "side_px": 4096, "n_particles": (100, 200)}
SMALL = {"n": 8, "side_px": 1024, "n_particles": (8, 14)}
SMALL_TRAINING = {"epochs": 8, "crop_px": 256, "crops_per_micrograph": 24}


def density() -> np.ndarray:
    """Map at the micrographs' pixel size: 80³ values at 3.54 Å/px after a header of 1024 bytes."""
    values = np.fromfile(synthetic.MAP, dtype="<f4", offset=1024).reshape(80, 80, 80)
    return resample_volume(values, synthetic.MAP_PIXEL_SIZE, synthetic.PIXEL_SIZE)


def main() -> None:
    """Simulate, train, predict, score."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    arguments.add_argument("--small", action="store_true")
    arguments.add_argument("--workers", type=int, default=1, help="processes that simulate, and that read crops")
    arguments.add_argument("--projector", default="finufft", choices=["finufft", "torch"])
    given = arguments.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    start_log(given.folder / "log.txt")
    begin = time.perf_counter()
    sizes = SMALL if given.small else FULL
    synthetic.simulate(given.folder, density(), workers=given.workers, projector=given.projector, **sizes)
    simulated = time.perf_counter()
    n_train, n_validation = (4, 2) if given.small else (16, 6)
    # the order is drawn once, as a split by micrograph is
    order = np.random.default_rng(synthetic.SEED).permutation(sizes["n"])
    names = [f"m{i:03d}" for i in order]
    micrographs = synthetic.prepared(given.folder, names, synthetic.PIXEL_SIZE)
    of = {"train": names[:n_train], "validation": names[n_train : n_train + n_validation]}
    of["test"] = names[n_train + n_validation :]
    parts = {part: [micrographs[name] for name in of[part]] for part in of}
    device = start_torch(threads=torch.get_num_threads(), gpus=int(given.device == "cuda"))
    network_settings = {"architecture": "unetplusplus", "encoder": "tu-resnet10t"} if given.small else NETWORK
    training = TRAINING | {"workers": given.workers - 1} | (SMALL_TRAINING if given.small else {})
    network, history, seconds = synthetic.trained(parts, network_settings, training, PREDICTION, device)
    history.to_csv(given.folder / "history.tsv", sep="\t", index=False)
    maps, predict_seconds = synthetic.predicted(network, parts["test"], PREDICTION, device)
    pixels = pool_pixels(synthetic.full_size_counts(given.folder, maps))
    reached = {"iou": iou(pixels), "recall": recall(pixels), "f1": f1(pixels)}
    for name, value in reached.items():
        print(f"{name:<8}{value:.4f}  published {PUBLISHED[name]:.4f}")
    print(
        f"simulation {simulated - begin:.0f} s, training {seconds:.0f} s, "
        f"prediction {predict_seconds:.2f} s per micrograph, all {time.perf_counter() - begin:.0f} s"
    )


if __name__ == "__main__":
    main()
