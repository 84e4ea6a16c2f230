"""Speed of the network: `python benchmarks/segmentation.py [--device cuda] [--only default]`.

For the default network at its working size (4096² at 1.77 Å/px seen at 7.08) and for the paper's at native resolution:
a training step, the prediction of a whole micrograph with its parts, and memory, each after one run that does not
count. The training step stands beside its arithmetic limit: its operations at the rate of the fastest of a few
convolutions. On a CPU the paper's network predicts only a few tiles; the rest is their multiple, marked with ≈.
"""

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).parents[1]))

from crisp_core.formats.arrays import read_array, write_array
from crisp_core.segmentation.devices import start_torch
from crisp_core.segmentation.inference import predict, tile_probabilities
from crisp_core.segmentation.losses.total import make_loss
from crisp_core.segmentation.networks import build_network, n_parameters
from crisp_core.segmentation.settings import NetworkSettings
from crisp_core.segmentation.tiles import stitch, tiling
from crisp_core.segmentation.training import start_run, train_epoch
from crisp_core.segmentation.training_settings import TrainingSettings

CASES: dict[str, dict[str, Any]] = {
    "default": {
        "network": {"architecture": "unetplusplus", "encoder": "tu-resnet10t"},
        "side_px": 1024,
        "crop_px": 128,
        "loss": ["dice", "cross_entropy"],
    },
    "paper": {
        "network": {
            "architecture": "unetplusplus",
            "encoder": "efficientnet-b5",
            "options": {"decoder_channels": [256, 128, 64, 32, 16]},
        },
        "side_px": 4096,
        "crop_px": 512,
        "loss": ["dice"],
    },
}
CROPS_PER_STEP = 8
TILE_PX, OVERLAP_PX = 512, 64
TILES_ON_CPU = 4
CONVOLUTION_CHANNELS = (32, 64, 128)


def seconds(action: Callable[[], Any], *, repeats: int, device: str) -> float:
    """Shortest of several runs of an action, after one that does not count."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        action()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return min(times[1:])


def training_step(network: torch.nn.Module, case: dict[str, Any], device: str) -> Callable[[], Any]:
    """One optimiser step on random crops, as the training takes it."""
    crop = case["crop_px"]
    images = torch.randn(CROPS_PER_STEP, 1, crop, crop)
    labels = torch.randint(0, 2, (CROPS_PER_STEP, crop, crop), dtype=torch.uint8)
    settings = TrainingSettings(learning_rate=1e-4)
    run, loss = start_run(network, settings, n_steps=1000), make_loss(case["loss"])
    return lambda: train_epoch(run, [(images, labels)], loss, device=device)


def operations(action: Callable[[], Any]) -> int:
    """Floating-point operations of the convolutions and matrix products of an action, forward and backward."""
    with FlopCounterMode(display=False) as counter:
        action()
    return counter.get_total_flops()


def fastest_convolution(device: str) -> float:
    """Operations per second of the fastest of some 3 × 3 convolutions on 8 images of 64², forward and backward."""
    rates = []
    for channels in CONVOLUTION_CHANNELS:
        layer = torch.nn.Conv2d(channels, channels, 3, padding=1).to(device, memory_format=torch.channels_last)
        images = torch.randn(8, channels, 64, 64, device=device).to(memory_format=torch.channels_last).requires_grad_()
        action = partial(forward_and_backward, layer, images)
        rates.append(operations(action) / seconds(action, repeats=5, device=device))
    return max(rates)


def forward_and_backward(layer: torch.nn.Module, images: torch.Tensor) -> None:
    """Gradients of the layer's weights and of the images."""
    layer(images).sum().backward()


