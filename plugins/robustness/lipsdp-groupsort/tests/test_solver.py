"""The solver through the registry: known constants, soundness on random networks, agreement of the methods."""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import solvary
from solvary import OptionError, ProblemError, Status
from solvary_robustness import lmi
from solvary_robustness.lipschitz import LipschitzBound
from solvary_robustness.network import Activation, Conv2d, Dense, GroupSort, Householder, Network, Residual

ID = "lipsdp-groupsort"
# Measuring costs more than solving here; on small matrices threads only wait for each other.
solve = partial(solvary.solve, solver=ID, threads=1, trace="none")
NORMS = pytest.mark.parametrize("norm", ["l2", "linf"])


def bound(layers, norm="l2", **options):
    return solve(LipschitzBound(network=Network(layers), norm=norm), **options)


def value(layers, norm="l2", **options):
    """The bound alone: to measure it costs more than to find it."""
    problem = LipschitzBound(network=Network(layers), norm=norm)
    run = solvary.iterate(problem, ID, threads=1, trace="none", **options)
    answers = [iterate.answer for iterate in run]
    return answers[-1].value


def gaussian(rng, o, i):
    return Dense(rng.standard_normal((o, i)) / np.sqrt(i))


def reflections(rng, groups, size):
    vectors = rng.standard_normal((groups, size))
    return Householder(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def maxmin(dims, seed=0, size=2):
    rng = np.random.default_rng(seed)
    layers = []
    for i, o in itertools.pairwise(dims):
        layers += [gaussian(rng, o, i), GroupSort(size)]
    return layers[:-1]


def orthogonal(rng, n):
    return Dense(np.linalg.qr(rng.standard_normal((n, n)))[0])


@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_sorting_between_identities_has_the_constant_one(size):
    value = bound([Dense(np.eye(6)), GroupSort(size), Dense(np.eye(6))]).answer.value
    assert 1.0 <= value <= 1.0 + 1e-6


def test_outputs_of_equal_bounds_in_linf_converge():
    solution = bound([Dense(np.eye(4)), GroupSort(2), Dense(np.eye(4))], "linf")
    assert solution.status is Status.CONVERGED
    assert solution.answer.value == pytest.approx(1.0, rel=1e-6)


def test_orthogonal_layers_have_the_constant_one():
    rng = np.random.default_rng(0)
    deep = [
        orthogonal(rng, 6),
        GroupSort(2),
        orthogonal(rng, 6),
        reflections(rng, 2, 3),
        orthogonal(rng, 6),
        GroupSort(3),
    ]
    assert bound([*deep, orthogonal(rng, 6)]).answer.value == pytest.approx(1.0, rel=2e-6)


@NORMS
def test_without_an_activation_the_bound_is_the_norm(norm):
    weight = np.random.default_rng(0).standard_normal((3, 5))
    solution = bound([Dense(weight), Activation("identity"), Dense(2 * np.eye(3))], norm)
    expected = 2 * (np.linalg.norm(weight, 2) if norm == "l2" else np.abs(weight).sum(axis=1).max())
    assert solution.answer.value == pytest.approx(expected, rel=1e-10)
    assert solution.measures["feasible"]


@NORMS
def test_a_zero_last_layer_has_the_constant_zero_with_a_certificate(norm):
    solution = bound([*maxmin((3, 4)), GroupSort(2), Dense(np.zeros((2, 4)))], norm)
    assert solution.answer.value == 0.0
    assert solution.measures["lmi_residual"] == 0.0
    assert solution.measures["feasible"]


def test_a_zero_layer_further_inside():
    assert bound([Dense(np.zeros((4, 3))), GroupSort(2), Dense(np.eye(4))]).answer.value == 0.0


@NORMS
@pytest.mark.parametrize("factor", [1e-30, 1e-6, 1e30])
def test_scaling_a_layer_scales_the_bound(norm, factor):
    first, sort, last = maxmin((3, 4, 2))
    value = bound([first, sort, last], norm).answer.value
    scaled = bound([Dense(factor * first.weight), sort, last], norm)
    assert scaled.answer.value == pytest.approx(factor * value, rel=1e-6)
    assert scaled.measures["feasible"]


@pytest.mark.filterwarnings("ignore:overflow")
def test_numbers_whose_squares_are_not_representable_still_have_a_bound():
    solution = bound([Dense(1e200 * np.eye(4)), GroupSort(2), Dense(np.eye(4))])
    assert solution.answer.value == pytest.approx(1e200, rel=1e-6)
    assert solution.answer.certificate is None


def test_linf_of_the_largest_entry_falls_back_to_the_product_of_row_sums():
    solution = bound([Dense(np.eye(8)), GroupSort(8), Dense(np.eye(1, 8))], "linf")
    assert solution.answer.value == pytest.approx(1.0)
    assert solution.report["program"] > 1.5


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([Dense([[2.0]]), Activation("relu"), Dense([[-3.0]])], 6.0),
        ([Dense([[2.0]]), Householder([[1.0]]), Dense([[-3.0]])], 6.0),
        ([Dense(np.eye(4)), Activation("leaky", -1.5)], 1.5),
        ([GroupSort(2), Dense(np.diag([1.0, 2.0, 3.0, 3.0])), GroupSort(2)], 3.0),
        ([Dense(np.ones((6, 6))), GroupSort(2), Dense(np.eye(6))], 6.0),
        ([Residual((Dense(np.eye(2)), Activation("relu")))], 2.0),
        ([Dense(np.ones((2, 4))[:, ::2].astype(np.float32)), GroupSort(2)], 2.0),
    ],
)
def test_small_and_degenerate_networks(layers, expected):
    solution = bound(layers)
    assert solution.answer.value == pytest.approx(expected, rel=2e-6)
    assert solution.measures["feasible"]


