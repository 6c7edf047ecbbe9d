"""The expansion and the exact path against the problem's reference and, term by term, against the dense formulas."""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import solvary
from solvary import OptionError, Status
from solvary_lora_low_rank.exact import exact_products
from solvary_lora_low_rank.low_rank import low_rank_products
from solvary_lora_low_rank.scores import map_scores
from solvary_lora_low_rank.solver import worthwhile_on_gpu
from solvary_sequence import AdapterGradient
from solvary_sequence.adapter_gradient import weights_of
from solvary_sequence.adapter_instances import digits_rows, gaussian, hard
from solvary_sequence.polynomial import exp_polynomial

NAMES = ("x", "wq", "wk", "wv", "bq", "aq", "bk", "ak", "bv", "av", "alpha", "target", "scale")


def solve(problem, **options):
    return solvary.solve(problem, "lora-low-rank", **{"backend": "cpu", **options})


def changed(problem, **change):
    return AdapterGradient(**{**{name: getattr(problem, name) for name in NAMES}, **change})


def dense_scores(problem):
    wq, wk, _ = weights_of(problem)
    return problem.x @ wq @ (problem.x @ wk).T / problem.scale


class Here:
    """What the method needs of a context."""

    xp = np
    to_host = to_device = staticmethod(lambda array: array)


def mapped(problem, block=64):
    wq, wk, _ = weights_of(problem)
    return map_scores(Here, problem.x, wq, wk, problem.scale, block)


def products(problem, method):
    scores, weights = mapped(problem, 4096), weights_of(problem)
    if method == "exact":
        exact_products(Here, problem.x, problem.target, weights, problem.scale, scores.bound, block=4096, values=True)
    else:
        polynomial = exp_polynomial(scores.bound, 4)
        low_rank_products(Here, problem.x, problem.target, weights[2], scores, polynomial, block=4096, values=True)


@pytest.mark.parametrize("adapted", ["q", "qk", "qv", "qkv"])
@pytest.mark.parametrize("method", ["low-rank", "exact"])
@pytest.mark.parametrize("block", [4096, 7])
def test_both_ways_for_all_adapters(adapted, method, block):
    problem = gaussian(n=120, d=3, adapted=adapted)
    solution = solve(problem, method=method, tolerance=1e-13, block=block)
    assert solution.status is Status.CONVERGED
    assert solution.report["method"] == method
    assert set(solution.answer) == set(problem.factors)
    assert solution.measures["rel_error"] <= 1e-11


def test_the_expansion_is_the_gradient_formula_with_the_polynomial_in_place_of_exp():
    """Not only a small error: for a crude polynomial the answer is that of the dense formulas with it."""
    problem = gaussian(n=60, d=2, spread=0.6, adapted="qkv")
    answer = solve(problem, method="low-rank", degree=2, basis="taylor").answer
    x, (wq, wk, wv), scale = problem.x, weights_of(problem), problem.scale
    shifted = x @ wq @ ((x - x.mean(axis=0)) @ wk).T / scale
    weights = 1 + shifted + shifted**2 / 2
    f = weights / weights.sum(axis=1, keepdims=True)
    h = x @ wv
    c = f @ h - problem.target
    rho = np.sum(f * (c @ h.T), axis=1)
    p = f * (c @ h.T) - rho[:, None] * f
    by_weight = {"q": x.T @ p @ x @ wk / scale, "k": x.T @ p.T @ x @ wq / scale, "v": x.T @ f.T @ c}
    for which, gradient in by_weight.items():
        factor = problem.alpha / 2
        left, right = getattr(problem, f"b{which}"), getattr(problem, f"a{which}")
        np.testing.assert_allclose(answer[f"b{which}"], factor * gradient @ right.T, atol=1e-12)
        np.testing.assert_allclose(answer[f"a{which}"], factor * left.T @ gradient, atol=1e-12)


def test_weights_are_off_by_at_most_twice_the_error_of_the_polynomial():
    problem = gaussian(n=200, spread=1.0)
    scores = dense_scores(problem)
    bound = np.abs(scores).max()
    f = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    for degree in (4, 6, 8):
        polynomial = exp_polynomial(float(bound), degree)
        weights = polynomial(scores)
        approximate = weights / weights.sum(axis=1, keepdims=True)
        e = polynomial.error
        assert np.abs(approximate / f - 1).max() <= 2 * e / (1 - e) * (1 + 1e-9)


@pytest.mark.parametrize(
    "build", [gaussian, lambda: digits_rows(300), lambda: hard(200), lambda: gaussian(n=2500, d=2)]
)
def test_the_map_reproduces_the_scores_within_its_bound(build):
    problem = build()
    scores, found = dense_scores(problem), mapped(problem)
    again = problem.x @ found.query @ ((problem.x - found.center) @ found.key).T
    shift = scores - again
    np.testing.assert_allclose(shift, shift.mean(axis=1, keepdims=True) + 0 * shift, atol=1e-12 * np.abs(scores).max())
    assert np.abs(again).max() <= found.bound * (1 + 1e-12)
    assert found.bound <= 6 * np.abs(again).max()


