"""Inference in a conditional random field: mean field and regularised Frank-Wolfe in one loop.

The loop minimises E(x) + λ R(x) over label probabilities x (b, l, h, w), with E(x) = ½⟨x, Px⟩ − ⟨u, x⟩, logits u and
Px = Σ C F(x) over the kernels; F filters the pixels, C (l, l) mixes the labels. Each step solves the problem with a
linearised E: s = argmin ⟨Px − u, s⟩ + λ R(s), x ← x + a (s − x) (Lê-Huu & Alahari 2021). With negative entropy as R,
λ = 1 and a = 1, this is the mean field of Krähenbühl & Koltun (2011).
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch

from crisp_core.segmentation.crf.kernels import Kernel

# Smallest probability in a logarithm.
MIN_PROBABILITY = 1e-12
BISECTIONS = 20


class Term(NamedTuple):
    """One kernel of the pairwise operator: Px is the sum of `coupling` · `filtered`(x) over the terms.

    Px − u is the gradient of E if `coupling` (l, l) is symmetric. A coupling of −w I favours neighbours of equal label.
    """

    filtered: Kernel
    coupling: torch.Tensor


class Solver(NamedTuple):
    """Method that minimises the energy.

    `steps` are the steps a of the iterations: numbers or 0-d tensors in [0, 1], or None for the exact line search.
    `regularization` is λ, and `initial_weight` is w₀, the share of softmax(u) in the result.
    """

    regularizer: str
    regularization: float
    steps: Sequence[float | torch.Tensor | None]
    initial_weight: float = 0.0


class Form(NamedTuple):
    """Functions of R: argmin s of −⟨t, s⟩ + R(s), log s, log x, and the gradient of R.

    With two labels there is a closed form in q = P(label 1) alone; t is then the difference of the two values.
    """

    response: Callable[[torch.Tensor], torch.Tensor]
    log_response: Callable[[torch.Tensor], torch.Tensor]
    log_marginals: Callable[[torch.Tensor], torch.Tensor]
    slope: Callable[[torch.Tensor], torch.Tensor]


class Problem(NamedTuple):
    """The linearised energy at x is −⟨unary + message(x), s⟩; `start` is x⁰."""

    start: torch.Tensor
    unary: torch.Tensor
    message: Kernel
    form: Form


def mean_field(iterations: int, *, initial_weight: float = 0.0) -> Solver:
    """Return the solver with the updates x ← softmax(u − Px) of all pixels at once."""
    return Solver("negentropy", 1.0, (1.0,) * iterations, initial_weight)


def frank_wolfe_steps(rule: str, iterations: int, *, step: float = 1.0) -> tuple[float | None, ...]:
    """Return the steps of a rule that is not learned.

    Parameters
    ----------
    rule : {"fixed", "diminishing", "line_search"}
        Rule; the diminishing step k is 2 / (k + 2).
    iterations : int
        Number of steps.
    step : float
        Step of the rule `fixed`.
    """
    if rule == "line_search":
        return (None,) * iterations
    return tuple(step if rule == "fixed" else 2 / (k + 2) for k in range(iterations))


def solve(
    logits: torch.Tensor, terms: Sequence[Term], solver: Solver, *, closed_form: bool | None = None
) -> torch.Tensor:
    """Return log marginals log((1 − w₀) xᴷ + w₀ softmax(u)) after all steps of the solver.

    Parameters
    ----------
    logits : (b, l, h, w) tensor
        Logits u.
    terms : sequence of Term
        Kernels, possibly none.
    solver : Solver
        Method.
    closed_form : bool, optional
        Solve for the probability of label 1 alone, which filters one channel instead of two and gives the same
        numbers; by default if there are two labels.

    Returns
    -------
    (b, l, h, w) tensor
        Logarithms of the marginals; a probability of zero becomes 1e-12.
    """
    log_start = logits.log_softmax(1)
    closed_form = logits.shape[1] == 2 if closed_form is None else closed_form
    problem = (_binary_problem if closed_form else _problem)(logits, terms, solver.regularizer)
    x, unary, message, form = problem
    log_x = log_start
    for i, step in enumerate(solver.steps):
        descent = unary + message(x)
        values = descent / solver.regularization
        target = form.response(values)
        if step is None:
            step = line_search(problem, x, target, descent, solver.regularization)
        if i == len(solver.steps) - 1:
            log_x = _blend_logs(step, form.log_response(values), partial(form.log_marginals, x))
        x = target if _is_constant(step, 1) else x + step * (target - x)
    return _blend_logs(solver.initial_weight, log_start, lambda: log_x)


def _is_constant(step: float | torch.Tensor, value: int) -> bool:
    return not isinstance(step, torch.Tensor) and step == value


def _blend_logs(weight: float | torch.Tensor, log_a: torch.Tensor, log_b: Callable[[], torch.Tensor]) -> torch.Tensor:
    """Return log(weight · a + (1 − weight) · b) from the logarithms of a and b."""
    if _is_constant(weight, 1):
        return log_a
    if _is_constant(weight, 0):
        return log_b()
    weight = torch.as_tensor(weight, dtype=log_a.dtype, device=log_a.device)
    # the logarithm has no gradient at 0 and 1, which are shifted by less than a rounding error
    weight = weight.clamp(MIN_PROBABILITY, 1 - torch.finfo(log_a.dtype).eps)
    return torch.logaddexp(log_a + weight.log(), log_b() + (-weight).log1p())


def _problem(logits: torch.Tensor, terms: Sequence[Term], regularizer: str) -> Problem:
    def message(x: torch.Tensor) -> torch.Tensor:
        """Return −Px of label probabilities (b, l, h, w)."""
        return -pairwise(x, terms)

    return Problem(logits.softmax(1), logits, message, FORMS[regularizer])


def _binary_problem(logits: torch.Tensor, terms: Sequence[Term], regularizer: str) -> Problem:
    """With f = F(q), n = F(1): z = u₁ − u₀ + Σ (C₀₁ − C₁₁) f − (C₁₀ − C₀₀) (n − f), from two rows of u − Px."""
    unary = logits[:, 1:] - logits[:, :1]
    start = unary.sigmoid()
    gains = []
    for filtered, c in terms:
        from_zeros = c[1, 0] - c[0, 0]
        unary = unary - from_zeros * filtered(torch.ones_like(start))
        gains.append(c[0, 1] - c[1, 1] + from_zeros)

    def message(q: torch.Tensor) -> torch.Tensor:
        """Return the filtered probabilities (b, 1, h, w), summed over the terms with their gains."""
        return _sum([gain * term.filtered(q) for gain, term in zip(gains, terms, strict=True)], q)

    return Problem(start, unary, message, BINARY_FORMS[regularizer])


def pairwise(x: torch.Tensor, terms: Sequence[Term]) -> torch.Tensor:
    """Return Px of label probabilities (b, l, h, w)."""
    return _sum([torch.einsum("lm,bmhw->blhw", c, filtered(x)) for filtered, c in terms], x)


def _sum(parts: list[torch.Tensor], like: torch.Tensor) -> torch.Tensor:
    return sum(parts[1:], parts[0]) if parts else torch.zeros_like(like)


def energy(
    x: torch.Tensor,
    logits: torch.Tensor,
    terms: Sequence[Term],
    *,
    regularizer: str | None = None,
    regularization: float = 1.0,
) -> torch.Tensor:
    """Return the energy E(x) + λ R(x) of every tile (b).

    Parameters
    ----------
    x : (b, l, h, w) tensor
        Label probabilities.
    logits : (b, l, h, w) tensor
        Logits u.
    terms : sequence of Term
        Kernels.
    regularizer : {"negentropy", "l2"}, optional
        R: Σ x log x or ½ Σ x²; without it, R is 0.
    regularization : float
        λ.
    """
    value = (0.5 * x * pairwise(x, terms) - logits * x).sum((1, 2, 3))
    if regularizer == "negentropy":
        value = value + regularization * torch.special.xlogy(x, x).sum((1, 2, 3))
    elif regularizer == "l2":
        value = value + regularization * 0.5 * x.square().sum((1, 2, 3))
    return value


@torch.no_grad()
def line_search(
    problem: Problem, x: torch.Tensor, target: torch.Tensor, descent: torch.Tensor, regularization: float
) -> torch.Tensor:
    """Return the step (b, 1, 1, 1) that minimises E + λ R between x and the target, for every tile; no gradients.

    The slope along d = s − x is ⟨∇E(x) + λ∇R(x + a d), d⟩ + a c with c = ⟨d, Pd⟩. Since s solves the linearised
    problem, the first term increases to at most 0 at a = 1. If c ≤ 0 (attraction), the full step is the minimum.
    Otherwise the slope increases with a, and its root is found by bisection, from the side of falling energy.

    Parameters
    ----------
    problem : Problem
        Linearised energy.
    x, target : tensors
        Label probabilities x and solution s of the linearised problem.
    descent : tensor
        −∇E(x).
    regularization : float
        λ.
    """
    x = x.double()
    direction = target.double() - x
    linear = _dot(descent, direction)
    curvature = -_dot(problem.message(direction.to(descent)), direction)
    low, high = torch.zeros_like(linear), torch.ones_like(linear)
    for _ in range(BISECTIONS if (curvature > 0).any() else 0):
        middle = (low + high) / 2
        slope = regularization * _dot(problem.form.slope(x + middle * direction), direction) - linear
        falls = slope + middle * curvature <= 0
        low, high = torch.where(falls, middle, low), torch.where(falls, high, middle)
    return torch.where(curvature > 0, low, 1.0).to(descent)


def _dot(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a * b).sum((1, 2, 3), keepdim=True)


def sparsemax(values: torch.Tensor) -> torch.Tensor:
    """Project values (b, l, h, w) on the simplex of the labels (Martins & Astudillo 2016)."""
    ordered = values.sort(dim=1, descending=True).values
    sums = ordered.cumsum(1) - 1
    counts = torch.arange(1, values.shape[1] + 1, dtype=values.dtype, device=values.device).view(1, -1, 1, 1)
    support = (counts * ordered > sums).sum(1, keepdim=True)
    threshold = sums.gather(1, support - 1) / support
    return (values - threshold).clamp_min(0)


def _log(x: torch.Tensor) -> torch.Tensor:
    return x.clamp_min(MIN_PROBABILITY).log()


def _log_pair(q: torch.Tensor) -> torch.Tensor:
    return torch.cat([_log(1 - q), _log(q)], dim=1)


def _half_line(t: torch.Tensor) -> torch.Tensor:
    return ((1 + t) / 2).clamp(0, 1)


FORMS = {
    "negentropy": Form(lambda t: t.softmax(1), lambda t: t.log_softmax(1), _log, _log),
    "l2": Form(sparsemax, lambda t: _log(sparsemax(t)), _log, lambda x: x),
}
BINARY_FORMS = {
    "negentropy": Form(
        torch.sigmoid,
        lambda t: torch.cat([torch.zeros_like(t), t], dim=1).log_softmax(1),
        _log_pair,
        lambda q: _log(q) - _log(1 - q),
    ),
    "l2": Form(_half_line, lambda t: _log_pair(_half_line(t)), _log_pair, lambda q: 2 * q - 1),
}
