"""Jaccard loss."""

from typing import Literal

from crisp_core.segmentation.losses.term import Loss, LossTerm


class Jaccard(LossTerm):
    """1 − TP / (TP + FP + FN), mean over the labels; a label without a pixel contributes 0."""

    name: Literal["jaccard"] = "jaccard"

    def build(self) -> Loss:
        """Jaccard loss from soft counts over all crops of the step together."""
        from segmentation_models_pytorch.losses import JaccardLoss

        return JaccardLoss("multiclass")
