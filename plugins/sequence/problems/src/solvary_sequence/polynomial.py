"""Polynomials for the exponential on a symmetric interval, with their relative error.

A low-rank expansion of attention needs one polynomial of the scores whose value is right *relatively*, because the
weights are normalised afterwards. Coefficients belong to the powers of `x / bound`, which keeps them of moderate size
whatever the bound; `monomials` gives those of the powers of `x`.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.polynomial import chebyshev

Basis = Literal["chebyshev", "taylor"]

# Beyond this degree the change from Chebyshev polynomials to powers loses more digits than the degree wins.
MAX_DEGREE = 24
# Beyond this bound no polynomial of degree at most 24 comes within a factor of two of the exponential.
MAX_BOUND = 64.0
# Below this bound the series at 0 is exact to rounding from degree 1 on.
_SMALL_BOUND = 1e-8


@dataclass(frozen=True, eq=False)
class ExpPolynomial:
    """`P(x) = sum_j scaled[j] (x / bound)^j`, close to `exp(x)` on `[-bound, bound]`.

    `error` is the largest `|P(x) / exp(x) - 1|` on a dense grid, evaluated in float64.
    """

    bound: float
    scaled: np.ndarray
    error: float
    basis: Basis

    @property
    def degree(self) -> int:
        """The degree g."""
        return self.scaled.size - 1

    @property
    def monomials(self) -> np.ndarray:
        """The coefficients of `1, x, ..., x^g`, `(g+1,)`."""
        powers = np.arange(self.scaled.size)
        if self.bound < _SMALL_BOUND:  # The powers of the bound might vanish.
            return np.cumprod(1.0 / np.maximum(powers, 1))
        coefficients: np.ndarray = self.scaled / self.bound**powers
        return coefficients

    @property
    def condition(self) -> float:
        """How many units of rounding the relative error may gain at most: `sum_j |scaled_j| exp(bound)`."""
        return float(np.abs(self.scaled).sum() * np.exp(self.bound))

    def __call__(self, x: Any) -> Any:
        """The value at `x` (an array or a tensor), by Horner's rule."""
        u = x / self.bound if self.bound > 0 else x * 0.0
        value = u * 0.0 + float(self.scaled[-1])
        for coefficient in self.scaled[-2::-1]:
            value = value * u + float(coefficient)
        return value


@functools.lru_cache(maxsize=512)
def exp_polynomial(bound: float, degree: int, basis: Basis = "chebyshev") -> ExpPolynomial:
    """The polynomial of one degree for `exp` on `[-bound, bound]`.

    `"chebyshev"` fits Chebyshev polynomials by least squares of the *relative* error over Chebyshev points (close to
    the best possible) and converts them to powers; `"taylor"` takes the series at 0. Raises ValueError where the degree
    is not in 0..24 or the bound not in [0, 64], the range in which float64 powers are accurate.
    """
    if not 0 <= degree <= MAX_DEGREE:
        raise ValueError(f"the degree must be in 0..{MAX_DEGREE}, not {degree}")
    if not 0 <= bound <= MAX_BOUND:
        raise ValueError(f"the bound must be in [0, {MAX_BOUND}], not {bound}")
    if basis == "taylor" or bound < _SMALL_BOUND:
        # b^j / j!, by recursion so that nothing overflows.
        scaled: np.ndarray = np.cumprod(np.concatenate(([1.0], bound / np.arange(1, degree + 1))))
    else:
        scaled = _fit(bound, degree)
    scaled.setflags(write=False)
    unmeasured = ExpPolynomial(bound, scaled, np.inf, basis)
    return ExpPolynomial(bound, scaled, relative_error(unmeasured), basis)


def relative_error(polynomial: ExpPolynomial, points: int = 2049) -> float:
    """The largest `|P(x) exp(-x) - 1|` on a grid of Chebyshev points that includes both ends."""
    x = polynomial.bound * np.cos(np.linspace(0.0, np.pi, points))
    return float(np.abs(polynomial(x) * np.exp(-x) - 1.0).max())


def smallest_polynomial(bound: float, tolerance: float, basis: Basis = "chebyshev") -> ExpPolynomial | None:
    """The polynomial of least degree whose relative error is at most `tolerance`; None where degree 24 does not do."""
    if bound > MAX_BOUND:
        return None
    for degree in range(MAX_DEGREE + 1):
        polynomial = exp_polynomial(bound, degree, basis)
        if polynomial.error <= tolerance:
            return polynomial
    return None


def degree_for(bound: float, tolerance: float, basis: Basis = "chebyshev") -> int | None:
    """The least degree whose relative error on `[-bound, bound]` is at most `tolerance`; None where 24 does not do."""
    polynomial = smallest_polynomial(bound, tolerance, basis)
    return None if polynomial is None else polynomial.degree


def _fit(bound: float, degree: int) -> np.ndarray:
    """Coefficients of the powers of `u = x / bound`: least squares of `P(u) exp(-bound u) - 1`."""
    points = 16 * (MAX_DEGREE + 1)
    u = np.cos(np.pi * (np.arange(points) + 0.5) / points)
    rows = chebyshev.chebvander(u, degree) * np.exp(-bound * u)[:, None]
    # Scaling the columns keeps the weights, which span exp(2 bound), from costing digits.
    size = np.linalg.norm(rows, axis=0)
    solution = np.linalg.lstsq(rows / size, np.ones(points), rcond=None)[0] / size
    scaled = np.zeros(degree + 1)
    powers = chebyshev.cheb2poly(solution)
    scaled[: powers.size] = powers
    return scaled
