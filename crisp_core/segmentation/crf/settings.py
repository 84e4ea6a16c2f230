"""Settings of the CRF layer, and of the further training of a network with it or without."""

from typing import Literal

from crisp_core.sections import Count, NonNegative, Positive, Section, Share


class InferenceSettings(Section):
    """Kernels, couplings and solver of a CRF; the defaults are the CD-CRF of the paper."""

    solver: Literal["mean_field", "frank_wolfe"] = "frank_wolfe"
    """Algorithm of the CRF: mean field, or Frank-Wolfe steps on a regularised energy."""

    iterations: Count = 5
    """Number of iterations of the solver."""

    alpha_px: Positive = 160.0
    """Standard deviation α of the appearance kernel in space, in working pixels."""

    gamma_px: Positive = 3.0
    """Standard deviation γ of the smoothness kernel, in working pixels."""

    appearance: NonNegative = 1.0
    """Initial weight of the appearance kernel; 0 leaves it out."""

    smoothness: NonNegative = 1.0
    """Initial weight of the smoothness kernel; 0 leaves it out."""

    couplings: Literal["potts", "full"] = "potts"
    """Couplings between classes: one weight per class (potts), or a matrix of classes by classes (full)."""

    regularizer: Literal["l2", "negentropy"] = "l2"
    """Regularizer of frank_wolfe."""

    regularization: Positive = 1.0
    """Weight λ of the regularizer of frank_wolfe."""

    step_rule: Literal["fixed", "diminishing", "learnable", "line_search"] = "fixed"
    """Step rule of frank_wolfe."""

    step: Share = 1.0
    """Length of a fixed step, and initial length of a learnable one."""

    initial_weight: Share = 0.5
    """Share w₀ of the network's own probabilities in the result."""

    lowpass_px: NonNegative = 2.0
    """For type intensity: standard deviation of the Gaussian that smooths the micrograph, in working pixels; 0 is
    off."""

    learned_channels: Count = 8
    """For type learned: number of features."""

    learn_kernel: bool = True
    """Whether the standard deviations of the kernels and the features are trained."""

    stride_px: Count = 8
    """For operator pooled: distance between nodes, in working pixels."""

    normalization: Literal["symmetric", "row"] = "symmetric"
    """Normalization of a kernel K by its row sums D: D^-½ K D^-½ (symmetric), or D^-1 K (row)."""


class LayerSettings(InferenceSettings):
    """CRF layer."""

    features: Literal["intensity", "logits", "learned"] = "logits"
    """Features of the appearance kernel: the micrograph (intensity), the logits, or a 1 × 1 convolution of the last
    feature map of the decoder (learned)."""

    operator: Literal["grid", "pooled", "brute"] = "grid"
    """Evaluation of the appearance kernel: grid compares all pixels in one feature, pooled any number of features on
    a coarser grid, brute all pairs of up to 4096 pixels."""

    beta: Positive = 0.05
    """Standard deviation β of the appearance kernel in the features, in their unit."""

    grid_samples: Count = 3
    """For operator grid: number of nodes per β."""


class FinetuningSettings(Section):
    """Further training of a trained network."""

    type: Literal["none", "control", "intensity", "logits", "learned"] = "none"
    """Features by which the CRF compares pixels: intensity of the micrograph, logits, or learned ones. control trains
    the network for as many epochs without a CRF; none does not train further."""

    epochs: Count = 50
    """Number of epochs of the further training; everything else is as in training."""

    network_learning_rate: Positive = 1e-5
    """Highest learning rate of the one-cycle schedule, for the network."""

    crf_learning_rate: Positive = 0.001
    """Highest learning rate of the one-cycle schedule, for the CRF."""


class CrfSettings(InferenceSettings, FinetuningSettings):
    """Further training of a trained network, with a CRF or without; docs/crf.md explains the layer."""

    operator: Literal["grid", "pooled"] | None = None
    """Evaluation of the appearance kernel: grid compares all pixels in one feature, pooled any number of features on
    a coarser grid; null is grid if there is one feature, otherwise pooled."""

    beta: Positive | None = None
    """Standard deviation β of the appearance kernel in the features, in their unit; null is 0.05, and 0.5 for type
    learned."""
