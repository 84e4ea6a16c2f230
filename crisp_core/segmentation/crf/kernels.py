"""Gaussian filters of a conditional random field: prepared once from the features, then applied in every iteration.

A kernel maps (b, m, h, w) to the same shape, y_i = Σ_j exp(−½|a_i − a_j|²) x_j, where a pixel's coordinates a are its
position over a bandwidth and, for the appearance kernels, its features over another one. The self term is included
and every kernel is its own adjoint, the approximate ones too. All are differentiable in x, features and bandwidths.
"""

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch.autograd.function import once_differentiable

from crisp_core.errors import UserError

Kernel = Callable[[torch.Tensor], torch.Tensor]
Bandwidth = torch.Tensor | float

NORMALIZATIONS = ("symmetric", "row")

# pixels that the brute force takes: a kernel of 64 MiB in float32
BRUTE_FORCE_PIXELS = 64 * 64
# cells of a bilateral grid: 512 MiB in float32 with their eight corners
GRID_CELLS = 2**24
# rows of a dense kernel that are computed at a time, to keep their float64 exponents small
ROWS_AT_A_TIME = 512
# below it exp() enters the numbers that processors are slow with
SMALLEST_EXPONENT = -80
# outputs of a convolution that share a matrix product
BLOCK = 64


class Filter(NamedTuple):
    """A normalised kernel F and its adjoint Fᵀ, maps of (b, m, h, w) tensors."""

    apply: Kernel
    adjoint: Kernel


def normalized_filter(kernel: Kernel, like: torch.Tensor, normalization: str) -> Filter:
    """Normalise a kernel K by its degrees D = K 1.

    Parameters
    ----------
    kernel : callable
        Symmetric linear map of (b, m, h, w) tensors.
    like : (b, ..., h, w) tensor
        Tells the batch, the size, the type and the device of what will be filtered.
    normalization : {"symmetric", "row"}
        D^-½ K D^-½, its own adjoint (Krähenbühl & Koltun 2011), or D^-1 K, which keeps constants.
    """
    degree = kernel(torch.ones_like(like[:, :1]))
    if normalization == "row":
        return Filter(lambda x: kernel(x) / degree, lambda y: kernel(y / degree))
    scale = degree.rsqrt()

    def symmetric(x: torch.Tensor) -> torch.Tensor:
        return scale * kernel(scale * x)

    return Filter(symmetric, symmetric)


def gaussian_kernel(gamma: Bandwidth) -> Kernel:
    """Smoothness: positions only, separable and exact up to its truncation at 4σ.

    Parameters
    ----------
    gamma : float or 0-d tensor
        Standard deviation in pixels; gradients reach it.
    """
    sigma = gamma if isinstance(gamma, torch.Tensor) else torch.tensor(gamma, dtype=torch.float64)
    radius = max(1, math.ceil(4 * sigma.item()))
    steps = torch.arange(-radius, radius + 1, dtype=sigma.dtype, device=sigma.device)
    taps = torch.exp(-0.5 * (steps / sigma) ** 2)
    return lambda x: convolved(convolved(x, taps.to(x), 2), taps.to(x), 3)


