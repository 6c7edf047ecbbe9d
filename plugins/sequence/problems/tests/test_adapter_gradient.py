"""sequence.adapter-gradient: its gradient against finite differences and torch, its refusals, its instances."""

import tracemalloc

import numpy as np
import pytest
import torch

import solvary
from solvary import AnswerError, OptionError, ProblemError
from solvary_sequence import AdapterGradient
from solvary_sequence.adapter_gradient import CHEAP_ROWS, weights_of
from solvary_sequence.adapter_instances import digits_rows, gaussian, hard

NAME = "sequence.adapter-gradient"


def fields_of(problem):
    names = ("x", "wq", "wk", "wv", "bq", "aq", "bk", "ak", "bv", "av", "alpha", "target", "scale")
    return {name: getattr(problem, name) for name in names}


def changed(problem, **change):
    return AdapterGradient(**{**fields_of(problem), **change})


def plain_loss(problem):
    """The definition, written out."""
    factor = {
        b: problem.alpha / getattr(problem, b).shape[1] for b in ("bq", "bk", "bv") if getattr(problem, b) is not None
    }
    wq, wk, wv = (
        frozen + factor[b] * getattr(problem, b) @ getattr(problem, a) if b in factor else frozen
        for frozen, b, a in ((problem.wq, "bq", "aq"), (problem.wk, "bk", "ak"), (problem.wv, "bv", "av"))
    )
    total = 0.0
    for i, token in enumerate(problem.x):
        scores = np.array([token @ wq @ wk.T @ other for other in problem.x]) / problem.scale
        weights = np.exp(scores) / np.exp(scores).sum()
        total += 0.5 * np.sum((weights @ problem.x @ wv - problem.target[i]) ** 2)
    return total


@pytest.mark.parametrize("adapted", ["q", "qk", "qv", "qkv"])
def test_the_reference_agrees_with_finite_differences(adapted):
    problem = gaussian(n=7, d=3, rank=2, spread=1.0, adapted=adapted)
    assert problem.loss() == pytest.approx(plain_loss(problem), rel=1e-12)
    for name, gradient in problem.reference.items():
        for at in ((0, 0), (1, 1)):
            step = np.zeros_like(gradient)
            step[at] = 1e-5
            value = getattr(problem, name)
            slope = plain_loss(changed(problem, **{name: value + step})) - plain_loss(
                changed(problem, **{name: value - step})
            )
            assert slope / 2e-5 == pytest.approx(gradient[at], rel=1e-5, abs=1e-8)


@pytest.mark.parametrize(
    "build", [lambda: gaussian(adapted="qkv", spread=2.0), lambda: digits_rows(200, adapted="qkv")]
)
def test_the_reference_agrees_with_torch(build):
    problem = build()
    factors = {name: torch.tensor(getattr(problem, name), requires_grad=True) for name in problem.factors}
    x, target = torch.tensor(problem.x), torch.tensor(problem.target)
    w = {
        which: torch.tensor(getattr(problem, f"w{which}"))
        + problem.alpha / 2 * factors[f"b{which}"] @ factors[f"a{which}"]
        for which in "qkv"
    }
    output = torch.softmax(x @ w["q"] @ (x @ w["k"]).T / problem.scale, dim=1) @ (x @ w["v"])
    loss = (output - target).square().sum() / 2
    loss.backward()
    assert problem.loss() == pytest.approx(loss.item(), rel=1e-12)
    figures = problem.measure({name: factor.grad.numpy() for name, factor in factors.items()})
    assert figures["feasible"]
    assert figures["rel_error"] <= 1e-12
    assert set(figures) >= {f"rel_error.{name}" for name in problem.factors}


def test_large_scores_do_not_overflow_and_equal_tokens_have_no_gradient_by_the_scores():
    problem = gaussian(n=40, spread=60.0)
    assert np.abs(problem.x @ weights_of(problem)[0] @ problem.wk.T @ problem.x.T / problem.scale).max() > 2000
    assert all(np.isfinite(part).all() for part in problem.reference.values())
    same = changed(gaussian(n=5), x=np.ones((5, 4)))
    nothing = {name: np.zeros(getattr(same, name).shape) for name in same.factors}
    assert same.measure(nothing)["rel_error"] < 1e-1  # relative to rounding, which is what the reference consists of
    assert same.measure(nothing)["max_abs_error"] < 1e-13


