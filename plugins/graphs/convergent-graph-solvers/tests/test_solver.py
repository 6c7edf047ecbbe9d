"""Training through the registry."""

import numpy as np
import pytest

import solvary
from solvary import OptionError, Status
from solvary_convergent_graph_solvers import claims
from solvary_graphs import supervised_instances

ID = "convergent-graph-solvers"
SHORT = {"seed": 0, "threads": 1, "epochs": 3, "heads": 4, "hidden": 8}


@pytest.fixture(scope="module")
def small():
    return supervised_instances.screened_diffusion_small()


VARIANTS = [{}, {"normalisation": "degree"}, {"fixed_point": "direct"}, {"aggregation": "mean", "gamma": 0.9}]


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_cuda_agrees_with_cpu(small, options, emulated_cuda):
    found = [solvary.solve(small, ID, backend=backend, **SHORT, **options) for backend in ("cpu", "cuda")]
    assert found[1].provenance.backend == "cuda"
    expected, measures = (solution.measures for solution in found)
    assert measures["test_error"] == pytest.approx(expected["test_error"], rel=1e-3)
    assert measures["permutation_error"] < 1e-9


def test_iteration_and_factorisation_train_alike(small):
    found = [solvary.solve(small, ID, backend="cpu", **SHORT, fixed_point=how) for how in ("iterate", "direct")]
    assert found[0].measures["valid_error"] == pytest.approx(found[1].measures["valid_error"], rel=1e-3)


@pytest.mark.parametrize("normalisation", ["attention", "degree"])
def test_training_learns_the_potentials(small, normalisation):
    """Predicting the mean has an NMSE of 1."""
    shape = {"heads": 8, "hidden": 16, "gamma": 0.9, "normalisation": normalisation}
    given = {"epochs": 60, "patience": 60, "learning_rate": 1e-2, "schedule": "constant", "seed": 0, "threads": 1}
    found = solvary.solve(small, ID, backend="cpu", **shape, **given)
    assert found.measures["test_error"] < 0.3


@pytest.mark.parametrize("readout", ["sum", "mean", "max"])
def test_digits_as_grids_are_classified(readout):
    problem = supervised_instances.digits_grid(limit=24, size="inner")
    found = solvary.solve(problem, ID, backend="cpu", **{**SHORT, "readout": readout})
    assert found.status is Status.CONVERGED
    assert found.answer.predict(problem.graphs).shape == (24, 10)
    assert found.measures["permutation_error"] < 1e-9


def test_a_missed_fixed_point_is_in_the_trace(small):
    found = solvary.solve(small, ID, backend="cpu", **SHORT, gamma=0.99, max_fixed_point_steps=5)
    assert all(row["yielded"]["fixed_point_missed"] > 1e-6 for row in found.trace)
    assert "residual" in found.report["warning"]


@pytest.mark.parametrize("gamma", [0.0, 1.0, -0.5, 1.5])
def test_gamma_is_inside_zero_and_one(small, gamma):
    with pytest.raises(OptionError, match="gamma"):
        solvary.solve(small, ID, gamma=gamma)


def test_an_answer_survives_a_file(small, tmp_path):
    found = solvary.solve(small, ID, backend="cpu", **SHORT)
    found.save(str(tmp_path / "model.npz"))
    from solvary.files import read_solution

    back, _ = read_solution(tmp_path / "model.npz", small)
    np.testing.assert_array_equal(back.predict(small.graphs), found.answer.predict(small.graphs))


@pytest.mark.parametrize("claim", [claims.implicit_gradient, claims.constant_memory])
def test_quick_claims_hold(claim):
    assert all(check.outcome in ("holds", "reported") for check in claim("quick"))
