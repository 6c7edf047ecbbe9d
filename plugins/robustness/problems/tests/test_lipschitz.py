import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import solvary
from solvary import AnswerError, ProblemError
from solvary_robustness import (
    Activation,
    Bound,
    Dense,
    GroupSort,
    Householder,
    LipschitzBound,
    MaxMin,
    Network,
    Residual,
    instances,
)
from solvary_robustness.jacobians import jacobian_norms

RELU = Activation("relu")


def _norm(matrix, norm):
    return np.linalg.norm(matrix, 2 if norm == "l2" else np.inf)


def _relu_net(rng, dims, bias=0.5):
    layers = []
    for fan_in, out in itertools.pairwise(dims):
        layers += [Dense(rng.standard_normal((out, fan_in)), bias * rng.standard_normal(out)), RELU]
    return Network(layers[:-1])


def test_a_linear_network_has_the_norm_of_its_matrix():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((5, 4)), rng.standard_normal((3, 5))
    for norm in ("l2", "linf"):
        problem = LipschitzBound(network=Network([Dense(a), Activation("identity"), Dense(b)]), norm=norm)
        assert problem.lower == pytest.approx(_norm(b @ a, norm), rel=1e-12)
        assert problem.searched.exact


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000), norm=st.sampled_from(["l2", "linf"]))
def test_lower_is_the_maximum_over_patterns_seen_on_a_fine_grid(seed, norm):
    rng = np.random.default_rng(seed)
    network = _relu_net(rng, (2, 5, 4, 2))
    lo = -rng.random(2)
    hi = lo + 1.5 * rng.random(2) + 0.1
    axes = [np.linspace(a, b, 152)[1:-1] for a, b in zip(lo, hi, strict=True)]
    grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    W1, W2, W3 = (layer.weight for layer in network.layers[::2])
    inputs = network.inputs(grid)
    patterns = np.unique(np.concatenate([inputs[1] > 0, inputs[3] > 0], axis=1), axis=0)
    norms = [_norm(W3 @ (p[5:, None] * W2) @ (p[:5, None] * W1), norm) for p in patterns]
    problem = LipschitzBound(network=network, norm=norm, box=(lo, hi))
    assert problem.searched.exact
    # The grid may miss a cell thinner than its spacing, and then finds less.
    assert problem.lower >= max(norms) * (1 - 1e-12)
    jacobians = network.jacobian(np.array(lo) + (np.array(hi) - lo) * rng.random((5_000, 2)))
    assert problem.lower >= jacobian_norms(jacobians, norm).max() * (1 - 1e-12)
    assert problem.lower <= problem.product_bound * (1 + 1e-12)


