"""Part 1: the tests that need a GPU, and the GPU's numbers beside the processor's in float64.

A difference is ‖a − b‖ / ‖b‖ over a whole array, so that NaN never passes. TF32 is PyTorch's default for the
convolutions of an NVIDIA GPU; float32 means that it is off.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.gpu.work import Add, Work
from benchmarks.segmentation import CASES
from crisp_core.classes import IGNORED
from crisp_core.segmentation.crf.layer import CrfLayer
from crisp_core.segmentation.crf.settings import LayerSettings
from crisp_core.segmentation.inference import padded_logits, predict
from crisp_core.segmentation.losses import LOSSES
from crisp_core.segmentation.losses.total import make_loss
from crisp_core.segmentation.networks import build_network
from crisp_core.segmentation.settings import NetworkSettings

ROOT = Path(__file__).parents[2]

# Largest difference allowed, by the precision of the device. Gradients pass twice through every layer.
FORWARD = {"float32": 1e-4, "tf32": 1e-2, "bfloat16": 5e-2}
BACKWARD = {"float32": 2e-3, "tf32": 1e-1, "bfloat16": 3e-1}
LOSS_TOLERANCE = 1e-5
# The CRF computes in float32 whatever the network does; only its input and the gradient for it are rounded then.
CRF_FORWARD, CRF_BACKWARD, CRF_BACKWARD_BFLOAT16 = 1e-4, 5e-3, 2e-2

CHANNELS = 6
KINDS = [
    *(("intensity", operator) for operator in ("grid", "pooled", "brute")),
    *(("logits", operator) for operator in ("grid", "pooled", "brute")),
    *(("learned", operator) for operator in ("pooled", "brute")),
]
SOLVERS: dict[str, dict[str, Any]] = {
    "mean field": {"solver": "mean_field", "initial_weight": 0.0},
    "Frank-Wolfe": {"solver": "frank_wolfe"},
    "Frank-Wolfe, row": {"solver": "frank_wolfe", "normalization": "row"},
    "Frank-Wolfe, entropy, learned steps": {"regularizer": "negentropy", "step_rule": "learnable"},
    "Frank-Wolfe, line search": {"step_rule": "line_search", "initial_weight": 0.0},
}
TILE, TILE_OF_REHEARSAL = (40, 44), (16, 20)


class Disagreement(Exception):
    """The device computes something else than the processor."""


def measure(add: Add, work: Work) -> None:
    """Run the tests, then all comparisons; raise after the last if one disagrees."""
    troubles = [] if run_marked_tests(add, work) else ["tests marked gpu"]
    torch.manual_seed(0)
    for differences in (loss_differences, crf_differences, network_differences):
        troubles += add_differences(add, differences(work))
    add({"disagreements": len(troubles)})
    if troubles:
        raise Disagreement("; ".join(troubles))


def add_differences(add: Add, differences: Iterable[tuple[str, float, float]]) -> list[str]:
    """Write every difference beside the largest one allowed; return the names of those beyond it."""
    beyond = []
    for name, difference, allowed in differences:
        # NaN is not within it either
        agrees = difference <= allowed
        add({name: f"{difference:.1e} of {allowed:.0e}" + ("" if agrees else "  DISAGREES")})
        beyond += [] if agrees else [name]
    return beyond


def run_marked_tests(add: Add, work: Work) -> bool:
    """Run the tests marked `gpu`; True if all passed, or in a rehearsal if all were found and skipped."""
    import pytest

    # others need programs that a bare machine lacks, already to be collected
    files = [str(path) for path in sorted((ROOT / "tests").rglob("test_*.py")) if "mark.gpu" in path.read_text()]
    counts = _Counts()
    options = ["-q", "-p", "no:cacheprovider", "--durations=0", "--rootdir", str(ROOT), "-m", "gpu"]
    status = pytest.main([*options, *files], plugins=[counts])
    add({f"tests marked gpu, {outcome}": n for outcome, n in counts.outcomes.items()})
    add({f"failed: {name}": "see the output" for name in counts.failed})
    wanted = "skipped" if work.rehearse else "passed"
    return status == 0 and counts.outcomes[wanted] == sum(counts.outcomes.values()) > 0


class _Counts:
    """Pytest plugin: outcomes of the tests."""

    def __init__(self) -> None:
        self.outcomes = {"passed": 0, "failed": 0, "skipped": 0}
        self.failed: list[str] = []

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call" or report.outcome != "passed":
            self.outcomes[report.outcome] += 1
            self.failed += [report.nodeid] if report.failed else []


def difference(found: Any, reference: Any) -> float:
    """‖found − reference‖ / ‖reference‖ of two arrays or two sequences of arrays."""
    found, reference = (_flat(values) for values in (found, reference))
    return float((found - reference).norm() / reference.norm())


def _flat(values: Any) -> torch.Tensor:
    if isinstance(values, list | tuple):
        return torch.cat([_flat(value) for value in values])
    return torch.as_tensor(values).detach().cpu().double().flatten()


@contextmanager
def precision(name: str, device: str) -> Iterator[None]:
    """Compute in float32, with TF32 in the convolutions, or in bfloat16 where autocast does."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = name != "float32"
    try:
        with torch.autocast(device, torch.bfloat16, enabled=name == "bfloat16"):
            yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def loss_differences(work: Work) -> Iterator[tuple[str, float, float]]:
    """Every loss and its gradient for the logits."""
    logits = torch.randn(2, 3, 40, 44)
    labels = torch.randint(0, 3, (2, 40, 44))
    labels[:, :4] = IGNORED

    def value_and_gradient(name: str, device: str) -> tuple[torch.Tensor, torch.Tensor]:
        given = logits.to(device).requires_grad_()
        value = make_loss([name])(given, labels.to(device))
        value.backward()
        return value, given.grad

    for name in LOSSES:
        pairs = zip(value_and_gradient(name, work.device), value_and_gradient(name, "cpu"), strict=True)
        for what, pair in zip(("value", "gradient"), pairs, strict=True):
            yield f"loss {name}, {what}", difference(*pair), LOSS_TOLERANCE


