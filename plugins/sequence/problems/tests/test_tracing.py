"""What a program may do, and what it is charged for it."""

from __future__ import annotations

import numpy as np
import pytest

from solvary import AnswerError
from solvary_sequence import AttentionOutput, Program
from solvary_sequence.tracing import Counts, NotArithmetic, Traced, within


def traced(*shape):
    counts = Counts()
    rng = np.random.default_rng(0)
    return Traced(rng.standard_normal(shape), counts), Traced(rng.standard_normal(shape), counts), counts


def test_values_are_those_of_numpy():
    x, y, _ = traced(3, 3)
    plain = np.arange(9.0).reshape(3, 3)
    pairs = [
        (x + y, x.data + y.data),
        (1.0 - x, 1.0 - x.data),
        (plain - x, plain - x.data),
        (plain * x, plain * x.data),
        (x @ y.T, x.data @ y.data.T),
        (plain @ x, plain @ x.data),
        (-x[1:, None, 0], -x.data[1:, None, 0]),
        (x.sum(axis=1, keepdims=True) * y, x.data.sum(axis=1, keepdims=True) * y.data),
        (x.reshape(9).sum(), x.data.sum()),
        (x.transpose(1, 0) + np.float64(2), x.data.T + 2),
    ]
    for found, expected in pairs:
        np.testing.assert_allclose(found.data, expected)


def test_depth_is_the_longest_chain_of_products_of_data():
    x, y, counts = traced(4)
    assert (x * 3.0 + np.ones(4) * y).depth == 0
    assert counts.multiplications == 0
    square = x * x
    fourth = square * square
    assert ((fourth + y) * y).depth == 3
    assert counts.multiplications == 3 * 4
    assert (fourth - y).depth == 2


def test_products_of_matrices_count_every_multiplication():
    x, _, counts = traced(2, 5)
    assert (x @ x.T).depth == 1
    assert counts.multiplications == 2 * 5 * 2


@pytest.mark.parametrize(
    "do",
    [
        lambda x: x / 2.0,
        lambda x: 1.0 / x,
        lambda x: x**2,
        lambda x: 2**x,
        abs,
        bool,
        lambda x: x > 0,
        lambda x: x == 0,
        lambda x: max(x[0], x[1]),
        np.exp,
        np.maximum.reduce,
        np.asarray,
        np.sum,
        float,
        lambda x: x.max(),
        lambda x: x + "a",
        lambda x: x // 2,
    ],
)
def test_anything_else_is_refused(do):
    x, _, _ = traced(4)
    with pytest.raises(TypeError):
        do(x)


def test_a_program_that_divides_is_no_answer():
    rng = np.random.default_rng(0)
    q, k, v = rng.standard_normal((3, 5, 2))
    problem = AttentionOutput(query=q, keys=[k], values=[v], weights="power", power=2, arithmetic="polynomial")

    def divide():
        return lambda query, keys, values: values[0] / query

    def constant():
        return lambda query, keys, values: np.ones((5, 2))

    def wrong_shape():
        return lambda query, keys, values: values[0].T

    for factory, words in ((divide, "division"), (constant, "ndarray"), (wrong_shape, "shape")):
        with pytest.raises(AnswerError, match=words):
            problem.measure(Program(factory))


def test_inputs_outside_their_range_are_counted():
    counts = Counts()
    x = Traced(np.array([-1.0, 0.0, 0.5, 2.0, np.nan]), counts)
    assert within(x, -0.5, 1.0, "inverse") is x
    assert counts.range_violations == 3
    within(Traced(np.array([0.0, 3.0]), counts), 0.0, 3.0)
    assert counts.range_violations == 3
    plain = np.ones(2)
    assert within(plain, 5.0, 6.0) is plain
    with pytest.raises(NotArithmetic):
        x.clip(0, 1)
