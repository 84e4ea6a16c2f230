from functools import partial
from typing import get_args

import numpy as np
import pytest
import scipy.ndimage
import torch
from torch.autograd import gradcheck

from crisp_core.errors import UserError
from crisp_core.segmentation.crf.dense import brute_kernel, pooled_kernel
from crisp_core.segmentation.crf.grid import grid_kernel
from crisp_core.segmentation.crf.kernels import gaussian_kernel, normalized_filter
from crisp_core.segmentation.crf.settings import InferenceSettings

NORMALIZATIONS = get_args(InferenceSettings.model_fields["normalization"].annotation)
APPEARANCE = {
    "brute": brute_kernel,
    "pooled": partial(pooled_kernel, stride=3),
    "pooled_all": partial(pooled_kernel, stride=1),
    "grid": partial(grid_kernel, samples=3),
}


def random(*shape):
    return torch.rand(*shape, dtype=torch.float64)


def parameter(value):
    return torch.tensor(value, dtype=torch.float64, requires_grad=True)


def smooth_features(height, width, *, batch=1):
    """Noise with a range of many bandwidths and edges that pixels see."""
    noise = torch.randn(batch, 1, height, width, dtype=torch.float64)
    return normalized_filter(gaussian_kernel(1.5), noise, "row").apply(noise) * 6


def looped_matrix(features, alpha, beta):
    """Kernel of a tile's features (c, h, w), pair by pair."""
    channels, height, width = features.shape
    places = [(y, x) for y in range(height) for x in range(width)]
    matrix = np.empty((len(places), len(places)))
    for i, (yi, xi) in enumerate(places):
        for j, (yj, xj) in enumerate(places):
            far = ((yi - yj) ** 2 + (xi - xj) ** 2) / alpha**2
            unlike = sum(float(features[c, yi, xi] - features[c, yj, xj]) ** 2 for c in range(channels)) / beta**2
            matrix[i, j] = np.exp(-0.5 * (far + unlike))
    return matrix


@pytest.mark.parametrize("channels", [1, 3])
def test_brute_force_sums_over_all_pairs(channels):
    features, x = random(2, channels, 4, 5), random(2, 2, 4, 5)
    y = brute_kernel(features, 2.0, 0.3)(x)
    for tile in range(2):
        matrix = looped_matrix(features[tile].numpy(), 2.0, 0.3)
        expected = x[tile].reshape(2, -1).numpy() @ matrix
        np.testing.assert_allclose(y[tile].reshape(2, -1), expected, rtol=1e-12)


@pytest.mark.parametrize("gamma", [0.4, 3.0, 19.7])
@pytest.mark.parametrize("shape", [(1, 9), (40, 33), (70, 130)])
def test_smoothness_is_scipys_truncated_gaussian(shape, gamma):
    x = random(2, 1, *shape)
    steps = np.arange(-np.ceil(4 * gamma), np.ceil(4 * gamma) + 1)
    taps = np.exp(-0.5 * (steps / gamma) ** 2)
    expected = x.numpy()
    for axis in (2, 3):
        expected = scipy.ndimage.convolve1d(expected, taps, axis=axis, mode="constant")
    np.testing.assert_allclose(gaussian_kernel(gamma)(x), expected, rtol=1e-10)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_the_truncation_of_smoothness_costs_less_than_a_ten_thousandth(normalization):
    x = random(1, 1, 20, 24)
    exact = normalized_filter(brute_kernel(torch.zeros_like(x), 2.5, 1.0), x, normalization).apply(x)
    truncated = normalized_filter(gaussian_kernel(2.5), x, normalization).apply(x)
    assert (truncated - exact).abs().max() < 1e-4


@pytest.mark.parametrize("channels", [1, 4])
def test_pooled_with_stride_1_is_the_brute_force(channels):
    features, x = random(2, channels, 6, 9), random(2, 2, 6, 9)
    torch.testing.assert_close(pooled_kernel(features, 3.0, 0.4, stride=1)(x), brute_kernel(features, 3.0, 0.4)(x))


