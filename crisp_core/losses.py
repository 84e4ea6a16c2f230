"""The losses by name, over valid pixels only."""

from collections.abc import Callable, Sequence

import segmentation_models_pytorch as smp
import torch
from torch import nn

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

# label of pixels that count for nothing: outside the valid area
IGNORED = 255

LOSSES: dict[str, Callable[[], nn.Module]] = {
    "dice": lambda: smp.losses.DiceLoss("multiclass"),
    "jaccard": lambda: smp.losses.JaccardLoss("multiclass"),
    # recall counts for more than precision: a missed particle is lost, a false one is classified away
    "tversky": lambda: smp.losses.TverskyLoss("multiclass", alpha=0.3, beta=0.7),
    "lovasz": lambda: smp.losses.LovaszLoss("multiclass", per_image=False),
    "cross_entropy": lambda: smp.losses.SoftCrossEntropyLoss(smooth_factor=0.0, ignore_index=IGNORED),
}


def make_loss(names: Sequence[str]) -> Loss:
    """Sum of losses by name, for instance ``["dice", "cross_entropy"]``.

    The result takes logits (b, l, h, w) and integer labels (b, h, w), where `IGNORED` marks pixels that do not count.
    Overlap losses pool the counts of all valid pixels of the crops, as the metrics do.
    """
    terms = [LOSSES[name]() for name in names]

    def loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        values, targets = valid_pixels(logits, labels)
        return sum(term(values, targets) for term in terms)

    return loss


def valid_pixels(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Select the valid pixels: logits (b, l, h, w) → (1, l, 1, n), labels (b, h, w) → (1, 1, n), in float32."""
    valid = labels != IGNORED
    values = logits.float().movedim(1, -1)[valid].T
    return values[None, :, None, :], labels[valid].long()[None, None, :]
