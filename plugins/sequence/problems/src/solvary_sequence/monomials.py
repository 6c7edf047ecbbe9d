"""All monomials of bounded degree in d variables, built one multiplication each.

The monomials are ordered by degree; those of degree j are `x_l` times the monomials of degree j - 1 in the variables
`l, l+1, ..., d-1`, for `l = 0, ..., d-1`. In this order these parents are a suffix of the preceding degree, so a whole
block of columns is one multiplication of a slice by a variable, without an index table to look up.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from solvary_sequence.arrays import empty


def feature_count(variables: int, degree: int) -> int:
    """`C(d + g, g)`: the number of monomials of degree at most g in d variables."""
    return math.comb(variables + degree, degree)


@dataclass(frozen=True, eq=False)
class MonomialTable:
    """Multi-indices `a` with `|a| <= degree` in `variables` variables, graded.

    `exponents` is `(r, d)`, `degrees` `(r,)` holds `|a|`, `parents` `(r,)` the index of `a - e_l` (the first is its
    own), `factors` `(r,)` that `l` (the first has 0), and `multinomials` `(r,)` the coefficients `|a|! / a!`. `steps`
    lists the blocks `(start, stop, source, l)`: the monomials `start..stop` are those from `source` on times `x_l`.
    """

    variables: int
    degree: int
    exponents: np.ndarray
    degrees: np.ndarray
    parents: np.ndarray
    factors: np.ndarray
    multinomials: np.ndarray
    steps: tuple[tuple[int, int, int, int], ...]

    @property
    def size(self) -> int:
        """The number r of monomials."""
        return int(self.degrees.size)


@functools.lru_cache(maxsize=32)
def monomial_table(variables: int, degree: int) -> MonomialTable:
    """The table of all monomials of degree at most `degree` in `variables >= 1` variables."""
    size = feature_count(variables, degree)
    exponents = np.zeros((size, variables), dtype=np.int64)
    parents = np.zeros(size, dtype=np.int64)
    factors = np.zeros(size, dtype=np.int64)
    multinomials = np.ones(size)
    steps = []
    stop = 1  # the constant monomial stands alone
    for j in range(1, degree + 1):
        last = stop
        for l in range(variables):
            # The monomials of degree j - 1 in the variables l, ..., d - 1 end where degree j begins.
            width = math.comb(variables - l + j - 2, j - 1)
            start, source, stop = stop, last - width, stop + width
            steps.append((start, stop, source, l))
            block = slice(start, stop)
            parents[block] = np.arange(source, last)
            factors[block] = l
            exponents[block] = exponents[source:last]
            exponents[block, l] += 1
            # j!/a! = ((j-1)!/(a - e_l)!) j / a_l
            multinomials[block] = multinomials[source:last] * j / exponents[block, l]
    arrays = (exponents, exponents.sum(axis=1), parents, factors, np.rint(multinomials))
    for array in arrays:
        array.setflags(write=False)
    return MonomialTable(variables, degree, *arrays, tuple(steps))


def feature_rows(columns: Any, table: MonomialTable, out: Any = None) -> Any:
    """The monomials as rows: `columns (d, n)` gives `(r, n)`, contiguous, in the type (and on the device) of `columns`.

    NumPy arrays and torch tensors alike. `out`, if given, is an `(r, n)` array that is filled and returned.
    """
    n = columns.shape[1]
    if out is None:
        out = empty(columns, (table.size, n))
    out[0] = 1.0
    for start, stop, source, l in table.steps:
        width = stop - start
        out[start:stop] = out[source : source + width] * columns[l]
    return out


def features(x: Any, table: MonomialTable) -> Any:
    """The monomials of the rows of `x (n, d)`, as `(n, r)`: the transposed view of `feature_rows`."""
    return feature_rows(x.T, table).T
