"""Settings of the CRF layer, and of the further training of a network with it or without."""

from typing import Literal

from crisp_core.sections import Count, NonNegative, Positive, Section, Share


class InferenceSettings(Section):
    """Kernels, couplings and solver of a CRF; the defaults are the CD-CRF of the paper."""

    solver: Literal["mean_field", "frank_wolfe"] = "frank_wolfe"
    """Solver of the CRF."""

    iterations: Count = 5
    """Iterations of the solver."""

    alpha_px: Positive = 160.0
    """Reach of the appearance kernel, in working pixels."""

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

    stride_px: Count = 8
    """Pixel size of pooled's grid, in working pixels."""

    normalization: Literal["symmetric", "row"] = "symmetric"
    """Normalization of the kernels."""


class LayerSettings(InferenceSettings):
    """CRF layer."""

    features: Literal["intensity", "logits", "learned"] = "logits"
    """Features of the appearance kernel: the micrograph (intensity), the logits, or a 1 × 1 convolution of the last
    feature map of the decoder (learned)."""

    operator: Literal["grid", "pooled", "brute"] = "grid"
    """Evaluation of the appearance kernel: grid compares all pixels in one feature, pooled any number of features on
    a coarser grid, brute all pairs of up to 4096 pixels."""

    beta: Positive = 0.05
    """Bandwidth of the features, in their unit."""

    grid_samples: Count = 3
    """Number of nodes of grid per bandwidth."""


class FinetuningSettings(Section):
    """Further training of a trained network."""

    type: Literal["none", "control", "intensity", "logits", "learned"] = "none"
    """Features in which pixels are compared: intensity of the micrograph, logits, or learned ones. control trains the
    network alone for as long; none leaves it as it is."""

    epochs: Count = 50
    """Number of epochs of the further training; everything else is as in training."""

    network_learning_rate: Positive = 1e-5
    """Peak of the one-cycle schedule for the network."""

    crf_learning_rate: Positive = 0.001
    """Peak of the one-cycle schedule for the CRF."""


class CrfSettings(InferenceSettings, FinetuningSettings):
    """Further training of a trained network, with a CRF or without; docs/crf.md explains the layer."""

    operator: Literal["grid", "pooled"] | None = None
    """Evaluation of the appearance kernel: grid compares all pixels in one feature, pooled any number of features on
    a coarser grid; null is grid where it is possible."""

    beta: Positive | None = None
    """Bandwidth of the features, in their unit; null is 0.05, and 0.5 for learned ones."""
