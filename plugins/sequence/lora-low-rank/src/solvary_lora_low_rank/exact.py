"""The exact gradient in blocks of rows of the attention matrix: O(n^2 d) time, O(n block) memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from solvary import Context
from solvary_lora_low_rank.low_rank import Products
from solvary_sequence.arrays import blocks, empty

#: entries of a block: small enough for a processor's cache, large enough to keep a GPU busy
_HOST_ENTRIES = 1 << 17
_DEVICE_ENTRIES = 1 << 26
#: below this bound exp(S) needs no shift of the rows, in either precision
_SAFE = 40.0


def exact_products(
    context: Context,
    x: Any,
    target: Any,
    weights: tuple[Any, Any, Any],
    scale: float,
    bound: float,
    *,
    block: int,
    values: bool,
) -> Products:
    """x^T P x and x^T f^T c for f = softmax(x Wq Wk^T x^T / scale); P as in `low_rank_products`.

    P = f * ([c, -rho] [h, 1]^T), and f is not divided by its row sums: a block is passed over by one exponential and
    one product only.

    Args:
        context: where x is.
        x: tokens (n, d), in the type of the computation.
        target: Y (n, d), in this type.
        weights: adapted weights Wq, Wk, Wv (d, d), in this type.
        scale: of the scores.
        bound: at least max |S| with centred keys.
        block: most rows at a time.
        values: whether x^T f^T c is wanted.
    """
    (n, d), xp = x.shape, context.xp
    wq, wk, wv = weights
    q, k = x @ (wq / scale), x @ wk
    k = k - k.sum(axis=0) / n  # changes each row of the scores by a constant
    h1 = _beside(x @ wv, 1.0)
    summed = _beside(h1, x) if values else h1
    entries = _DEVICE_ENTRIES if getattr(x, "is_cuda", False) else _HOST_ENTRIES
    of_scores, of_values = (context.to_device(np.zeros((d, d))) for _ in range(2))
    for rows in blocks(n, min(block, max(4, entries // n))):
        e = q[rows] @ k.T
        if bound > _SAFE:
            e -= xp.max(e, axis=1)[:, None]
        xp.exp(e, out=e)
        sums = e @ summed
        normaliser = sums[:, d, None]
        output = sums[:, :d] / normaliser
        c = output - target[rows]
        p = _beside(c, -(c * output).sum(axis=1)[:, None]) @ h1.T
        p *= e
        of_scores += (x[rows] / normaliser).T @ (p @ x)
        if values:
            of_values += (sums[:, d + 1 :] / normaliser).T @ c
    return Products(of_scores, of_values if values else None)


def _beside(left: Any, right: Any) -> Any:
    """Both as columns of one array; `right` may be a number."""
    (n, d), more = left.shape, getattr(right, "shape", (0, 1))[1]
    shape = (n, d + more)
    both = empty(left, shape)
    both[:, :d], both[:, d:] = left, right
    return both