def test_directions_without_tokens_are_dropped():
    base = gaussian(n=400, d=4, spread=0.5)
    flat = base.x.copy()
    flat[:, 2] = 0.0
    problem = changed(base, x=flat, wk=base.wk @ np.diag([1.0, 1.0, 0.0, 0.0]))
    solution = solve(problem, method="low-rank", tolerance=1e-10)
    assert solution.report["variables"] == 2
    assert solution.measures["rel_error"] <= 1e-8


def test_auto_takes_what_is_cheaper():
    few, many, large = gaussian(n=50), gaussian(n=3000), hard(100)
    assert solve(few).report["method"] == "exact"
    assert solve(many).report["method"] == "low-rank"
    assert solve(large).report["method"] == "exact"
    assert "features" in solve(large).report["reason"]
    assert solve(many, max_features=3).report["method"] == "exact"
    far = changed(few, wq=1e3 * few.wq)
    assert solve(far).measures["rel_error"] <= 1e-11
    assert "degree 24" in solve(far).report["reason"]


def test_the_tolerance():
    problem = gaussian(n=600, spread=0.5, adapted="qkv")
    for tolerance in (1e-2, 1e-5, 1e-8):
        solution = solve(problem, method="low-rank", tolerance=tolerance)
        assert solution.report["exp_error"] <= tolerance
        assert solution.measures["rel_error"] <= 10 * tolerance


def test_the_basis():
    problem = gaussian(n=300, spread=1.0)
    taylor, chebyshev = (
        solve(problem, method="low-rank", degree=8, basis=basis).report["exp_error"]
        for basis in ("taylor", "chebyshev")
    )
    assert chebyshev < taylor / 20
    less, more = (
        solve(problem, method="low-rank", tolerance=1e-6, basis=basis).report["degree"]
        for basis in ("chebyshev", "taylor")
    )
    assert less < more


def one_negative_score():
    """Token 0 scores itself with about -9.5 and the others with 0.5: a cubic normaliser of its row is negative."""
    x = np.zeros((20, 1))
    x[0] = np.sqrt(10.0)
    base = gaussian(n=20, d=1, rank=1)
    return changed(base, x=x, wq=[[-1.0]], wk=[[1.0]], bq=[[0.0]], scale=1.0)


def test_refuses_what_is_not_possible():
    problem = hard(100)
    with pytest.raises(OptionError) as error:
        solve(problem, method="low-rank")
    assert error.value.field == "max_features"
    assert "d = 7" in str(error.value)
    assert "b = " in str(error.value)
    assert "K = " in str(error.value)
    with pytest.raises(OptionError) as error:
        solve(changed(problem, wq=1e3 * problem.wq), method="low-rank")
    assert error.value.field == "tolerance"
    with pytest.raises(OptionError) as error:
        solve(one_negative_score(), method="low-rank", degree=3, basis="taylor")
    assert error.value.field == "degree"
    assert "row 0" in str(error.value)
    needed = int(str(error.value).partition("expected ")[2].split()[0])
    assert "chebyshev" in str(error.value)  # no Taylor polynomial of degree 24 does
    assert solve(one_negative_score(), method="low-rank", degree=needed).report["exp_error"] <= 1e-4
    with pytest.raises(OptionError) as error:
        solve(gaussian(n=200, d=2, spread=2.5), method="low-rank", degree=5)
    assert error.value.field == "degree"
    for options, name in (
        ({"tolerance": 0.0}, "tolerance"),
        ({"tolerance": 1.0}, "tolerance"),
        ({"degree": -1}, "degree"),
        ({"degree": 25}, "degree"),
        ({"method": "fast"}, "method"),
        ({"block": 0}, "block"),
        ({"dtype": "float16"}, "dtype"),
        ({"basis": "legendre"}, "basis"),
    ):
        with pytest.raises(OptionError) as error:
            solve(gaussian(n=10), **options)
        assert error.value.field == name


@pytest.mark.parametrize("method", ["low-rank", "exact"])
def test_vanishing_gradients(method):
    problem = gaussian(n=100, d=3)
    silent = solve(changed(problem, bq=np.zeros((3, 2))), method=method)
    assert np.all(silent.answer["aq"] == 0.0)
    assert np.linalg.norm(silent.answer["bq"]) > 1e-3
    f = np.exp(dense_scores(problem))
    reached = f / f.sum(axis=1, keepdims=True) @ problem.x @ problem.wv
    answer = solve(changed(problem, target=reached), method=method, tolerance=1e-14).answer
    assert max(np.abs(part).max() for part in answer.values()) <= 1e-12


