"""Tversky loss.

Source: Salehi, Erdogmus & Gholipour 2017, MLMI. The defaults weigh false negatives more: a missed particle is lost,
while a false pick can be removed by a later classification.
"""

from typing import Literal

from pydantic import Field

from crisp_core.segmentation.losses.term import Loss, LossTerm


class Tversky(LossTerm):
    """1 − TP / (TP + α FP + β FN), mean over the labels; α = β = 0.5 is Dice, α = β = 1 is Jaccard."""

    name: Literal["tversky"] = "tversky"
    alpha: float = Field(default=0.3, ge=0, description="weight of false positives")
    beta: float = Field(default=0.7, ge=0, description="weight of false negatives")

    def build(self) -> Loss:
        """Tversky loss from soft counts over all crops of the step together."""
        from segmentation_models_pytorch.losses import TverskyLoss

        return TverskyLoss("multiclass", alpha=self.alpha, beta=self.beta)
