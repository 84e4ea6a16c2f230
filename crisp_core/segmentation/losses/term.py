"""Base of all losses: one weighted term of the loss that training minimises."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from pydantic import Field

from crisp_core.options import Options

if TYPE_CHECKING:
    import torch

# of logits (1, l, 1, n) and labels (1, 1, n) of the n valid pixels
Loss = Callable[["torch.Tensor", "torch.Tensor"], "torch.Tensor"]


class LossTerm(Options):
    """One term of the loss. A subclass adds `name`, its own options and `build`."""

    weight: float = Field(default=1.0, gt=0, description="weight of this term in the sum of the losses")

    def build(self) -> Loss:
        """Function of logits (1, l, 1, n) and labels (1, 1, n) of the n valid pixels; returns the scalar loss.

        Torch is imported here, since the main process of Snakemake reads the options alone.
        """
        raise NotImplementedError