def parts_of_prediction(network: torch.nn.Module, folder: Path, case: dict[str, Any], device: str) -> dict[str, float]:
    """Seconds of reading, network, stitching and writing of one micrograph."""
    side = case["side_px"]
    grid = {"pixel_size": 1.0, "full_shape": (4096, 4096)}
    with h5py.File(folder / "images.h5", "w") as file:
        write_array(
            file, "image", "m", np.random.default_rng(0).standard_normal((side, side), dtype=np.float32), **grid
        )
    image = read_array(folder / "images.h5", "image", "m").data
    tiles = tiling(image.shape, tile_px=TILE_PX, overlap_px=OVERLAP_PX)
    height, width = tiles.shape
    some = tiles.corners if device == "cuda" else tiles.corners[:TILES_ON_CPU]
    stack = np.stack([image[y : y + height, x : x + width] for y, x in some])[:, None]
    made = np.random.default_rng(0).random((2, height, width), dtype=np.float32)

    def through_network() -> None:
        with torch.inference_mode():
            for step in torch.from_numpy(stack).split(TILES_ON_CPU):
                tile_probabilities(network, step.to(device), turns=False).cpu().numpy()

    def constant_tiles() -> Iterator[np.ndarray]:
        for _ in tiles.corners:
            yield made

    def write() -> None:
        with h5py.File(folder / "probability.h5", "w") as file:
            write_array(file, "probability", "m", image.astype(np.float16), **grid)

    actions = {
        "read": lambda: read_array(folder / "images.h5", "image", "m"),
        "network": through_network,
        "stitch": lambda: stitch(constant_tiles(), tiles, image.shape, overlap_px=OVERLAP_PX),
        "write": write,
    }
    times = {name: seconds(action, repeats=3, device=device) for name, action in actions.items()}
    times["network"] *= len(tiles.corners) / len(some)
    if len(some) == len(tiles.corners) or case["side_px"] <= 1024:
        whole = lambda: predict(network, image, tile_px=TILE_PX, overlap_px=OVERLAP_PX, device=device)  # noqa: E731
        times["predict"] = seconds(whole, repeats=3, device=device)
    return times


def peak_mib(device: str) -> float:
    """Peak memory of the device, or of this process on a CPU."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print one block per case."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    arguments.add_argument("--only", choices=list(CASES))
    given = arguments.parse_args()
    device = start_torch(threads=torch.get_num_threads(), gpus=int(given.device == "cuda"))
    rate = fastest_convolution(device)
    print(f"fastest convolution: {rate / 1e9:.0f} GFLOP/s")
    for name in [given.only] if given.only else CASES:
        case = CASES[name]
        network = build_network(NetworkSettings(encoder_weights=None, **case["network"]), 2)
        network.to(device, memory_format=torch.channels_last)
        print(f"\n{name}: {n_parameters(network) / 1e6:.2f} M parameters, {device}, {torch.get_num_threads()} threads")
        repeats = 1 if case["side_px"] > 1024 and device == "cpu" else 3
        action = training_step(network, case, device)
        step = seconds(action, repeats=repeats, device=device)
        print(f"  training step, {CROPS_PER_STEP} crops of {case['crop_px']}²: {step:.3f} s")
        flops = operations(action)
        print(f"  {flops / 1e9:.1f} GFLOP at {flops / step / 1e9:.0f} GFLOP/s; arithmetic limit {flops / rate:.3f} s")
        network.eval()
        with tempfile.TemporaryDirectory() as folder:
            times = parts_of_prediction(network, Path(folder), case, device)
        total = sum(times[part] for part in ("read", "network", "stitch", "write"))
        about = "" if "predict" in times else "≈ "
        parts = ", ".join(f"{part} {times[part]:.3f} s ({times[part] / total:.0%})" for part in list(times)[:4])
        print(f"  a micrograph of {case['side_px']}²: {about}{total:.2f} s: {parts}")
        if "predict" in times:
            share = times["stitch"] / times["predict"]
            print(f"  predict as the workflow calls it: {times['predict']:.2f} s; stitching {share:.1%} of it")
        print(f"  peak memory so far {peak_mib(device):.0f} MiB")


if __name__ == "__main__":
    main()
