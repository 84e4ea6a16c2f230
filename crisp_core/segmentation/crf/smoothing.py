"""Mean field of two labels with the smoothness kernel alone, for log-odds from elsewhere than a network."""

import numpy as np
import torch

from crisp_core.segmentation.crf.kernels import gaussian_kernel, normalized_filter
from crisp_core.segmentation.crf.solvers import Term, mean_field, solve


def smoothed_marginals(log_odds: np.ndarray, *, gamma_px: float, weight: float, iterations: int = 5) -> np.ndarray:
    """Return the probability of label 1 by mean field with Potts couplings and row normalisation.

    Parameters
    ----------
    log_odds : (n, h, w) array
        Log-odds of label 1 of every pixel, from independent evidence.
    gamma_px : float
        Standard deviation of the smoothness kernel in px.
    weight : float
        Weight of the neighbours; 0 leaves the pixels independent.
    iterations : int
        Number of iterations.

    Returns
    -------
    (n, h, w) float32 array
        Marginals of label 1.
    """
    odds = torch.from_numpy(np.ascontiguousarray(log_odds, dtype=np.float32))[:, None]
    logits = torch.cat([torch.zeros_like(odds), odds], dim=1)
    filtered = normalized_filter(gaussian_kernel(gamma_px), odds[:1], "row")
    terms = [Term(filtered.apply, -weight * torch.eye(2))] if weight else []
    with torch.inference_mode():
        return solve(logits, terms, mean_field(iterations)).exp()[:, 1].numpy()
