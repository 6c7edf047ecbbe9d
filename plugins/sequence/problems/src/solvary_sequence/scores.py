"""Bounds for attention scores, from the factors alone: O(n d) work, however many scores there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def column_maxima(factor: Any) -> np.ndarray:
    """The largest absolute entry of each column of an array or tensor `(n, d)`, in float64 on the host."""
    high, low = factor.max(0), factor.min(0)
    if not isinstance(factor, np.ndarray):
        high, low = high.values.cpu().numpy(), low.values.cpu().numpy()
    return np.maximum(np.asarray(high, dtype=np.float64), -np.asarray(low, dtype=np.float64))


def score_bound(factors: Sequence[Any], scale: float, block: int = 65536) -> tuple[float, np.ndarray]:
    """`b` with `sum_l |q_l k_l k'_l ...| / scale <= b` for all rows of the factors, and weights `w (d,)` of columns.

    `w_l` is the product of the largest entries of the columns l over the scale; their sum is one bound, the product of
    the largest k-norms of rows (Hoelder's inequality, for k factors) the other. `b` is the smaller one.
    """
    power = len(factors)
    # Extended precision has the range for products of very large with very small maxima.
    weights = np.full(factors[0].shape[1], 1.0 / np.longdouble(scale), dtype=np.longdouble)
    by_norms = 1.0 / np.longdouble(scale)
    for factor in factors:
        maxima = column_maxima(factor)
        weights = weights * maxima
        by_norms = by_norms * _largest_norm(factor, float(maxima.max()), power, block)
    bound = min(weights.sum(), by_norms)
    with np.errstate(over="ignore"):
        return float(bound), weights.astype(np.float64)


def _largest_norm(factor: Any, largest: float, power: int, block: int) -> np.longdouble:
    """The largest norm of order `power` of the rows, of which `largest` is the largest entry."""
    if largest == 0:
        return np.longdouble(0.0)
    top = 0.0
    for start in range(0, factor.shape[0], block):
        part = abs(factor[start : start + block]) / largest
        raised = part
        for _ in range(power - 1):
            raised = raised * part
        top = max(top, float(raised.sum(1).max()))
    return np.longdouble(top) ** (np.longdouble(1.0) / power) * largest