def convolved(x: torch.Tensor, taps: torch.Tensor, axis: int) -> torch.Tensor:
    """Convolve along one axis with an odd number of taps, zeros beyond the ends.

    Blocks of the axis are multiplied by a band matrix: as quick as a convolution on a CPU, the same numbers on a GPU
    (whose convolutions round to 10 bits by default), and differentiable in the taps.
    """
    length, radius = x.shape[axis], len(taps) // 2
    block = min(BLOCK, length)
    n_blocks = -(-length // block)
    rows = F.pad(x.movedim(axis, -1), (radius, n_blocks * block - length + radius))
    windows = rows.unfold(-1, block + 2 * radius, block)
    # one large product; a stack of small ones is several times slower
    products = (windows.reshape(-1, windows.shape[-1]) @ _band(taps, block)).view(*windows.shape[:-1], block)
    return products.flatten(-2)[..., :length].movedim(-1, axis)


def _band(taps: torch.Tensor, block: int) -> torch.Tensor:
    """Band matrix (block + taps − 1, block) whose column j holds the taps from row j on."""
    size = block + len(taps) - 1
    offsets = torch.arange(size, device=taps.device)[:, None] - torch.arange(block, device=taps.device)
    inside = (offsets >= 0) & (offsets < len(taps))
    return torch.where(inside, taps[offsets.clamp(0, len(taps) - 1)], taps.new_zeros(()))


def pixel_coordinates(features: torch.Tensor, alpha: Bandwidth, beta: Bandwidth) -> torch.Tensor:
    """Coordinates (b, 2 + c, h, w) of the appearance kernel: (y, x) / alpha and features (b, c, h, w) / beta.

    Both are centred, which changes no difference and saves digits.
    """
    height, width = features.shape[-2:]
    rows, columns = (
        torch.arange(n, dtype=features.dtype, device=features.device) - (n - 1) / 2 for n in (height, width)
    )
    places = torch.stack(torch.meshgrid(rows, columns, indexing="ij"))
    centred = features - features.detach().mean((2, 3), keepdim=True)
    return torch.cat([(places / alpha).expand(len(features), -1, -1, -1), centred / beta], dim=1)


def brute_kernel(features: torch.Tensor, alpha: Bandwidth, beta: Bandwidth) -> Kernel:
    """Appearance, every pair of pixels: the oracle, for tiles of up to 4096 pixels.

    Parameters
    ----------
    features : (b, c, h, w) tensor
    alpha : float or 0-d tensor
        Standard deviation in pixels.
    beta : float or 0-d tensor
        Standard deviation in units of the features.

    Raises
    ------
    UserError
        If the tile is larger.
    """
    height, width = features.shape[-2:]
    if height * width > BRUTE_FORCE_PIXELS:
        raise UserError(
            f"crf/operator: brute takes {BRUTE_FORCE_PIXELS} pixels, not {height} × {width}; use grid or pooled"
        )
    coordinates = pixel_coordinates(features, alpha, beta).flatten(2)
    exponent: Any = sum(-0.5 * (a[:, :, None] - a[:, None, :]) ** 2 for a in coordinates.unbind(1))
    matrix = exponent.exp()
    return lambda x: (x.flatten(2) @ matrix).view_as(x)


def pooled_kernel(features: torch.Tensor, alpha: Bandwidth, beta: Bandwidth, *, stride: int) -> Kernel:
    """Appearance, exact between the nodes of a coarser grid: U K Uᵀ with U the bilinear interpolation.

    Any number of features. Memory is (pixels / stride²)² floats: 64 MiB for a 512² tile with stride 8.

    Parameters
    ----------
    features : (b, c, h, w) tensor
        Averaged around the nodes with the weights of the interpolation.
    alpha, beta : float or 0-d tensor
        As for `brute_kernel`.
    stride : int
        Pixels from node to node; 1 is the brute force.
    """
    height, width = features.shape[-2:]
    up_rows, up_columns = (interpolation(n, stride, like=features) for n in (height, width))
    weights = up_rows.sum(0)[:, None] * up_columns.sum(0)

    def pooled(x: torch.Tensor) -> torch.Tensor:
        return up_rows.T @ x @ up_columns

    coordinates = pooled(pixel_coordinates(features, alpha, beta)) / weights
    coordinates = coordinates.flatten(2)
    matrix = gaussian_matrix(coordinates.detach())

    def kernel(x: torch.Tensor) -> torch.Tensor:
        nodes = pooled(x)
        message = _GaussianFilter.apply(nodes.flatten(2), coordinates, lambda values: values @ matrix)
        return up_rows @ message.view_as(nodes) @ up_columns.T

    return kernel


def interpolation(length: int, stride: int, *, like: torch.Tensor) -> torch.Tensor:
    """Matrix (length, nodes) of linear interpolation from the middles of runs of `stride` pixels, constant beyond."""
    nodes = -(-length // stride)
    places = (torch.arange(length, dtype=like.dtype, device=like.device) - (stride - 1) / 2) / stride
    distance = (places.clamp(0, nodes - 1)[:, None] - torch.arange(nodes, device=like.device)).abs()
    return (1 - distance).clamp_min(0)


def gaussian_matrix(coordinates: torch.Tensor) -> torch.Tensor:
    """Matrix (b, n, n) of exp(−½|a_i − a_j|²) from coordinates (b, d, n).

    The exponents come from products in float64: features far from 0 in units of their bandwidth cost no digits, and a
    CPU and a GPU agree.
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


def grid_kernel(features: torch.Tensor, alpha: Bandwidth, beta: Bandwidth, *, samples: int) -> Kernel:
    """Appearance by a bilateral grid: multilinear splat, separable blur, slice (Chen, Paris & Durand 2007).

    Meant for one feature; the grid grows with the product of all ranges.

    Parameters
    ----------
    features : (b, c, h, w) tensor
    alpha, beta : float or 0-d tensor
        As for `brute_kernel`. Gradients come from derivatives of the blur, so they are as good as the values; the
        derivative of the interpolation would not be.
    samples : int
        Nodes per standard deviation.

    Raises
    ------
    UserError
        If the grid would not fit into memory.
    """
    alpha, beta = (torch.as_tensor(b, dtype=features.dtype, device=features.device) for b in (alpha, beta))
    grid = bilateral_grid(pixel_coordinates(features, alpha, beta).detach().flatten(2), samples)
    return lambda x: _GridFilter.apply(x.flatten(2), features.flatten(2), alpha, beta, grid).view_as(x)


class Grid(NamedTuple):
    """A bilateral grid as linear maps between values (b, m, n) and nodes (b, nodes …, m).

    `blurred` takes the order of the Gaussian's derivative by axis, 0 where none is given: 1 is ∂/∂a_i of
    k = exp(−½ (a_i − a_j)²), and 2 is (a_i − a_j)² k, the derivative by the logarithm of the bandwidth.
    """

    splat: Kernel
    blurred: Callable[[torch.Tensor, Mapping[int, int]], torch.Tensor]
    sliced: Kernel


def bilateral_grid(coordinates: torch.Tensor, samples: int) -> Grid:
    """Lay a grid with `samples` nodes per unit of the coordinates (b, d, n) over every tile."""
    batch, dimensions, n = coordinates.shape
    scaled = (coordinates - coordinates.amin(2, keepdim=True)) * samples
    lower = scaled.floor()
    # of the largest tile: smaller ones leave the rest of their grid empty
    cells = [int(c) + 1 for c in lower.amax((0, 2)).tolist()]
    n_cells = batch * math.prod(cells)
    if n_cells > GRID_CELLS:
        raise UserError(
            f"crf/operator: a grid of {' × '.join(map(str, cells))} cells is too large; raise alpha_px or beta, or use "
            "pooled"
        )
    weights = _corner_weights(scaled - lower)
    index = _cell_index(lower.long(), cells)
    taps = grid_taps(samples, like=scaled)

    def splat(x: torch.Tensor) -> torch.Tensor:
        rows = (x.transpose(1, 2).reshape(batch * n, -1, 1) * weights[:, None]).flatten(1)
        corners = rows.new_zeros(n_cells, rows.shape[1]).index_add_(0, index, rows)
        return _joined(corners.view(batch, *cells, x.shape[1], -1))

    def blurred(nodes: torch.Tensor, orders: Mapping[int, int]) -> torch.Tensor:
        for axis in range(dimensions):
            nodes = convolved(nodes, taps[orders.get(axis, 0)], axis + 1)
        return nodes

    def sliced(nodes: torch.Tensor) -> torch.Tensor:
        corners = _split(nodes, cells).view(n_cells, nodes.shape[-1], -1)
        return corners.index_select(0, index).mul_(weights[:, None]).sum(2).view(batch, n, -1).transpose(1, 2)

    return Grid(splat, blurred, sliced)


def grid_taps(samples: int, *, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Taps of the blur and of its two derivatives (see `Grid`), for nodes 1 / `samples` apart.

    Splat and slice widen a kernel by 1/6 node² each, so the Gaussian's variance is less by that, at the same mass. With
    e = exp(−½ (t/r)²) the derivatives are r e' and r² e'' + e = (t/r)² e.
    """
    radius = 4 * samples
    steps = torch.arange(-radius, radius + 1, dtype=like.dtype, device=like.device)
    variance = samples**2 - 1 / 3
    gaussian = torch.exp(-0.5 * steps**2 / variance) * (samples / math.sqrt(variance))
    # a step is from a_i to a_j
    first = gaussian * steps * (samples / variance)
    second = gaussian * (1 + samples**2 * (steps**2 / variance - 1) / variance)
    return gaussian, first, second


def _corner_weights(fractions: torch.Tensor) -> torch.Tensor:
    """Multilinear weights (b · n, 2^d) of a cell's corners from the places (b, d, n) within it."""
    columns = [fractions.new_ones(())]
    for fraction in fractions.unbind(1):
        columns = [column * share for column in columns for share in (1 - fraction, fraction)]
    return torch.stack(columns, dim=-1).flatten(0, 1)


def _cell_index(lower: torch.Tensor, cells: list[int]) -> torch.Tensor:
    """Number (b · n) of each pixel's cell from the cells (b, d, n) along the axes, all tiles counted through."""
    index = torch.arange(len(lower), device=lower.device)[:, None]
    for along_axis, count in zip(lower.unbind(1), cells, strict=True):
        index = index * count + along_axis
    return index.flatten()


def _joined(corners: torch.Tensor) -> torch.Tensor:
    """Add the corners (b, cells …, m, 2^d) of neighbouring cells up to nodes (b, cells + 1 …, m)."""
    batch, *cells, channels, _ = corners.shape
    grid = corners.new_zeros(batch, *(c + 1 for c in cells), channels)
    for corner, shift in enumerate(itertools.product((0, 1), repeat=len(cells))):
        grid[_shifted(shift, cells)] += corners[..., corner]
    return grid


def _split(grid: torch.Tensor, cells: list[int]) -> torch.Tensor:
    """Corners (b, cells …, m, 2^d) of the cells between nodes (b, cells + 1 …, m)."""
    shifts = itertools.product((0, 1), repeat=len(cells))
    return torch.stack([grid[_shifted(shift, cells)] for shift in shifts], dim=-1)


def _shifted(shift: tuple[int, ...], cells: list[int]) -> tuple[slice, ...]:
    return (slice(None), *(slice(s, s + c) for s, c in zip(shift, cells, strict=True)))


class _GaussianFilter(torch.autograd.Function):
    """Values (b, m, n) filtered at coordinates (b, d, n) by a given map, with the Gaussian's gradient.

    From ∂k_ij/∂a_i = k_ij (a_j − a_i) follows ∂⟨g, Kx⟩/∂a = g (K(ax) − a Kx) + x (K(ag) − a Kg): a filter again, so
    that no matrix of gradients is formed.
    """

    @staticmethod
    def forward(ctx, x: torch.Tensor, coordinates: torch.Tensor, filtered: Kernel) -> torch.Tensor:
        y = filtered(x)
        ctx.save_for_backward(x, coordinates, y)
        ctx.filtered = filtered
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, g: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None, None]:
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


class _GridFilter(torch.autograd.Function):
    """Values (b, m, n) filtered by a grid made for features (b, c, n) / beta and positions / alpha."""

    @staticmethod
    def forward(
        ctx, x: torch.Tensor, features: torch.Tensor, alpha: torch.Tensor, beta: torch.Tensor, grid: Grid
    ) -> torch.Tensor:
        nodes = grid.splat(x)
        ctx.save_for_backward(x, nodes, alpha, beta)
        ctx.grid, ctx.axes = grid, range(2, 2 + features.shape[1])
        return grid.sliced(grid.blurred(nodes, {}))

    @staticmethod
    @once_differentiable
    def backward(ctx, g: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, nodes, alpha, beta = ctx.saved_tensors
        grid, needed = ctx.grid, ctx.needs_input_grad
        g_nodes = grid.splat(g)
        of_x = grid.sliced(grid.blurred(g_nodes, {}))
        of_features = of_alpha = of_beta = None
        if needed[1]:
            pulls = [g * _pull(grid, nodes, axis) + x * _pull(grid, g_nodes, axis) for axis in ctx.axes]
            of_features = torch.stack([pull.sum(1) for pull in pulls], dim=1) / beta
        if needed[2]:
            of_alpha = sum((g_nodes * grid.blurred(nodes, {axis: 2})).sum() for axis in (0, 1)) / alpha
        if needed[3]:
            of_beta = sum((g_nodes * grid.blurred(nodes, {axis: 2})).sum() for axis in ctx.axes) / beta
        return of_x, of_features, of_alpha, of_beta, None


def _pull(grid: Grid, nodes: torch.Tensor, axis: int) -> torch.Tensor:
    return grid.sliced(grid.blurred(nodes, {axis: 1}))
