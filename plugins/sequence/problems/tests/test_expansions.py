"""Polynomials of the exponential, monomial tables and bounds of scores."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvary_sequence.monomials import feature_count, features, monomial_table
from solvary_sequence.polynomial import MAX_DEGREE, degree_for, exp_polynomial, smallest_polynomial
from solvary_sequence.scores import score_bound


@pytest.mark.parametrize("basis", ["chebyshev", "taylor"])
@pytest.mark.parametrize("bound", [1e-12, 1e-3, 0.5, 1.0, 4.0, 8.0])
@pytest.mark.parametrize("degree", [0, 1, 5, 24])
def test_the_error_that_a_polynomial_states_is_its_error(basis, bound, degree):
    polynomial = exp_polynomial(bound, degree, basis)
    x = np.linspace(-bound, bound, 5001)
    # The polynomial in its other form, as powers of x, in extended precision.
    powers = sum(np.longdouble(c) * np.longdouble(x) ** j for j, c in enumerate(polynomial.monomials))
    found = float(np.abs(powers / np.exp(np.longdouble(x)) - 1).max())
    assert found == pytest.approx(polynomial.error, rel=0.02, abs=4e-16 * polynomial.condition)
    np.testing.assert_allclose(polynomial(x), powers.astype(float), rtol=1e-12, atol=1e-14 * math.exp(bound))


def test_taylor_coefficients_are_those_of_the_series():
    np.testing.assert_allclose(exp_polynomial(3.0, 6, "taylor").monomials, [1 / math.factorial(j) for j in range(7)])


@pytest.mark.parametrize("bound", [0.0, 0.3, 2.0, 4.0])
@pytest.mark.parametrize("tolerance", [1e-1, 1e-3, 1e-6])
def test_the_degree_is_the_least_that_meets_the_tolerance(bound, tolerance):
    for basis in ("chebyshev", "taylor"):
        degree = degree_for(bound, tolerance, basis)
        assert exp_polynomial(bound, degree, basis).error <= tolerance
        assert degree == 0 or exp_polynomial(bound, degree - 1, basis).error > tolerance
    assert degree_for(bound, tolerance) <= degree_for(bound, tolerance, "taylor")


def test_the_fit_is_close_to_the_best_relative_error():
    # By alternation, the best error of degree g is at least the least |error| over g + 2 alternating extrema.
    polynomial = exp_polynomial(2.0, 5)
    x = np.linspace(-2, 2, 20001)
    error = polynomial(x) * np.exp(-x) - 1
    signs = np.flatnonzero(np.diff(np.sign(error)))
    pieces = np.split(np.abs(error), signs + 1)
    assert len(pieces) == 7
    assert polynomial.error <= 2.5 * min(piece.max() for piece in pieces)


def test_scores_that_no_polynomial_can_follow():
    assert degree_for(40.0, 1e-3) is None
    assert smallest_polynomial(1e300, 0.5) is None
    with pytest.raises(ValueError, match="degree"):
        exp_polynomial(1.0, MAX_DEGREE + 1)
    with pytest.raises(ValueError, match="bound"):
        exp_polynomial(65.0, 3)


@given(st.integers(1, 5), st.integers(0, 5))
@settings(max_examples=20, deadline=None)
def test_the_table_has_every_multi_index_once(variables, degree):
    table = monomial_table(variables, degree)
    expected = {a for a in itertools.product(range(degree + 1), repeat=variables) if sum(a) <= degree}
    assert {tuple(a) for a in table.exponents.tolist()} == expected
    assert table.size == len(expected) == feature_count(variables, degree)
    assert (np.diff(table.degrees) >= 0).all()
    for a, coefficient in zip(table.exponents, table.multinomials, strict=True):
        assert coefficient == math.factorial(a.sum()) / math.prod(map(math.factorial, a.tolist()))
    one = np.eye(variables, dtype=int)[table.factors[1:]]
    np.testing.assert_array_equal(table.exponents[table.parents[1:]] + one, table.exponents[1:])


def test_features_are_the_monomials_on_numpy_and_torch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x = rng.standard_normal((7, 6))[:, ::2]
    table = monomial_table(3, 4)
    expected = np.prod(x[:, None, :] ** table.exponents[None], axis=2)
    np.testing.assert_allclose(features(x, table), expected, rtol=1e-13)
    np.testing.assert_allclose(features(torch.tensor(x.copy()), table).numpy(), expected, rtol=1e-13)
    assert features(x.astype(np.float32), table).dtype == np.float32


def test_the_multinomial_theorem_holds_for_products_of_three():
    rng = np.random.default_rng(1)
    q, k, l = rng.standard_normal((3, 6, 3))
    table = monomial_table(3, 5)
    fifth = table.degrees == 5
    weighted = features(q, table)[:, fifth] * table.multinomials[fifth]
    found = np.einsum("ia,ja,ka->ijk", weighted, features(k, table)[:, fifth], features(l, table)[:, fifth])
    np.testing.assert_allclose(found, np.einsum("il,jl,kl->ijk", q, k, l) ** 5, rtol=1e-9, atol=1e-9)


@given(st.integers(2, 4), st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_the_bound_holds_for_every_score(order, seed):
    rng = np.random.default_rng(seed)
    factors = [rng.standard_normal((5, 3)) * rng.choice([1e-3, 1.0, 30.0]) for _ in range(order)]
    bound, weights = score_bound(factors, 2.0)
    letters = "abcd"[:order]
    sizes = np.einsum(",".join(f"{x}l" for x in letters) + "->" + letters, *map(np.abs, factors)) / 2.0
    assert sizes.max() <= bound * (1 + 1e-12)
    assert bound <= weights.sum() * (1 + 1e-12)
    torch = pytest.importorskip("torch")
    assert score_bound([torch.tensor(factor) for factor in factors], 2.0)[0] == pytest.approx(bound)


def test_the_bound_of_very_large_and_very_small_factors():
    large, small = np.full((3, 2), 1e200), np.full((3, 2), 1e-200)
    assert score_bound([large, large, small, small], 1.0)[0] == pytest.approx(2.0)
    assert score_bound([large, large], 1.0)[0] == math.inf
    assert score_bound([np.zeros((3, 2)), small], 1.0)[0] == 0.0
