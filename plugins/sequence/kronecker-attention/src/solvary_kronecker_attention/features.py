"""The polynomial method: attention of any order as a product of monomial features, without the n^2 object.

With `u = s / b` and the polynomial `P(s) = sum_j c_j u^j` close to `exp(s)`, the multinomial theorem gives
`P(s_{i,jk}) = sum_a C_a q_i^a k_j^a k'_k^a` over multi-indices a with `C_a = c_|a| (|a|!/a!) (w/b)^a`, when the columns
of the factors are scaled to largest entries of 1 and `w_l` collects these (section 4 of arXiv:2310.04064). Then

    (U_k (/) U_k')^T (V (/) V') = (U_k^T V) * (U_k'^T V')        (entrywise, r x e)

so that an answer takes `n r (e + k)` operations and memory for `block x r + r x e` numbers. NumPy and torch alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from solvary_sequence.arrays import blocks, contiguous, converted, empty
from solvary_sequence.monomials import MonomialTable, feature_rows, monomial_table
from solvary_sequence.polynomial import ExpPolynomial


@dataclass(frozen=True, eq=False)
class Expansion:
    """`exp(score)` as `sum_a C_a (q/m)^a (k/m')^a ...`.

    The table of multi-indices a, the coefficients C `(r,)` in float64, the maxima m, m', ... `(d,)` in the type `dtype`
    of the features, and the number of rows that are worked on at once.
    """

    table: MonomialTable
    coefficients: Any
    maxima: tuple[Any, ...]
    dtype: str
    block: int

    def features(self, rows: Any, factor: int) -> Any:
        """The monomials of rows `(m, d)` of a factor, `(r, m)`."""
        # Each variable contiguous: a monomial is then one pass over memory in order.
        columns = contiguous((converted(rows, self.dtype) / self.maxima[factor]).T)
        return feature_rows(columns, self.table)


def expand(
    polynomial: ExpPolynomial,
    weights: np.ndarray,
    maxima: Sequence[np.ndarray],
    dtype: str,
    block: int,
    to_device: Callable[[np.ndarray], Any],
) -> Expansion:
    """The expansion for columns whose largest entries are `maxima`; `weights` are their products over the scale."""
    table = monomial_table(weights.size, polynomial.degree)
    ratio = weights / polynomial.bound if polynomial.bound > 0 else np.zeros_like(weights)
    powers = feature_rows(ratio[:, None], table)[:, 0]
    coefficients = polynomial.scaled[table.degrees] * table.multinomials * powers
    divisors = tuple(to_device(np.where(part > 0, part, 1.0).astype(dtype)) for part in maxima)
    return Expansion(table, to_device(coefficients), divisors, dtype, block)


def contract(expansion: Expansion, keys: Sequence[Any], values: Sequence[Any]) -> tuple[Any, Any]:
    """`C * prod_t U_t^T V_t / n`, `(r, e)`, and `C * prod_t U_t^T 1 / n`, `(r,)`, in float64."""
    n = keys[0].shape[0]
    # Means instead of sums: their product has the size of the answer.
    sums, counts = expansion.coefficients[:, None] * 1.0, expansion.coefficients * 1.0
    for factor, (key, value) in enumerate(zip(keys, values, strict=True), start=1):
        sum_, count = 0.0, 0.0
        for rows in blocks(n, expansion.block):
            features = expansion.features(key[rows], factor)
            # Sums over blocks are in float64, whatever the type of the features.
            sum_ = sum_ + converted(features @ converted(value[rows], expansion.dtype), "float64")
            count = count + converted(features.sum(1), "float64")
        sums, counts = sums * (sum_ / n), counts * (count / n)
    return sums, counts


def apply(expansion: Expansion, query: Any, sums: Any, counts: Any) -> tuple[Any, float]:
    """The answer `(n, e)` and the smallest normaliser; where that is not positive, the answer is not complete."""
    n, e = query.shape[0], sums.shape[1]
    sums, counts = converted(sums, expansion.dtype), converted(counts, expansion.dtype)
    out, smallest = empty(sums, (n, e)), float("inf")
    for rows in blocks(n, expansion.block):
        features = expansion.features(query[rows], 0).T
        normaliser = features @ counts
        smallest = min(smallest, float(normaliser.min()))
        if not smallest > 0:
            break
        out[rows] = (features @ sums) / normaliser[:, None]
    return out, smallest