@pytest.mark.parametrize(
    ("kind", "norm"),
    [("groupsort", "l2"), ("householder", "linf"), ("relu", "l2"), ("residual", "linf"), ("mixed", "l2")],
)
def test_the_three_methods_agree(kind, norm):
    pytest.importorskip("cvxpy")
    rng = np.random.default_rng(1)
    layers = {
        "groupsort": lambda: maxmin((4, 6, 1), size=3),
        "householder": lambda: [gaussian(rng, 6, 4), reflections(rng, 3, 2), gaussian(rng, 1, 6)],
        "relu": lambda: [
            gaussian(rng, 5, 3),
            Activation("relu"),
            gaussian(rng, 4, 5),
            Activation("leaky"),
            gaussian(rng, 1, 4),
        ],
        "residual": lambda: [Residual((gaussian(rng, 4, 3), GroupSort(2), gaussian(rng, 3, 4))), gaussian(rng, 1, 3)],
        "mixed": lambda: [
            gaussian(rng, 4, 3),
            GroupSort(2),
            gaussian(rng, 4, 4),
            Activation("relu"),
            gaussian(rng, 1, 4),
        ],
    }[kind]()
    values = {
        method: value(layers, norm, method=method, tolerance=tolerance)
        for method, tolerance in (("barrier", 1e-6), ("first-order", 1e-3), ("cvxpy", 1e-6))
    }
    assert values["first-order"] == pytest.approx(values["barrier"], rel=1e-3)
    assert values["cvxpy"] == pytest.approx(values["barrier"], rel=1e-3)
    # Nothing below the optimum, which the barrier's gap brackets.
    assert min(values.values()) >= values["barrier"] * (1 - 1e-6)


def test_both_ways_to_write_gamma_are_certificates_of_one_bound():
    layers = maxmin((4, 6, 2))
    without, with_gamma = (bound(layers, drop_gamma=drop) for drop in (True, False))
    assert without.answer.value == pytest.approx(with_gamma.answer.value, rel=1e-9)
    assert not without.answer.certificate["gam.0"].any()
    assert with_gamma.answer.certificate["gam.0"].any()
    assert with_gamma.measures["feasible"]


def test_without_repair_the_bound_is_that_of_the_program():
    layers = maxmin((4, 6, 2))
    repaired, raw = bound(layers), bound(layers, repair=False)
    assert raw.answer.value <= repaired.answer.value <= raw.answer.value * (1 + 1e-6)


@NORMS
def test_every_iterate_is_a_proved_bound(norm):
    network = Network(maxmin((3, 4, 4, 2)))
    problem = LipschitzBound(network=network, norm=norm)
    values = []
    for iterate in solvary.iterate(problem, ID, threads=1, trace="none"):
        answer = iterate.answer
        assert lmi.check(network, norm, answer.certificate).residual <= 1e-9
        values.append(answer.value)
    assert min(values) == pytest.approx(values[-1], rel=1e-6)


def test_stopped_after_a_step_the_bound_holds_and_says_that_it_can_be_better():
    problem = LipschitzBound(network=Network(maxmin((4, 6, 2))))
    stopped, whole = solve(problem, max_iterations=1), solve(problem)
    assert stopped.status is Status.LIMIT_ITERATIONS
    assert stopped.measures["feasible"]
    assert stopped.answer.value > whole.answer.value * 1.01
    capped = solve(problem, method="first-order", tolerance=1e-9, max_iterations=2)
    assert capped.status is Status.LIMIT_ITERATIONS