def test_what_is_measured():
    problem = gaussian(n=50)
    exact = problem.reference
    off = {name: 1.01 * part for name, part in exact.items()}
    assert problem.measure(exact)["rel_error"] == 0.0
    assert problem.measure(off)["rel_error"] == pytest.approx(0.01)
    largest = max(np.abs(part).max() for part in exact.values())
    assert problem.measure(off)["max_abs_error"] == pytest.approx(0.01 * largest)
    assert problem.measure({**exact, "aq": np.full((2, 4), np.nan)}) == {"feasible": False}


def test_a_factor_that_is_zero():
    problem = changed(gaussian(), bq=np.zeros((4, 2)))
    assert np.all(problem.reference["aq"] == 0.0)
    assert np.linalg.norm(problem.reference["bq"]) > 1e-3
    assert problem.measure(problem.reference)["rel_error"] == 0.0
    assert problem.measure({**problem.reference, "aq": np.full((2, 4), 1e-9)})["rel_error"] == np.inf


def test_a_target_that_is_reached():
    problem = gaussian()
    wq, wk, wv = weights_of(problem)
    f = np.exp(problem.x @ wq @ (problem.x @ wk).T / problem.scale)
    reached = changed(problem, target=f / f.sum(axis=1, keepdims=True) @ problem.x @ wv)
    assert max(np.abs(part).max() for part in reached.reference.values()) <= 1e-12
    zeros = {name: np.zeros_like(part) for name, part in reached.reference.items()}
    assert reached.measure(zeros)["rel_error"] <= 1e-1


def test_the_reference_of_many_rows_is_made_on_demand_and_in_blocks():
    tracemalloc.start()
    assert set(gaussian(n=3000).reference) == {"bq", "aq"}
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 3000**2 / 3
    problem = gaussian(n=CHEAP_ROWS + 1)
    zeros = {"bq": np.zeros((4, 2)), "aq": np.zeros((2, 4))}
    assert problem.measure(zeros) == {"feasible": True}
    with pytest.raises(OptionError, match="include"):
        problem.measure(zeros, include=("error",))


def test_refuses_a_bad_answer():
    problem = gaussian(n=10)
    good = problem.reference
    for answer, name in (
        (None, "answer"),
        ({"bq": good["bq"]}, "answer"),
        ({**good, "bk": good["bq"]}, "answer"),
        ({**good, "aq": good["bq"]}, "aq"),
        ({**good, "bq": good["bq"].astype(complex)}, "bq"),
    ):
        with pytest.raises(AnswerError) as error:
            problem.measure(answer)
        assert error.value.field == name


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"bq": np.zeros((4, 3))}, "aq"),
        ({"bq": np.zeros((5, 2))}, "bq"),
        ({"bq": np.zeros((4, 0)), "aq": np.zeros((0, 4))}, "bq"),
        ({"bk": np.zeros((4, 1))}, "ak"),
        ({"av": np.zeros((1, 4))}, "bv"),
        ({"wk": np.full((4, 4), np.nan)}, "wk[0, 0]"),
        ({"wv": np.zeros((4, 3))}, "wv"),
        ({"scale": 0.0}, "scale"),
        ({"scale": -1.0}, "scale"),
        ({"alpha": np.inf}, "alpha"),
        ({"target": np.zeros((9, 4))}, "target"),
        ({"x": np.zeros((0, 4)), "target": np.zeros((0, 4))}, "x"),
        ({"x": np.full((10, 4), 1e200)}, "x"),
    ],
)
def test_refuses_a_bad_problem(change, field):
    with pytest.raises(ProblemError) as error:
        changed(gaussian(n=10), **change)
    assert error.value.field == field


def test_the_hard_instance_reaches_its_scores():
    for n, factor in ((64, 1.0), (300, 2.0)):
        problem = hard(n, factor=factor)
        wq, wk, _ = weights_of(problem)
        largest = np.abs(problem.x @ wq @ (problem.x @ wk).T).max() / problem.scale
        assert largest == pytest.approx(factor * np.log(n), rel=1e-4)
    with pytest.raises(OptionError, match="factor"):
        hard(300, factor=0.01)


def test_the_real_instance():
    problem = solvary.instance(NAME, "digits-rows", n=100)
    assert problem.x.shape == (100, 8)
    np.testing.assert_array_equal(problem.x[1:], problem.target[:-1])
