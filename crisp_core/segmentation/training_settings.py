"""Settings of the training of a network; apart from the network's own, so that no change of these predicts again."""

from typing import Annotated, Any

from pydantic import Field, WithJsonSchema

from crisp_core.options import choice_schema
from crisp_core.sections import UNIQUE, Count, Natural, NonNegative, Positive, Section, Share
from crisp_core.segmentation.losses import LOSSES

# the registry checks the options of an entry: settings.named
LossTerms = Annotated[
    list[Annotated[str | dict[str, Any], WithJsonSchema(choice_schema(LOSSES))]], Field(min_length=1), UNIQUE
]


class TrainingSettings(Section):
    """Training of a network."""

    loss: LossTerms = ["dice", "cross_entropy"]
    """Losses whose sum is minimised: names, or entries such as {name: tversky, weight: 0.5, alpha: 0.3, beta:
    0.7}."""

    n_micrographs: Count | None = None
    """Number of micrographs of the training part, the first by name; null takes all."""

    epochs: Count = 10
    """Number of epochs."""

    crops_per_micrograph: Annotated[int, Field(ge=2)] = 80
    """Number of crops per micrograph and epoch."""

    crops_per_step: Annotated[int, Field(ge=2)] = 8
    """Number of crops per step."""

    crop_px: Annotated[int, Field(ge=32)] = 128
    """Side of a crop, in working pixels."""

    learning_rate: Positive = 0.002
    """Peak of the one-cycle schedule."""

    weight_decay: NonNegative = 0.01
    """Weight decay of AdamW."""

    gradient_norm: Positive | None = None
    """Maximum norm of the gradient: a longer one is shortened; null is off."""

    patience: Count | None = None
    """Number of epochs without a better validation IoU after which training stops; null is off."""

    mixed_precision: bool = True
    """Whether to use bfloat16 on a GPU that has it; never on a CPU."""

    contrast_jitter: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Maximum random change of gain and offset (±)."""

    defocus_jitter: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Strength of random rings in the spectrum, as of another defocus (±); 0 is off."""

    empty_share: Share = 1.0
    """Maximum share of the crops without a particle; 1 takes crops as they come."""

    ignore_band_angstrom: NonNegative = 0.0
    """Distance in Å from an outline, on either side, within which pixels do not count; 0 is off."""

    ignore_unlabelled_angstrom: Positive | None = None
    """Distance in Å from every labelled particle beyond which background does not count, for incomplete picks; null is
    off."""

    averaging_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Decay per step of the moving average of the weights; 0 is off."""

    workers: Natural | None = None
    """Number of processes that read crops; 0 reads in the training process. null is 0 on a CPU, and for a GPU one per
    thread, up to 8."""