def test_every_pattern_of_a_global_one_dimensional_network():
    """Slopes of a piecewise linear function of one variable, from its sorted kinks."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        w, b, v = rng.standard_normal(12), 1e-3 * rng.standard_normal(12), rng.standard_normal(12)
        problem = LipschitzBound(network=Network([Dense(w[:, None], b), RELU, Dense(v[None])]))
        kinks = np.sort(-b / w)
        middles = np.concatenate([[kinks[0] - 1], (kinks[1:] + kinks[:-1]) / 2, [kinks[-1] + 1]])
        slopes = [abs((v * w)[(w * x + b) > 0].sum()) for x in middles]
        assert problem.lower == pytest.approx(max(slopes), rel=1e-12)


def _absolute(offset=0.0):
    """|x - offset| of one variable."""
    return Network([Dense([[1.0], [-1.0]], [-offset, offset]), RELU, Dense([[1.0, 1.0]])])


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_clarke_set_at_a_kink(norm):
    at_kink = LipschitzBound(network=_absolute(0.3), norm=norm, region=([0.3], 0.0))
    assert at_kink.lower == pytest.approx(1.0)
    # x = relu(x) - relu(-x): a pattern of both units off has Jacobian 0, but no point near has it.
    line = Network([Dense([[1.0], [-1.0]]), RELU, Dense([[1.0, -1.0]])])
    assert LipschitzBound(network=line, norm=norm, region=([0.0], 0.0)).lower == pytest.approx(1.0)
    # 5 (x + 9) - 5 relu(x) + 5 relu(-x) is constant: both off would have slope 5.
    flat = Network([Dense([[1.0], [1.0], [-1.0]], [9.0, 0.0, 0.0]), RELU, Dense([[5.0, -5.0, 5.0]])])
    for eps in (0.0, 0.5):
        problem = LipschitzBound(network=flat, norm=norm, region=([0.0], eps))
        assert problem.lower == pytest.approx(0.0, abs=1e-12)
        assert problem.measure(Bound(0.0)).get("violation") <= 1e-12


def test_a_kink_on_the_face_of_the_region_is_outside():
    ramp = Network([Dense([[1.0]]), RELU])
    assert LipschitzBound(network=ramp, region=([-1.0], 1.0)).lower == 0.0
    assert LipschitzBound(network=ramp, region=([0.0], 1.0), box=(-1.0, 0.0)).lower == 0.0
    assert LipschitzBound(network=ramp, region=([-1.0], 1.001)).lower == 1.0


def test_a_fixed_coordinate_counts_in_the_jacobian():
    network = Network([Dense([[1.0, 1.0]]), RELU])
    problem = LipschitzBound(network=network, region=([0.0, 0.0], 1.0), box=([-1.0, 0.0], [1.0, 0.0]))
    assert problem.lower == pytest.approx(np.sqrt(2.0))
    kink = Network([Dense([[0.0, 1.0], [0.0, -1.0]]), RELU, Dense([[1.0, 3.0]])])
    problem = LipschitzBound(network=kink, region=([0.0, 0.0], 1.0), box=([-1.0, 0.0], [1.0, 0.0]))
    assert problem.lower == pytest.approx(3.0)


def test_a_kink_inside_the_region_is_found_however_small_its_cell():
    spike = Network([Dense([[1.0]], [-0.99999]), RELU, Dense([[100.0]])])
    problem = LipschitzBound(network=spike, region=([0.5], 0.5))
    assert problem.lower == 100.0


def test_leaky_and_residual_networks_are_enumerated():
    rng = np.random.default_rng(3)
    w, v = rng.standard_normal((4, 2)), rng.standard_normal((2, 4))
    for slope in (0.2, -0.5, 3.0):
        block = Residual([Dense(w, 0.1 * rng.standard_normal(4)), Activation("leaky", slope), Dense(v)])
        problem = LipschitzBound(network=Network([Dense(np.eye(2)), block]), region=([0.0, 0.0], 2.0))
        x = 4.0 * rng.random((20_000, 2)) - 2.0
        norms = jacobian_norms(problem.network.jacobian(x), "l2")
        assert problem.searched.exact
        assert problem.lower == pytest.approx(norms.max(), rel=1e-12)


@pytest.mark.parametrize("layer", [MaxMin(), GroupSort(4), Householder(np.full((2, 4), 0.5))], ids=repr)
def test_grouped_activations_are_found_by_sampling(layer):
    rng = np.random.default_rng(0)
    network = Network(
        [Dense(rng.standard_normal((8, 3)), rng.standard_normal(8)), layer, Dense(rng.standard_normal((1, 8)))]
    )
    problem = LipschitzBound(network=network)
    norms = jacobian_norms(network.jacobian(5 * np.random.default_rng(9).standard_normal((100_000, 3))), "l2")
    assert not problem.searched.exact
    assert norms.max() * (1 - 1e-12) <= problem.lower <= problem.product_bound


def test_orthogonal_groupsort_network_has_constant_one():
    q, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((6, 6)))
    problem = LipschitzBound(network=Network([Dense(q), GroupSort(3), Dense(q.T), MaxMin(), Dense(q)]))
    assert problem.lower == pytest.approx(1.0, rel=1e-12)
    assert solvary.solve(problem, "norm-product").answer.value == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_norm_product_is_feasible_and_the_product(norm):
    rng = np.random.default_rng(0)
    network = _relu_net(rng, (3, 6, 5, 2))
    problem = LipschitzBound(network=network, norm=norm, region=(np.zeros(3), 0.1))
    solution = solvary.solve(problem, "norm-product")
    expected = np.prod([_norm(layer.weight, norm) for layer in network.layers[::2]])
    assert solution.measures["value"] == pytest.approx(expected, rel=1e-12)
    assert solution.measures["feasible"]
    assert solution.measures["product_ratio"] == 1.0
    assert solution.measures["ratio"] >= 1.0


def test_an_unsound_value_is_measured_as_such():
    problem = LipschitzBound(network=_absolute(), norm="linf")
    figures = problem.measure(Bound(0.9))
    assert figures["violation"] == pytest.approx(0.1)
    assert not figures["feasible"]
    assert problem.measure(Bound(1.0))["feasible"]
    assert not problem.measure(Bound(float("nan")))["feasible"]
    assert not problem.measure(Bound(float("inf")))["feasible"]


def test_interval_certificates_are_checked():
    problem = LipschitzBound(network=_absolute(), norm="linf", region=([0.0], 1.0))
    good = {"jacobian_lower": [[-1.0]], "jacobian_upper": [[1.0]]}
    assert problem.measure(Bound(1.0, good))["feasible"]
    figures = problem.measure(Bound(1.0, {**good, "jacobian_lower": [[-0.5]]}))
    assert figures["interval_violation"] == pytest.approx(0.5)
    assert not figures["feasible"]
    with pytest.raises(AnswerError, match="jacobian_upper"):
        problem.measure(Bound(1.0, {"jacobian_lower": [[-1.0]]}))


def test_the_domain_is_the_ball_cut_with_the_box():
    network = Network([Dense(np.ones((1, 3)))])
    problem = LipschitzBound(network=network, region=(np.array([0.0, 0.5, 1.0], dtype=np.float32), 0.25), box=(0, 1))
    np.testing.assert_allclose(problem.domain, [[0.0, 0.25, 0.75], [0.25, 0.75, 1.0]])
    assert LipschitzBound(network=network).domain is None
    np.testing.assert_array_equal(LipschitzBound(network=network, box=(0, 1)).domain, [[0, 0, 0], [1, 1, 1]])
    half = LipschitzBound(network=network, box=(0.0, np.inf))
    assert half.lower == pytest.approx(np.sqrt(3))


def test_it_goes_to_another_process():
    problem = instances.conv_net()
    back = pickle.loads(pickle.dumps(problem))
    np.testing.assert_array_equal(back.domain, problem.domain)
    assert back.product_bound == problem.product_bound
    assert not back.network.layers[0].weight.flags.writeable


NET = Network([Dense(np.ones((2, 3)))])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"network": "net"}, "network: is a str"),
        ({"network": NET, "norm": "l1"}, "norm: got 'l1'"),
        (
            {"network": NET, "region": (np.zeros(2), 0.1)},
            r"region: has a center of shape \(2,\); expected shape \(3,\)",
        ),
        ({"network": NET, "region": (np.zeros(3), -0.1)}, "region: has eps = -0.1"),
        ({"network": NET, "region": (np.zeros(3), np.nan)}, "region: has NaN"),
        ({"network": NET, "region": (np.zeros(3), np.inf)}, "region: has eps"),
        ({"network": NET, "region": (np.array([0, np.inf, 0]), 0.1)}, "region: has a center"),
        ({"network": NET, "region": np.zeros(3)}, "region: is ndarray"),
        ({"network": NET, "region": (["a"], 0.1)}, "region: has entries of type"),
        ({"network": NET, "region": (2 * np.ones(3), 0.1), "box": (0, 1)}, "region: does not meet the box"),
        ({"network": NET, "box": (1, 0)}, "box: is empty"),
        ({"network": NET, "box": (np.zeros(2), np.ones(2))}, r"box: has shape \(2,\)"),
        ({"network": NET, "box": 1.0}, "box: is float"),
    ],
)
def test_bad_fields_are_refused_by_name(fields, words):
    with pytest.raises(ProblemError, match=words):
        LipschitzBound(**fields)


@pytest.mark.parametrize("answer", [1.0, None, Bound("big"), Bound(True), (1.0, None)])
def test_other_answers_are_refused(answer):
    with pytest.raises(AnswerError):
        LipschitzBound(network=NET).measure(answer)
    with pytest.raises(AnswerError):
        Bound(1.0, certificate=3)
    with pytest.raises(AnswerError):
        Bound(1.0, certificate={"rho": "large"})


@pytest.mark.parametrize("dims", [(1, 1), (1, 1, 1)])
def test_smallest_networks(dims):
    problem = instances.gaussian_net(dims, eps=0.5)
    assert solvary.solve(problem, "norm-product").measures["feasible"]
    assert problem.searched.exact


@pytest.mark.parametrize("scale", [1e-150, 1e-8, 1e8, 1e150])
def test_extreme_scales(scale):
    rng = np.random.default_rng(0)
    base = _relu_net(rng, (2, 4, 2))
    first, _, last = base.layers
    network = Network([Dense(scale * first.weight, scale * first.bias), RELU, last])
    region = ([0.1, 0.2], 0.5)
    expected = LipschitzBound(network=base, region=region).lower
    assert LipschitzBound(network=network, region=region).lower == pytest.approx(scale * expected, rel=1e-9)


def test_same_lower_every_time():
    one, two = instances.maxmin_net(10, 32, 5), instances.maxmin_net(10, 32, 5)
    assert one.lower == two.lower
