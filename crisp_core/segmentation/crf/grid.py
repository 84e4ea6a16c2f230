"""Appearance kernel by a bilateral grid (Chen, Paris & Durand 2007)."""

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch.autograd.function import once_differentiable

from crisp_core.segmentation.crf.grid_size import check_cells
from crisp_core.segmentation.crf.kernels import Bandwidth, Kernel, convolve_axis, pixel_coordinates


class BilateralGrid(NamedTuple):
    """A bilateral grid as linear maps between values (b, m, n) and nodes (b, nodes …, m).

    `blurred` takes the order of the derivative of the Gaussian by axis, 0 by default. Order 1 is ∂/∂a_i of
    k = exp(−½ (a_i − a_j)²). Order 2 is (a_i − a_j)² k, the derivative by the logarithm of the bandwidth.
    """

    splat: Kernel
    blurred: Callable[[torch.Tensor, Mapping[int, int]], torch.Tensor]
    sliced: Kernel


def grid_kernel(features: torch.Tensor, alpha: Bandwidth, beta: Bandwidth, *, samples: int) -> Kernel:
    """Make an appearance kernel by a bilateral grid: multilinear splat, separable blur, slice.

    It suits one feature, since the size of the grid is the product of the ranges of all coordinates. Each tile has a
    grid of its own, so that neither the memory nor the result of a tile depends on the other tiles of its batch.

    Parameters
    ----------
    features : (b, c, h, w) tensor
        Features of the pixels.
    alpha, beta : float or 0-d tensor
        Bandwidths, as in `dense.brute_kernel`. Their gradients are computed from derivatives of the blur, which are as
        exact as the values; derivatives of the interpolation would not be.
    samples : int
        Number of nodes per bandwidth.

    Raises
    ------
    UserError
        If the grid is too large for the memory.
    """
    alpha, beta = (torch.as_tensor(b, dtype=features.dtype, device=features.device) for b in (alpha, beta))
    tiles = features.split(1)
    grids = [lay_grid(pixel_coordinates(tile, alpha, beta).detach().flatten(2), samples) for tile in tiles]

    def kernel(x: torch.Tensor) -> torch.Tensor:
        """Filter the values (b, m, h, w), tile by tile."""
        filtered = [
            _GridFilter.apply(values.flatten(2), tile.flatten(2), alpha, beta, grid)
            for values, tile, grid in zip(x.split(1), tiles, grids, strict=True)
        ]
        return torch.cat(filtered).view_as(x)

    return kernel


def lay_grid(coordinates: torch.Tensor, samples: int) -> BilateralGrid:
    """Lay a grid with `samples` nodes per unit of the coordinates (1, d, n) over a tile."""
    batch, dimensions, n = coordinates.shape
    scaled = (coordinates - coordinates.amin(2, keepdim=True)) * samples
    lower = scaled.floor()
    cells = [int(c) + 1 for c in lower.amax((0, 2)).tolist()]
    check_cells(cells)
    n_cells = math.prod(cells)
    weights = _corner_weights(scaled - lower)
    index = _cell_index(lower.long(), cells)
    taps = grid_taps(samples, like=scaled)

    def splat(x: torch.Tensor) -> torch.Tensor:
        """Distribute the values (b, m, n) over the nodes of the grid."""
        rows = (x.transpose(1, 2).reshape(batch * n, -1, 1) * weights[:, None]).flatten(1)
        corners = rows.new_zeros(n_cells, rows.shape[1]).index_add_(0, index, rows)
        return _add_corners(corners.view(batch, *cells, x.shape[1], -1))

    def blurred(nodes: torch.Tensor, orders: Mapping[int, int]) -> torch.Tensor:
        """Blur the nodes along each axis; `orders` gives the derivative of the blur along an axis, otherwise 0."""
        for axis in range(dimensions):
            nodes = convolve_axis(nodes, taps[orders.get(axis, 0)], axis + 1)
        return nodes

    def sliced(nodes: torch.Tensor) -> torch.Tensor:
        """Interpolate the nodes at the pixels: values (b, m, n)."""
        corners = _split_into_corners(nodes, cells).view(n_cells, nodes.shape[-1], -1)
        return corners.index_select(0, index).mul_(weights[:, None]).sum(2).view(batch, n, -1).transpose(1, 2)

    return BilateralGrid(splat, blurred, sliced)


