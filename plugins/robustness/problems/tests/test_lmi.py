import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvary import AnswerError
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
    lmi,
)

EYE = np.eye(6)


def _networks():
    return [
        instances.groupsort_net(4, 6, 2, size=3, hidden=2).network,
        instances.householder_net(4, 6, 2, size=3, hidden=2).network,
        instances.residual_maxmin_net(4, 6, 2, blocks=2).network,
        instances.gaussian_net((3, 4, 5, 2), eps=None).network,
        Network([Dense(np.ones((4, 3))), MaxMin(), Activation("leaky", 0.2), GroupSort(1), Dense(np.eye(4))]),
    ]


def _increment(network, x, y):
    """z and the difference of outputs of two inputs, by evaluating layer after layer."""
    parts = [x - y]

    def through(layers, a, b):
        for layer in layers:
            if isinstance(layer, Residual):
                inner = through(layer.layers, a, b)
                a, b = a + inner[0], b + inner[1]
                continue
            a, b = layer.forward(a), layer.forward(b)
            if isinstance(layer, GroupSort | Householder | Activation):
                parts.append(a - b)
        return a, b

    a, b = through(network.layers, x, y)
    return np.concatenate(parts), a - b


@pytest.mark.parametrize("network", _networks(), ids=repr)
def test_constraints_hold_for_all_pairs_of_inputs(network):
    rng = np.random.default_rng(0)
    forms = lmi.increments(network)
    coordinates = lmi.preserving(forms)
    for _ in range(40):
        multipliers = {}
        for k, activation in enumerate(forms.activations):
            for name in ("lam",) if activation.entrywise else ("lam", "gam", "nu", "tau"):
                draw = rng.standard_normal(activation.groups)
                multipliers[f"{name}.{k}"] = np.abs(draw) if name == "lam" else 10 * draw
        C = lmi.constraints(forms, multipliers)
        z, dy = _increment(network, *rng.standard_normal((2, network.input_size)) * 10.0 ** rng.uniform(-1, 1))
        np.testing.assert_allclose(forms.output @ z, dy, atol=1e-11)
        assert z @ C @ z >= -1e-11 * (1 + np.abs(z) @ np.abs(C) @ np.abs(z))
        split = np.linalg.solve(coordinates.transform, z)
        for e in coordinates.e:
            assert np.abs(split[e]).max(initial=0.0) <= 1e-10


@pytest.mark.parametrize("network", _networks(), ids=repr)
@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_the_checked_matrix_is_congruent_to_the_stated_one(network, norm):
    rng = np.random.default_rng(1)
    forms = lmi.increments(network)
    at = lmi.preserving(forms)
    multipliers = {"rho": np.array(2.0), "mu": rng.random(forms.inputs)}
    for k, activation in enumerate(forms.activations):
        multipliers |= {f"{name}.{k}": rng.standard_normal(activation.groups) for name in ("lam", "gam", "nu", "tau")}
    T = at.transform
    if norm == "linf":
        T = np.block([[T, np.zeros((len(T), 1))], [np.zeros((1, len(T))), np.ones((1, 1))]])
    stated = lmi.inequality(forms, norm, multipliers, row=1)
    np.testing.assert_allclose(stated, stated.T)
    np.testing.assert_allclose(
        lmi.inequality_preserving(forms, at, norm, multipliers, row=1), T.T @ stated @ T, atol=1e-11
    )


