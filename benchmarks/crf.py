"""How near and how fast the CRF layer is: `python benchmarks/crf.py [--device cuda] [--densecrf FOLDER]`.

Two labels, 5 iterations, on a drawn tile of 512²: bandwidths 160 / 0.05 / 3 on a float image and 80 / 13 / 3 on it
in 8 bits. Beside the brute force on 64², and beside pydensecrf2 (the C++ of Krähenbühl & Koltun with one thread)
where it is installed, by choice in a FOLDER of its own (`pip install --no-deps --target FOLDER pydensecrf2`).
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.process_memory import resident_mebibytes
from crisp_core.segmentation.crf.dense import brute_kernel
from crisp_core.segmentation.crf.kernels import normalized_filter
from crisp_core.segmentation.crf.layer import CrfLayer, low_pass_images
from crisp_core.segmentation.crf.settings import LayerSettings
from crisp_core.segmentation.crf.solvers import Term, mean_field, solve

SIDE, SMALL = 512, 64
BANDWIDTHS = {"160 / 0.05 / 3": (160.0, 0.05, 3.0), "80 / 13 / 3, 8 bits": (80.0, 13.0, 3.0)}
MEAN_FIELD = {"solver": "mean_field"}
PUBLISHED = LayerSettings(alpha_px=160.0, gamma_px=3.0)
# one grid for images of unit variance and of 8 bits
INTENSITY = LayerSettings(
    features="intensity", lowpass_px=0, grid_range=255, alpha_px=160.0, gamma_px=3.0, **MEAN_FIELD
)
FEATURE_CHANNELS = 16


def drawn_tile(side: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (1, 2, side, side) of a network that errs at outlines and in spots, and the image, of unit variance."""
    generator = torch.Generator().manual_seed(seed)

    def noise(sigma: float) -> torch.Tensor:
        field = low_pass_images(torch.randn(1, 1, side, side, generator=generator), sigma)
        return field / field.std()

    particles = (noise(10) > 0.5).float()
    image = particles + noise(1) + 0.5 * noise(40)
    difference = 4 * (particles - 0.5) + 3 * noise(1.5)
    return torch.cat([-difference / 2, difference / 2], dim=1), image / image.std()


def eight_bits(image: torch.Tensor) -> torch.Tensor:
    """Image on 0 … 255, rounded."""
    low, high = image.min(), image.max()
    return ((image - low) / (high - low) * 255).round()


def images(image: torch.Tensor) -> dict[str, torch.Tensor]:
    """The image as each choice of bandwidths means it."""
    return dict(zip(BANDWIDTHS, (image, eight_bits(image)), strict=True))


def layer_settings(name: str, **changes: Any) -> LayerSettings:
    """Settings of mean field on intensities with bandwidths by their name."""
    keys = ("alpha_px", "beta", "gamma_px")
    return INTENSITY.changed(**dict(zip(keys, BANDWIDTHS[name], strict=True)) | changes)


def brute_marginals(logits: torch.Tensor, image: torch.Tensor, name: str, *, appearance: bool = True) -> torch.Tensor:
    """Mean field in float64 with every pair of pixels, smoothness included."""
    alpha, beta, gamma = BANDWIDTHS[name]
    logits, image = logits.double(), image.double()
    kernels = [brute_kernel(torch.zeros_like(image), gamma, 1.0)]
    kernels += [brute_kernel(image, alpha, beta)] * appearance
    coupling = -torch.eye(2, dtype=torch.float64, device=logits.device)
    terms = [Term(normalized_filter(kernel, image, "symmetric").apply, coupling) for kernel in kernels]
    return solve(logits, terms, mean_field(5)).exp()


