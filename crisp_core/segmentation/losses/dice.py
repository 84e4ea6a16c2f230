"""Dice loss."""

from typing import Literal

from crisp_core.segmentation.losses.term import Loss, LossTerm


class Dice(LossTerm):
    """1 − 2 TP / (2 TP + FP + FN), mean over the labels; a label without a pixel contributes 0."""

    name: Literal["dice"] = "dice"

    def build(self) -> Loss:
        """Dice loss from soft counts over all crops of the step together."""
        from segmentation_models_pytorch.losses import DiceLoss

        return DiceLoss("multiclass")
