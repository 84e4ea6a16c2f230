"""Conditional random field as a layer on the logits of a segmentation network, with learnable parameters."""

import torch
import torch.nn.functional as F
from torch import nn

from crisp_core.segmentation.crf.dense import brute_kernel, pooled_kernel
from crisp_core.segmentation.crf.grid import grid_kernel
from crisp_core.segmentation.crf.kernels import Filter, gaussian_kernel, normalized_filter
from crisp_core.segmentation.crf.settings import LayerSettings, check_operator
from crisp_core.segmentation.crf.solvers import (
    Solver,
    Term,
    frank_wolfe_steps,
    mean_field,
    solve,
)


class CrfLayer(nn.Module):
    """Mean field or Frank-Wolfe inference, differentiable in the logits, the features and its own parameters.

    Parameters
    ----------
    settings : LayerSettings
        Kernels, couplings and solver.
    n_labels : int
        Number of channels of the logits.
    feature_channels : int, optional
        Number of channels of the last feature map of the decoder, for ``features: learned`` only.

    Raises
    ------
    UserError
        If the operator does not suit the features.
    """

    log_alpha: nn.Parameter
    log_beta: nn.Parameter
    log_gamma: nn.Parameter
    smoothness_weights: nn.Parameter | None
    appearance_weights: nn.Parameter | None

    def __init__(self, settings: LayerSettings, n_labels: int, *, feature_channels: int | None = None) -> None:
        check_operator(settings.features, settings.operator, n_labels)
        super().__init__()
        self.settings = settings
        for name, key in (("log_alpha", "alpha_px"), ("log_beta", "beta"), ("log_gamma", "gamma_px")):
            bandwidth = torch.tensor(float(getattr(settings, key))).log()
            setattr(self, name, nn.Parameter(bandwidth, requires_grad=settings.learn_kernel))
        for kernel in ("appearance", "smoothness"):
            raw = raw_weights(getattr(settings, kernel), n_labels, settings.couplings)
            self.register_parameter(f"{kernel}_weights", nn.Parameter(raw) if getattr(settings, kernel) else None)
        if settings.couplings == "full":
            self.compatibilities = nn.Parameter(raw_weights(1.0, n_labels, "full"))
        if settings.solver == "frank_wolfe" and settings.step_rule == "learnable":
            steps = torch.full((settings.iterations,), float(settings.step))
            # 0 and 1 have no logit
            self.step_logits = nn.Parameter(steps.clamp(0.05, 0.95).logit())
        if settings.features == "learned":
            if feature_channels is None:
                raise ValueError("features: learned needs feature_channels, the channels of the last feature map")
            self.projection = nn.Conv2d(feature_channels, settings.learned_channels, 1)

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
            if self.settings.share_of_start() == 1:
                return logits.log_softmax(1)
            return solve(self.settings.unary_scale * logits, self.terms(logits, features), self.solver())

    def terms(self, logits: torch.Tensor, features: torch.Tensor | None = None) -> list[Term]:
        """Prepare the kernels with couplings."""
        normalization, terms = self.settings.normalization, []
        if self.smoothness_weights is not None:
            smoothness = normalized_filter(gaussian_kernel(self.log_gamma.exp()), logits[:1], normalization)
            terms.append(Term(smoothness.apply, self.coupling(self.smoothness_weights)))
        if self.appearance_weights is not None:
            appearance = self.appearance_filter(self.kernel_features(logits, features))
            terms.append(Term(appearance.apply, self.coupling(self.appearance_weights)))
        return terms

    def kernel_features(self, logits: torch.Tensor, features: torch.Tensor | None) -> torch.Tensor:
        """Return the features (b, c, h, w) of the appearance kernel at the size of the logits."""
        kind = self.settings.features
        if kind == "logits":
            chosen = logit_difference(logits) if self.settings.operator == "grid" else logits
        elif features is None:
            raise ValueError(f"features: {kind} needs the {'image' if kind == 'intensity' else 'feature map'}")
        elif kind == "intensity":
            chosen = low_pass_images(features.to(logits), self.settings.lowpass_px)
        else:
            chosen = normalize_over_channels(self.projection(features.to(logits)))
        if chosen.shape[2:] != logits.shape[2:]:
            chosen = F.interpolate(chosen, logits.shape[2:], mode="bilinear", align_corners=False)
        return chosen if self.settings.learn_kernel else chosen.detach()

    def appearance_filter(self, features: torch.Tensor) -> Filter:
        """Prepare the appearance kernel with the operator of the settings."""
        alpha, beta = self.log_alpha.exp(), self.log_beta.exp()
        operator = self.settings.operator
        if operator == "grid":
            limit = self.settings.grid_range
            kernel = grid_kernel(features.clamp(-limit, limit), alpha, beta, samples=self.settings.grid_samples)
        elif operator == "pooled":
            kernel = pooled_kernel(features, alpha, beta, stride=self.settings.stride_px)
        else:
            kernel = brute_kernel(features, alpha, beta)
        return normalized_filter(kernel, features, self.settings.normalization)

    def coupling(self, raw: torch.Tensor) -> torch.Tensor:
        """Return C = M W (l, l), or its symmetric part under symmetric normalisation, where Px must be a gradient."""
        if self.settings.couplings == "potts":
            return -weight_matrix(raw)
        coupling = -weight_matrix(self.compatibilities) @ weight_matrix(raw)
        return (coupling + coupling.T) / 2 if self.settings.normalization == "symmetric" else coupling

    def solver(self) -> Solver:
        """Return the solver of the settings, with learned steps if there are any."""
        settings = self.settings
        if settings.solver == "mean_field":
            return mean_field(settings.iterations, initial_weight=settings.share_of_start())
        if settings.step_rule == "learnable":
            steps = tuple(self.step_logits.sigmoid())
        else:
            steps = frank_wolfe_steps(settings.step_rule, settings.iterations, step=settings.step)
        return Solver(settings.regularizer, settings.regularization, steps, settings.share_of_start())


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