def report_accuracy(device: str, *, with_densecrf: bool) -> None:
    """Marginals of every operator, and pydensecrf2's, beside the brute force's."""
    logits, image = (t[..., :SMALL, :SMALL].contiguous().to(device) for t in drawn_tile(SIDE))
    print(f"\nMarginals beside the brute force, {SMALL}²\n")
    print(f"{'bandwidths':22}{'operator':30}{'mean difference':>18}{'largest':>12}{'allowed':>10}")
    operators = {
        "smoothness alone": ({"appearance": 0}, 1e-4),
        "pooled, stride 1": ({"operator": "pooled", "stride_px": 1}, 1e-4),
        "grid, 2 nodes": ({"grid_samples": 2}, 1e-2),
        "grid, 3 nodes (default)": ({}, 1e-2),
        "grid, 4 nodes": ({"grid_samples": 4}, 1e-2),
    }
    for name, seen in images(image).items():
        # what is at stake: the error of doing less
        exact = brute_marginals(logits, seen, name)
        without = {"no CRF at all": 0, "appearance left out": 1}
        for operator, smoothness in without.items():
            layer = CrfLayer(layer_settings(name, appearance=0, smoothness=smoothness), 2)
            accuracy_row(name, operator, layer, logits, seen, exact, None)
        if with_densecrf:
            print_difference(name, "pydensecrf2", densecrf(logits.cpu(), seen.cpu(), name), exact.cpu(), None)
        for operator, (changes, allowed) in operators.items():
            exact = brute_marginals(logits, seen, name, appearance="appearance" not in changes)
            accuracy_row(name, operator, CrfLayer(layer_settings(name, **changes), 2), logits, seen, exact, allowed)
    # pooling is exact for what varies slowly over a node
    for sigma in (0.0, 4.0, 16.0):
        name, seen = "160 / 0.05 / 3", low_pass_images(image, sigma)
        for stride in (2, 4, 8):
            layer = CrfLayer(layer_settings(name, operator="pooled", stride_px=stride), 2)
            exact = brute_marginals(logits, seen, name)
            accuracy_row(name, f"pooled, stride {stride}, low pass {sigma:g}", layer, logits, seen, exact, None)


@torch.inference_mode()
def accuracy_row(
    name: str,
    operator: str,
    layer: CrfLayer,
    logits: torch.Tensor,
    image: torch.Tensor,
    exact: torch.Tensor,
    allowed: float | None,
) -> None:
    """Print how near a layer comes."""
    print_difference(name, operator, layer.to(logits.device)(logits, image).exp(), exact, allowed)


def print_difference(
    name: str, operator: str, marginals: torch.Tensor, exact: torch.Tensor, allowed: float | None
) -> None:
    """Print a line of the table of accuracies."""
    difference = (marginals - exact).abs()
    limit = f"{allowed:>10.0e}" if allowed else " " * 10
    print(f"{name:22}{operator:30}{difference.mean().item():>18.2e}{difference.max().item():>12.2e}{limit}")


def densecrf(logits: torch.Tensor, image: torch.Tensor, name: str) -> torch.Tensor:
    """Marginals (1, 2, h, w) of pydensecrf2."""
    import pydensecrf.densecrf

    alpha, beta, gamma = BANDWIDTHS[name]
    height, width = image.shape[2:]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    crf = pydensecrf.densecrf.DenseCRF(height * width, 2)
    crf.setUnaryEnergy(np.ascontiguousarray(-logits[0].flatten(1).numpy()))
    for features in ([y / gamma, x / gamma], [y / alpha, x / alpha, image[0, 0].numpy() / beta]):
        crf.addPairwiseEnergy(np.ascontiguousarray(np.stack(features).reshape(len(features), -1)), 1.0)
    return torch.from_numpy(np.array(crf.inference(5))).view_as(logits)


