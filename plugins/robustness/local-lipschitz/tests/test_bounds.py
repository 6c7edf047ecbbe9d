"""The bound against the exact constant of tiny networks, whatever they are made of.

The exact constant is computed from its definition: the inputs of every activation pattern are a polytope, and one linear
program tells whether it has an interior in the domain; there the Jacobian is a constant.
"""

import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

import solvary
from solvary_robustness import Activation, Conv2d, Dense, Flatten, LipschitzBound, Network, Residual

SHAPES = ["dense", "deep", "residual", "nested", "convolution", "ends-with-relu"]
INTERIOR = 1e-7


def affine(layers, at, pattern):
    """(matrix, offset) of what comes out when `at` goes in, and of the inputs of all activations on the way."""
    matrix, offset = at
    inputs = []
    for layer in layers:
        if isinstance(layer, Dense):
            matrix, offset = layer.weight @ matrix, layer.weight @ offset + layer.bias
        elif isinstance(layer, Activation):
            inputs.append((matrix, offset, next(pattern)))
            sign = inputs[-1][2]
            s = np.where(sign > 0, 1.0, layer.negative_slope)
            matrix, offset = s[:, None] * matrix, s * offset
        elif isinstance(layer, Residual):
            (inner, inner_offset), found = affine(layer.layers, (matrix, offset), pattern)
            matrix, offset, inputs = matrix + inner, offset + inner_offset, inputs + found
        else:
            raise AssertionError(layer)
    return (matrix, offset), inputs


def widths(network, layers=None, width=None):
    """Widths of the activations, in order."""
    found = []
    width = network.input_size if width is None else width
    for layer in network.layers if layers is None else layers:
        if isinstance(layer, Activation):
            found.append(width)
        elif isinstance(layer, Residual):
            found += widths(network, layer.layers, width)
        width = layer.width(width)
    return found


def has_interior(inputs, lo, hi):
    """Whether the pattern holds strictly at some input between `lo` and `hi`."""
    rows = np.concatenate([sign[:, None] * matrix for matrix, _, sign in inputs] or [np.zeros((0, len(lo)))])
    at = np.concatenate([sign * offset for _, offset, sign in inputs] or [np.zeros(0)])
    if not len(rows):
        return True
    program = linprog(
        np.append(np.zeros(len(lo)), -1.0),
        A_ub=np.column_stack([-rows, np.ones(len(rows))]),
        b_ub=at,
        bounds=[*zip(lo, hi, strict=True), (None, 1.0)],
        method="highs",
    )
    return program.status == 0 and -program.fun > INTERIOR


def jacobians(network, lo, hi):
    """The Jacobians of all patterns with an interior in the box of inputs."""
    lowered = network.lowered(dense=True)
    sizes = widths(lowered)
    d = network.input_size
    for signs in itertools.product((1.0, -1.0), repeat=sum(sizes)):
        pattern = iter(np.split(np.array(signs), np.cumsum(sizes)[:-1]))
        (jacobian, _), inputs = affine(lowered.layers, (np.eye(d), np.zeros(d)), pattern)
        if has_interior(inputs, lo, hi):
            yield jacobian


def norm(jacobian, kind):
    return np.abs(jacobian).sum(axis=1).max() if kind == "linf" else np.linalg.norm(jacobian, 2)


def exact(network, lo, hi, kind="linf"):
    """The largest norm, and the entrywise extremes of the Jacobians."""
    found = np.array(list(jacobians(network, lo, hi)))
    return max(norm(one, kind) for one in found), found.min(axis=0), found.max(axis=0)


def small_network(rng, shape, slope=0.0, bias=0.3):
    """`shape`: "dense", "deep", "residual", "nested", "convolution" or "ends-with-relu"; at most eight units."""

    def dense(i, o):
        return Dense(rng.standard_normal((o, i)), bias * rng.standard_normal(o))

    def act():
        return Activation("relu") if slope == 0.0 else Activation("leaky", slope)

    if shape == "dense":
        return Network([dense(3, 5), act(), dense(5, 2)])
    if shape == "deep":
        return Network([dense(2, 2), act(), dense(2, 3), act(), dense(3, 2), act(), dense(2, 2)])
    if shape == "residual":
        return Network([dense(2, 3), Residual([act(), dense(3, 3), act(), dense(3, 3)]), dense(3, 2)])
    if shape == "nested":
        inner = Residual([dense(2, 2), act(), dense(2, 2)])
        return Network([Residual([dense(2, 2), act(), inner]), act(), dense(2, 2)])
    if shape == "convolution":
        kernel = rng.standard_normal((2, 1, 2, 2))
        first = Conv2d(kernel, bias * rng.standard_normal(2), (1, 2), (0, 1), input_shape=(1, 2, 3))
        return Network([first, act(), Flatten(), dense(first.width(6), 2), act(), dense(2, 1)])
    return Network([dense(2, 3), act(), dense(3, 3), act()])