@pytest.mark.parametrize(
    "layer", [MaxMin(), GroupSort(3), Householder(np.full((2, 3), 3**-0.5)), GroupSort(1)], ids=repr
)
def test_an_isometry_has_the_certificate_one(layer):
    problem = LipschitzBound(network=Network([Dense(EYE), layer, Dense(EYE)]))
    groups = lmi.increments(problem.network).activations[0].groups
    figures = problem.measure(Bound(1.0, {"rho": 1.0, "lam.0": np.ones(groups)}))
    assert figures["feasible"]
    assert figures["lmi_residual"] <= 1e-12
    assert figures["certified"] == 1.0
    assert figures["ratio"] == pytest.approx(1.0, abs=1e-9)
    for tampered in (
        {"rho": 0.99, "lam.0": np.ones(groups)},
        {"rho": 1.0, "lam.0": np.full(groups, 0.9)},
        {"rho": 1.0, "lam.0": np.where(np.arange(groups) == 0, -1.0, 1.0)},
        {"rho": 1.0, "lam.0": np.ones(groups), "nu.0": np.full(groups, -1.0), "tau.0": np.full(groups, -1.0)},
        {"rho": np.nan, "lam.0": np.ones(groups)},
    ):
        figures = problem.measure(Bound(1.0, tampered))
        assert not figures["lmi_residual"] <= 1e-7
        assert not figures["feasible"]


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 1000),
    depth=st.integers(1, 3),
    size=st.sampled_from([2, 3, 6]),
    house=st.booleans(),
    large=st.sampled_from([0.0, 1.0, 1e4]),
)
def test_products_of_norms_have_a_certificate(seed, depth, size, house, large):
    """lam_k = product of the squared norms after layer k proves the product of all, for any depth.

    The square of what is preserved, weighed by nu + tau with nu = tau, is no hindrance.
    """
    make = instances.householder_net if house else instances.groupsort_net
    network = make(5, 6, 3, size=size, hidden=depth, seed=seed).network
    norms = [np.linalg.norm(layer.weight, 2) for layer in network.layers if isinstance(layer, Dense)]
    certificate = {"rho": np.prod(norms) ** 2}
    for k in range(depth):
        certificate[f"lam.{k}"] = np.full(6 // size, np.prod(norms[k + 1 :]) ** 2)
        certificate[f"nu.{k}"] = certificate[f"tau.{k}"] = np.full(6 // size, large)
    problem = LipschitzBound(network=network)
    proof = lmi.check(network, "l2", certificate)
    assert proof.residual <= 1e-10
    assert proof.value == pytest.approx(problem.product_bound, rel=1e-12)
    assert lmi.check(network, "l2", {**certificate, "rho": 1e-3 * certificate["rho"]}).residual > 1e-7


@pytest.mark.parametrize("size", [1e8, 1e12, 1e16])
def test_huge_multipliers_hide_nothing(size):
    """1 % less than the constant 1 is not proven, however large the multipliers are in which it drowns."""
    problem = LipschitzBound(network=Network([Dense(EYE), MaxMin(), Dense(EYE)]))
    for large in (
        {"lam.0": np.full(3, size)},
        {"lam.0": np.ones(3), "nu.0": np.full(3, size), "tau.0": np.full(3, size)},
    ):
        assert lmi.check(problem.network, "l2", {"rho": 0.99, **large}).residual > 1e-7


def test_a_scalar_relu_has_its_tight_certificate():
    problem = LipschitzBound(network=Network([Dense([[3.0]], [1.0]), Activation("relu"), Dense([[-2.0]])]))
    figures = problem.measure(Bound(6.0, {"rho": 36.0, "lam.0": [4.0]}))
    assert figures["feasible"]
    assert figures["lmi_residual"] <= 1e-12
    assert not problem.measure(Bound(6.0, {"rho": 35.9, "lam.0": [4.0]}))["feasible"]


def test_linear_rows_with_the_maximum_norm():
    w = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, 4.0], [0.0, 0.0, 0.0]])
    problem = LipschitzBound(network=Network([Dense(w)]), norm="linf")
    sums = np.abs(w).sum(axis=1)
    certificate = {"rho": sums, "mu": np.abs(w)}
    figures = problem.measure(Bound(7.0, certificate))
    assert figures["feasible"]
    assert figures["certified"] == 7.0 == figures["lower"]
    assert not problem.measure(Bound(7.0, {"rho": sums, "mu": 0.98 * np.abs(w)}))["feasible"]
    scalar = LipschitzBound(network=Network([Dense(w[:1])]), norm="linf")
    assert scalar.measure(Bound(3.5, {"rho": 3.5, "mu": np.abs(w[0])}))["feasible"]  # without the axis of rows


def test_a_value_below_what_is_proven_does_not_count():
    problem = LipschitzBound(network=Network([Dense(EYE), MaxMin(), Dense(0.5 * EYE)]))
    certificate = {"rho": 1.0, "lam.0": np.ones(3)}
    assert problem.measure(Bound(1.0, certificate))["feasible"]
    assert not problem.measure(Bound(0.8, certificate))["feasible"]


def test_the_constant_network_is_proven_zero():
    problem = LipschitzBound(network=Network([Dense(EYE), MaxMin(), Dense(np.zeros((2, 6)))]))
    figures = problem.measure(Bound(0.0, {"rho": 0.0, "lam.0": np.zeros(3)}))
    assert figures["feasible"]
    assert (figures["ratio"], figures["lower"]) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("certificate", "words"),
    [
        ({"rho": 1.0}, r"lacks \['lam.0'\]"),
        ({"rho": 1.0, "lam.0": np.ones(3), "lam.1": np.ones(3)}, r"has the arrays \['lam.1'\]"),
        ({"rho": 1.0, "lam.0": np.ones(6)}, r"lam.0: has shape \(6,\); expected shape \(3,\)"),
        ({"rho": [1.0, 2.0], "lam.0": np.ones(3)}, "rho: has shape"),
        ({"rho": 1.0, "lam.0": np.ones(3), "mu": np.ones(6)}, r"has the arrays \['mu'\]"),
    ],
)
def test_certificates_of_another_form_are_refused(certificate, words):
    problem = LipschitzBound(network=Network([Dense(EYE), MaxMin(), Dense(EYE)]))
    with pytest.raises(AnswerError, match=words):
        problem.measure(Bound(1.0, certificate))
