"""Settings of the CRF layer, and of the further training of a network with it or without."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import model_validator

from crisp_core.errors import UserError
from crisp_core.sections import Count, NonNegative, Positive, Section, Share, mistake
from crisp_core.segmentation.settings import NetworkSettings

# The paper's lengths are in px of EMPIAR-10017: 1.77 Å/px, particles of 191 Å.
PAPER_PIXEL_SIZE, PAPER_DIAMETER_ANGSTROM = 1.77, 191.0
PAPER_ALPHA_PX, PAPER_GAMMA_PX = 160.0, 3.0
# Keys of earlier versions, in working pixels, and their new names.
KEYS_IN_DIAMETERS = {
    "alpha_px": "alpha_diameters",
    "gamma_px": "gamma_diameters",
    "lowpass_px": "lowpass_diameters",
}


class InferenceSettings(Section):
    """Couplings and solver of a CRF."""

    solver: Literal["mean_field", "frank_wolfe"] = "frank_wolfe"
    """Algorithm of the CRF: mean field, or Frank-Wolfe steps on a regularised energy."""

    iterations: Count = 5
    """Number of iterations of the solver."""

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

    initial_weight: Share | None = None
    """Share w₀ of the network's own probabilities in the result; null is 0.5 for frank_wolfe with the regularizer l2,
    otherwise 0."""

    learned_channels: Count = 8
    """For type learned: number of features, at least 3, since they are normalised per pixel."""

    learn_kernel: bool = True
    """Whether the standard deviations of the kernels and the features are trained."""

    stride_px: Count = 8
    """For operator pooled: distance between nodes, in working pixels."""

    normalization: Literal["symmetric", "row"] = "symmetric"
    """Normalization of a kernel K by its row sums D: D^-½ K D^-½ (symmetric), or D^-1 K (row)."""

    def share_of_start(self) -> float:
        """Return w₀: the given one, or the default of the solver."""
        if self.initial_weight is not None:
            return self.initial_weight
        return 0.5 if self.solver == "frank_wolfe" and self.regularizer == "l2" else 0.0


class LayerSettings(InferenceSettings):
    """CRF layer."""

    alpha_px: Positive = 25.0
    """Standard deviation α of the appearance kernel in space, in px."""

    gamma_px: Positive = 2.5
    """Standard deviation γ of the smoothness kernel, in px."""

    unary_scale: Positive = 1.0
    """Factor of the logits; below 1, the neighbours count more."""

    lowpass_px: NonNegative = 2.0
    """For features intensity: standard deviation of the Gaussian that smooths the image, in px; 0 is off."""

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

    grid_range: Positive = 8.0
    """For operator grid: features are clamped to ± this, in their unit, so that the size of the grid does not depend
    on the data."""


class FinetuningSettings(Section):
    """Further training of a trained network."""

    type: Literal["none", "control", "intensity", "logits", "learned", "tune"] = "none"
    """Features by which the CRF compares pixels: intensity of the micrograph, logits, or learned ones. control trains
    the network for as many epochs without a CRF; tune trains nothing and searches a CRF on the validation part; none
    does not train further."""

    epochs: Count = 50
    """Number of epochs of the further training; everything else is as in training."""

    network_learning_rate: Positive = 1e-5
    """Highest learning rate of the one-cycle schedule, for the network."""

    crf_learning_rate: Positive = 0.001
    """Highest learning rate of the one-cycle schedule, for the CRF."""


class CrfSettings(InferenceSettings, FinetuningSettings):
    """Further training of a trained network, with a CRF or without; docs/crf.md explains the layer."""

    preset: Literal["paper"] | None = None
    """Values for the keys that are not given. paper is the CRF of the paper (Chung & Chou): full couplings, bandwidths
    that are not trained, its lengths converted from 1.77 Å/px; type logits is its CD-CRF. null takes the defaults."""

    alpha_diameters: Positive = 1.0
    """Standard deviation α of the appearance kernel in space, in particle diameters."""

    gamma_diameters: Positive = 0.1
    """Standard deviation γ of the smoothness kernel, in particle diameters."""

    lowpass_diameters: NonNegative = 0.08
    """For type intensity: standard deviation of the Gaussian that smooths the micrograph, in particle diameters; 0 is
    off."""

    operator: Literal["grid", "pooled"] | None = None
    """Evaluation of the appearance kernel: grid compares all pixels in one feature, pooled any number of features on
    a coarser grid; null is grid if there is one feature, otherwise pooled."""

    beta: Positive | None = None
    """Standard deviation β of the appearance kernel in the features, in their unit; null is 0.05, and 0.5 for type
    learned."""

    @model_validator(mode="before")
    @classmethod
    def _current_keys(cls, given: Any) -> Any:
        """Refuse keys of earlier versions, and fill in the values of the preset."""
        if not isinstance(given, Mapping):
            return given
        for old, new in KEYS_IN_DIAMETERS.items():
            if old in given:
                raise mistake(renamed_length(old, new, given[old]), kind="unknown_key")
        return {**PAPER, **given} if given.get("preset") == "paper" else given

    @model_validator(mode="after")
    def _enough_features(self) -> "CrfSettings":
        """Refuse features of which the normalisation leaves nothing; networks that have them can be read."""
        if self.type == "learned" and self.learned_channels < 3:
            raise mistake(f"learned_channels {self.learned_channels} is too few, they are normalised per pixel; give 3")
        return self

    @model_validator(mode="after")
    def _nothing_beside_tune(self) -> "CrfSettings":
        """Refuse values that a search would not use."""
        defaults = {name: field.default for name, field in CrfSettings.model_fields.items()}
        given = [name for name, value in self if name != "type" and value != defaults[name]]
        if self.type == "tune" and given:
            raise mistake(f"type tune searches its own values and does not use {given[0]}; leave it out")
        return self


PAPER = {
    "solver": "frank_wolfe",
    "iterations": 5,
    "regularizer": "l2",
    "regularization": 1.0,
    "step_rule": "fixed",
    "step": 1.0,
    "initial_weight": 0.5,
    "appearance": 1.0,
    "smoothness": 1.0,
    "couplings": "full",
    "learn_kernel": False,
    "normalization": "row",
    "alpha_diameters": PAPER_ALPHA_PX * PAPER_PIXEL_SIZE / PAPER_DIAMETER_ANGSTROM,
    "gamma_diameters": PAPER_GAMMA_PX * PAPER_PIXEL_SIZE / PAPER_DIAMETER_ANGSTROM,
    "lowpass_diameters": 0.0,
    "beta": 0.05,
}


def renamed_length(old: str, new: str, value: Any) -> str:
    """Return the message for a length in working pixels.

    Parameters
    ----------
    old, new : str
        Names of the key before and now.
    value : any
        Value that the config gives.
    """
    known = isinstance(value, int | float) and not isinstance(value, bool)
    width = NetworkSettings().pixels_per_diameter
    example = f", {value / width:.3g} at the default of {width:g} px" if known else ""
    return (
        f"{old} is given in particle diameters now; write {new} with {old} divided by network/pixels_per_diameter"
        f"{example}"
    )


def has_several_features(features: str, n_labels: int) -> bool:
    """Whether the appearance kernel compares pixels by more than one feature.

    Parameters
    ----------
    features : str
        Kind of features: intensity, logits or learned.
    n_labels : int
        Number of labels of the network; two logits count as one feature, their difference.
    """
    return features == "learned" or (features == "logits" and n_labels > 2)


def check_operator(features: str, operator: str | None, n_labels: int, *, place: str = "crf") -> None:
    """Refuse the operator grid for several features.

    Parameters
    ----------
    features : str
        Kind of features: intensity, logits or learned.
    operator : str or None
        Evaluation of the appearance kernel.
    n_labels : int
        Number of labels of the network.
    place : str
        Section of the config, for the error message.

    Raises
    ------
    UserError
        If the operator cannot take the features.
    """
    if operator == "grid" and has_several_features(features, n_labels):
        raise UserError(f"{place}/operator: grid takes one feature only; give pooled, or leave it out")
