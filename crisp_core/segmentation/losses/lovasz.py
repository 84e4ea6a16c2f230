"""Lovász loss.

Source: Berman, Triki & Blaschko 2018, CVPR.
"""

from typing import Literal

from crisp_core.segmentation.losses.term import Loss, LossTerm


class Lovasz(LossTerm):
    """Lovász extension of the Jaccard loss, mean over the labels that occur."""

    name: Literal["lovasz"] = "lovasz"

    def build(self) -> Loss:
        """Lovász-softmax loss over all crops of the step together."""
        from segmentation_models_pytorch.losses import LovaszLoss

        return LovaszLoss("multiclass", per_image=False)
