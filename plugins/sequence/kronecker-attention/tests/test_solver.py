"""Tensor attention by features: against all weights at once, at the edges of what it can do, and in what it refuses."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import solvary
from solvary import NotAccepted, OptionError, ProblemError, Status
from solvary_kronecker_attention.features import contract, expand
from solvary_sequence import AttentionOutput, attention
from solvary_sequence.attention_instances import (
    digits,
    gaussian,
    gaussian_powers,
    hard,
    planted_rows,
    planted_triple,
    random_uniform,
)
from solvary_sequence.monomials import feature_count
from solvary_sequence.polynomial import exp_polynomial
from solvary_sequence.scores import column_maxima, score_bound


def solve(problem, **options):
    return solvary.solve(problem, "kronecker-attention", **{"backend": "cpu", "threads": 1, **options})


def brute(problem):
    """All n^k weights at once."""
    letters = "ijkmp"[: problem.order]
    scores = np.einsum(",".join(f"{x}l" for x in letters) + "->" + letters, problem.query, *problem.keys)
    weights = np.exp(scores / problem.scale)
    others = letters[1:]
    numerator = np.einsum(
        letters + "," + ",".join(f"{x}v" for x in others) + f"->{letters[0]}v", weights, *problem.values
    )
    return numerator / weights.sum(axis=tuple(range(1, problem.order)))[:, None]


@pytest.mark.parametrize("order", [2, 3, 4, 5])
@pytest.mark.parametrize("basis", ["chebyshev", "taylor"])
@pytest.mark.parametrize("tolerance", [1e-1, 1e-4, 1e-9])
def test_the_error_is_within_the_bound_for_every_order(order, basis, tolerance):
    problem = random_uniform(n=9, d=3, e=2, bound=1.2, order=order, seed=order)
    solution = solve(problem, method="features", basis=basis, tolerance=tolerance)
    assert solution.status is Status.CONVERGED
    found = solution.report
    assert np.abs(solution.answer - brute(problem)).max() <= found["error_bound"]
    size = math.prod(np.abs(value).max() for value in problem.values)
    assert found["error_bound"] <= 2 * tolerance / (1 - tolerance) * size * 1.01
    assert found["features"] == feature_count(3, found["degree"])
    assert (found["method"], found["threshold"]) == ("features", math.log(9) ** (1 / order))


def test_the_error_can_come_close_to_the_bound():
    # Two scores at both ends of the interval, where the polynomial errs most: the bound is not an idle one.
    query, key = np.array([[1.0], [-1.0]]), np.array([[1.0], [-1.0]])
    problem = AttentionOutput(query=query, keys=[key], values=[[[1.0], [-1.0]]], scale=1.0)
    solution = solve(problem, method="features", degree=1)
    error = solution.measures["max_abs_error"]
    assert 0.02 * solution.report["error_bound"] < error <= solution.report["error_bound"]


@given(
    order=st.integers(2, 4),
    n=st.integers(1, 6),
    d=st.integers(1, 3),
    e=st.integers(1, 3),
    block=st.integers(1, 7),
    spread=st.sampled_from([1e-8, 0.1, 1.0]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=25, deadline=None)
def test_both_methods_agree_with_all_weights(order, n, d, e, block, spread, seed):
    rng = np.random.default_rng(seed)
    columns = rng.choice([0.0, 1e-3, 1.0, 20.0], d)  # columns of very different sizes, some of zeros
    query, *keys = rng.uniform(-1, 1, (order, n, d)) * spread
    values = rng.standard_normal((order - 1, n, e))
    keys[0] *= columns
    problem = AttentionOutput(query=query, keys=keys, values=list(values), scale=30.0)
    expected = brute(problem)
    np.testing.assert_allclose(solve(problem, method="exact").answer, expected, rtol=1e-10, atol=1e-12)
    solution = solve(problem, method="features", block=block, tolerance=1e-8)
    assert np.abs(solution.answer - expected).max() <= solution.report["error_bound"] + 1e-13


def test_the_contraction_is_the_khatri_rao_product():
    rng = np.random.default_rng(0)
    q, k, l = rng.uniform(-1, 1, (3, 6, 2))
    v, w = rng.standard_normal((2, 6, 3))
    bound, weights = score_bound([q, k, l], 2.0)
    maxima = [column_maxima(part) for part in (q, k, l)]
    expansion = expand(exp_polynomial(bound, 5), weights, maxima, "float64", 4, np.asarray)
    sums, counts = contract(expansion, [k, l], [v, w])
    u, t = expansion.features(k, 1).T, expansion.features(l, 2).T
    pairs = (u[:, None, :] * t[None, :, :]).reshape(36, -1)
    values = (v[:, None, :] * w[None, :, :]).reshape(36, -1)
    np.testing.assert_allclose(sums, expansion.coefficients[:, None] * (pairs.T @ values) / 36, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(counts, expansion.coefficients * pairs.sum(0) / 36, rtol=1e-10, atol=1e-14)
    scores = np.einsum("il,jl,kl->ijk", q, k, l).reshape(6, 36) / 2.0
    product = expansion.features(q, 0).T @ (expansion.coefficients[:, None] * pairs.T)
    np.testing.assert_allclose(product, exp_polynomial(bound, 5)(scores), rtol=1e-10)


def test_digits_vote_for_their_labels():
    problem = digits(n=60)
    solution = solve(problem, tolerance=1e-5)
    assert solution.report["method"] == "features"
    np.testing.assert_allclose(solution.answer, brute(problem), atol=1e-6)


def test_entries_of_zero_mean_the_plain_average():
    rng = np.random.default_rng(1)
    zeros, (v, w) = np.zeros((5, 3)), rng.standard_normal((2, 5, 2))
    problem = AttentionOutput(query=zeros, keys=[zeros, zeros], values=[v, w])
    for method in ("auto", "features", "exact"):
        solution = solve(problem, method=method)
        np.testing.assert_allclose(solution.answer, np.tile(v.mean(0) * w.mean(0), (5, 1)), rtol=1e-14)
    assert solve(problem).report["features"] == 1


def test_one_row_is_its_value():
    problem = AttentionOutput(query=[[3.0]], keys=[[[2.0]], [[-1.0]]], values=[[[5.0, 1.0]], [[0.5, -2.0]]])
    for method in ("auto", "features", "exact"):
        np.testing.assert_allclose(solve(problem, method=method, tolerance=1e-2).answer, [[2.5, -2.0]], rtol=1e-8)


def test_very_large_and_very_small_factors_are_balanced():
    problem = random_uniform(n=12, order=3)
    scaled = AttentionOutput(
        query=problem.query * 1e150,
        keys=[problem.keys[0] * 1e-100, problem.keys[1] * 1e-50],
        values=problem.values,
        scale=problem.scale,
    )
    one, two = (solve(item, method="features", tolerance=1e-8).answer for item in (problem, scaled))
    np.testing.assert_allclose(one, two, rtol=1e-9)


def test_large_entries_take_the_exact_path():
    problem = random_uniform(n=20, d=4, e=3, bound=6.0)  # scores up to 216
    solution = solve(problem)
    assert solution.report["method"] == "exact"
    assert "scores up to" in solution.report["why"]
    assert not solution.report["below_threshold"]
    np.testing.assert_allclose(solution.answer, brute(problem), rtol=1e-11)
    larger = random_uniform(n=20, d=4, e=3, bound=100.0)  # exp(1e6) overflows
    assert solve(larger).measures["max_abs_error"] <= 1e-9
    assert solve(hard(n=32)).report["method"] == "exact"


def test_features_grow_with_the_entries_until_they_lose():
    found = [solve(random_uniform(n=24, bound=entry)).report for entry in (0.25, 0.5, 1.0, 1.5, 2.0)]
    counts = [report["features"] for report in found]
    assert counts == sorted(set(counts))
    for report in found:
        assert (report["method"] == "features") == (24 * report["features"] * (8 + 3) < 24**3 * 8)
    assert {report["method"] for report in found} == {"features", "exact"}


def test_order_three_finds_a_planted_triple():
    problem = planted_triple(n=40, seed=5)
    answer = solve(problem).answer
    assert np.argmax(np.linalg.norm(answer, axis=1)) == planted_rows(n=40, seed=5)[0]


def test_float32_features():
    problem = random_uniform(n=40, bound=1.0)
    solution = solve(problem, dtype="float32", method="features")
    assert solution.answer.dtype == np.float32
    assert solution.measures["max_abs_error"] <= solution.report["error_bound"]
    exact = solve(problem, dtype="float32", method="exact")
    assert exact.answer.dtype == np.float32
    assert exact.measures["max_abs_error"] <= 1e-6
    single = AttentionOutput(
        query=problem.query.astype(np.float32), keys=problem.keys, values=problem.values, scale=4.0
    )
    assert solve(single).answer.dtype == np.float64


def test_memory_does_not_grow_like_pairs(monkeypatch):
    problem = random_uniform(n=4000, d=3, e=2)
    assert problem.bound < 1
    monkeypatch.setattr(attention, "REFERENCE_WEIGHTS", 1)
    solve(problem, degree=3)
    tracemalloc.start()
    solution = solve(problem, degree=3, method="features")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert solution.report["features"] == 20
    assert peak < 4000 * 4000 * 8 / 10  # a tenth of one matrix of pairs


def test_the_device_code_agrees(emulated_cuda):
    for problem in (random_uniform(n=30), random_uniform(n=12, order=4), random_uniform(n=15, bound=5.0)):
        for options in ({"method": "exact"}, {}, {"dtype": "float32", "tolerance": 1e-2}):
            one, two = (solve(problem, backend=backend, **options) for backend in ("cpu", "cuda"))
            assert two.provenance.backend == "cuda"
            assert one.answer.dtype == two.answer.dtype
            assert one.report["method"] == two.report["method"]
            atol = 1e-4 if options.get("dtype") else 1e-12
            np.testing.assert_allclose(one.answer, two.answer, rtol=1e-4 if options.get("dtype") else 1e-9, atol=atol)


@pytest.mark.parametrize(
    ("bound", "options", "name", "words"),
    [
        (1.0, {"max_features": 10}, "max_features", r"r = 35.*degree 3.*B = 0\.8"),
        (1.0, {"degree": 8, "max_features": 100}, "max_features", "r = 495.*degree 8"),
        (2.6, {"tolerance": 1e-9}, "tolerance", "degree above 24"),
        (6.0, {}, "method", "scores up to B"),
        (2.0, {"dtype": "float32"}, "dtype", "rounding"),
        (2.5, {"degree": 1, "basis": "taylor"}, "degree", "normaliser"),
    ],
)
def test_features_that_cannot_be_had_are_refused_by_the_option_to_change(bound, options, name, words):
    problem = random_uniform(n=60, bound=bound, seed=1)
    if name == "degree":  # a query that meets scores of one sign only
        flat = np.full((60, 4), bound)
        problem = AttentionOutput(query=-flat, keys=[flat, flat], values=problem.values)
    with pytest.raises(OptionError, match=words) as refused:
        solve(problem, method="features", **options)
    assert refused.value.field == name
    assert refused.value.expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tolerance", 0.0),
        ("tolerance", 1.0),
        ("degree", -1),
        ("degree", 25),
        ("basis", "legendre"),
        ("method", "random"),
        ("block", 0),
        ("max_features", 0),
        ("dtype", "float16"),
    ],
)
def test_options_out_of_range(name, value):
    with pytest.raises(OptionError) as refused:
        solve(random_uniform(n=4), **{name: value})
    assert refused.value.field == name


def test_what_it_does_not_take_is_said():
    cases = [
        (gaussian_powers(n=8), "power"),
        (gaussian(n=8), "causal"),
        (changed(gaussian(n=8, causal=False), floor=0.1), "floor"),
        (changed(gaussian(n=8, causal=False), arithmetic="polynomial"), "polynomial"),
    ]
    for problem, words in cases:
        with pytest.raises(NotAccepted, match=words):
            solve(problem)
    assert solve(gaussian(n=8, causal=False)).status is Status.CONVERGED


def changed(problem, **fields):
    names = ("query", "keys", "values", "scale")
    return AttentionOutput(**{name: getattr(problem, name) for name in names}, **fields)


def test_scores_that_overflow_are_refused():
    huge = np.full((3, 2), 1e200)
    with pytest.raises(ProblemError, match="overflow") as refused:
        solve(AttentionOutput(query=huge, keys=[huge], values=[huge]))
    assert refused.value.field == "scale"
