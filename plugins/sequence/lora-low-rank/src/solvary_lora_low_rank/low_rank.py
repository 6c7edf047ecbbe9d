"""The gradient through a low-rank expansion of the attention matrix: two passes over the tokens."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from solvary import Context
from solvary_lora_low_rank.scores import ScoreMap
from solvary_sequence.arrays import blocks, empty
from solvary_sequence.monomials import feature_rows, monomial_table
from solvary_sequence.polynomial import ExpPolynomial

#: entries of the largest temporary: small enough for a processor's cache, large enough to keep a GPU busy
_HOST_ENTRIES = 1 << 18
_DEVICE_ENTRIES = 1 << 25


class NotPositive(ArithmeticError):
    """A normaliser of the softmax is not positive: the polynomial is too far from the exponential."""

    def __init__(self, row: int, value: float) -> None:
        super().__init__(row, value)
        self.row, self.value = row, value


class Products(NamedTuple):
    """x^T P x (d, d), and x^T f^T c (d, d) where it is asked for."""

    scores: Any
    values: Any


def low_rank_products(
    context: Context,
    x: Any,
    target: Any,
    wv: Any,
    scores: ScoreMap,
    polynomial: ExpPolynomial,
    *,
    block: int,
    values: bool,
) -> Products:
    """The sums over all pairs of tokens, with exp(S) ~ U V^T: monomials of the queries and weighted ones of the keys.

    With f ~ D^-1 U V^T, D = U (V^T 1), c = f h - Y and rho_i = c_i . (f h)_i, the entries of
    P = f * (c h^T) - diag(rho) f are the sums over K and e <= d of (U_iK / D_i) c_ie V_jK h_je, where c and h have one
    more column: -rho and 1. So x^T P x = sum_Ke L_Ke^T R_Ke with R_Ke = sum_j V_jK h_je x_j (first pass) and
    L_Ke = sum_i (U_iK / D_i) c_ie x_i (second pass); the same tables hold V^T 1, V^T h and what x^T f^T c takes.
    O(n K d^2) time, O(K (d^2 + block)) memory.

    Args:
        context: where x is.
        x: tokens (n, d), in the type of the computation.
        target: Y (n, d), in this type.
        wv: adapted weight of the values (d, d), in this type.
        scores: see `map_scores`.
        polynomial: of exp on [-bound, bound].
        block: most rows at a time.
        values: whether x^T f^T c is wanted.

    Raises:
        NotPositive: for a row D_i is not a positive number.
    """
    (n, d), xp = x.shape, context.xp
    table = monomial_table(scores.variables, polynomial.degree)
    # The polynomial's coefficients belong to the powers of S / bound.
    shrink = scores.bound**-0.5 if scores.bound > 0 else 0.0
    query = xp.asarray(context.to_device(scores.query * shrink), dtype=x.dtype).T
    key = xp.asarray(context.to_device(scores.key * shrink), dtype=x.dtype).T
    center = xp.asarray(context.to_device(scores.center), dtype=x.dtype)[:, None]
    weights = context.to_device(polynomial.scaled[table.degrees] * table.multinomials)

    columns = (d + 1) ** 2
    entries = _DEVICE_ENTRIES if getattr(x, "is_cuda", False) else _HOST_ENTRIES
    step = min(n, block, max(64, entries // max(table.size, columns)))
    monomials, pairs = empty(x, (table.size, step)), empty(x, (d + 1, d + 1, step))

    right = context.to_device(np.zeros((table.size, columns)))  # V^T ([h, 1] (x) [x, 1]), summed in float64
    for rows in blocks(n, step):
        tokens, width = x[rows].T, rows.stop - rows.start
        v = feature_rows(key @ (tokens - center), table, monomials[:, :width])
        right += v @ _pairs(wv.T @ tokens, None, tokens, pairs[:, :, :width]).T
    right *= weights[:, None]
    right = right.reshape(table.size, d + 1, d + 1)

    left = context.to_device(np.zeros((table.size, columns)))  # (U / D)^T ([c, -rho] (x) [x, 1])
    sums_of = xp.asarray(right[:, :, d], dtype=x.dtype).T  # (V^T [h, 1])^T
    for rows in blocks(n, step):
        tokens, width = x[rows].T, rows.stop - rows.start
        u = feature_rows(query @ tokens, table, monomials[:, :width])
        sums = sums_of @ u
        normaliser = sums[d]
        if not bool((normaliser > 0).all()):
            found = np.asarray(context.to_host(normaliser))
            worst = int(np.argmax(~(found > 0)))
            raise NotPositive(rows.start + worst, float(found[worst]))
        output = sums[:d] / normaliser
        c = output - target[rows].T
        rho = (c * output).sum(axis=0)
        left += u @ _pairs(c / normaliser, -rho / normaliser, tokens, pairs[:, :, :width]).T
    left = left.reshape(table.size, d + 1, d + 1)

    of_scores = left[:, :, :d].reshape(-1, d).T @ right[:, :, :d].reshape(-1, d)
    # x^T f^T c = sum_K (sum_j V_jK x_j)^T (sum_i (U_iK / D_i) c_i)
    of_values = right[:, d, :d].T @ left[:, :d, d] if values else None
    return Products(of_scores, of_values)


def _pairs(left: Any, extra: Any, tokens: Any, out: Any) -> Any:
    """Columns (left; extra) (x) (tokens; 1) as ((d + 1)^2, width); `extra` None stands for 1."""
    d = len(tokens)
    out[:d, :d] = left[:, None, :] * tokens[None, :, :]
    out[:d, d] = left
    out[d, :d] = tokens if extra is None else extra * tokens
    out[d, d] = 1.0 if extra is None else extra
    return out.reshape((d + 1) ** 2, -1)
