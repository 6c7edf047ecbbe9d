"""Tensor attention in almost linear time for small entries, exactly otherwise.

Source: J. Alman and Z. Song, *How to Capture Higher-order Correlations? Generalizing Matrix Softmax Attention to
Kronecker Computation*, arXiv:2310.04064: polynomial method (section 4) and threshold (Theorems 1.2 and 1.3).
"""

from __future__ import annotations

import math
import os
from typing import Annotated, Any, Literal

import numpy as np

from solvary import Context, OptionError, ProblemError, Range
from solvary_kronecker_attention.features import apply, contract, expand
from solvary_sequence import AttentionOutput
from solvary_sequence.arrays import converted
from solvary_sequence.exact import SAFE_SCORE, Rule, exact_attention
from solvary_sequence.monomials import feature_count
from solvary_sequence.polynomial import (
    MAX_BOUND,
    MAX_DEGREE,
    Basis,
    ExpPolynomial,
    exp_polynomial,
    smallest_polynomial,
)
from solvary_sequence.scores import column_maxima, score_bound

# Numbers in a block of features: 2 MB, which a core's cache holds; a GPU's launches cost more than its cache saves.
_IN_CACHE, _ON_DEVICE = 1 << 18, 1 << 26
# Weights at once on the exact path.
_TILE, _DEVICE_TILE = 1 << 16, 1 << 24


def solve(
    problem: AttentionOutput,
    context: Context,
    *,
    tolerance: Annotated[float, Range(gt=0, lt=1)] = 1e-3,
    degree: Annotated[int | None, Range(ge=0, le=MAX_DEGREE)] = None,
    basis: Literal["chebyshev", "taylor"] = "chebyshev",
    method: Literal["auto", "features", "exact"] = "auto",
    block: Annotated[int, Range(ge=1)] = 1024,
    max_features: Annotated[int, Range(ge=1)] = 200_000,
    dtype: Literal["float64", "float32"] = "float64",
) -> Any:
    """The attention `(n, e)` of order k in `n r (e + k)` operations with r features, or exactly in `n^k (d + e)`.

    The report says which `method` was taken and `why`, the `bound` of the scores, the entry size `entries` that stands
    for beside its `threshold`, `degree`, `features`, both amounts of work, and with features `weight_error` and
    `error_bound`: no entry of the answer is further than this from the exact one.

    Args:
        problem: softmax attention without mask and floor.
        context: moves small arrays to the device.
        tolerance: largest relative error of a weight.
        degree: of the polynomial; by default the least one that meets the tolerance.
        basis: `"chebyshev"` (relative error close to the least possible) or `"taylor"`.
        method: `"auto"` takes the features where they are possible and cost less, else the exact path.
        block: rows at a time, fewer where there are many features; at least as many on a GPU.
        max_features: more are not tried.
        dtype: of the features and the answer.

    Raises:
        OptionError: on `max_features`, `tolerance` or `dtype` where `method = "features"` is not possible with it, on
            `method` where scores are too large for any, and on `degree` where it makes a normaliser not positive.
        ProblemError: on `scale` where scores overflow.
    """
    bound, weights = score_bound([problem.query, *problem.keys], problem.scale)
    if not math.isfinite(bound):
        raise ProblemError("scale", f"is {problem.scale}, so that scores may overflow", "a larger one")
    polynomial, refusal = _polynomial(problem, bound, tolerance, degree, basis, max_features, dtype)
    report = context.report
    report.update(_sizes(problem, bound, polynomial))
    if method == "features" and refusal is not None:
        raise refusal
    if method == "auto":
        lost = refusal is None and report["work_features"] >= report["work_exact"]
        report["why"] = str(refusal) if refusal else f"features cost {'more' if lost else 'less'} than all weights"
        method = "exact" if refusal or lost else "features"
    report["method"] = method
    if method == "exact" or polynomial is None:
        return _exact(problem, context, bound, dtype)

    rows = (_IN_CACHE if isinstance(problem.query, np.ndarray) else _ON_DEVICE) // report["features"]
    rows = max(8, min(rows, block) if isinstance(problem.query, np.ndarray) else max(rows, block))
    maxima = [column_maxima(factor) for factor in (problem.query, *problem.keys)]
    expansion = expand(polynomial, weights, maxima, dtype, rows, context.to_device)
    answer, smallest = apply(expansion, problem.query, *contract(expansion, problem.keys, problem.values))
    if not smallest > 0:
        raise _too_low(polynomial, problem.order, smallest, tolerance)
    report["weight_error"] = polynomial.error + rounding(polynomial, dtype)
    report["error_bound"] = error_bound(problem, report["weight_error"])
    return answer


