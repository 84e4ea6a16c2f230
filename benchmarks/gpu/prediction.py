"""Part 2: micrographs per second, at native size with the paper's network and at working size with the default one."""

from collections.abc import Callable
from itertools import product
from typing import Any

import h5py
import numpy as np
import torch
from torch import nn

from benchmarks.gpu.work import Add, Work, median_seconds
from benchmarks.segmentation import CASES, OVERLAP_PX, TILE_PX
from crisp_core.formats.arrays import read_array, write_array
from crisp_core.segmentation.inference import predict
from crisp_core.segmentation.networks import build_network
from crisp_core.segmentation.settings import NetworkSettings
from crisp_core.segmentation.tiles import Tiling, stitch, tiling
from crisp_core.segmentation.training import mixed_precision

NAMES = {"native": "paper", "working": "default"}
# The schema's default, and what fills a GPU better.
TILES_PER_STEP = {"as_the_workflow": 4, "16_tiles": 16}
# Of the 81 tiles at native size and the 9 at working size: equal steps, since another size is compiled again.
TILES_OF_NETWORK = 9
# Seconds that must be left for another compilation.
COMPILATION_S = 25


def measure(add: Add, work: Work) -> None:
    """Measure both sizes without compilation, then with it, which may take long."""
    cases = {name: prepared_case(name, work) for name in reversed(NAMES)}
    for name, case in cases.items():
        add_to = prefixed(add, name)
        whole_micrographs(add_to, *case, work)
        parts_of_prediction(add_to, *case, work)
        network_alone(add_to, *case, work, compiled=False)
    for name, case in cases.items():
        network_alone(prefixed(add, name), *case, work, compiled=True)


def prefixed(add: Add, name: str) -> Add:
    """`add` with the case before the names of the numbers."""
    return lambda numbers: add({f"{name}/{key}": value for key, value in numbers.items()})


def prepared_case(name: str, work: Work) -> tuple[nn.Module, np.ndarray]:
    """Network on the device, and a prepared micrograph of the case's size; both tiny in a rehearsal."""
    case = CASES["default" if work.rehearse else NAMES[name]]
    side = 64 if work.rehearse else case["side_px"]
    network = build_network(NetworkSettings(encoder_weights=None, **case["network"]), 2)
    image = np.random.default_rng(0).standard_normal((side, side), dtype=np.float32)
    return network.to(work.device, memory_format=torch.channels_last).eval(), image


def options(work: Work) -> dict[str, int]:
    """Tiles as the schema's defaults."""
    return {"tile_px": 48, "overlap_px": 16} if work.rehearse else {"tile_px": TILE_PX, "overlap_px": OVERLAP_PX}


def repeats(work: Work) -> int:
    """Runs that count."""
    return 1 if work.rehearse else 3


def whole_micrographs(add: Add, network: nn.Module, image: np.ndarray, work: Work) -> None:
    """Micrographs per second as the workflow predicts them, with more tiles per step, and each with bfloat16."""
    for name, n_tiles in TILES_PER_STEP.items():
        for suffix, mixed in (("", False), ("_bfloat16", True)):

            def whole(n_tiles: int = n_tiles, mixed: bool = mixed) -> np.ndarray:
                with mixed_precision(work.device, wanted=mixed):
                    return predict(network, image, tiles_per_step=n_tiles, device=work.device, **options(work))

            add({f"{name}{suffix}_per_s": 1 / median_seconds(whole, device=work.device, repeats=repeats(work))})


def parts_of_prediction(add: Add, network: nn.Module, image: np.ndarray, work: Work) -> None:
    """Milliseconds of a micrograph in the file, between host and device, in the network and in the blending."""
    tiles = tiling(image.shape, **options(work))
    stack = host_tiles(image, tiles)
    on_device = stack.to(work.device)
    output = torch.rand(len(stack), 2, *tiles.shape, device=work.device)
    host_output = output.cpu().numpy()
    path = work.scratch / "image.h5"
    with h5py.File(path, "w") as file:
        write_array(file, "image", "m", image, pixel_size=1.0, full_shape=image.shape)
    parts: dict[str, Callable[[], Any]] = {
        "read": lambda: read_array(path, "image", "m"),
        "cut_tiles": lambda: host_tiles(image, tiles),
        "copy_to_device": lambda: stack.to(work.device),
        "network": lambda: through(network, on_device, 4),
        "copy_to_host": lambda: output.cpu(),
        "stitch": lambda: stitch(host_output, tiles, image.shape, overlap_px=options(work)["overlap_px"]),
    }
    for name, action in parts.items():
        add({f"{name}_ms": 1e3 * median_seconds(action, device=work.device, repeats=repeats(work))})


def host_tiles(image: np.ndarray, tiles: Tiling) -> torch.Tensor:
    """Tiles (n, 1, h, w) of an image."""
    height, width = tiles.shape
    return torch.from_numpy(np.stack([image[y : y + height, x : x + width] for y, x in tiles.corners])[:, None])


@torch.inference_mode()
def through(network: nn.Module, tiles: torch.Tensor, n_tiles: int) -> torch.Tensor:
    """Pass all tiles through the network, `n_tiles` at a time; logits of the last ones."""
    for step in tiles.split(n_tiles):
        logits = network(step)
    return logits


def network_alone(add: Add, network: nn.Module, image: np.ndarray, work: Work, *, compiled: bool) -> None:
    """Milliseconds of the network for a micrograph: precision and layout of the tensors, compiled or not."""
    tiles = host_tiles(image, tiling(image.shape, **options(work))).to(work.device)
    layouts = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}
    for (layout, memory_format), kind in product(layouts.items(), ("bfloat16", "float32")):
        name = f"network_{layout}_{kind}{'_compiled' if compiled else ''}_ms"
        if compiled and not work.rehearse and work.left_s() < COMPILATION_S:
            add({name: "not run: no time left"})
            continue
        network.to(memory_format=memory_format)
        given = tiles.contiguous(memory_format=memory_format)
        # a rehearsal proves the call; its compilation would take minutes
        run = torch.compile(network, backend="eager" if work.rehearse else "inductor") if compiled else network
        with mixed_precision(work.device, wanted=kind == "bfloat16"):
            seconds = median_seconds(
                lambda run=run, given=given: through(run, given, TILES_OF_NETWORK),
                device=work.device,
                repeats=repeats(work),
            )
        add({name: 1e3 * seconds})
    network.to(memory_format=torch.channels_last)
