"""Conditional random field as a layer on the logits of a segmentation network, with learnable parameters."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from crisp_core.errors import UserError
from crisp_core.segmentation.crf.dense import brute_kernel, pooled_kernel
from crisp_core.segmentation.crf.grid import grid_kernel
from crisp_core.segmentation.crf.kernels import NORMALIZATIONS, Filter, gaussian_kernel, normalized_filter
from crisp_core.segmentation.crf.solvers import (
    REGULARIZERS,
    STEP_RULES,
    Solver,
    Term,
    frank_wolfe_steps,
    mean_field,
    solve,
)

CHOICES = {
    "features": ("intensity", "logits", "learned"),
    "operator": ("grid", "pooled", "brute"),
    "normalization": NORMALIZATIONS,
    "solver": ("mean_field", "frank_wolfe"),
    "regularizer": REGULARIZERS,
    "step_rule": STEP_RULES,
    "couplings": ("potts", "full"),
}

# Settings of the CD-CRF of the paper. Other layers are PUBLISHED | {changed settings}.
PUBLISHED: dict[str, Any] = {
    # features of the appearance kernel: the micrograph (intensity), the logits, or a 1 × 1 convolution of the last
    # feature map of the decoder (learned)
    "features": "logits",
    # grid: all pixels, one feature; pooled: any number of features on a coarser grid; brute: up to 4096 pixels
    "operator": "grid",
    # distance of the nodes of `pooled`, in pixels
    "stride_px": 8,
    # number of nodes of `grid` per bandwidth
    "grid_samples": 3,
    # symmetric or row
    "normalization": "symmetric",
    # bandwidths: positions (pixels) and features (their unit) of the appearance kernel, positions of the smoothness
    # kernel (pixels)
    "alpha_px": 160.0,
    "beta": 0.05,
    "gamma_px": 3.0,
    # initial couplings of the two kernels; 0 leaves a kernel out
    "appearance": 1.0,
    "smoothness": 1.0,
    # potts: one non-negative weight per label and kernel; full: L × L weights and compatibilities
    "couplings": "potts",
    # mean_field, or frank_wolfe with regularizer (l2 or negentropy), regularization λ, step_rule (fixed, diminishing,
    # learnable or line_search) and step (of fixed, initial one of learnable)
    "solver": "frank_wolfe",
    "iterations": 5,
    "regularizer": "l2",
    "regularization": 1.0,
    "step_rule": "fixed",
    "step": 1.0,
    # w₀: share of the probabilities of the network in the result
    "initial_weight": 0.5,
    # standard deviation (pixels) of the low-pass filter of the intensity; 0 for none
    "lowpass_px": 2.0,
    # number of learned features
    "learned_channels": 8,
    # whether gradients pass through the kernel into features and bandwidths (not in the original)
    "learn_kernel": True,
}


class CrfLayer(nn.Module):
    """Mean field or Frank-Wolfe inference, differentiable in the logits, the features and its own parameters.

    Parameters
    ----------
    settings : mapping
        All keys of `PUBLISHED`, which explains them.
    n_labels : int
        Number of channels of the logits.
    feature_channels : int, optional
        Number of channels of the last feature map of the decoder, for ``features: learned`` only.

    Raises
    ------
    UserError
        For an unknown or missing key, a value that is not allowed, or an operator that does not suit the features.
    """

    log_alpha: nn.Parameter
    log_beta: nn.Parameter
    log_gamma: nn.Parameter
    smoothness_weights: nn.Parameter | None
    appearance_weights: nn.Parameter | None

    def __init__(self, settings: Mapping[str, Any], n_labels: int, *, feature_channels: int | None = None) -> None:
        check_crf(settings, n_labels)
        super().__init__()
        self.settings = dict(settings)
        learn_kernel = settings["learn_kernel"]
        for name, key in (("log_alpha", "alpha_px"), ("log_beta", "beta"), ("log_gamma", "gamma_px")):
            setattr(self, name, nn.Parameter(torch.tensor(float(settings[key])).log(), requires_grad=learn_kernel))
        for kernel in ("appearance", "smoothness"):
            raw = raw_weights(settings[kernel], n_labels, settings["couplings"])
            self.register_parameter(f"{kernel}_weights", nn.Parameter(raw) if settings[kernel] else None)
        if settings["couplings"] == "full":
            self.compatibilities = nn.Parameter(raw_weights(1.0, n_labels, "full"))
        if settings["solver"] == "frank_wolfe" and settings["step_rule"] == "learnable":
            steps = torch.full((settings["iterations"],), float(settings["step"]))
            # 0 and 1 have no logit
            self.step_logits = nn.Parameter(steps.clamp(0.05, 0.95).logit())
        if settings["features"] == "learned":
            if feature_channels is None:
                raise ValueError("features: learned needs feature_channels, the channels of the last feature map")
            self.projection = nn.Conv2d(feature_channels, settings["learned_channels"], 1)

    def forward(self, logits: torch.Tensor, features: torch.Tensor | None = None) -> torch.Tensor:
        """Return log marginals (b, l, h, w) in the precision of the layer.

        Parameters
        ----------
        logits : (b, l, h, w) tensor
            Logits of the network.
        features : (b, c, h', w') tensor
            For ``intensity`` the prepared image with one channel, for ``learned`` the last feature map of the decoder,
            which is interpolated to the size of the logits; not used for ``logits``.
        """
        with torch.autocast(logits.device.type, enabled=False):
            logits = logits.to(self.log_alpha.dtype)
            return solve(logits, self.terms(logits, features), self.solver())

    def terms(self, logits: torch.Tensor, features: torch.Tensor | None = None) -> list[Term]:
        """Prepare the kernels with couplings."""
        normalization, terms = self.settings["normalization"], []
        if self.smoothness_weights is not None:
            smoothness = normalized_filter(gaussian_kernel(self.log_gamma.exp()), logits[:1], normalization)
            terms.append(Term(smoothness.apply, self.coupling(self.smoothness_weights)))
        if self.appearance_weights is not None:
            appearance = self.appearance_filter(self.kernel_features(logits, features))
            terms.append(Term(appearance.apply, self.coupling(self.appearance_weights)))
        return terms

    def kernel_features(self, logits: torch.Tensor, features: torch.Tensor | None) -> torch.Tensor:
        """Return the features (b, c, h, w) of the appearance kernel at the size of the logits."""
        kind = self.settings["features"]
        if kind == "logits":
            chosen = logit_difference(logits) if self.settings["operator"] == "grid" else logits
        elif features is None:
            raise ValueError(f"features: {kind} needs the {'image' if kind == 'intensity' else 'feature map'}")
        elif kind == "intensity":
            chosen = low_pass_images(features.to(logits), self.settings["lowpass_px"])
        else:
            chosen = normalize_over_channels(self.projection(features.to(logits)))
        if chosen.shape[2:] != logits.shape[2:]:
            chosen = F.interpolate(chosen, logits.shape[2:], mode="bilinear", align_corners=False)
        return chosen if self.settings["learn_kernel"] else chosen.detach()

    def appearance_filter(self, features: torch.Tensor) -> Filter:
        """Prepare the appearance kernel with the operator of the settings."""
        alpha, beta = self.log_alpha.exp(), self.log_beta.exp()
        operator = self.settings["operator"]
        if operator == "grid":
            kernel = grid_kernel(features, alpha, beta, samples=self.settings["grid_samples"])
        elif operator == "pooled":
            kernel = pooled_kernel(features, alpha, beta, stride=self.settings["stride_px"])
        else:
            kernel = brute_kernel(features, alpha, beta)
        return normalized_filter(kernel, features, self.settings["normalization"])

    def coupling(self, raw: torch.Tensor) -> torch.Tensor:
        """Return C = M W (l, l), or its symmetric part under symmetric normalisation, where Px must be a gradient."""
        if self.settings["couplings"] == "potts":
            return -weight_matrix(raw)
        coupling = -weight_matrix(self.compatibilities) @ weight_matrix(raw)
        return (coupling + coupling.T) / 2 if self.settings["normalization"] == "symmetric" else coupling

    def solver(self) -> Solver:
        """Return the solver of the settings, with learned steps if there are any."""
        settings = self.settings
        if settings["solver"] == "mean_field":
            return mean_field(settings["iterations"], initial_weight=settings["initial_weight"])
        if settings["step_rule"] == "learnable":
            steps = tuple(self.step_logits.sigmoid())
        else:
            steps = frank_wolfe_steps(settings["step_rule"], settings["iterations"], step=settings["step"])
        return Solver(settings["regularizer"], settings["regularization"], steps, settings["initial_weight"])


def check_crf(settings: Mapping[str, Any], n_labels: int) -> None:
    """Check the settings of a layer.

    Raises
    ------
    UserError
        With the wrong key and the allowed values.
    """
    wrong = sorted(PUBLISHED.keys() ^ settings.keys())
    if wrong:
        problem = "is missing" if wrong[0] in PUBLISHED else f"is unknown; known are {', '.join(PUBLISHED)}"
        raise UserError(f"crf: {wrong[0]} {problem}")
    for key, allowed in CHOICES.items():
        if settings[key] not in allowed:
            raise UserError(f"crf/{key}: {settings[key]!r} is none of {', '.join(allowed)}")
    for key in ("alpha_px", "beta", "gamma_px", "regularization", "stride_px", "grid_samples", "learned_channels"):
        if settings[key] <= 0:
            raise UserError(f"crf/{key}: {settings[key]} must be above 0")
    for key in ("appearance", "smoothness", "iterations", "lowpass_px"):
        if settings[key] < 0:
            raise UserError(f"crf/{key}: {settings[key]} must not be negative")
    for key in ("step", "initial_weight"):
        if not 0 <= settings[key] <= 1:
            raise UserError(f"crf/{key}: {settings[key]} must be from 0 to 1")
    several = settings["features"] == "learned" or (settings["features"] == "logits" and n_labels > 2)
    if settings["operator"] == "grid" and several:
        raise UserError("crf/operator: grid takes one feature only; use pooled")


def raw_weights(weight: float, n_labels: int, couplings: str) -> torch.Tensor:
    """Return the parameters for which `weight_matrix` is `weight` · I.

    Parameters
    ----------
    weight : float
        Weight on the diagonal.
    n_labels : int
        Number of labels l.
    couplings : {"potts", "full"}
        Shape of the result: (l) or (l, l).
    """
    diagonal = torch.full((n_labels,), float(weight))
    raw = diagonal + (-(-diagonal).expm1()).log()
    return raw if couplings == "potts" else raw.diag()


def weight_matrix(raw: torch.Tensor) -> torch.Tensor:
    """Return weights (l, l): a diagonal that softplus keeps positive, off-diagonal elements of 0 or free ones."""
    if raw.ndim == 1:
        return F.softplus(raw).diag()
    return raw - raw.diagonal().diag() + F.softplus(raw.diagonal()).diag()


def logit_difference(logits: torch.Tensor) -> torch.Tensor:
    """Return the difference of two logits (b, 2, h, w) as one feature (b, 1, h, w) with the same distances."""
    return (logits[:, 1:] - logits[:, :1]) / 2**0.5


def low_pass_images(image: torch.Tensor, sigma_px: float) -> torch.Tensor:
    """Smooth images (b, c, h, w) by a Gaussian that is normalised at the edges."""
    return normalized_filter(gaussian_kernel(sigma_px), image[:1], "row").apply(image) if sigma_px else image


def normalize_over_channels(features: torch.Tensor) -> torch.Tensor:
    """Normalise features (b, c, h, w) to mean 0 and variance 1 over the channels of every pixel.

    Their unit, that of beta, is then fixed and does not depend on the tile of a pixel.
    """
    return F.layer_norm(features.movedim(1, -1), features.shape[1:2]).movedim(-1, 1)
