from typing import get_args

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from torch.autograd import gradcheck

from crisp_core.segmentation.crf.dense import brute_kernel
from crisp_core.segmentation.crf.kernels import gaussian_kernel, normalized_filter
from crisp_core.segmentation.crf.settings import InferenceSettings
from crisp_core.segmentation.crf.solvers import (
    FORMS,
    Solver,
    Term,
    energy,
    frank_wolfe_steps,
    mean_field,
    pairwise,
    solve,
    sparsemax,
)

HEIGHT, WIDTH = 5, 6
NORMALIZATIONS = get_args(InferenceSettings.model_fields["normalization"].annotation)
REGULARIZERS = tuple(FORMS)


def random_logits(n_labels, *, batch=2, scale=2.0):
    return scale * torch.randn(batch, n_labels, HEIGHT, WIDTH, dtype=torch.float64)


def symmetric(n_labels, scale):
    matrix = scale * torch.randn(n_labels, n_labels, dtype=torch.float64)
    return (matrix + matrix.T) / 2


def make_terms(couplings, *, normalization="symmetric", batch=2):
    features = torch.rand(batch, 1, HEIGHT, WIDTH, dtype=torch.float64)
    kernels = (gaussian_kernel(1.0), brute_kernel(features, 3.0, 0.3))
    filters = [normalized_filter(kernel, features, normalization).apply for kernel in kernels]
    return [Term(filtered, c) for filtered, c in zip(filters, couplings, strict=True)]


def potts(n_labels, *weights):
    return [-w * torch.eye(n_labels, dtype=torch.float64) for w in weights]


def dense_pairwise(terms, n_labels):
    """P of the first tile as a matrix over (label, pixel), column by column."""
    units = torch.eye(n_labels * HEIGHT * WIDTH, dtype=torch.float64).view(-1, 1, n_labels, HEIGHT, WIDTH)
    return torch.stack([pairwise(unit, terms).flatten() for unit in units], dim=1).numpy()


def projected(point):
    """Nearest point of the simplex, its threshold found by bisection."""
    low, high = point.min() - 1, point.max()
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(point - middle, 0).sum() > 1 else (low, middle)
    return np.maximum(point - low, 0)


def looped_frank_wolfe(logits, matrix, *, regularizer, regularization, steps, initial_weight):
    """Log marginals of a tile (l, h, w), pixel by pixel."""
    n_labels = len(logits)
    u = logits.reshape(n_labels, -1)
    x = start = softmax(u, axis=0)
    for step in steps:
        values = (u - (matrix @ x.ravel()).reshape(u.shape)) / regularization
        nearest = softmax if regularizer == "negentropy" else projected
        target = np.stack([nearest(column) for column in values.T], axis=1)
        x = x + step * (target - x)
    return np.log((1 - initial_weight) * x + initial_weight * start).reshape(logits.shape)


@pytest.mark.parametrize("n_labels", [2, 5])
def test_sparsemax_projects_onto_the_simplex(n_labels):
    values = random_logits(n_labels)
    expected = np.apply_along_axis(projected, 1, values.numpy())
    np.testing.assert_allclose(sparsemax(values), expected, atol=1e-12)


@pytest.mark.parametrize("n_labels", [2, 3])
@pytest.mark.parametrize("regularizer", REGULARIZERS)
@pytest.mark.parametrize("rule", ["fixed", "diminishing"])
def test_the_solver_does_what_the_equations_say(n_labels, regularizer, rule):
    logits = random_logits(n_labels, batch=1)
    terms = make_terms([symmetric(n_labels, 0.5), symmetric(n_labels, 1.0)], batch=1)
    options = {"regularizer": regularizer, "regularization": 1.7, "initial_weight": 0.3}
    solver = Solver(steps=frank_wolfe_steps(rule, 4, step=0.6), **options)
    steps = [0.6] * 4 if rule == "fixed" else [1, 2 / 3, 2 / 4, 2 / 5]
    expected = looped_frank_wolfe(logits[0].numpy(), dense_pairwise(terms, n_labels), steps=steps, **options)
    np.testing.assert_allclose(solve(logits, terms, solver)[0], expected, atol=1e-9)


