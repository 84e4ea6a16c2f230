"""Settings of a network: its architecture, training, CRF and prediction."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from crisp_core.classes import CLASSES
from crisp_core.options import choice_schema
from crisp_core.sections import UNIQUE, Count, Natural, NonNegative, OneOf, Positive, Section, Share, mistake
from crisp_core.segmentation.losses import LOSSES


def _background_and_particle_first(names: list[str]) -> list[str]:
    if names[:2] != [*CLASSES[:2]]:
        raise mistake(f"{names!r} does not begin with {', '.join(CLASSES[:2])}; put these two first")
    return names


ClassNames = Annotated[
    list[Annotated[str, OneOf(CLASSES)]], Field(min_length=2), UNIQUE, AfterValidator(_background_and_particle_first)
]
# the registry checks the options of an entry: settings.named
LossTerms = Annotated[
    list[Annotated[str | dict[str, Any], WithJsonSchema(choice_schema(LOSSES))]], Field(min_length=1), UNIQUE
]


class NetworkSettings(Section):
    """Network that classifies every pixel."""

    architecture: str = "unetplusplus"
    """Any architecture of segmentation_models.pytorch."""

    encoder: str = "tu-resnet10t"
    """Any encoder of segmentation_models.pytorch or timm (tu-…)."""

    pixels_per_diameter: Annotated[float, Field(ge=4)] = 25.0
    """Width of a particle on the images of the network in px. A dataset's working_pixel_size follows from it unless
    that is given."""

    classes: ClassNames = [*CLASSES[:2]]
    """Names of the classes, background and particle first. contaminant and carbon need labels that have them: the
    truth of a simulation with such scenery."""

    encoder_weights: str | None = "imagenet"
    """Start of the encoder; null starts at random, and so does a name without weights in the cache or on the hub."""

    options: dict[str, Any] | None = None
    """Keyword arguments of the architecture; null is a small decoder for unet and unetplusplus, and the defaults of
    segmentation_models.pytorch for others."""


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


class CrfSettings(Section):
    """Further training of a trained network, with a CRF or without; docs/crf.md explains the layer."""

    type: Literal["none", "control", "intensity", "logits", "learned"] = "none"
    """Features in which pixels are compared: intensity of the micrograph, logits, or learned ones. control trains the
    network alone for as long; none leaves it as it is."""

    epochs: Count = 50
    """Number of epochs of the further training; everything else is as in training."""

    network_learning_rate: Positive = 1e-5
    """Peak of the one-cycle schedule for the network."""

    crf_learning_rate: Positive = 0.001
    """Peak of the one-cycle schedule for the CRF."""

    solver: Literal["mean_field", "frank_wolfe"] = "frank_wolfe"
    """Solver of the CRF."""

    iterations: Count = 5
    """Iterations of the solver."""

    alpha_px: Positive = 160.0
    """Reach of the appearance kernel, in working pixels."""

    beta: Positive | None = None
    """Bandwidth of the features, in their unit; null is 0.05, and 0.5 for learned ones."""

    gamma_px: Positive = 3.0
    """Reach of the smoothness kernel, in working pixels."""

    appearance: NonNegative = 1.0
    """Weight of the appearance kernel at the start; 0 leaves it out."""

    smoothness: NonNegative = 1.0
    """Weight of the smoothness kernel at the start; 0 leaves it out."""

    couplings: Literal["potts", "full"] = "potts"
    """Couplings of the classes: one weight per class (potts), or a matrix of classes by classes (full)."""

    regularizer: Literal["l2", "negentropy"] = "l2"
    """Regularizer of frank_wolfe."""

    regularization: Positive = 1.0
    """Weight λ of the regularizer of frank_wolfe."""

    step_rule: Literal["fixed", "diminishing", "learnable", "line_search"] = "fixed"
    """Step rule of frank_wolfe."""

    step: Share = 1.0
    """Fixed step, and start of a learnable one."""

    initial_weight: Share = 0.5
    """Share of the network's own probabilities in the result."""

    lowpass_px: NonNegative = 2.0
    """Low pass of the micrograph for type intensity, in working pixels; 0 is off."""

    learned_channels: Count = 8
    """Number of features of type learned."""

    learn_kernel: bool = True
    """Whether bandwidths and features are trained."""

    operator: Literal["grid", "pooled"] | None = None
    """Evaluation of the appearance kernel: grid compares all pixels in one feature, pooled any number of features on
    a coarser grid; null is grid where it is possible."""

    stride_px: Count = 8
    """Pixel size of pooled's grid, in working pixels."""

    normalization: Literal["symmetric", "row"] = "symmetric"
    """Normalization of the kernels."""


class PredictionSettings(Section):
    """Prediction in tiles."""

    tile_px: Annotated[int, Field(ge=64)] = 512
    """Side of a tile, in working pixels."""

    overlap_px: Natural = 64
    """Overlap of neighbouring tiles, in working pixels."""

    tiles_per_step: Count = 4
    """Number of tiles per step."""

    turns: bool = False
    """Whether to average over four quarter turns; four times slower."""
