"""Cross-entropy loss."""

from typing import Literal

from pydantic import Field

from crisp_core.segmentation.losses.term import Loss, LossTerm


class CrossEntropy(LossTerm):
    """−log of the probability of the true label, mean over the pixels."""

    name: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: float = Field(
        default=0.0, ge=0, lt=1, description="share of the target that is spread evenly over all labels"
    )

    def build(self) -> Loss:
        """Cross-entropy of the valid pixels."""
        from segmentation_models_pytorch.losses import SoftCrossEntropyLoss

        from crisp_core.classes import IGNORED

        return SoftCrossEntropyLoss(smooth_factor=self.label_smoothing, ignore_index=IGNORED)