def bound(problem, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return solvary.solve(problem, "local-lipschitz", backend="cpu", trace="none", **options)


def random_problem(seed, shape, slope=0.0, eps=0.5, norm="linf", cut=False):
    rng = np.random.default_rng(seed)
    network = small_network(rng, shape, slope)
    center = rng.standard_normal(network.input_size)
    box = (center - 0.2, center + 5.0 * rng.random(network.input_size)) if cut else None
    return LipschitzBound(network=network, norm=norm, region=(center, eps), box=box)


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    shape=st.sampled_from(SHAPES),
    slope=st.sampled_from([0.0, 0.1, -0.5, 2.0]),
    eps=st.sampled_from([0.05, 0.5, 3.0]),
    cut=st.booleans(),
    norm=st.sampled_from(["linf", "l2"]),
)
def test_never_below_the_exact_constant(seed, shape, slope, eps, cut, norm):
    problem = random_problem(seed, shape, slope, eps, norm, cut)
    constant, smallest, largest = exact(problem.network, *problem.domain, norm)
    for relaxation in ("tight", "recurjac", "interval"):
        for forward in ("crown", "ibp"):
            answer = bound(problem, relaxation=relaxation, forward=forward).answer
            assert answer.value >= constant * (1 - 1e-12)
            assert (answer.certificate["jacobian_lower"] <= smallest + 1e-12).all()
            assert (answer.certificate["jacobian_upper"] >= largest - 1e-12).all()


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    shape=st.sampled_from(SHAPES),
    slope=st.sampled_from([0.0, 0.1, -0.5, 2.0]),
    cut=st.booleans(),
    heuristic=st.sampled_from(["area", "babsr"]),
    norm=st.sampled_from(["linf", "l2"]),
)
def test_branching_reaches_the_exact_constant(seed, shape, slope, cut, heuristic, norm):
    problem = random_problem(seed, shape, slope, 1.0, norm, cut)
    constant, _, _ = exact(problem.network, *problem.domain, norm)
    solution = bound(problem, branch=True, batch=4, heuristic=heuristic)
    assert solution.status is solvary.Status.CONVERGED
    assert solution.answer.value == pytest.approx(constant, rel=1e-6)
    assert solution.answer.value >= constant * (1 - 1e-12)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_point_has_the_jacobian_there(shape, dtype):
    problem = random_problem(3, shape, eps=0.0)
    jacobian = problem.network.jacobian(problem.region[0])
    answer = bound(problem, dtype=dtype).answer
    assert answer.value == pytest.approx(np.abs(jacobian).sum(axis=1).max(), rel=1e-7 if dtype == "float64" else 1e-3)
    assert (answer.certificate["jacobian_lower"] <= jacobian).all()
    assert (answer.certificate["jacobian_upper"] >= jacobian).all()


def test_a_kink_has_both_derivatives():
    network = Network([Dense([[2.0]], [0.0]), Activation("relu"), Dense([[3.0]], [0.0])])
    problem = LipschitzBound(network=network, norm="linf", region=([0.0], 0.0))
    for options in ({}, {"branch": True}):
        solution = bound(problem, **options)
        assert solution.status is solvary.Status.CONVERGED
        assert solution.answer.value == pytest.approx(6.0, rel=1e-8)
        assert solution.answer.certificate["jacobian_lower"][0, 0] == pytest.approx(0.0, abs=1e-7)


def test_float32_covers_its_rounding():
    for shape in SHAPES:
        problem = random_problem(11, shape, eps=0.4)
        constant, _, _ = exact(problem.network, *problem.domain)
        answer = bound(problem, dtype="float32").answer
        assert constant <= answer.value <= bound(problem).answer.value * 1.01


def test_a_dead_unit_costs_nothing():
    # Unit 1 sees no input at all: it is undecided, and nothing is to be split.
    network = Network([Dense([[1.0], [0.0]], [5.0, 0.0]), Activation("relu"), Dense([[1.0, 7.0]], [0.0])])
    solution = bound(LipschitzBound(network=network, norm="linf", region=([0.0], 1.0)), branch=True)
    assert solution.answer.value == pytest.approx(1.0, rel=1e-8)
    assert solution.report["undecided"] == 0
    assert solution.report["domains"] == 0