@pytest.mark.parametrize("method", ["auto", "low-rank", "exact"])
@pytest.mark.parametrize(
    "change",
    [
        {"wq": np.zeros((2, 2)), "bq": np.zeros((2, 1))},
        {"x": np.zeros((9, 2))},
        {"x": np.tile([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], (3, 1))},
        {"wk": 1e100 * np.eye(2), "wq": 1e-101 * np.eye(2), "bq": np.zeros((2, 1))},
        {"wv": np.zeros((2, 2))},
        {"alpha": 0.0},
        {"alpha": -3.0},
        {"x": np.asfortranarray(np.arange(18.0).reshape(9, 2)[::-1] / 10).astype(np.float32)},
    ],
)
def test_odd_inputs(method, change):
    base = gaussian(n=9, d=2, rank=1)
    solution = solve(changed(base, **change), method=method, tolerance=1e-8)
    assert solution.measures["feasible"]
    assert solution.measures["rel_error"] <= 1e-5


@pytest.mark.parametrize("method", ["low-rank", "exact"])
def test_equal_tokens(method):
    problem = changed(gaussian(n=9, d=2), x=np.full((9, 2), 3.0))
    assert max(np.abs(part).max() for part in solve(problem, method=method).answer.values()) <= 1e-12


@pytest.mark.parametrize("adapted", ["q", "qkv"])
def test_one_token_of_one_number(adapted):
    for method in ("low-rank", "exact"):
        solution = solve(gaussian(n=1, d=1, rank=1, adapted=adapted), method=method)
        assert np.abs(solution.answer["bq"]).max() <= 1e-15
        assert solution.measures["rel_error"] <= 1e-1


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(1, 40),
    d=st.integers(1, 4),
    rank=st.integers(1, 5),
    adapted=st.sampled_from(["q", "qk", "qv", "qkv"]),
    spread=st.floats(0.05, 1.0),
    shift=st.floats(-3, 3),
    block=st.integers(1, 50),
    seed=st.integers(0, 1000),
)
def test_any_shape(n, d, rank, adapted, spread, shift, block, seed):
    base = gaussian(n, d, rank, spread, adapted, seed)
    problem = changed(base, x=base.x + shift)
    exact = solve(problem, method="exact", block=block)
    sizes = problem._sizes
    for name, part in problem.reference.items():
        assert np.abs(exact.answer[name] - part).max() <= 1e-13 * sizes[name]
    if mapped(problem).bound < 3.0:
        found = solve(problem, method="low-rank", tolerance=1e-10, block=block)
        for name, part in problem.reference.items():
            assert np.abs(found.answer[name] - part).max() <= 1e-9 * sizes[name]


@pytest.mark.usefixtures("emulated_cuda")
@pytest.mark.parametrize("options", [{"method": "low-rank"}, {"method": "exact"}, {"method": "low-rank", "block": 100}])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_cuda_agrees_with_cpu(options, dtype):
    problem = gaussian(n=500, d=3, spread=0.5, adapted="qkv")
    one, two = (solve(problem, backend=backend, dtype=dtype, **options) for backend in ("cpu", "cuda"))
    assert two.provenance.backend == "cuda"
    for name, part in one.answer.items():
        assert isinstance(two.answer[name], np.ndarray)
        assert np.linalg.norm(two.answer[name] - part) <= (1e-11 if dtype == "float64" else 1e-4) * np.linalg.norm(part)


@pytest.mark.usefixtures("emulated_cuda")
def test_cuda_refuses_a_degree_that_is_too_low_and_shifts_large_scores():
    with pytest.raises(OptionError, match="degree"):
        solve(one_negative_score(), backend="cuda", method="low-rank", degree=3, basis="taylor")
    assert solve(gaussian(n=60, spread=40.0), backend="cuda").measures["rel_error"] <= 1e-10


def test_large_scores_are_exact():
    problem = gaussian(n=60, spread=40.0)
    assert np.abs(dense_scores(problem)).max() > 800
    assert solve(problem).measures["rel_error"] <= 1e-10


def test_memory_stays_far_below_the_square():
    problem = gaussian(n=4000, adapted="qkv")
    peaks = []
    for method in ("low-rank", "exact"):
        tracemalloc.start()
        products(problem, method)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert max(peaks) < 8 * 4000**2 / 16


def test_a_gpu_is_for_large_problems():
    assert "1e6" in worthwhile_on_gpu(gaussian())
    assert worthwhile_on_gpu(gaussian(n=70_000)) is None


def test_the_host_code_does_without_torch():
    words = (
        "import sys, solvary;"
        "solvary.solve(solvary.instance('sequence.adapter-gradient', 'gaussian'), 'lora-low-rank', backend='cpu');"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", words], check=True)
