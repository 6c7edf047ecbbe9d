"""LipSDP through CVXPY and the registry, against known constants and against its own certificate."""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np
import pytest

import solvary
from solvary import NotAccepted, Status, testing
from solvary_contrib_cvxpy import lipsdp
from solvary_robustness import lmi
from solvary_robustness.lipschitz import LipschitzBound
from solvary_robustness.network import Activation, Dense, GroupSort, Householder, Network

CHECKS = testing.checks("solvary-contrib-cvxpy")
solve = partial(solvary.solve, threads=1, trace="none")
NORMS = pytest.mark.parametrize("norm", ["l2", "linf"])


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_conformance(check):
    check()


def problem(*nonlinear, dims=(3, 4, 2), norm="l2", seed=0):
    rng = np.random.default_rng(seed)
    weights = [Dense(rng.standard_normal((o, i))) for i, o in itertools.pairwise(dims)]
    layers = [layer for pair in zip(weights[:-1], nonlinear, strict=True) for layer in pair]
    return LipschitzBound(network=Network([*layers, weights[-1]]), norm=norm)


@NORMS
@pytest.mark.parametrize("conic", ["clarabel", "scs"])
def test_relu_networks_get_a_certified_bound_below_the_product(norm, conic):
    solution = solve(
        problem(Activation("relu"), Activation("leaky"), dims=(3, 4, 4, 2), norm=norm),
        "cvxpy-lipsdp",
        conic=conic,
        tolerance=1e-6,
    )
    assert solution.status is Status.CONVERGED
    assert solution.measures["feasible"]
    assert solution.measures["lmi_residual"] <= 1e-9
    assert solution.measures["ratio"] >= 1.0
    assert solution.measures["product_ratio"] < 0.95


@NORMS
@pytest.mark.parametrize("gamma", [False, True])
@pytest.mark.parametrize("layer", [GroupSort(2), GroupSort(4), Householder([[0.6, 0.8], [1.0, 0.0]])], ids=repr)
def test_grouped_activations_get_a_certified_bound(layer, gamma, norm):
    solution = solve(problem(layer, norm=norm), "cvxpy-lipsdp-groupsort", gamma=gamma)
    assert solution.measures["feasible"]
    assert solution.measures["product_ratio"] <= 1.0


@pytest.mark.parametrize("layer", [GroupSort(2), GroupSort(3), Activation("relu")], ids=repr)
def test_identities_around_an_activation_have_the_constant_one(layer):
    network = Network([Dense(np.eye(6)), layer, Dense(np.eye(6))])
    assert solve(LipschitzBound(network=network), "cvxpy-lipsdp-groupsort").answer.value == pytest.approx(1.0, abs=1e-5)


def test_the_program_is_the_inequality_that_the_problem_checks():
    forms = lmi.increments(problem(GroupSort(2)).network)
    found = lipsdp.minimise(forms, "l2", gamma=True)
    assert found.solved
    matrix = lmi.inequality(forms, "l2", found.multipliers)
    assert lmi.largest_eigenvalue(matrix) <= 1e-5 * np.abs(matrix).max()
    assert found.multipliers.keys() == {"rho", "lam.0", "nu.0", "tau.0", "gam.0"}


def test_a_zero_last_layer():
    network = Network([Dense(np.eye(2)), Activation("relu"), Dense(np.zeros((1, 2)))])
    assert solve(LipschitzBound(network=network), "cvxpy-lipsdp").answer.value == 0.0


def test_an_inaccurate_solve_is_a_proved_bound_and_says_so(monkeypatch):
    nothing = lipsdp.Found({"rho": np.zeros(()), "lam.0": np.zeros(4)}, False, "solver_error")
    monkeypatch.setattr(lipsdp, "minimise", lambda *positional, **named: nothing)
    solution = solve(problem(Activation("relu")), "cvxpy-lipsdp")
    assert solution.status is Status.LIMIT_ITERATIONS
    assert "solver_error" in solution.reason
    assert solution.measures["feasible"]


def test_what_does_not_apply_is_refused_with_the_reason():
    with pytest.raises(NotAccepted, match="activation 0 is a GroupSort"):
        solve(problem(GroupSort(2)), "cvxpy-lipsdp")
    with pytest.raises(NotAccepted, match="order 403"):
        solve(problem(Activation("relu"), dims=(3, 400, 2)), "cvxpy-lipsdp")
