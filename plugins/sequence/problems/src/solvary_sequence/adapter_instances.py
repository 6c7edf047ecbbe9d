"""Ready inputs of `sequence.adapter-gradient`: Gaussian tokens, rows of digits, and scores that grow like log n."""

from __future__ import annotations

import importlib
import math
from typing import Annotated, Any, Literal

import numpy as np

from solvary import NotInstalled, OptionError, Range
from solvary_sequence.adapter_gradient import AdapterGradient, weights_of

Adapted = Literal["q", "qk", "qv", "qkv"]
Count = Annotated[int, Range(ge=1)]
Positive = Annotated[float, Range(gt=0)]

#: standard deviation of the entries of the adapters
_ADAPTER = 0.1
_ALPHA = 2.0


def gaussian(
    n: Count = 300, d: Count = 4, rank: Count = 2, spread: Positive = 0.3, adapted: Adapted = "q", seed: int = 0
) -> AdapterGradient:
    """Tokens N(0, spread^2), frozen weights N(0, 1/d), adapters N(0, 0.1^2) with alpha = 2, scale d, target N(0, 1)."""
    rng = np.random.default_rng(seed)
    x = spread * rng.standard_normal((n, d))
    made = _layer(rng, d, rank, adapted)
    return AdapterGradient(x=x, target=rng.standard_normal((n, d)), scale=float(d), **made)


def digits_rows(
    n: Annotated[int, Range(ge=1, le=14375)] = 512,
    rank: Count = 2,
    adapted: Adapted = "qk",
    temperature: Positive = 1.0,
    seed: int = 0,
) -> AdapterGradient:
    """Rows of scikit-learn's digits as tokens (d = 8, pixels in [0, 1]), each to be mapped to the row after it.

    Frozen weights N(0, 1/d), adapters N(0, 0.1^2) with alpha = 2, scale temperature sqrt(d).
    """
    rows = _module("sklearn.datasets", "scikit-learn", "digits-rows").load_digits().images.reshape(-1, 8) / 16.0
    made = _layer(np.random.default_rng(seed), 8, rank, adapted)
    return AdapterGradient(x=rows[:n], target=rows[1 : n + 1], scale=temperature * math.sqrt(8.0), **made)


def hard(
    n: Annotated[int, Range(ge=2)] = 300,
    d: Annotated[int | None, Range(ge=1)] = None,
    rank: Count = 2,
    factor: Positive = 2.0,
    adapted: Adapted = "q",
    seed: int = 0,
) -> AdapterGradient:
    """The `gaussian` recipe with d = ceil(log2 n) and adapters so large that max |score| = factor * log n.

    Where scores grow like log n, no algorithm that is truly subquadratic in n exists under the strong exponential time
    hypothesis. The query adapter is scaled; `factor` must exceed what the frozen weights reach by themselves.
    """
    width = d or max(1, math.ceil(math.log2(n)))
    base = gaussian(n, width, rank, 1.0, adapted, seed)
    wanted = factor * math.log(n)
    k = base.x @ weights_of(base)[1] / base.scale
    frozen, moving = base.x @ base.wq, base.x @ (base.alpha / rank * base.bq @ base.aq)
    if _largest_score(frozen, k) >= wanted:
        raise OptionError("factor", f"is {factor}, which the frozen weights exceed", "a larger one")
    low, high = 0.0, 1.0
    while _largest_score(frozen + high * moving, k) < wanted:
        low, high = high, 2 * high
    # The largest score is convex in the size of the adapter, below the goal at 0: one crossing.
    while high - low > 1e-6 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _largest_score(frozen + middle * moving, k) < wanted else (low, middle)
    # The size is shared by both factors, as training would have it.
    given = {name: getattr(base, name) for name in ("x", "wq", "wk", "wv", "bk", "ak", "bv", "av", "target")}
    root = math.sqrt(high)
    return AdapterGradient(**given, bq=root * base.bq, aq=root * base.aq, alpha=base.alpha, scale=base.scale)


def _layer(rng: np.random.Generator, d: int, rank: int, adapted: Adapted) -> dict[str, Any]:
    """Weights and adapters, drawn in the order q, k, v; the query's come before all other adapters."""
    made: dict[str, Any] = {name: rng.standard_normal((d, d)) / math.sqrt(d) for name in ("wq", "wk", "wv")}
    for which in adapted:
        made[f"b{which}"] = _ADAPTER * rng.standard_normal((d, rank))
        made[f"a{which}"] = _ADAPTER * rng.standard_normal((rank, d))
    return {**made, "alpha": _ALPHA}


def _largest_score(q: np.ndarray, k: np.ndarray) -> float:
    """max |q k^T|, in blocks of rows."""
    step = max(1, (1 << 20) // len(k))
    return max(float(np.abs(q[start : start + step] @ k.T).max()) for start in range(0, len(q), step))


def _module(name: str, package: str, instance: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise NotInstalled(f"the instance {instance!r} needs {package}: install solvary-sequence[instances]") from error