def grid_taps(samples: int, *, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the taps of the blur and of its two derivatives (see `BilateralGrid`) for nodes 1 / `samples` apart.

    Splat and slice widen a kernel by 1/6 node² each. The variance of the Gaussian is reduced accordingly, at the same
    mass. With e = exp(−½ (t/r)²) the derivatives are r e' and r² e'' + e = (t/r)² e.
    """
    radius = 4 * samples
    steps = torch.arange(-radius, radius + 1, dtype=like.dtype, device=like.device)
    variance = samples**2 - 1 / 3
    gaussian = torch.exp(-0.5 * steps**2 / variance) * (samples / math.sqrt(variance))
    # steps are from a_i to a_j
    first = gaussian * steps * (samples / variance)
    second = gaussian * (1 + samples**2 * (steps**2 / variance - 1) / variance)
    return gaussian, first, second


def _corner_weights(fractions: torch.Tensor) -> torch.Tensor:
    """Return the multilinear weights (b · n, 2^d) of the corners of cells from positions (b, d, n) within them."""
    columns = [fractions.new_ones(())]
    for fraction in fractions.unbind(1):
        columns = [column * share for column in columns for share in (1 - fraction, fraction)]
    return torch.stack(columns, dim=-1).flatten(0, 1)


def _cell_index(lower: torch.Tensor, cells: list[int]) -> torch.Tensor:
    """Return the number (b · n) of the cell of each pixel from its indices (b, d, n), over all tiles."""
    index = torch.arange(len(lower), device=lower.device)[:, None]
    for along_axis, count in zip(lower.unbind(1), cells, strict=True):
        index = index * count + along_axis
    return index.flatten()


def _add_corners(corners: torch.Tensor) -> torch.Tensor:
    """Add the corners (b, cells …, m, 2^d) of neighbouring cells to nodes (b, cells + 1 …, m)."""
    batch, *cells, channels, _ = corners.shape
    grid = corners.new_zeros(batch, *(c + 1 for c in cells), channels)
    for corner, shift in enumerate(itertools.product((0, 1), repeat=len(cells))):
        grid[_corner_slices(shift, cells)] += corners[..., corner]
    return grid


def _split_into_corners(grid: torch.Tensor, cells: list[int]) -> torch.Tensor:
    """Return the corners (b, cells …, m, 2^d) of the cells between nodes (b, cells + 1 …, m)."""
    shifts = itertools.product((0, 1), repeat=len(cells))
    return torch.stack([grid[_corner_slices(shift, cells)] for shift in shifts], dim=-1)


def _corner_slices(shift: tuple[int, ...], cells: list[int]) -> tuple[slice, ...]:
    return (slice(None), *(slice(s, s + c) for s, c in zip(shift, cells, strict=True)))


class _GridFilter(torch.autograd.Function):
    """Filter values (b, m, n) by a grid of features (b, c, n) / beta and positions / alpha."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, features: torch.Tensor, alpha: torch.Tensor, beta: torch.Tensor, grid: BilateralGrid
    ) -> torch.Tensor:
        """Filter the values with the grid.

        Parameters
        ----------
        ctx : context
            Context of autograd; stores the tensors for `backward`.
        x : (b, m, n) tensor
            Values to filter.
        features : (b, c, n) tensor
            Features of the pixels.
        alpha : 0-d tensor
            Bandwidth of the positions, in px.
        beta : 0-d tensor
            Bandwidth of the features, in their units.
        grid : BilateralGrid
            Grid laid over the coordinates of the pixels.
        """
        nodes = grid.splat(x)
        ctx.save_for_backward(x, nodes, alpha, beta)
        ctx.grid, ctx.axes = grid, range(2, 2 + features.shape[1])
        return grid.sliced(grid.blurred(nodes, {}))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the gradients of the inputs of `forward`, from the gradient (b, m, n) of the result."""
        x, nodes, alpha, beta = ctx.saved_tensors
        grid, needed = ctx.grid, ctx.needs_input_grad
        g_nodes = grid.splat(g)
        of_x = grid.sliced(grid.blurred(g_nodes, {}))
        of_features = of_alpha = of_beta = None
        if needed[1]:
            pulls = [
                g * _derivative_along(grid, nodes, axis) + x * _derivative_along(grid, g_nodes, axis)
                for axis in ctx.axes
            ]
            of_features = torch.stack([pull.sum(1) for pull in pulls], dim=1) / beta
        if needed[2]:
            of_alpha = sum((g_nodes * grid.blurred(nodes, {axis: 2})).sum() for axis in (0, 1)) / alpha
        if needed[3]:
            of_beta = sum((g_nodes * grid.blurred(nodes, {axis: 2})).sum() for axis in ctx.axes) / beta
        return of_x, of_features, of_alpha, of_beta, None


def _derivative_along(grid: BilateralGrid, nodes: torch.Tensor, axis: int) -> torch.Tensor:
    return grid.sliced(grid.blurred(nodes, {axis: 1}))