def test_splitting_the_network_is_looser_than_the_whole_and_below_the_product():
    layers = maxmin((4, 6, 6, 6, 2))
    whole, parts = bound(layers), bound(layers, per_layer=True)
    assert whole.answer.value < parts.answer.value < parts.measures["product_bound"]
    assert parts.report["parts"] == 2
    assert parts.answer.certificate is None
    blocks = [Residual((Dense(np.eye(4)), GroupSort(2))), *maxmin((4, 4, 4))]
    assert bound(blocks, per_layer=True).measures["feasible"]


def test_a_convolution_is_bounded_like_its_matrix():
    rng = np.random.default_rng(0)
    conv = Conv2d(rng.standard_normal((2, 1, 2, 2)), input_shape=(1, 3, 3))
    last = gaussian(rng, 2, 8)
    solution = bound([conv, GroupSort(2), last])
    assert solution.answer.value == pytest.approx(bound([conv.lowered(), GroupSort(2), last]).answer.value, rel=1e-9)
    assert solution.measures["feasible"]


def test_wide_inputs_are_reduced_to_what_the_first_layer_sees():
    rng = np.random.default_rng(0)
    layers = [gaussian(rng, 4, 50), GroupSort(2), gaussian(rng, 2, 4)]
    solution = bound(layers)
    assert solution.report["order"] == 6
    assert solution.measures["feasible"]


def test_a_region_is_ignored_with_a_warning():
    network = Network(maxmin((3, 4, 2)))
    with pytest.warns(UserWarning, match="region is ignored"):
        local = solve(LipschitzBound(network=network, region=(np.zeros(3), 0.1)))
    assert local.answer.value == solve(LipschitzBound(network=network)).answer.value


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Network([Dense(np.eye(4)), GroupSort(3)]), "group size 3 does not divide the width 4"),
        (lambda: Householder([[1.0, 1.0]]), "Householder.vectors"),
        (lambda: Dense(np.full((2, 2), np.nan)), "not finite"),
        (lambda: Dense(np.zeros((0, 2))), "width 0"),
    ],
)
def test_networks_that_are_none_are_refused(make, words):
    with pytest.raises(ProblemError, match=words):
        make()


@pytest.mark.parametrize("options", [{"method": "simplex"}, {"tolerance": 0.0}, {"max_iterations": 0}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(OptionError, match=next(iter(options))):
        bound(maxmin((3, 4, 2)), **options)


def test_cvxpy_that_is_missing_is_said(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(OptionError, match="not installed"):
        bound(maxmin((3, 4, 2)), method="cvxpy")


@st.composite
def networks(draw):
    """Small chains of all layers, with weights of very different sizes."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    width = draw(st.sampled_from([2, 4]))
    layers = [Dense(rng.standard_normal((width, draw(st.integers(1, 3)))) * 10.0 ** draw(st.integers(-3, 3)))]
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["maxmin", "whole", "householder", "relu", "residual", "repeated"]))
        if kind == "maxmin":
            layers.append(GroupSort(2))
        elif kind == "whole":
            layers.append(GroupSort(width))
        elif kind == "householder":
            layers.append(reflections(rng, width // 2, 2))
        elif kind == "relu":
            layers.append(Activation("leaky", draw(st.sampled_from([0.0, 0.1, -0.5]))))
        elif kind == "residual":
            layers.append(Residual((gaussian(rng, 4, width), GroupSort(2), gaussian(rng, width, 4))))
        else:
            layers += [Dense(np.repeat(rng.standard_normal((width // 2, width)), 2, axis=0)), GroupSort(2)]
        layers.append(gaussian(rng, width, width))
    return Network([*layers, gaussian(rng, draw(st.integers(1, 2)), width)])


@settings(max_examples=400, deadline=None)
@given(networks(), st.sampled_from(["l2", "linf"]), st.sampled_from([1, 3, 100]), st.integers(0, 1000))
def test_no_pair_of_inputs_is_further_apart_than_the_bound_says(network, norm, steps, seed):
    run = solvary.iterate(LipschitzBound(network=network, norm=norm), ID, threads=1, trace="none")
    answer = None
    for count, iterate in enumerate(run, 1):
        answer = iterate.answer
        if count == steps:
            break
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((500, network.input_size)) * rng.choice([0.01, 1.0, 100.0], (500, 1))
    y = x + rng.choice([-1.0, 1.0], x.shape) * rng.choice([1e-3, 1.0], (500, 1)) * rng.random(x.shape) ** 0.1
    order = 2 if norm == "l2" else np.inf
    moved = np.linalg.norm(network(y) - network(x), ord=order, axis=1)
    quotient = float((moved / np.linalg.norm(y - x, ord=order, axis=1)).max())
    assert answer.value >= quotient * (1 - 1e-9) >= 0
    if answer.certificate is not None:
        proof = lmi.check(network, norm, answer.certificate)
        assert proof.residual <= 1e-9
        assert answer.value >= proof.value * (1 - 1e-12)
