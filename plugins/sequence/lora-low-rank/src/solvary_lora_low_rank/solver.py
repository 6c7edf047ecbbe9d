"""The solver: how large are the scores, which polynomial does, and is the expansion cheaper than the exact gradient?"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import attrs

from solvary import Context, OptionError, Range
from solvary_lora_low_rank.exact import exact_products
from solvary_lora_low_rank.low_rank import NotPositive, Products, low_rank_products
from solvary_lora_low_rank.scores import ScoreMap, map_scores, weight_norm
from solvary_sequence import AdapterGradient
from solvary_sequence.adapter_gradient import ADAPTERS, WeightGradients, factor_gradients, weights_of
from solvary_sequence.monomials import feature_count
from solvary_sequence.polynomial import (
    MAX_BOUND,
    MAX_DEGREE,
    ExpPolynomial,
    degree_for,
    exp_polynomial,
    smallest_polynomial,
)

Method = Literal["auto", "low-rank", "exact"]
Basis = Literal["chebyshev", "taylor"]
Dtype = Literal["float64", "float32"]


def solve(
    problem: AdapterGradient,
    context: Context,
    *,
    tolerance: Annotated[float, Range(gt=0, lt=1)] = 1e-4,
    degree: Annotated[int | None, Range(ge=0, le=24)] = None,
    method: Method = "auto",
    block: Annotated[int, Range(ge=1)] = 4096,
    max_features: Annotated[int, Range(ge=1)] = 20_000,
    basis: Basis = "chebyshev",
    dtype: Dtype = "float64",
) -> dict[str, Any]:
    """Gradients of the adapter factors (arXiv:2406.03136, Sections 3 and 4).

    Args:
        problem: the problem.
        context: where the arrays are; its report gets the bound of the scores, the expansion that was used, why, and
            `weight_norm` beside `threshold` = sqrt(log n).
        tolerance: relative error of the polynomial for exp on the range of the scores. An entry of the attention
            matrix is off by at most twice as much (relatively, to first order).
        degree: of the polynomial; None: the least that has the tolerance.
        method: "auto" takes the low-rank expansion where K d <= n for its K features, the exact gradient otherwise.
        block: most tokens at a time; fewer where K or d is large.
        max_features: the largest K; with "auto" the gradient is exact beyond.
        basis: polynomial of nearly least relative error, or the Taylor series.
        dtype: of features and matrices; sums over blocks are in float64.

    Raises:
        OptionError: the expansion was demanded and is not possible, or its degree is too low.
    """
    n, d = problem.x.shape
    xp, kind = context.xp, getattr(context.xp, dtype)
    adapted = weights_of(problem)
    wq, wk = (context.to_host(weight) for weight in adapted[:2])
    scores = map_scores(context, problem.x, wq, wk, problem.scale, block)
    plan = choose(scores, n, d, tolerance, degree, method, max_features, basis)
    context.report.update(plan.report(scores, n), weight_norm=_weight_norm(problem, block))

    x, target = xp.asarray(problem.x, dtype=kind), xp.asarray(problem.target, dtype=kind)
    weights = tuple(xp.asarray(weight, dtype=kind) for weight in adapted)
    sizes: dict[str, Any] = {"block": block, "values": problem.bv is not None}
    if plan.expand and plan.polynomial is not None:
        try:
            products = low_rank_products(context, x, target, weights[2], scores, plan.polynomial, **sizes)
        except NotPositive as failure:
            raise _too_low(failure, scores.bound, plan.polynomial, degree, tolerance) from None
    else:
        products = exact_products(context, x, target, weights, problem.scale, scores.bound, **sizes)
    return factor_gradients(problem, weight_gradients(products, adapted, problem.scale))


def weight_gradients(products: Products, adapted: tuple[Any, Any, Any], scale: float) -> WeightGradients:
    """dL/dWq = x^T P x Wk / scale, dL/dWk = x^T P^T x Wq / scale, dL/dWv = x^T f^T c."""
    wq, wk, _ = adapted
    return WeightGradients(products.scores @ wk / scale, products.scores.T @ wq / scale, products.values)


@attrs.frozen(eq=False)
class Plan:
    """Whether the expansion is used and why; the polynomial that it would take, where there is one."""

    expand: bool
    reason: str
    polynomial: ExpPolynomial | None = None
    features: int = 0

    def report(self, scores: ScoreMap, n: int) -> dict[str, Any]:
        """For `Solution.report`."""
        about: dict[str, Any] = {
            "method": "low-rank" if self.expand else "exact",
            "reason": self.reason,
            "bound": scores.bound,
            "threshold": math.sqrt(math.log(n)),
        }
        if self.polynomial is not None:
            about["degree"], about["exp_error"] = self.polynomial.degree, self.polynomial.error
            about["features"], about["variables"] = self.features, scores.variables
        return about


def choose(
    scores: ScoreMap,
    n: int,
    d: int,
    tolerance: float,
    degree: int | None,
    method: Method,
    max_features: int,
    basis: Basis,
) -> Plan:
    """The polynomial, or the exact gradient; raises `OptionError` where an expansion is demanded but impossible."""
    if method == "exact":
        return Plan(False, "asked for")
    b = scores.bound
    if b > MAX_BOUND:
        polynomial = None
    elif degree is None:
        polynomial = smallest_polynomial(b, tolerance, basis)
    else:
        polynomial = exp_polynomial(b, degree, basis)
    if polynomial is None and degree is not None:
        words = f"scores reach {b:.3g}, and powers up to {MAX_BOUND:g} only are accurate"
        if method == "low-rank":
            raise OptionError("degree", f"{degree} is too low: {words}", "method='exact'")
        return Plan(False, words)
    if polynomial is None:
        words = f"no polynomial of degree {MAX_DEGREE} has the relative error {tolerance:g} for scores up to {b:.3g}"
        if method == "low-rank":
            raise OptionError("tolerance", words, f"a larger one, or method='exact' (d = {d})")
        return Plan(False, words)
    k = feature_count(scores.variables, polynomial.degree)
    if k > max_features:
        words = f"degree {polynomial.degree} in d = {d} has K = {k} features, for scores up to b = {b:.3g}"
        if method == "low-rank":
            raise OptionError("max_features", f"is {max_features}, but {words}", f"{k} or more, or method='exact'")
        return Plan(False, words, polynomial, k)
    if method == "auto" and k * d > n:
        return Plan(False, f"K d = {k * d} > n = {n}: the exact gradient is cheaper", polynomial, k)
    return Plan(True, "asked for" if method == "low-rank" else f"K d = {k * d} <= n = {n}", polynomial, k)


def worthwhile_on_gpu(problem: AdapterGradient) -> str | None:
    """None where there is work for a GPU: from n d^2 = 1e6 on."""
    n, d = problem.x.shape
    return None if n * d * d >= 10**6 else f"n d^2 = {n * d * d:.2g} < 1e6: launches dominate"


def _too_low(
    failure: NotPositive, bound: float, polynomial: ExpPolynomial, degree: int | None, tolerance: float
) -> OptionError:
    words = f"normaliser {failure.value:.3g} of row {failure.row} is not positive, scores reach {bound:.3g}"
    if degree is None:  # a relative error below 1 keeps them positive, so rounding is to blame
        return OptionError("dtype", f"is too coarse: {words}", "'float64', or method='exact'")
    expected = f"method='exact': no degree up to {MAX_DEGREE} has the relative error {tolerance:g}"
    for basis in (polynomial.basis, "chebyshev"):
        needed = degree_for(bound, tolerance, basis)
        if needed is not None:
            expected = f"{needed} or more (basis {basis!r}, relative error {tolerance:g})"
            break
    return OptionError("degree", f"{degree} is too low: {words}", expected)


def _weight_norm(problem: AdapterGradient, block: int) -> float:
    parts = []
    for (b, a), frozen in zip(ADAPTERS[:2], (problem.wq, problem.wk), strict=True):
        left, right = getattr(problem, b), getattr(problem, a)
        parts.append((frozen, None if left is None else (problem.alpha / left.shape[1]) * (left @ right)))
    return weight_norm(problem.x, parts, problem.scale, block)
