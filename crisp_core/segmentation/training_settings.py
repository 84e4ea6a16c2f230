"""Settings of the training of a network; apart from the network's own, so that no change of these predicts again."""

from typing import Annotated, Any, NamedTuple, Self

from pydantic import Field, model_validator

from crisp_core.options import ChoiceSchema
from crisp_core.sections import UNIQUE, Count, Natural, NonNegative, Positive, Section, Share, UserPath, mistake
from crisp_core.segmentation.losses import LOSSES

AUTO, RANDOM = "auto", "random"


class Schedule(NamedTuple):
    """Number of epochs, and highest learning rate of the one-cycle schedule."""

    epochs: int
    learning_rate: float


# defaults; those of a start from a network are a choice, not measured (docs/networks.md)
FROM_RANDOM = Schedule(10, 0.002)
FROM_NETWORK = Schedule(4, 0.0005)

# the registry checks the options of an entry: settings.run_checks
LossTerms = Annotated[list[Annotated[str | dict[str, Any], ChoiceSchema(LOSSES)]], Field(min_length=1), UNIQUE]


class TrainingSettings(Section):
    """Training of a network."""

    start: UserPath = RANDOM
    """Weights with which the training starts. general, another entry of networks, or the path of a .pt file, is a
    trained network; random is random weights (of the encoder: network/encoder_weights). auto is general if all
    micrographs come from files, and architecture, encoder, options, classes, particle width, normalization and
    high-pass agree with it; otherwise random. docs/networks.md.

    Examples
    --------
        - auto
        - general
        - results/mine/unet/network.pt
    """

    loss: LossTerms = ["dice", "cross_entropy"]
    """Losses whose weighted sum is minimised: names, or mappings of a name and its options.

    Examples
    --------
        - [dice, cross_entropy]
        - [lovasz, {name: tversky, weight: 0.5, alpha: 0.3, beta: 0.7}]
    """

    n_micrographs: Count | None = None
    """Number of micrographs of the training part that are used, in the order of their names; null takes all."""

    epochs: Count | None = None
    """Number of epochs. null is 10 from random weights and 4 from a trained network."""

    crops_per_micrograph: Annotated[int, Field(ge=2)] = 80
    """Number of crops per micrograph and epoch."""

    crops_per_step: Annotated[int, Field(ge=2)] = 8
    """Number of crops per optimiser step."""

    crop_px: Annotated[int, Field(ge=32)] = 128
    """Side of a crop, in working pixels."""

    learning_rate: Positive | None = None
    """Highest learning rate of the one-cycle schedule. null is 0.002 from random weights and 0.0005 from a trained
    network."""

    weight_decay: NonNegative = 0.01
    """Weight decay of AdamW."""

    gradient_norm: Positive | None = None
    """Maximum norm of the gradient; a larger gradient is scaled down to it. null is off."""

    patience: Count | None = None
    """Number of epochs without a better validation IoU after which training stops; null is off."""

    mixed_precision: bool = True
    """Whether to use bfloat16 on a GPU that has it; never on a CPU."""

    contrast_jitter: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Maximum random change of gain and offset of a crop: 0.1 is ± 10 % of the gain and ± 0.1 standard deviations."""

    defocus_jitter: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Maximum random change (±) of the spectrum in rings, similar to that of another defocus; 0 is off."""

    empty_share: Share = 1.0
    """Maximum share of crops without a particle; 1 draws crops without regard to particles."""

    ignore_band_angstrom: NonNegative = 0.0
    """Distance in Å on both sides of an outline within which pixels do not count in the loss; 0 is off."""

    ignore_unlabelled_angstrom: Positive | None = None
    """For incomplete coordinates: background farther than this from every labelled particle, in Å, does not count in
    the loss; null is off."""

    averaging_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Decay per step of the moving average of the weights; 0 is off.

    Examples
    --------
        - 0.99
    """

    gpus: Count = 1
    """Number of GPUs of one machine that share the crops of every step. The scheduler must grant them:
    --resources gpu=2."""

    workers: Natural | None = None
    """Number of processes that read crops; 0 reads in the training process. null is 0 on a CPU; with a GPU it is the
    number of threads, at most 8."""

    @model_validator(mode="after")
    def check_gpus(self) -> Self:
        """Refuse steps whose crops cannot be divided among the GPUs, two or more for each."""
        if self.gpus > 1 and (self.crops_per_step % self.gpus or self.crops_per_step < 2 * self.gpus):
            raise mistake(
                f"crops_per_step {self.crops_per_step} is not a multiple of gpus {self.gpus} with two crops or more "
                "for each; change one of them"
            )
        return self

    def schedule(self, default: Schedule = FROM_RANDOM) -> Schedule:
        """Number of epochs and learning rate: those given, else those of `default`."""
        return Schedule(
            default.epochs if self.epochs is None else self.epochs,
            default.learning_rate if self.learning_rate is None else self.learning_rate,
        )