@pytest.mark.parametrize("shape", [(12, 8), (13, 7), (1, 10), (3, 2)])
def test_pooled_is_exact_between_nodes_and_linear_between_them(shape):
    stride, alpha, beta = 4, 5.0, 0.4
    features, x = random(2, *shape), random(*shape)
    up = np.kron(*(interpolated_identity(n, stride) for n in shape))
    values = np.stack([*np.indices(shape, dtype=float), *features.numpy()]).reshape(4, -1)
    nodes = (values @ up) / up.sum(0)
    scaled = nodes / np.array([alpha, alpha, beta, beta])[:, None]
    matrix = np.exp(-0.5 * ((scaled[:, :, None] - scaled[:, None]) ** 2).sum(0))
    expected = up @ matrix @ up.T @ x.numpy().ravel()
    y = pooled_kernel(features[None], alpha, beta, stride=stride)(x[None, None])
    np.testing.assert_allclose(y.numpy().ravel(), expected, rtol=1e-10)


def interpolated_identity(length, stride):
    nodes = -(-length // stride)
    middles = stride * np.arange(nodes) + (stride - 1) / 2
    return np.stack([np.interp(np.arange(length), middles, row) for row in np.eye(nodes)], axis=1)


def test_far_features_cost_pooled_no_digits_in_float32():
    features, x = random(1, 2, 8, 8) * 0.2, random(1, 1, 8, 8)
    features[..., 4:] += 100
    exact = brute_kernel(features, 8.0, 0.05)(x)
    single = pooled_kernel(features.float(), 8.0, 0.05, stride=1)(x.float())
    torch.testing.assert_close(single.double(), exact, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize(("alpha", "beta"), [(160.0, 0.05), (8.0, 0.5), (3.0, 5.0)])
def test_the_grid_nears_the_brute_force_as_its_nodes_near_each_other(alpha, beta, normalization):
    features = smooth_features(40, 48)
    x = (smooth_features(40, 48) * 2).sigmoid()
    exact = normalized_filter(brute_kernel(features, alpha, beta), x, normalization).apply(x)
    errors = []
    for samples in (1, 2, 4):
        filtered = normalized_filter(grid_kernel(features, alpha, beta, samples=samples), x, normalization)
        errors.append((filtered.apply(x) - exact).abs().mean().item())
    assert errors[0] > 2 * errors[1] > 4 * errors[2]
    assert errors[1] < 5e-3


def test_the_grid_keeps_the_kernels_scale():
    features, x = smooth_features(30, 30), random(1, 1, 30, 30)
    ratio = grid_kernel(features, 6.0, 1.0, samples=3)(x) / brute_kernel(features, 6.0, 1.0)(x)
    assert (ratio - 1).abs().max() < 0.05


@pytest.mark.parametrize("name", [*APPEARANCE, "smoothness"])
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_the_adjoint_moves_to_the_other_side(name, normalization):
    features, x, y = random(2, 1, 10, 7), random(2, 2, 10, 7), random(2, 2, 10, 7)
    kernel = gaussian_kernel(2.0) if name == "smoothness" else APPEARANCE[name](features, 4.0, 0.2)
    filtered = normalized_filter(kernel, x, normalization)
    assert (filtered.apply(y) * x).sum().item() == pytest.approx((y * filtered.adjoint(x)).sum().item(), rel=1e-12)
    if normalization == "symmetric":
        torch.testing.assert_close(filtered.apply(x), filtered.adjoint(x))


@pytest.mark.parametrize("name", [*APPEARANCE, "smoothness"])
def test_row_normalisation_keeps_constants(name):
    features, x = random(2, 1, 9, 8), torch.full((2, 2, 9, 8), 0.7, dtype=torch.float64)
    kernel = gaussian_kernel(2.0) if name == "smoothness" else APPEARANCE[name](features, 4.0, 0.2)
    torch.testing.assert_close(normalized_filter(kernel, x, "row").apply(x), x)


def test_symmetric_normalisation_divides_by_both_degrees():
    features, x = random(1, 1, 4, 4), random(1, 1, 4, 4)
    matrix = looped_matrix(features[0].numpy(), 2.0, 0.3)
    degree = matrix.sum(1)
    expected = (matrix / np.sqrt(np.outer(degree, degree))) @ x.numpy().ravel()
    y = normalized_filter(brute_kernel(features, 2.0, 0.3), x, "symmetric").apply(x)
    np.testing.assert_allclose(y.numpy().ravel(), expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["brute", "pooled", "pooled_all"])
def test_gradients_of_the_exact_operators(name):
    def filtered(x, features, alpha, beta):
        return normalized_filter(APPEARANCE[name](features, alpha, beta), x, "symmetric").apply(x)

    x, features = random(2, 2, 4, 5).requires_grad_(), random(2, 3, 4, 5).requires_grad_()
    assert gradcheck(filtered, (x, features, parameter(2.3), parameter(0.6)))


def test_gradients_of_the_smoothness():
    def filtered(x, gamma):
        return normalized_filter(gaussian_kernel(gamma), x, "row").apply(x)

    assert gradcheck(filtered, (random(1, 2, 5, 6).requires_grad_(), parameter(1.3)))


def test_gradients_of_the_grid_by_its_values():
    features = random(2, 1, 5, 6)
    kernel = grid_kernel(features, 2.0, 0.2, samples=2)
    assert gradcheck(kernel, (random(2, 2, 5, 6).requires_grad_(),))


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_gradients_of_the_grid_near_those_of_the_brute_force(normalization):
    # alike and near pixels have alike values, so that bandwidths matter
    features = smooth_features(24, 30)
    x = features.sigmoid()

    def gradients(operator):
        inputs = (x.clone().requires_grad_(), features.clone().requires_grad_(), parameter(6.0), parameter(1.0))
        filtered = normalized_filter(operator(*inputs[1:]), x, normalization).apply(inputs[0])
        return torch.autograd.grad((filtered * x).sum(), inputs)

    exact, near = gradients(brute_kernel), gradients(partial(grid_kernel, samples=3))
    for expected, gradient in zip(exact, near, strict=True):
        assert (gradient - expected).norm() < 0.03 * expected.norm()


@pytest.mark.parametrize("name", APPEARANCE)
def test_a_tile_is_filtered_as_in_a_batch(name):
    features, x = (
        smooth_features(12, 11, batch=3) * torch.tensor([1.0, 5.0, 0.1]).view(-1, 1, 1, 1),
        random(3, 2, 12, 11),
    )
    together = APPEARANCE[name](features, 5.0, 0.3)(x)
    alone = [APPEARANCE[name](features[i : i + 1], 5.0, 0.3)(x[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", APPEARANCE)
@pytest.mark.parametrize("shape", [(1, 1), (1, 17), (17, 1)])
def test_constant_features_leave_the_positions(name, shape):
    x = random(1, 1, *shape)
    features = torch.full_like(x, 3.0)
    y = normalized_filter(APPEARANCE[name](features, 50.0, 0.05), x, "row").apply(x)
    torch.testing.assert_close(y, x.mean().expand_as(y), rtol=0.02, atol=0)


def test_what_would_not_fit_is_refused():
    with pytest.raises(UserError, match="brute takes at most 4096 pixels, not 65 × 64; use grid or pooled"):
        brute_kernel(torch.zeros(1, 1, 65, 64), 3.0, 1.0)
    with pytest.raises(UserError, match="cells, which are too many; give a larger crf/alpha_diameters"):
        grid_kernel(torch.rand(1, 1, 64, 64), 0.5, 1e-4, samples=3)


@pytest.mark.gpu
@pytest.mark.parametrize("name", [*APPEARANCE, "smoothness"])
def test_cpu_and_gpu_agree(name):
    features, x = smooth_features(48, 40).float(), random(1, 2, 48, 40).float()

    def gradients(device):
        inputs = [t.to(device).requires_grad_() for t in (x, features, torch.tensor(20.0), torch.tensor(0.1))]
        kernel = gaussian_kernel(inputs[2]) if name == "smoothness" else APPEARANCE[name](*inputs[1:])
        y = normalized_filter(kernel, inputs[0], "symmetric").apply(inputs[0])
        y.square().sum().backward()
        return [y.detach().cpu(), *(i.grad.cpu() for i in inputs if i.grad is not None)]

    if name == "brute":
        features, x = features[..., :30], x[..., :30]
    for on_cpu, on_gpu in zip(gradients("cpu"), gradients("cuda"), strict=True):
        torch.testing.assert_close(on_gpu, on_cpu, rtol=1e-3, atol=1e-4)
