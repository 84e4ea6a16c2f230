"""The losses by name, alone or as a weighted sum, over the pixels that count."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import segmentation_models_pytorch as smp
import torch
from torch import nn

from crisp_core.classes import IGNORED
from crisp_core.errors import UserError

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

LOSSES: dict[str, Callable[..., nn.Module]] = {
    "dice": lambda: smp.losses.DiceLoss("multiclass"),
    "jaccard": lambda: smp.losses.JaccardLoss("multiclass"),
    # recall counts for more than precision: a missed particle is lost, a false one is classified away
    "tversky": lambda *, alpha=0.3, beta=0.7: smp.losses.TverskyLoss("multiclass", alpha=alpha, beta=beta),
    "lovasz": lambda: smp.losses.LovaszLoss("multiclass", per_image=False),
    "cross_entropy": lambda *, label_smoothing=0.0: smp.losses.SoftCrossEntropyLoss(
        smooth_factor=label_smoothing, ignore_index=IGNORED
    ),
}


def make_loss(terms: Sequence[str | Mapping[str, Any]]) -> Loss:
    """Weighted sum of losses by name.

    Parameters
    ----------
    terms : sequence of names or mappings
        For instance ``["dice", {"name": "tversky", "weight": 0.5, "alpha": 0.3, "beta": 0.7}]``. A mapping has the
        keys `name`, `weight` (1 if it is missing) and the options of that loss:

        - tversky: `alpha` and `beta`, weights of false positives and of false negatives (0.3 and 0.7; both 0.5 is
          Dice, both 1 is Jaccard; Salehi, Erdogmus & Gholipour 2017);
        - cross_entropy: `label_smoothing` ε, the share of the target that is spread over all labels (0).

    Returns
    -------
    function
        Scalar loss of logits (b, l, h, w) and integer labels (b, h, w), where `IGNORED` marks pixels that do not
        count. Dice, Jaccard and Tversky losses are means over the labels, each computed from the counts of all
        crops together, as the metrics are; a label that no crop has contributes 0. Lovász (Berman, Triki & Blaschko
        2018) is the mean over the labels that occur. Without any pixel that counts, the loss is 0.

    Raises
    ------
    UserError
        For a name or an option that is not known.
    """
    weighted = [_term(term) for term in terms]

    def loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        values, targets = valid_pixels(logits, labels)
        if targets.numel() == 0:
            # a mean over no pixel would be NaN and end the training
            return logits.sum() * 0.0
        return sum(weight * term(values, targets) for weight, term in weighted)

    return loss


def _term(term: str | Mapping[str, Any]) -> tuple[float, nn.Module]:
    options: dict[str, Any] = {"name": term} if isinstance(term, str) else dict(term)
    name, weight = options.pop("name", None), options.pop("weight", 1.0)
    if name not in LOSSES:
        raise UserError(f"training/loss: {name!r} is no loss; known are {', '.join(LOSSES)}")
    known = list(inspect.signature(LOSSES[name]).parameters)
    for option in options:
        if option not in known:
            takes = f"it takes weight, {', '.join(known)}" if known else "it takes weight alone"
            raise UserError(f"training/loss: {name} has no option {option!r}; {takes}")
    return weight, LOSSES[name](**options)


def valid_pixels(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Select the valid pixels: logits (b, l, h, w) → (1, l, 1, n), labels (b, h, w) → (1, 1, n), in float32."""
    valid = labels != IGNORED
    values = logits.float().movedim(1, -1)[valid].T
    return values[None, :, None, :], labels[valid].long()[None, None, :]