def test_dependence_between_layers_is_seen():
    # x = relu(x) - relu(-x): the derivative is 1 on both sides of the kink, and branching proves it.
    network = Network([Dense([[1.0], [-1.0]], [0.0, 0.0]), Activation("relu"), Dense([[1.0, -1.0]], [0.0])])
    problem = LipschitzBound(network=network, norm="linf", region=([0.0], 1.0))
    assert bound(problem).answer.value == pytest.approx(2.0, rel=1e-8)
    solution = bound(problem, branch=True)
    assert solution.answer.value == pytest.approx(1.0, rel=1e-8)
    assert solution.report["exact"]


def test_units_that_agree_are_split_together():
    # With z = x + 0.5: relu(z) + relu(z) - relu(-2 z) = 2 z.
    first = Dense([[1.0], [1.0], [-2.0], [3.0]], [0.5, 0.5, -1.0, 0.0])
    network = Network([first, Activation("relu"), Dense([[1.0, 1.0, -1.0, 0.0]])])
    problem = LipschitzBound(network=network, norm="linf", region=([-0.5], 1.0))
    solution = bound(problem, branch=True)
    assert solution.answer.value == pytest.approx(2.0, rel=1e-8)  # 2 x + 1 on both sides
    assert solution.report["exact"]


@pytest.mark.parametrize("scale", [1e-120, 1e-30, 1e30, 1e120])
def test_scales(scale):
    network = Network([Dense([[scale], [-scale]]), Activation("relu"), Dense([[1.0 / scale, 1.0 / scale]])])
    problem = LipschitzBound(network=network, norm="linf", region=([0.1], 1.0))
    assert bound(problem, branch=True).answer.value == pytest.approx(1.0, rel=1e-8)


def test_networks_without_activations_and_zero_networks():
    linear = Network([Dense([[1.0, -2.0], [0.5, 0.25]], [1.0, 2.0])])
    for branch in (False, True):
        solution = bound(LipschitzBound(network=linear, norm="linf", region=([0.0, 0.0], 1.0)), branch=branch)
        assert solution.answer.value == pytest.approx(3.0, rel=1e-8)
        assert solution.status is solvary.Status.CONVERGED
    zero = Network([Dense(np.zeros((3, 2))), Activation("relu"), Dense(np.zeros((1, 3)))])
    for norm in ("linf", "l2"):
        solution = bound(LipschitzBound(network=zero, norm=norm, region=([0.0, 0.0], 1.0)), branch=True)
        assert solution.answer.value == 0.0


def test_relaxations_are_nested_row_by_row():
    from solvary_robustness.instances import gaussian_net

    problem = gaussian_net((12, 16, 16, 16, 5), 0.1)
    rows = {
        name: np.array(bound(problem, relaxation=name).report["rows"]) for name in ("tight", "recurjac", "interval")
    }
    assert (rows["tight"] <= rows["recurjac"] * (1 + 1e-9)).all()
    assert (rows["recurjac"] <= rows["interval"] * (1 + 1e-9)).all()
    assert rows["tight"].max() < 0.5 * rows["interval"].max()


def test_optimised_slopes_and_linear_bounds_help():
    from solvary_robustness.instances import gaussian_net

    problem = gaussian_net((12, 16, 16, 16, 5), 0.2)
    values = [
        bound(problem, **options).answer.value
        for options in ({"forward": "ibp"}, {}, {"alpha_steps": 10})
    ]  # fmt: skip
    assert values[0] > values[1] > values[2]


def test_deterministic_and_monotone_in_the_trace():
    problem = random_problem(5, "deep", eps=1.0)
    first, second = (
        solvary.solve(problem, "local-lipschitz", backend="cpu", branch=True, batch=1, trace="all") for _ in range(2)
    )
    assert first.answer.value == second.answer.value
    values = [row["measured"]["value"] for row in first.trace]
    assert values == sorted(values, reverse=True)
    assert len(values) >= 3


def test_cuda_is_the_same(emulated_cuda):
    for shape in ("deep", "residual", "convolution"):
        problem = random_problem(8, shape, eps=0.7)
        for options in ({}, {"branch": True}):
            host = solvary.solve(problem, "local-lipschitz", backend="cpu", **options).answer
            other = solvary.solve(problem, "local-lipschitz", backend="cuda", **options).answer
            assert other.value == pytest.approx(host.value, rel=1e-12)
            assert isinstance(other.certificate["jacobian_lower"], np.ndarray)