@pytest.mark.parametrize("n_labels", [2, 4])
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_mean_field_is_frank_wolfe_with_negentropy_and_full_steps(n_labels, normalization):
    logits, terms = random_logits(n_labels), make_terms(potts(n_labels, 1.0, 2.0), normalization=normalization)
    x = logits.softmax(1)
    for _ in range(5):
        x = (logits - pairwise(x, terms)).softmax(1)
    torch.testing.assert_close(solve(logits, terms, mean_field(5)), x.log())
    torch.testing.assert_close(solve(logits, terms, Solver("negentropy", 1.0, frank_wolfe_steps("fixed", 5))), x.log())


@pytest.mark.parametrize("regularizer", REGULARIZERS)
@pytest.mark.parametrize("rule", ["fixed", "diminishing", "line_search", "learnable"])
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_the_closed_form_of_two_labels_is_the_general_one(regularizer, rule, normalization):
    logits = random_logits(2)
    couplings = [torch.randn(2, 2, dtype=torch.float64) for _ in range(2)]
    learned = tuple(torch.rand(5, dtype=torch.float64))
    steps = learned if rule == "learnable" else frank_wolfe_steps(rule, 5, step=0.8)
    solver = Solver(regularizer, 1.3, steps, 0.4)
    terms = make_terms(couplings, normalization=normalization)
    closed, general = (solve(logits, terms, solver, closed_form=choice) for choice in (True, False))
    torch.testing.assert_close(closed, general, rtol=0, atol=1e-6 if rule == "line_search" else 1e-10)


@pytest.mark.parametrize("n_labels", [2, 3])
def test_the_energy_is_that_of_the_matrix_and_its_gradient_is_what_the_solver_uses(n_labels):
    logits, x = random_logits(n_labels), random_logits(n_labels).softmax(1).requires_grad_()
    terms = make_terms([symmetric(n_labels, 1.0), symmetric(n_labels, 1.0)])
    value = energy(x, logits, terms)
    first, u = x[0].detach().numpy().ravel(), logits[0].numpy().ravel()
    dense = dense_pairwise([Term(lambda v, f=f: f(v.expand(2, -1, -1, -1))[:1], c) for f, c in terms], n_labels)
    assert value[0].item() == pytest.approx(0.5 * first @ dense @ first - u @ first)
    (gradient,) = torch.autograd.grad(value.sum(), x)
    torch.testing.assert_close(gradient, pairwise(x, terms) - logits)


@pytest.mark.parametrize("n_labels", [2, 3])
@pytest.mark.parametrize("regularizer", REGULARIZERS)
@pytest.mark.parametrize("sign", ["attract", "repel", "mixed"])
def test_with_line_search_the_energy_never_rises(n_labels, regularizer, sign):
    logits = random_logits(n_labels, scale=1.0)
    couplings = {"attract": potts(n_labels, 3.0, 3.0), "repel": potts(n_labels, -9.0, -6.0)}
    terms = make_terms(couplings.get(sign) or [symmetric(n_labels, 4.0), symmetric(n_labels, 4.0)])
    energies = []
    for iterations in range(9):
        x = solve(logits, terms, Solver(regularizer, 0.7, (None,) * iterations)).exp()
        energies.append(energy(x, logits, terms, regularizer=regularizer, regularization=0.7))
    falls = -torch.stack(energies).diff(dim=0)
    assert (falls > -1e-9).all()
    assert (falls[0] > 1e-3).all()


@pytest.mark.parametrize("n_labels", [2, 3])
def test_with_attraction_and_l2_the_energy_without_regulariser_falls_as_well(n_labels):
    logits, terms = random_logits(n_labels, scale=1.0), make_terms(potts(n_labels, 1.0, 1.0))
    iterates = [solve(logits, terms, Solver("l2", 1.0, (None,) * iterations)).exp() for iterations in range(9)]
    energies = torch.stack([energy(x, logits, terms) for x in iterates])
    assert (energies.diff(dim=0) < 1e-9).all()