def crf_differences(work: Work) -> Iterator[tuple[str, float, float]]:
    """Marginals and all gradients of every operator with every solver, also with bfloat16 around and as input."""
    tile = TILE_OF_REHEARSAL if work.rehearse else TILE
    for features, operator in KINDS:
        for solver, changes in SOLVERS.items():
            small = {"alpha_px": 9.0, "beta": 0.4, "gamma_px": 1.5, "stride_px": 2, "learned_channels": 4}
            settings = LayerSettings(**small | {"features": features, "operator": operator} | changes)
            layer = CrfLayer(settings, 2, feature_channels=CHANNELS)
            logits = torch.randn(2, 2, *tile) * 2
            inputs = torch.randn(2, CHANNELS if features == "learned" else 1, *tile)
            for mixed in (False, True):
                # the same rounded numbers on both sides
                given = logits.bfloat16().float() if mixed else logits
                exact = crf_results(deepcopy(layer).double(), given.double(), inputs.double(), mixed=False)
                to_device = (x.to(work.device) for x in (deepcopy(layer), given, inputs))
                found = crf_results(*to_device, mixed=mixed)
                name = f"CRF {features}, {operator}, {solver}{', bfloat16' if mixed else ''}"
                yield f"{name}, forward", difference(found[0], exact[0]), CRF_FORWARD
                worst = max(difference(*pair) for pair in zip(found[1], exact[1], strict=True))
                yield f"{name}, backward", worst, CRF_BACKWARD_BFLOAT16 if mixed else CRF_BACKWARD


def crf_results(
    layer: CrfLayer, logits: torch.Tensor, inputs: torch.Tensor, *, mixed: bool
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Marginals of a layer, and the gradients for its logits, features and parameters."""
    logits, inputs = (x.clone().requires_grad_() for x in (logits, inputs))
    with torch.autocast(logits.device.type, torch.bfloat16, enabled=mixed):
        marginals = layer(logits.bfloat16() if mixed else logits, inputs).exp()
    # no symmetry of the marginals makes this gradient vanish
    weights = torch.linspace(-1, 1, marginals.numel(), device=marginals.device, dtype=marginals.dtype)
    (marginals * weights.view_as(marginals)).sum().backward()
    # as one array, since the gradient of a single number is a sum that may cancel
    parameters = torch.cat([x.grad.flatten() for x in layer.parameters() if x.grad is not None])
    return marginals, [x.grad for x in (logits, inputs) if x.grad is not None] + [parameters]


def network_differences(work: Work) -> Iterator[tuple[str, float, float]]:
    """Predicted maps and the gradients of a training step, of the default network and of the paper's."""
    sides = {"default": 64} if work.rehearse else {"default": 512, "paper": 512}
    for name, side in sides.items():
        network = settled_network(CASES[name]["network"], side)
        image = np.random.default_rng(1).standard_normal((side, side), dtype=np.float32)
        tiles = {"tile_px": side * 3 // 4, "overlap_px": 32}
        exact = predict(deepcopy(network).double().eval(), image.astype(float), turns=True, **tiles)
        gradients = step_gradients(deepcopy(network).double(), CASES[name]["loss"], torch.float64, side // 2, "cpu")
        for kind in ("float32",) if work.rehearse else FORWARD:
            on_device = deepcopy(network).to(work.device, memory_format=torch.channels_last)
            with precision(kind, work.device):
                found = predict(on_device.eval(), image, turns=True, device=work.device, **tiles)
                again = step_gradients(on_device, CASES[name]["loss"], torch.float32, side // 2, work.device)
            yield f"prediction, {name}, {kind}", difference(found, exact), FORWARD[kind]
            yield f"training step, {name}, {kind}", difference(again, gradients), BACKWARD[kind]


def settled_network(settings: Mapping[str, Any], side_px: int) -> nn.Module:
    """Untrained network whose batch normalisations know their statistics, as a trained one's do."""
    network = build_network(NetworkSettings(encoder_weights=None, **settings), 2)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network.train()(torch.randn(4, 1, side_px // 2, side_px // 2))
    return network


def step_gradients(
    network: nn.Module, loss: list[str], dtype: torch.dtype, side_px: int, device: str
) -> list[torch.Tensor]:
    """Gradients of a training step's loss for all weights."""
    rng = np.random.default_rng(2)
    crops = torch.from_numpy(rng.standard_normal((4, 1, side_px, side_px))).to(device, dtype)
    labels = torch.from_numpy(rng.integers(0, 2, (4, side_px, side_px))).to(device)
    # statistics of the batch, but no dropout
    network.train()
    _without_dropout(network)
    make_loss(loss)(padded_logits(network, crops), labels).backward()
    return [weight.grad for weight in network.parameters() if weight.grad is not None]


def _without_dropout(network: nn.Module) -> None:
    for module in network.modules():
        if "drop" in type(module).__name__.lower():
            module.eval()
