"""How large the scores are, and coordinates in which they are small inner products."""

from __future__ import annotations

import math
from typing import Any

import attrs
import numpy as np

from solvary import Context
from solvary_sequence.arrays import blocks

#: up to this many rows max |S| is computed from all scores
_EXACT_ROWS = 2048
#: entries of a block of the score matrix
_ENTRIES = 1 << 19
#: directions in which the tokens spread less than this part of the largest are not stretched further
_FLOOR = 1e-4
#: a coordinate that adds less than this part of the bound to any score is dropped
_NEGLIGIBLE = 1e-16


@attrs.frozen(eq=False)
class ScoreMap:
    """Scores S_ij = <x_i query, (x_j - center) key>, up to a shift per row that no softmax sees.

    Attributes:
        query, key: (d, v) in float64, v <= d the number of coordinates that count.
        center: mean of the tokens (d,).
        bound: at least max |S|.
    """

    query: np.ndarray
    key: np.ndarray
    center: np.ndarray
    bound: float

    @property
    def variables(self) -> int:
        """The number v of coordinates."""
        return int(self.query.shape[1])


def map_scores(context: Context, x: Any, wq: np.ndarray, wk: np.ndarray, scale: float, block: int) -> ScoreMap:
    """Coordinates of the scores x Wq Wk^T x^T / scale, and a bound of them: O(n d^2) time.

    The keys are centred: it changes each row of S by a constant. Then queries and keys get the same diagonal second
    moments: with Sq, Sk those of x and of x - center, and Sq^(1/2) Wq Wk^T Sk^(1/2) / scale = A diag(s) B^T, the query
    x Sq^(-1/2) A s^(1/2) and the key (x - center) Sk^(-1/2) B s^(1/2). The bound is the least of: the largest norms in
    these coordinates, those of x Wq / scale and (x - center) Wk, and for n <= 2048 max |S| itself.
    """
    n, d = x.shape
    size = float(abs(x).max()) or 1.0
    mean, second = np.zeros(d), np.zeros((d, d))
    for rows in blocks(n, block):
        scaled = x[rows].T / size
        mean += context.to_host(scaled.sum(axis=1)) / n
        second += context.to_host(scaled @ scaled.T) / n
    root_q, inverse_q = _roots(second)
    root_k, inverse_k = _roots(second - np.outer(mean, mean))
    left, s, right = np.linalg.svd(root_q @ (wq * (size / scale)) @ (wk * size).T @ root_k)
    balanced = inverse_q @ left * (np.sqrt(s) / size), inverse_k @ right.T * (np.sqrt(s) / size)
    plain = wq / scale, wk
    center = size * mean

    most = {"balanced": _extent(context, x, center, *balanced, block)}
    most["plain"] = _extent(context, x, center, *plain, block)
    bound = min(q.norm * k.norm for q, k in most.values())
    if n <= _EXACT_ROWS:
        bound = min(bound, _largest(context, x, center, *plain))
    q, k = most["balanced"]
    kept = q.columns * k.columns > _NEGLIGIBLE * bound
    kept[0] |= not kept.any()
    # As much room for queries as for keys: no power of a coordinate is far from 1.
    ratio = math.sqrt(k.norm / q.norm) if q.norm > 0 and k.norm > 0 else 1.0
    return ScoreMap(balanced[0][:, kept] * ratio, balanced[1][:, kept] / ratio, center, bound)


def weight_norm(x: Any, parts: list[tuple[Any, Any]], scale: float, block: int) -> float:
    """B = sqrt(d max|x Wq| max|x Wk| / scale), entry-wise, over frozen and adapted parts: |S| <= B^2.

    The paper's threshold for almost linear time is B = o(sqrt(log n)).

    Args:
        x: tokens (n, d).
        parts: for the query and for the key the frozen weight and the adapter's product (or None), each (d, d).
        scale: of the scores.
        block: rows at a time.
    """
    largest = [0.0, 0.0]
    for rows in blocks(len(x), block):
        for which, pair in enumerate(parts):
            for weight in pair:
                if weight is not None:
                    largest[which] = max(largest[which], float(abs(x[rows] @ weight).max()))
    return math.sqrt(x.shape[1] / scale) * math.sqrt(largest[0]) * math.sqrt(largest[1])


@attrs.frozen(eq=False)
class _Extent:
    norm: float
    columns: np.ndarray


def _extent(
    context: Context, x: Any, center: np.ndarray, query: np.ndarray, key: np.ndarray, block: int
) -> tuple[_Extent, _Extent]:
    """Largest row norm and largest entry per column of the queries and of the keys."""
    found = []
    for matrix, shift in ((query, np.zeros_like(center)), (key, center)):
        factor, origin = context.to_device(matrix.T.copy()), context.to_device(shift[:, None])
        norm, columns = 0.0, np.zeros(matrix.shape[1])
        for rows in blocks(len(x), block):
            values = abs(factor @ (x[rows].T - origin))
            columns = np.maximum(columns, context.to_host(context.xp.max(values, axis=1)))
            largest = float(columns.max()) or 1.0
            values /= largest
            values *= values
            norm = max(norm, largest * math.sqrt(float(values.sum(axis=0).max())))
        found.append(_Extent(norm, columns))
    return found[0], found[1]


def _largest(context: Context, x: Any, center: np.ndarray, query: np.ndarray, key: np.ndarray) -> float:
    """max |S|."""
    k = (x - context.to_device(center)) @ context.to_device(key)
    q = x @ context.to_device(query)
    return max(float(abs(q[rows] @ k.T).max()) for rows in blocks(len(x), max(1, _ENTRIES // len(x))))


def _roots(moment: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The square root of a second moment, its smallest eigenvalues raised, and the inverse of that root."""
    values, vectors = np.linalg.eigh(moment)
    roots = np.sqrt(np.maximum(values, 0.0))
    roots = np.maximum(roots, _FLOOR * roots.max()) if roots.max() > 0 else np.ones_like(roots)
    return vectors * roots @ vectors.T, vectors / roots @ vectors.T