@pytest.mark.parametrize("regularizer", REGULARIZERS)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_line_search_finds_the_minimum_of_each_tile(regularizer, sign):
    logits, terms = random_logits(3), make_terms(potts(3, 6 * sign, 4 * sign))
    start, after = (solve(logits, terms, Solver(regularizer, 1.0, steps)).exp() for steps in ((), (None,)))
    full = solve(logits, terms, Solver(regularizer, 1.0, (1.0,))).exp()

    def energies(a):
        return energy(start + a * (full - start), logits, terms, regularizer=regularizer)

    for tile in range(2):
        best = minimize_scalar(lambda a, t=tile: energies(a)[t].item(), bounds=(0, 1), options={"xatol": 1e-9})
        reached = energy(after, logits, terms, regularizer=regularizer)[tile].item()
        assert reached <= best.fun + 1e-7


@pytest.mark.parametrize("n_labels", [2, 3])
@pytest.mark.parametrize("terms", ["none", "zero"])
@pytest.mark.parametrize("rule", ["fixed", "diminishing", "line_search"])
def test_zero_couplings_leave_the_softmax_unchanged(n_labels, terms, rule):
    logits = random_logits(n_labels)
    terms = [] if terms == "none" else make_terms(potts(n_labels, 0.0, 0.0))
    solver = Solver("negentropy", 1.0, frank_wolfe_steps(rule, 5), 0.5)
    np.testing.assert_allclose(solve(logits, terms, solver), log_softmax(logits.numpy(), axis=1), atol=1e-12)


def test_no_iterations_and_full_initial_weight_leave_the_softmax_unchanged():
    logits, terms = random_logits(3), make_terms(potts(3, 1.0, 1.0))
    for solver in (mean_field(0), Solver("l2", 1.0, (1.0,) * 3, 1.0)):
        torch.testing.assert_close(solve(logits, terms, solver), logits.log_softmax(1))


@pytest.mark.slow
@pytest.mark.parametrize("n_labels", [2, 3])
@pytest.mark.parametrize("regularizer", REGULARIZERS)
def test_gradients_by_logits_couplings_and_steps(n_labels, regularizer):
    filters = [term.filtered for term in make_terms(potts(n_labels, 0.0, 0.0))]

    def solved(logits, smoothness, appearance, steps):
        terms = [Term(f, c) for f, c in zip(filters, (smoothness, appearance), strict=True)]
        return solve(logits, terms, Solver(regularizer, 1.5, tuple(steps), 0.5))

    inputs = [random_logits(n_labels, scale=0.3), symmetric(n_labels, 0.3), symmetric(n_labels, 0.3), torch.rand(3)]
    assert gradcheck(solved, [i.double().requires_grad_() for i in inputs], atol=1e-5)


@pytest.mark.parametrize("n_labels", [2, 3])
@pytest.mark.parametrize("regularizer", REGULARIZERS)
@pytest.mark.parametrize("initial_weight", [0.0, 0.5])
@pytest.mark.parametrize("rule", ["fixed", "diminishing", "line_search"])
def test_certain_logits_stay_finite(n_labels, regularizer, initial_weight, rule):
    logits = (100 * torch.rand(2, n_labels, HEIGHT, WIDTH) - 50).round(decimals=-2).requires_grad_()
    terms = [Term(filtered, c.float()) for filtered, c in make_terms(potts(n_labels, 1.0, 1.0))]
    terms = [Term(lambda x, f=f: f(x.double()).float(), c) for f, c in terms]
    result = solve(logits, terms, Solver(regularizer, 1.0, frank_wolfe_steps(rule, 5), initial_weight))
    result[:, 0].sum().backward()
    assert torch.isfinite(result).all()
    assert torch.isfinite(logits.grad).all()
    torch.testing.assert_close(result.exp().sum(1), torch.ones(2, HEIGHT, WIDTH))