def seconds(function: Callable[[], Any], device: str) -> float:
    """Wall-clock time of one call."""
    if device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    function()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def interleaved(functions: dict[str, Callable[[], Any]], device: str, repeats: int) -> dict[str, list[float]]:
    """Seconds of every function, called in turn, after one call that does not count."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for repeat in range(repeats + 1):
        for name, function in functions.items():
            elapsed = seconds(function, device)
            if repeat:
                times[name].append(elapsed)
    return times


def report_times(times: dict[str, list[float]]) -> None:
    """Print least and median milliseconds."""
    for name, values in times.items():
        print(f"{name:60}{1e3 * min(values):>10.1f}{1e3 * statistics.median(values):>10.1f}")


def report_speed(device: str, repeats: int, *, with_densecrf: bool) -> None:
    """Forward, and forward with backward, of a 512² tile, beside pydensecrf2."""
    logits, image = drawn_tile(SIDE)
    print(f"\nForward, {SIDE}², 5 iterations, preparation included{'ms: least':>18}{'median':>10}\n")
    for name, seen in images(image).items():
        layers = {
            "grid": CrfLayer(layer_settings(name), 2),
            "pooled": CrfLayer(layer_settings(name, operator="pooled"), 2),
        }
        functions = {
            f"{operator}, {name}": inference(layer.to(device), logits.to(device), seen.to(device))
            for operator, layer in layers.items()
        }
        if with_densecrf:
            functions[f"pydensecrf2, {name}"] = lambda seen=seen, name=name: densecrf(logits, seen, name)
        times = interleaved(functions, device, repeats)
        report_times(times)
        if with_densecrf:
            ratios = np.array(times[f"grid, {name}"]) / np.array(times[f"pydensecrf2, {name}"])
            marginals = inference(layers["grid"], logits.to(device), seen.to(device))().exp().cpu()
            difference = (marginals - densecrf(logits, seen, name)).abs().mean().item()
            print(
                f"  grid over pydensecrf2: time {np.median(ratios):.2f}, mean difference of marginals {difference:.1e}"
            )


def inference(layer: CrfLayer, logits: torch.Tensor, features: torch.Tensor) -> Callable[[], torch.Tensor]:
    """Forward pass without gradients."""
    return torch.inference_mode()(lambda: layer(logits, features))


def trained(layer: CrfLayer, logits: torch.Tensor, features: torch.Tensor) -> Callable[[], None]:
    """Forward and backward pass, gradients for the parameters and both inputs."""
    logits, features = (t.clone().requires_grad_() for t in (logits, features))

    def step() -> None:
        layer(logits, features)[:, 1].mean().backward()

    return step


def report_training(device: str, repeats: int) -> None:
    """Seconds and memory of training steps, for the layers that learn."""
    logits, image = drawn_tile(SIDE)
    maps = torch.randn(1, FEATURE_CHANNELS, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    learned = PUBLISHED.changed(features="learned", operator="pooled", beta=0.5)
    layers = {
        "intensity, grid, mean field": (CrfLayer(INTENSITY, 2), image),
        "logits, grid, Frank-Wolfe (published)": (CrfLayer(PUBLISHED, 2), image),
        "logits, pooled, Frank-Wolfe": (CrfLayer(PUBLISHED.changed(operator="pooled"), 2), image),
        "learned, pooled, Frank-Wolfe": (CrfLayer(learned, 2, feature_channels=FEATURE_CHANNELS), maps),
    }
    steps = {
        name: trained(layer.to(device), logits.to(device), features.to(device))
        for name, (layer, features) in layers.items()
    }
    print(f"\nForward and backward, {SIDE}²{'extra MiB':>20}\n")
    before = held_mebibytes(device)
    for name, step in steps.items():
        print(f"{name:40}{peak_mebibytes(step, device) - before:>9.0f}")
    print(f"\nForward and backward, {SIDE}²{'ms: least':>40}{'median':>10}\n")
    report_times(interleaved(steps, device, repeats))


def held_mebibytes(device: str) -> float:
    """Memory that is held now, in MiB (on the CPU: resident, Linux only)."""
    return torch.cuda.memory_allocated() / 2**20 if device == "cuda" else resident_mebibytes("VmRSS")


def peak_mebibytes(step: Callable[[], None], device: str) -> float:
    """Most memory that was held during a step, in MiB."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5")
    step()
    return torch.cuda.max_memory_allocated() / 2**20 if device == "cuda" else resident_mebibytes("VmHWM")


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--densecrf", help="folder that pydensecrf2 was installed into")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.densecrf:
        sys.path.append(options.densecrf)
    try:
        import pydensecrf  # noqa: F401

        with_densecrf = True
    except ImportError:
        with_densecrf = False
    place = torch.cuda.get_device_name() if options.device == "cuda" else f"CPU, {options.threads} threads"
    print(f"PyTorch {torch.__version__}, {place}, pydensecrf2 {'found' if with_densecrf else 'not found'}")
    report_training(options.device, options.repeats)
    report_speed(options.device, options.repeats, with_densecrf=with_densecrf)
    report_accuracy(options.device, with_densecrf=with_densecrf)


if __name__ == "__main__":
    main()
