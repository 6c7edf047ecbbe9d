"""The problem `sequence.attention`: its exact reference, what it measures, refuses, writes and reads."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import solvary
from solvary import AnswerError, NotAccepted, ProblemError
from solvary_sequence import AttentionOutput, Program, attention
from solvary_sequence.attention_instances import digits, hard, planted_rows, planted_triple, random_uniform
from solvary_sequence.exact import Rule, exact_attention


def brute(problem):
    """All weights at once, order by order."""
    n = len(problem.query)
    letters = "ijkmp"[: problem.order]
    scores = np.einsum(",".join(f"{x}l" for x in letters) + "->" + letters, problem.query, *problem.keys)
    scores = (scores / problem.scale).reshape(n, -1)
    value = problem.values[0]
    for other in problem.values[1:]:
        value = (value[:, None, :] * other[None, :, :]).reshape(-1, other.shape[1])
    visible = np.tril(np.ones((n, n), dtype=bool)) if problem.causal else np.ones_like(scores, dtype=bool)
    if problem.weights == "exp":
        scores = np.where(visible, scores, -np.inf)
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    else:
        weights = scores**problem.power * visible
    largest = weights.max(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        result = weights @ value / (weights.sum(axis=1, keepdims=True) + problem.floor * largest)
    return np.where(largest > 0, result, 0.0)


def made(n=17, d=3, e=4, order=2, size=1.0, **more):
    rng = np.random.default_rng(5)
    query, *keys = rng.standard_normal((order, n, d)) * size
    values = list(rng.standard_normal((order - 1, n, e)))
    return AttentionOutput(**{"query": query, "keys": keys, "values": values, "scale": 2.0, **more})


CASES = {
    "softmax": {},
    "causal": {"causal": True},
    "large scores": {"size": 40.0},
    "large and causal": {"size": 40.0, "causal": True},
    "floor": {"floor": 0.5},
    "power": {"weights": "power", "power": 4},
    "causal power": {"weights": "power", "power": 6, "causal": True, "floor": 0.01},
    "order 3": {"order": 3},
    "order 3, large": {"order": 3, "size": 15.0},
    "order 4": {"order": 4, "n": 7},
    "order 5": {"order": 5, "n": 5, "size": 4.0},
    "one row": {"n": 1},
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("tile", [1, 40, 1 << 16])
def test_the_blocked_reference_is_the_sum_over_all_weights(name, tile):
    problem = made(**CASES[name])
    arrays = problem.query, problem.keys, problem.values
    found = exact_attention(*arrays, scale=problem.scale, rule=problem.rule(), tile=tile)
    np.testing.assert_allclose(found, brute(problem), rtol=1e-12, atol=1e-14)
    rows = np.array([len(problem.query) - 1, 0])
    some = exact_attention(*arrays, scale=problem.scale, rule=problem.rule(), tile=tile, rows=np.sort(rows))
    np.testing.assert_allclose(some, brute(problem)[np.sort(rows)], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(problem.reference(workers=2), brute(problem), rtol=1e-12, atol=1e-14)


def test_the_reference_on_torch():
    torch = pytest.importorskip("torch")
    for name in ("causal power", "large and causal", "order 3, large", "order 4"):
        problem = made(**CASES[name])
        query, *rest = (torch.tensor(part) for part in (problem.query, *problem.keys, *problem.values))
        keys, values = rest[: len(problem.keys)], rest[len(problem.keys) :]
        found = exact_attention(query, keys, values, scale=2.0, rule=problem.rule(), tile=40)
        np.testing.assert_allclose(found.numpy(), brute(problem), rtol=1e-12, atol=1e-14)


def test_scores_that_need_no_maximum():
    problem = made(order=3)
    arrays = problem.query, problem.keys, problem.values
    found = exact_attention(*arrays, scale=2.0, rule=Rule(unshifted=True), tile=40)
    np.testing.assert_allclose(found, brute(problem), rtol=1e-12)


def test_figures_of_a_perturbed_answer():
    problem = made(order=3)
    exact = brute(problem)
    moved = exact.copy()
    moved[3, 1] += 0.25
    measures = problem.measure(moved)
    assert measures["feasible"] is True
    assert measures["rows_measured"] == 17
    assert measures["max_abs_error"] == pytest.approx(0.25)
    assert measures["rel_fro_error"] == pytest.approx(0.25 / np.linalg.norm(exact))
    moved[0, 0] = np.nan
    assert problem.measure(moved)["feasible"] is False
    assert problem.glance(moved) == {"feasible": False}


def test_large_problems_are_measured_on_rows(monkeypatch):
    problem = made(order=3)
    monkeypatch.setattr(attention, "REFERENCE_WEIGHTS", 5 * 17**2)
    exact = brute(problem)
    assert problem.measure(exact)["rows_measured"] == 5
    wrong = exact + 1.0
    assert problem.measure(wrong)["max_abs_error"] == pytest.approx(1.0)
    assert problem.measure(exact, include=("all_rows",))["rows_measured"] == 17
    monkeypatch.setattr(attention, "REFERENCE_WEIGHTS", 17**2 - 1)
    large = made(order=3)
    assert large.measure(exact) == {"feasible": True, "rows_measured": 0}
    named = large.measure(wrong, include=("rel_fro_error",))
    assert named["rows_measured"] == 4
    assert named["max_abs_error"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"query": np.ones((4, 3, 2))}, "query"),
        ({"query": np.ones((0, 3))}, "query"),
        ({"query": [["a", "b", "c"]]}, "query"),
        ({"query": np.full((17, 3), np.nan)}, "query[0, 0]"),
        ({"keys": []}, "keys"),
        ({"keys": 3}, "keys"),
        ({"keys": [np.ones((17, 3)), np.ones((17, 3))]}, "values"),
        ({"keys": [np.ones((17, 2))]}, "keys[0]"),
        ({"keys": [np.ones((16, 3))]}, "keys[0]"),
        ({"values": [np.full((17, 4), np.inf)]}, "values[0][0, 0]"),
        ({"values": [np.ones((16, 4))]}, "values[0]"),
        ({"weights": "linear"}, "weights"),
        ({"weights": "power"}, "power"),
        ({"weights": "power", "power": 3}, "power"),
        ({"weights": "power", "power": 0}, "power"),
        ({"power": 2}, "power"),
        ({"scale": 0.0}, "scale"),
        ({"scale": -1.0}, "scale"),
        ({"floor": -1e-3}, "floor"),
        ({"arithmetic": "integer"}, "arithmetic"),
        ({"order": 3, "causal": True}, "causal"),
        ({"order": 3, "weights": "power", "power": 2}, "weights"),
        ({"weights": "power", "power": 2, "query": np.zeros((17, 3))}, "query[0]"),
    ],
)
def test_bad_fields_are_named(change, field):
    with pytest.raises(ProblemError) as refused:
        made(**change)
    assert refused.value.field == field
    assert refused.value.expected


def test_a_row_without_any_weight_is_named_or_zero():
    query = np.ones((3, 2))
    key = np.array([[1.0, -1.0], [1.0, 0.0], [0.0, 1.0]])  # the first is orthogonal to all queries
    fields = {"query": query, "keys": [key], "values": [np.ones((3, 2))], "weights": "power", "power": 2}
    with pytest.raises(ProblemError, match=r"query\[0\]"):
        AttentionOutput(**fields, causal=True)
    AttentionOutput(**fields)
    np.testing.assert_array_equal(AttentionOutput(**fields, causal=True, floor=1e-3).reference()[0], 0.0)


def test_the_first_causal_row_with_a_floor_is_its_value_over_one_plus_the_floor():
    problem = made(weights="power", power=4, causal=True, floor=1e-3)
    np.testing.assert_allclose(problem.reference()[0], problem.values[0][0] / (1 + 1e-3), rtol=1e-14)


def test_arrays_that_are_not_as_usual():
    rng = np.random.default_rng(0)
    wide = rng.standard_normal((8, 6))
    plain = AttentionOutput(query=wide[:, ::2], keys=wide[:, 1::2], values=wide.T[::3, :].T, scale=1.0)
    np.testing.assert_allclose(plain.reference(), brute(plain), rtol=1e-12)
    single = AttentionOutput(
        query=plain.query.astype(np.float32), keys=[plain.keys[0].astype(np.float16)], values=[[[1], [2]] * 4]
    )
    assert single.query.dtype == np.float32
    assert single.keys[0].dtype == single.values[0].dtype == np.float64
    assert single.scale == 3.0
    stacked = AttentionOutput(query=wide, keys=np.stack([wide, wide]), values=(wide, wide))
    assert stacked.order == 3
    with pytest.raises(ValueError, match="read-only"):
        stacked.keys[0][0, 0] = 1.0


@pytest.mark.parametrize("answer", [None, "x", np.ones((17, 3)), np.ones(17), np.array([[1j]]), [[1.0]]])
def test_answers_of_the_wrong_form(answer):
    with pytest.raises(AnswerError):
        made().measure(answer)


def test_files_and_processes(tmp_path):
    for problem in (made(order=3), made(weights="power", power=2, causal=True, arithmetic="polynomial", floor=0.1)):
        problem.write(tmp_path / "problem.npz")
        for back in (AttentionOutput.read(tmp_path / "problem.npz"), pickle.loads(pickle.dumps(problem))):
            assert (back.weights, back.power, back.scale) == (problem.weights, problem.power, problem.scale)
            assert (back.causal, back.floor, back.arithmetic) == (problem.causal, problem.floor, problem.arithmetic)
            for name in ("keys", "values"):
                for one, two in zip(getattr(back, name), getattr(problem, name), strict=True):
                    np.testing.assert_array_equal(one, two)
                    assert not one.flags.writeable
    with pytest.raises(ProblemError, match="npz"):
        made().write(tmp_path / "problem.txt")


def test_the_exact_solver():
    problem = made(order=3, size=3.0)
    solution = solvary.solve(problem, "exact-attention", threads=1)
    np.testing.assert_allclose(solution.answer, brute(problem), rtol=1e-12)
    with pytest.raises(NotAccepted, match="polynomial"):
        solvary.solve(made(arithmetic="polynomial"), "exact-attention")


def test_instances_are_what_they_say():
    uniform = random_uniform(n=30, d=5, e=2, bound=0.5, order=4)
    assert (uniform.order, uniform.query.shape, uniform.values[2].shape) == (4, (30, 5), (30, 2))
    assert 0.4 < np.abs(uniform.query).max() <= 0.5
    triple = planted_triple(n=40, bound=2.0, seed=3)
    i, j, k = planted_rows(n=40, seed=3)
    scores = np.einsum("il,jl,kl->ijk", triple.query, *triple.keys) / triple.scale
    assert scores[i, j, k] == pytest.approx(8.0)
    scores[i, j, k] = 0.0
    assert scores.max() < 0.3 * 8.0
    assert hard(n=100).bound == pytest.approx(np.log(100))
    real = digits(n=60)
    assert np.abs(real.query).max() == 1.0
    np.testing.assert_allclose(real.reference().sum(axis=1) <= 1, True)


def shifted(amount):
    def run(query, keys, values):
        scores = query @ keys[0].T
        return (scores * scores) @ values[0] * amount

    return run


def test_programs_are_measured_and_travel():
    problem = made(weights="power", power=2, arithmetic="polynomial")
    program = Program(f"{__name__}:shifted", {"amount": 0.5})
    measures = problem.measure(program)
    assert (measures["depth"], measures["range_violations"]) == (3, 0)
    n, d, e = 17, 3, 4
    assert measures["multiplications"] == n * n * d + n * n + n * n * e
    stored = problem.write_answer(program)
    again = problem.read_answer({name: np.asarray(part) for name, part in stored.items()})
    assert problem.measure(again) == measures
    assert problem.measure(pickle.loads(pickle.dumps(program))) == measures
    with pytest.raises(AnswerError, match="Program"):
        problem.measure(np.ones((n, e)))
    with pytest.raises(TypeError, match="live callable"):
        problem.write_answer(Program(lambda: None))
