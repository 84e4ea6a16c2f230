"""Appearance kernels as dense matrices: between all pixels, or between the nodes of a coarser grid."""

from typing import Any

import torch
from torch.autograd.function import once_differentiable

from crisp_core.errors import UserError
from crisp_core.segmentation.crf.kernels import Bandwidth, Kernel, pixel_coordinates

# Maximum number of pixels of the brute force: a kernel of 64 MiB in float32.
BRUTE_FORCE_PIXELS = 64 * 64
# Rows of a dense kernel per step, which limits the memory of their float64 exponents.
ROWS_AT_A_TIME = 512
# Below this exponent, exp() returns denormal numbers, which are slow on processors.
SMALLEST_EXPONENT = -80


def brute_kernel(features: torch.Tensor, alpha: Bandwidth, beta: Bandwidth) -> Kernel:
    """Make the exact appearance kernel between all pairs of pixels, for tiles of up to 4096 pixels.

    Parameters
    ----------
    features : (b, c, h, w) tensor
        Features of the pixels.
    alpha : float or 0-d tensor
        Bandwidth (standard deviation) of positions in pixels.
    beta : float or 0-d tensor
        Bandwidth (standard deviation) of features in their own unit.

    Raises
    ------
    UserError
        If the tile is larger.
    """
    height, width = features.shape[-2:]
    if height * width > BRUTE_FORCE_PIXELS:
        raise UserError(
            f"crf/operator: brute takes at most {BRUTE_FORCE_PIXELS} pixels, not {height} × {width}; use grid or pooled"
        )
    coordinates = pixel_coordinates(features, alpha, beta).flatten(2)
    exponent: Any = sum(-0.5 * (a[:, :, None] - a[:, None, :]) ** 2 for a in coordinates.unbind(1))
    matrix = exponent.exp()
    return lambda x: (x.flatten(2) @ matrix).view_as(x)


def pooled_kernel(features: torch.Tensor, alpha: Bandwidth, beta: Bandwidth, *, stride: int) -> Kernel:
    """Make an appearance kernel, exact between the nodes of a coarser grid: U K Uᵀ with bilinear interpolation U.

    It takes any number of features. Memory: (pixels / stride²)² floats, or 64 MiB for a 512² tile with stride 8.

    Parameters
    ----------
    features : (b, c, h, w) tensor
        Features of the pixels; nodes have averages with the weights of the interpolation.
    alpha, beta : float or 0-d tensor
        Bandwidths, as in `brute_kernel`.
    stride : int
        Distance of the nodes in pixels; 1 is the brute force.
    """
    height, width = features.shape[-2:]
    up_rows, up_columns = (interpolation_matrix(n, stride, like=features) for n in (height, width))
    weights = up_rows.sum(0)[:, None] * up_columns.sum(0)

    def pooled(x: torch.Tensor) -> torch.Tensor:
        """Sum the values (b, m, h, w) at the nodes with the weights of the interpolation."""
        return up_rows.T @ x @ up_columns

    coordinates = pooled(pixel_coordinates(features, alpha, beta)) / weights
    coordinates = coordinates.flatten(2)
    matrix = gaussian_matrix(coordinates.detach())

    def kernel(x: torch.Tensor) -> torch.Tensor:
        """Filter the values (b, m, h, w) at the nodes and interpolate the result."""
        nodes = pooled(x)
        message = _GaussianFilter.apply(nodes.flatten(2), coordinates, lambda values: values @ matrix)
        return up_rows @ message.view_as(nodes) @ up_columns.T

    return kernel


def interpolation_matrix(length: int, stride: int, *, like: torch.Tensor) -> torch.Tensor:
    """Return the matrix (length, nodes) of linear interpolation between nodes, constant beyond the outer nodes.

    Parameters
    ----------
    length : int
        Number of pixels.
    stride : int
        Pixels per node; a node is in the middle of its pixels.
    like : tensor
        Tensor with the type and device of the result.
    """
    nodes = -(-length // stride)
    places = (torch.arange(length, dtype=like.dtype, device=like.device) - (stride - 1) / 2) / stride
    distance = (places.clamp(0, nodes - 1)[:, None] - torch.arange(nodes, device=like.device)).abs()
    return (1 - distance).clamp_min(0)


def gaussian_matrix(coordinates: torch.Tensor) -> torch.Tensor:
    """Return the matrix (b, n, n) of exp(−½|a_i − a_j|²) from coordinates (b, d, n).

    The exponents are computed by products in float64, so that features far from 0 in units of their bandwidth lose no
    digits and CPU and GPU agree.
    """
    batch, _, n = coordinates.shape
    matrix = coordinates.new_empty(batch, n, n)
    points = coordinates.double()
    half_norms = 0.5 * points.square().sum(1, keepdim=True)
    for start in range(0, n, ROWS_AT_A_TIME):
        rows = slice(start, start + ROWS_AT_A_TIME)
        exponent = torch.baddbmm(half_norms, points[:, :, rows].mT, points, beta=-1)
        matrix[:, rows] = (exponent - half_norms[:, :, rows].mT).clamp_(SMALLEST_EXPONENT, 0)
    return matrix.exp_()


class _GaussianFilter(torch.autograd.Function):
    """Filter values (b, m, n) at coordinates (b, d, n) by a given map, with the gradient of the Gaussian.

    From ∂k_ij/∂a_i = k_ij (a_j − a_i) follows ∂⟨g, Kx⟩/∂a = g (K(ax) − a Kx) + x (K(ag) − a Kg). These are filters
    again, so that no matrix of gradients is formed.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, coordinates: torch.Tensor, filtered: Kernel) -> torch.Tensor:
        """Filter the values.

        Parameters
        ----------
        ctx : context
            Context of autograd; stores the tensors for `backward`.
        x : (b, m, n) tensor
            Values to filter.
        coordinates : (b, d, n) tensor
            Coordinates of the values, in bandwidths.
        filtered : callable
            Filter to apply, a linear map of (b, m, n) tensors.
        """
        y = filtered(x)
        ctx.save_for_backward(x, coordinates, y)
        ctx.filtered = filtered
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None, None]:
        """Return the gradients of the values and of the coordinates, from the gradient (b, m, n) of the result."""
        x, coordinates, y = ctx.saved_tensors
        if not ctx.needs_input_grad[1]:
            return ctx.filtered(g), None, None
        a = coordinates[:, None]
        moments = torch.cat([x[:, :, None] * a, g[:, :, None] * a], dim=1)
        filtered = ctx.filtered(torch.cat([g, moments.flatten(1, 2)], dim=1))
        of_g, of_moments = filtered[:, : g.shape[1]], filtered[:, g.shape[1] :].view_as(moments)
        of_ax, of_ag = of_moments.chunk(2, dim=1)
        pulls = g[:, :, None] * (of_ax - a * y[:, :, None]) + x[:, :, None] * (of_ag - a * of_g[:, :, None])
        return of_g, pulls.sum(1), None
