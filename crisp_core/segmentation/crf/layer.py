"""The conditional random field as a layer on top of a segmentation network, with the parameters that can be learned."""

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

# the paper's CD-CRF; any other layer is PUBLISHED | {what differs}
PUBLISHED: dict[str, Any] = {
    # what makes pixels alike: the micrograph, the logits, or a 1 × 1 convolution of the decoder's last feature map
    "features": "logits",
    # grid: per pixel, one feature; pooled: any features on a coarser grid; brute: per pixel, up to 4096 pixels
    "operator": "grid",
    # pixels between the nodes of `pooled`
    "stride_px": 8,
    # nodes of `grid` per bandwidth
    "grid_samples": 3,
    # symmetric or row
    "normalization": "symmetric",
    # bandwidths: positions (pixels) and features (their unit) of the appearance kernel, positions of the smoothness
    "alpha_px": 160.0,
    "beta": 0.05,
    "gamma_px": 3.0,
    # couplings of the two kernels at the start; 0 leaves a kernel out
    "appearance": 1.0,
    "smoothness": 1.0,
    # potts: one weight per label and kernel, never negative; full: L × L weights and compatibilities
    "couplings": "potts",
    # mean_field, or frank_wolfe with regularizer (l2 or negentropy), regularization λ, step_rule (fixed, diminishing,
    # learnable or line_search) and step (fixed, and where learnable ones start)
    "solver": "frank_wolfe",
    "iterations": 5,
    "regularizer": "l2",
    "regularization": 1.0,
    "step_rule": "fixed",
    "step": 1.0,
    # w₀: share of the network's own probabilities in the result
    "initial_weight": 0.5,
    # standard deviation (pixels) of the low pass before the intensity is used as a feature; 0 takes it raw
    "lowpass_px": 2.0,
    # channels of the learned features
    "learned_channels": 8,
    # whether gradients pass through the kernel into the features and bandwidths (the original's do not)
    "learn_kernel": True,
}


class CrfLayer(nn.Module):
    """Mean field or Frank-Wolfe inference, differentiable in the logits, the features and its own parameters.

    Parameters
    ----------
    settings : mapping
        All keys of `PUBLISHED`, where each is explained.
    n_labels : int
        Channels of the logits.
    feature_channels : int, optional
        Channels of the decoder's feature map, for ``features: learned`` only.

    Raises
    ------
    UserError
        For an unknown or missing key, a value that is not allowed, or an operator that cannot do the features.
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
                raise ValueError("features: learned needs feature_channels, those of the decoder's last feature map")
            self.projection = nn.Conv2d(feature_channels, settings["learned_channels"], 1)

    def forward(self, logits: torch.Tensor, features: torch.Tensor | None = None) -> torch.Tensor:
        """Log marginals (b, l, h, w) from logits (b, l, h, w), in the layer's precision.

        Parameters
        ----------
        logits : (b, l, h, w) tensor
        features : (b, c, h', w') tensor
            The prepared image, one channel, for ``intensity``; the decoder's last feature map for ``learned``, which
            is interpolated to the logits' size; not used for ``logits``.
        """
        with torch.autocast(logits.device.type, enabled=False):
            logits = logits.to(self.log_alpha.dtype)
            return solve(logits, self.terms(logits, features), self.solver())

    def terms(self, logits: torch.Tensor, features: torch.Tensor | None = None) -> list[Term]:
        """Prepare the kernels that have a coupling."""
        normalization, terms = self.settings["normalization"], []
        if self.smoothness_weights is not None:
            smoothness = normalized_filter(gaussian_kernel(self.log_gamma.exp()), logits[:1], normalization)
            terms.append(Term(smoothness.apply, self.coupling(self.smoothness_weights)))
        if self.appearance_weights is not None:
            appearance = self.appearance_filter(self.kernel_features(logits, features))
            terms.append(Term(appearance.apply, self.coupling(self.appearance_weights)))
        return terms

    def kernel_features(self, logits: torch.Tensor, features: torch.Tensor | None) -> torch.Tensor:
        """Features (b, c, h, w) of the appearance kernel at the logits' size."""
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
        """C = M W (l, l); its symmetric part under symmetric normalisation, where Px must be a gradient."""
        if self.settings["couplings"] == "potts":
            return -weight_matrix(raw)
        coupling = -weight_matrix(self.compatibilities) @ weight_matrix(raw)
        return (coupling + coupling.T) / 2 if self.settings["normalization"] == "symmetric" else coupling

    def solver(self) -> Solver:
        """Return the solver of the settings, with the learned steps where there are any."""
        settings = self.settings
        if settings["solver"] == "mean_field":
            return mean_field(settings["iterations"], initial_weight=settings["initial_weight"])
        if settings["step_rule"] == "learnable":
            steps = tuple(self.step_logits.sigmoid())
        else:
            steps = frank_wolfe_steps(settings["step_rule"], settings["iterations"], step=settings["step"])
        return Solver(settings["regularizer"], settings["regularization"], steps, settings["initial_weight"])


def check_crf(settings: Mapping[str, Any], n_labels: int) -> None:
    """Refuse settings that name no layer.

    Raises
    ------
    UserError
        Naming the key and what is allowed.
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
    """Parameters of `weight_matrix` for `weight` · I: (l) for ``potts``, (l, l) for ``full``."""
    diagonal = torch.full((n_labels,), float(weight))
    raw = diagonal + (-(-diagonal).expm1()).log()
    return raw if couplings == "potts" else raw.diag()


def weight_matrix(raw: torch.Tensor) -> torch.Tensor:
    """Weights (l, l): softplus keeps the diagonal positive; between labels they are 0, or free and 0 at the start."""
    if raw.ndim == 1:
        return F.softplus(raw).diag()
    return raw - raw.diagonal().diag() + F.softplus(raw.diagonal()).diag()


def logit_difference(logits: torch.Tensor) -> torch.Tensor:
    """One feature (b, 1, h, w) with the distances of two logits (b, 2, h, w) from which their mean is taken."""
    return (logits[:, 1:] - logits[:, :1]) / 2**0.5


def low_pass_images(image: torch.Tensor, sigma_px: float) -> torch.Tensor:
    """Image (b, c, h, w) smoothed by a Gaussian that takes no account of what lies beyond the edge."""
    return normalized_filter(gaussian_kernel(sigma_px), image[:1], "row").apply(image) if sigma_px else image


def normalize_over_channels(features: torch.Tensor) -> torch.Tensor:
    """Features (b, c, h, w) with mean 0 and variance 1 over the channels of every pixel.

    Their unit is fixed, so that beta has a meaning, and does not depend on the tile that a pixel lies in.
    """
    return F.layer_norm(features.movedim(1, -1), features.shape[1:2]).movedim(-1, 1)
