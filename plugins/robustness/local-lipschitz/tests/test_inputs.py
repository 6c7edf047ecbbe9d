"""What is refused, what is warned about, and what comes back at a limit."""

import numpy as np
import pytest

import solvary
from solvary import NotAccepted, OptionError, ProblemError, Status
from solvary_local_lipschitz import monotonicity
from solvary_robustness import (
    Activation,
    Bound,
    Dense,
    GroupSort,
    Householder,
    LipschitzBound,
    Network,
    Residual,
)
from solvary_robustness.instances import gaussian_net


def relu():
    return Network([Dense([[1.0, 2.0], [3.0, -4.0]]), Activation("relu"), Dense([[1.0, -1.0]])])


def solve(problem, **options):
    return solvary.solve(problem, "local-lipschitz", backend="cpu", **options)


def test_a_global_problem_is_refused():
    with pytest.raises(ProblemError, match=r"region.*SDP solver") as refusal:
        solve(LipschitzBound(network=relu(), norm="linf"))
    assert refusal.value.field == "region"
    with pytest.raises(ProblemError, match="unbounded"):
        solve(LipschitzBound(network=relu(), norm="linf", box=(0.0, np.inf)))


def test_a_bounded_box_is_a_region():
    from_box = solve(LipschitzBound(network=relu(), norm="linf", box=(-1.0, 1.0)))
    from_ball = solve(LipschitzBound(network=relu(), norm="linf", region=([0.0, 0.0], 1.0)))
    assert from_box.answer.value == from_ball.answer.value


@pytest.mark.parametrize("region", [([0.0, 0.0], -1.0), ([np.nan, 0.0], 1.0), ([np.inf, 0.0], 1.0), ([0.0], 1.0)])
def test_bad_regions(region):
    with pytest.raises(ProblemError, match="region"):
        LipschitzBound(network=relu(), norm="linf", region=region)


def test_weights_that_are_not_finite():
    with pytest.raises(ProblemError, match="network"):
        Network([Dense([[np.nan, 2.0]])])


@pytest.mark.parametrize(
    ("layers", "name"),
    [
        ([Dense(np.eye(4)), GroupSort(2), Dense(np.eye(4))], r"layer 1 \(GroupSort\)"),
        ([Dense(np.eye(4)), Activation("relu"), Householder([[1.0, 0.0]] * 2)], r"layer 2 \(Householder\)"),
        ([Dense(np.eye(4)), Residual([Dense(np.eye(4)), GroupSort(2)])], r"layer 1\.1 \(GroupSort\)"),
    ],
)
def test_other_activations_are_refused_by_position(layers, name):
    with pytest.raises(NotAccepted, match=name):
        solve(LipschitzBound(network=Network(layers), norm="linf", region=(np.zeros(4), 1.0)))


def test_l2_comes_with_a_warning():
    problem = gaussian_net((5, 6, 3), 0.1, norm="l2")
    with pytest.warns(UserWarning, match="norm l2"):
        solution = solve(problem)
    assert solution.measures["feasible"]


def test_options():
    problem = gaussian_net((5, 6, 3), 0.1)
    for options in (
        {"relaxation": "loose"}, {"forward": "exact"}, {"batch": 0}, {"max_domains": 0}, {"heuristic": "kfsb"},
        {"alpha_steps": -1}, {"dtype": "float16"}, {"margin": -1.0}, {"relaxations": "tight"},
    ):  # fmt: skip
        with pytest.raises(OptionError, match=next(iter(options))):
            solve(problem, **options)


def test_a_limit_on_domains_leaves_a_sound_bound():
    problem = gaussian_net((12, 16, 16, 16, 5), 0.3)
    root = solve(problem)
    stopped = solve(problem, branch=True, max_domains=64, batch=8)
    assert stopped.status is Status.LIMIT_ITERATIONS
    assert "max_domains" in stopped.reason
    assert stopped.report["domains"] <= 64
    assert stopped.measures["feasible"]
    assert stopped.answer.value <= root.answer.value


def test_monotone_inputs_are_proven():
    # Increasing in input 0, decreasing in input 1, both in input 2.
    weight = np.array([[1.0, -2.0, 1.0], [0.5, -1.0, -1.0]])
    network = Network([Dense(weight, [0.1, -0.1]), Activation("relu"), Dense([[1.0, 2.0], [-1.0, -1.0]])])
    answer = solve(LipschitzBound(network=network, norm="linf", region=(np.zeros(3), 1.0))).answer
    assert monotonicity(answer).tolist() == [[1, -1, 0], [-1, 1, 0]]
    with pytest.raises(ValueError, match="certificate"):
        monotonicity(Bound(1.0))


def test_the_interval_of_every_entry_holds_at_samples():
    problem = gaussian_net((10, 20, 20, 20, 4), 0.1)
    answer = solve(problem).answer
    rng = np.random.default_rng(1)
    lo, hi = problem.domain
    jacobians = problem.network.jacobian(lo + (hi - lo) * rng.random((500, 10)))
    assert (jacobians >= answer.certificate["jacobian_lower"]).all()
    assert (jacobians <= answer.certificate["jacobian_upper"]).all()
    assert np.abs(jacobians).sum(axis=2).max() <= answer.value
