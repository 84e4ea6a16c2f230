"""Weighted sum of losses over the valid pixels."""

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

from crisp_core.classes import IGNORED
from crisp_core.options import chosen
from crisp_core.segmentation.losses import LOSSES
from crisp_core.segmentation.losses.term import Loss, LossTerm
from crisp_core.segmentation.pixel_weights import repeated_pixels

if TYPE_CHECKING:
    import torch


def make_loss(terms: Sequence[str | Mapping[str, Any] | LossTerm]) -> Loss:
    """Weighted sum of losses by name.

    Parameters
    ----------
    terms : sequence of names, mappings or terms
        For instance ``["dice", {"name": "tversky", "weight": 0.5, "alpha": 0.3, "beta": 0.7}]``; the options of each
        loss are the fields of its class in `LOSSES`.

    Returns
    -------
    function
        Scalar loss of logits (b, l, h, w) and integer labels (b, h, w), with weights as in `pixel_weights`. Pixels of
        the label `IGNORED` do not count; without any other pixel the loss is 0.

    Raises
    ------
    UserError
        If a name or an option is not known, or a value is out of bounds.
    """
    parsed = [chosen(LOSSES, term, place="training/loss") for term in terms]
    weighted = [(term.weight, term.build()) for term in parsed]

    def loss(logits: "torch.Tensor", labels: "torch.Tensor") -> "torch.Tensor":
        """Return the weighted sum of the terms over the pixels that count."""
        values, targets = valid_pixels(logits, labels)
        if targets.numel() == 0:
            # a mean over no pixel would be NaN and end the training
            return logits.sum() * 0.0
        return reduce(add, (weight * term(values, targets) for weight, term in weighted))

    return loss


def valid_pixels(logits: "torch.Tensor", labels: "torch.Tensor") -> tuple["torch.Tensor", "torch.Tensor"]:
    """Select the valid pixels: logits (b, l, h, w) → (1, l, 1, n), labels (b, h, w) → (1, 1, n), in float32.

    A pixel is there as often as its label says: see `segmentation.pixel_weights`.
    """
    valid = labels != IGNORED
    values, classes = repeated_pixels(logits.float().movedim(1, -1)[valid].T, labels[valid].long())
    return values[None, :, None, :], classes[None, None, :]
