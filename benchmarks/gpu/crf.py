"""Part 4: milliseconds of the CRF, forward and with backward, for a tile of 512² with every operator."""

import torch

from benchmarks.crf import FEATURE_CHANNELS, INTENSITY, PUBLISHED, drawn_tile, inference, trained
from benchmarks.gpu.work import Add, Work, median_seconds
from crisp_core.segmentation.crf.layer import CrfLayer

SIDE_PX = 512
# The brute force takes no more pixels than that.
BRUTE_PX = 64
LEARNED = {"features": "learned", "beta": 0.5}
LAYERS = {
    "logits, grid, published": PUBLISHED,
    "logits, pooled": PUBLISHED.changed(operator="pooled"),
    "intensity, grid, mean field": INTENSITY,
    "intensity, grid, mean field, low pass": INTENSITY.changed(lowpass_px=2.0),
    "intensity, pooled, mean field": INTENSITY.changed(operator="pooled"),
    "learned, pooled": PUBLISHED.changed(operator="pooled", **LEARNED),
    "logits, grid, line search": PUBLISHED.changed(step_rule="line_search", initial_weight=0.0),
    f"logits, brute, {BRUTE_PX} x {BRUTE_PX}": PUBLISHED.changed(operator="brute"),
    f"learned, brute, {BRUTE_PX} x {BRUTE_PX}": PUBLISHED.changed(operator="brute", **LEARNED),
}


def measure(add: Add, work: Work) -> None:
    """Time every layer on one drawn tile, preparation of the kernels included."""
    repeats = 1 if work.rehearse else 20
    for name, settings in LAYERS.items():
        side = 32 if work.rehearse else BRUTE_PX if settings.operator == "brute" else SIDE_PX
        logits, image = (x.to(work.device) for x in drawn_tile(side))
        if settings.features == "learned":
            image = torch.randn(1, FEATURE_CHANNELS, side, side, device=work.device)
        layer = CrfLayer(settings, 2, feature_channels=FEATURE_CHANNELS).to(work.device)
        for what, action in (("forward", inference), ("forward_and_backward", trained)):
            seconds = median_seconds(action(layer, logits, image), device=work.device, repeats=repeats)
            add({f"{name}/{what}_ms": 1e3 * seconds})
