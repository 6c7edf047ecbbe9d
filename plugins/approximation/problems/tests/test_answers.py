"""Programs, splines and networks compute what they say, and what is not needed is taken away."""

import contextlib
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import CubicSpline

from solvary import AnswerError
from solvary_approximation import Program, RidgeNetwork, Spline, cost, not_a_knot, simplify, source
from solvary_approximation.answers import OPERATIONS, from_arrays, to_arrays
from solvary_approximation.interpreter import encode, evaluate
from solvary_backend_simd.assembly import packed_instructions

X = np.linspace(0.1, 1.0, 37)


@st.composite
def programs(draw):
    constants = draw(st.lists(st.sampled_from([0.0, 1.0, -2.0, 0.5, 3.25]), max_size=3))
    code = []
    for i in range(draw(st.integers(0, 7))):
        name = draw(st.sampled_from(sorted(OPERATIONS)))
        values = st.integers(0, len(constants) + i)
        code.append((name, *(draw(values) for _ in range(OPERATIONS[name]))))
    return Program(code, constants)


@settings(max_examples=60, deadline=None)
@given(programs())
def test_simplified_programs_compute_the_same_with_no_more_operations(program):
    simpler = simplify(program)
    assert simpler.operations == cost(program) <= program.operations
    before, after = program(X), simpler(X)
    good = np.isfinite(before) & (np.abs(before) < 1e6)
    np.testing.assert_allclose(after[good], before[good], rtol=1e-9, atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(programs())
def test_the_interpreter_and_the_text_agree_with_the_program(program):
    names = {}
    exec(source(program), names)
    constants = np.zeros((1, max(1, program.constants.size)))
    constants[0, : program.constants.size] = program.constants
    table = encode(program, max(1, program.operations))[None]
    with np.errstate(all="ignore"):
        found = evaluate(table, np.array([program.operations]), constants, np.array([program.constants.size]), X)[0]
        expected = program(X)
        if program.constants.size == 0 or np.isfinite(expected).all():
            # Constants are Python's numbers in the text, and these raise where float64 has an infinity or NaN.
            with contextlib.suppress(ZeroDivisionError):
                np.testing.assert_allclose(np.broadcast_to(names["f"](X), X.shape), expected, rtol=1e-12)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_the_interpreter_is_vectorised_over_the_points():
    evaluate(np.zeros((1, 1, 4), dtype=np.int64), np.array([1]), np.zeros((1, 1)), np.array([0]), X)
    assert packed_instructions(evaluate)["pd"] > 0


def test_the_c_text_compiles_and_agrees(tmp_path):
    from shutil import which

    if which("cc") is None:
        pytest.skip("no C compiler")
    program = Program((("fma", 0, 0, 1), ("div", 3, 2)), [0.25, 3.0])
    text = "#include <math.h>\n#include <stdio.h>\n" + source(program, "c99")
    (tmp_path / "f.c").write_text(text + 'int main(void) { printf("%.17g", f(0.7)); return 0; }\n')
    subprocess.run(["cc", "-std=c99", "f.c", "-o", "f", "-lm"], cwd=tmp_path, check=True)
    printed = subprocess.run([str(tmp_path / "f")], capture_output=True, text=True, check=True).stdout
    assert float(printed) == pytest.approx((0.7 * 0.7 + 0.25) / 3.0, rel=1e-15)


def test_the_single_precision_c_text_agrees_to_the_bit(tmp_path):
    from shutil import which

    if which("cc") is None:
        pytest.skip("no C compiler")
    program = Program((("fma", 0, 1, 2), ("fma", 3, 0, 2), ("div", 4, 1)), np.float32([0.3, 1.7]).astype(np.float64))
    loop = 'for (int i = 0; i < 100; i++) printf("%.9g\\n", f(i / 128.0f));'
    text = f"#include <math.h>\n#include <stdio.h>\n{source(program, 'c99', single=True)}int main(void) {{ {loop} }}\n"
    (tmp_path / "f.c").write_text(text)
    subprocess.run(["cc", "-std=c99", "-ffp-contract=off", "f.c", "-o", "f", "-lm"], cwd=tmp_path, check=True)
    printed = subprocess.run([str(tmp_path / "f")], capture_output=True, text=True, check=True).stdout.split()
    np.testing.assert_array_equal(np.float32(printed), program(np.arange(100, dtype=np.float32) / np.float32(128)))


def test_a_fused_multiply_add_in_float32_is_rounded_once():
    """(1 + e)^2 - (1 + 2 e) is e^2; a product rounded on its own would lose it."""
    e = 2.0**-12
    program = Program((("fma", 0, 0, 1),), [-(1 + 2 * e)])
    x = np.array([1 + e], dtype=np.float32)
    assert program(x)[0] == e * e
    table, constants = encode(program)[None], program.constants[None].astype(np.float32)
    assert evaluate(table, np.array([1]), constants, np.array([1]), x)[0, 0] == e * e


@pytest.mark.parametrize(
    ("code", "constants", "operations"),
    [
        ((("mul", 0, 0), ("mul", 0, 0), ("add", 1, 2)), [], 2),  # one square is enough
        ((("sub", 0, 0), ("add", 1, 0)), [], 0),  # x - x is 0, and x + 0 is x
        ((("mul", 1, 2), ("add", 0, 3)), [2.0, 3.0], 1),  # constants are folded
        ((("div", 0, 1), ("add", 0, 1)), [2.0], 1),  # the quotient is dead
        ((("mul", 0, 1), ("div", 0, 2)), [0.0, 1.0], 0),
    ],
)
def test_costs_by_hand(code, constants, operations):
    assert cost(Program(code, constants)) == operations


def test_float32_programs_compute_every_step_in_float32():
    program = Program((("add", 0, 1), ("sub", 2, 1)), [2.0**24])
    assert program(np.array([1.0], dtype=np.float32))[0] == 0.0
    assert program(np.array([1.0]))[0] == 1.0


def test_splines_agree_with_scipy():
    knots = np.sort(np.random.default_rng(0).random(9))
    spline, reference = not_a_knot(knots, np.sin(5 * knots)), CubicSpline(knots, np.sin(5 * knots))
    x = np.linspace(knots[0], knots[-1], 100)
    np.testing.assert_allclose(spline(x), reference(x), rtol=1e-13, atol=1e-13)


def test_networks_sum_their_units():
    rng = np.random.default_rng(0)
    a, b, c, x = rng.normal(size=(4, 2)), rng.normal(size=4), rng.normal(size=4), rng.normal(size=(5, 2))
    expected = [sum(c[i] * np.tanh(a[i] @ point - b[i]) for i in range(4)) for point in x]
    np.testing.assert_allclose(RidgeNetwork(a, b, c, "tanh")(x), expected, rtol=1e-13)


@pytest.mark.parametrize(
    "answer",
    [
        Program((("fma", 0, 1, 0),), [2.0]),
        Spline([0.0, 1.0, 3.0], np.arange(8.0).reshape(4, 2)),
        RidgeNetwork([[1.0]], [0.5], [2.0], "relu"),
    ],
)
def test_answers_survive_arrays(answer):
    again = from_arrays(to_arrays(answer))
    np.testing.assert_array_equal(again(X), answer(X))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Program((("add", 0, 1),)), "code"),
        (lambda: Program((("power", 0, 0),)), "code"),
        (lambda: Program((), [np.nan]), "constants"),
        (lambda: Spline([1.0, 0.0], np.zeros((4, 1))), "knots"),
        (lambda: Spline([0.0, 1.0], np.zeros((3, 1))), "coefficients"),
        (lambda: RidgeNetwork([[1.0]], [0.0, 1.0], [1.0]), "b"),
        (lambda: RidgeNetwork([[1.0]], [0.0], [1.0], "sigmoid?"), "activation"),
    ],
)
def test_bad_answers_are_refused(make, words):
    with pytest.raises(AnswerError, match=words):
        make()