def accepts(problem: AttentionOutput) -> str | None:
    """None, or why not: only the plain softmax has these features."""
    if problem.arithmetic != "real":
        return "arithmetic = 'polynomial' asks for a program"
    if problem.weights != "exp":
        return "weights = 'power'; this solver computes softmax attention"
    if problem.causal:
        return "causal = True; this solver is for attention without a mask"
    if problem.floor > 0:
        return "floor > 0 counts in units of the largest weight, which the features do not have"
    return None


def worthwhile(problem: AttentionOutput) -> str | None:
    """None from n d = 1e6 entries on; below, transfers and launches cost more than the work."""
    n, d = problem.query.shape
    return None if n * d >= 10**6 else f"n d = {n * d} < 1e6: the transfers dominate"


def rounding(polynomial: ExpPolynomial, dtype: str) -> float:
    """How much of a weight may be lost, relatively, when its monomials of both signs are rounded and summed."""
    return float(np.finfo(dtype).eps) * polynomial.condition


def error_bound(problem: AttentionOutput, epsilon: float) -> float:
    """`2 eps / (1 - eps) max|V| max|V'| ...`: the error of the answer when every weight is within `eps` relatively."""
    if epsilon >= 1:
        return math.inf
    size = math.prod(float(column_maxima(value).max()) for value in problem.values)
    return 2 * epsilon / (1 - epsilon) * size


def _sizes(problem: AttentionOutput, bound: float, polynomial: ExpPolynomial | None) -> dict[str, Any]:
    """Where the input stands, and what both paths cost in multiplications."""
    n, d, k, e = *problem.query.shape, problem.order, problem.values[0].shape[1]
    # Entries of size B give scores up to B^k; almost linear time ends at entries of order (log n)^(1/k).
    entries, threshold = bound ** (1 / k), math.log(max(n, 2)) ** (1 / k)
    sizes: dict[str, Any] = {"bound": bound, "entries": entries, "threshold": threshold}
    sizes["below_threshold"] = entries < threshold
    sizes["work_exact"] = float(n) ** k * e
    if polynomial is not None:
        r = feature_count(d, polynomial.degree)
        sizes |= {"degree": polynomial.degree, "features": r, "work_features": float(n) * r * (e + k)}
    return sizes


def _polynomial(
    problem: AttentionOutput,
    bound: float,
    tolerance: float,
    degree: int | None,
    basis: Basis,
    max_features: int,
    dtype: str,
) -> tuple[ExpPolynomial | None, OptionError | None]:
    """The polynomial for these scores if there is one, and why its features cannot be used (None where they can)."""
    shown = _shown(bound, problem.order)
    if bound > MAX_BOUND:
        words = f"scores <= {MAX_BOUND:g} for features, or method = 'exact'"
        return None, OptionError("method", f"'features' for {shown}", words)
    polynomial = (
        smallest_polynomial(bound, tolerance, basis) if degree is None else exp_polynomial(bound, degree, basis)
    )
    if polynomial is None:
        words = f"{tolerance} needs a degree above {MAX_DEGREE} for {shown}"
        return None, OptionError("tolerance", words, "a larger one, or method = 'exact'")
    r = feature_count(problem.query.shape[1], polynomial.degree)
    if r > max_features:
        words = f"{max_features} is below r = {r}, the features of degree {polynomial.degree} for {shown}"
        return polynomial, OptionError("max_features", words, "at least r, or method = 'exact'")
    if degree is None and (lost := rounding(polynomial, dtype)) > tolerance:
        words = f"{dtype} may lose {lost:.1e} of a weight to rounding for {shown}"
        return polynomial, OptionError("dtype", words, f"a loss below the tolerance {tolerance}, or method = 'exact'")
    return polynomial, None


def _shown(bound: float, order: int) -> str:
    """The bound of the scores in words; B stands for the size of the entries."""
    return f"scores up to B^{order} = {bound:.3g} (B = {bound ** (1 / order):.3g})"


def _too_low(polynomial: ExpPolynomial, order: int, smallest: float, tolerance: float) -> OptionError:
    needed = smallest_polynomial(polynomial.bound, tolerance, polynomial.basis)
    expected = f"a degree >= {needed.degree}" if needed else "method = 'exact'"
    words = f"{polynomial.degree} makes a normaliser {smallest:.3g} for {_shown(polynomial.bound, order)}"
    return OptionError("degree", words, expected)


def _exact(problem: AttentionOutput, context: Context, bound: float, dtype: str) -> Any:
    """All weights, tile by tile."""
    on_host = isinstance(problem.query, np.ndarray)
    safe = SAFE_SCORE if dtype == "float64" else 60.0
    return exact_attention(
        converted(problem.query, dtype),
        [converted(key, dtype) for key in problem.keys],
        [converted(value, dtype) for value in problem.values],
        scale=problem.scale,
        rule=Rule(unshifted=bound <= safe),
        tile=_TILE if on_host else _DEVICE_TILE,
        workers=(context.threads or os.cpu_count() or 1) if on_host else 1,
    )
