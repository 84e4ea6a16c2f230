"""Gaussian kernels of a conditional random field: prepared once from the features, applied in every iteration.

A kernel maps (b, m, h, w) to the same shape, y_i = Σ_j exp(−½|a_i − a_j|²) x_j. The coordinates a of a pixel are its
position divided by a bandwidth and, in appearance kernels, its features divided by another bandwidth. The sum includes
j = i. Every kernel, also an approximate one, is its own adjoint. All are differentiable in x, features and bandwidths.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F

Kernel = Callable[[torch.Tensor], torch.Tensor]
Bandwidth = torch.Tensor | float
# Number of outputs of a convolution per matrix product.
BLOCK = 64


class Filter(NamedTuple):
    """A normalised kernel F and its adjoint Fᵀ as maps of (b, m, h, w) tensors."""

    apply: Kernel
    adjoint: Kernel


def normalized_filter(kernel: Kernel, like: torch.Tensor, normalization: str) -> Filter:
    """Normalise a kernel K by its degrees D = K 1.

    Parameters
    ----------
    kernel : callable
        Kernel K, a symmetric linear map of (b, m, h, w) tensors.
    like : (b, ..., h, w) tensor
        Tensor with batch, size, type and device of the tensors to filter.
    normalization : {"symmetric", "row"}
        symmetric: D^-½ K D^-½, its own adjoint (Krähenbühl & Koltun 2011); row: D^-1 K, which keeps constants.
    """
    degree = kernel(torch.ones_like(like[:, :1]))
    if normalization == "row":
        return Filter(lambda x: kernel(x) / degree, lambda y: kernel(y / degree))
    scale = degree.rsqrt()

    def symmetric(x: torch.Tensor) -> torch.Tensor:
        """Apply D^-½ K D^-½."""
        return scale * kernel(scale * x)

    return Filter(symmetric, symmetric)


def gaussian_kernel(gamma: Bandwidth) -> Kernel:
    """Make the smoothness kernel: positions only, separable, exact up to its truncation at 4σ.

    Parameters
    ----------
    gamma : float or 0-d tensor
        Standard deviation in pixels, differentiable.
    """
    sigma = gamma if isinstance(gamma, torch.Tensor) else torch.tensor(gamma, dtype=torch.float64)
    radius = max(1, math.ceil(4 * sigma.item()))
    steps = torch.arange(-radius, radius + 1, dtype=sigma.dtype, device=sigma.device)
    taps = torch.exp(-0.5 * (steps / sigma) ** 2)
    return lambda x: convolve_axis(convolve_axis(x, taps.to(x), 2), taps.to(x), 3)


def convolve_axis(x: torch.Tensor, taps: torch.Tensor, axis: int) -> torch.Tensor:
    """Convolve along one axis, with zeros beyond the ends.

    Blocks of the axis are multiplied by a band matrix. This is as fast as a convolution on a CPU, gives the same
    numbers on a GPU (whose convolutions round to 10 bits by default), and is differentiable in the taps.

    Parameters
    ----------
    x : tensor
        Values.
    taps : (k,) tensor
        Kernel with an odd number of taps.
    axis : int
        Axis of the convolution.
    """
    length, radius = x.shape[axis], len(taps) // 2
    block = min(BLOCK, length)
    n_blocks = -(-length // block)
    rows = F.pad(x.movedim(axis, -1), (radius, n_blocks * block - length + radius))
    windows = rows.unfold(-1, block + 2 * radius, block)
    # one large product is several times faster than a stack of small products
    products = (windows.reshape(-1, windows.shape[-1]) @ _band_matrix(taps, block)).view(*windows.shape[:-1], block)
    return products.flatten(-2)[..., :length].movedim(-1, axis)


def _band_matrix(taps: torch.Tensor, block: int) -> torch.Tensor:
    """Return the band matrix (block + taps − 1, block): column j contains the taps from row j on."""
    size = block + len(taps) - 1
    offsets = torch.arange(size, device=taps.device)[:, None] - torch.arange(block, device=taps.device)
    inside = (offsets >= 0) & (offsets < len(taps))
    return torch.where(inside, taps[offsets.clamp(0, len(taps) - 1)], taps.new_zeros(()))


def pixel_coordinates(features: torch.Tensor, alpha: Bandwidth, beta: Bandwidth) -> torch.Tensor:
    """Return the coordinates (b, 2 + c, h, w) of the appearance kernel: (y, x) / alpha and features / beta.

    Both are centred, which keeps all differences and reduces rounding errors.

    Parameters
    ----------
    features : (b, c, h, w) tensor
        Features of the pixels.
    alpha : float or 0-d tensor
        Bandwidth of positions in pixels.
    beta : float or 0-d tensor
        Bandwidth of features in their own unit.
    """
    height, width = features.shape[-2:]
    rows, columns = (
        torch.arange(n, dtype=features.dtype, device=features.device) - (n - 1) / 2 for n in (height, width)
    )
    places = torch.stack(torch.meshgrid(rows, columns, indexing="ij"))
    centred = features - features.detach().mean((2, 3), keepdim=True)
    return torch.cat([(places / alpha).expand(len(features), -1, -1, -1), centred / beta], dim=1)
