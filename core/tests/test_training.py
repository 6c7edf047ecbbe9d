"""Trained solvers: artifacts are made once, kept as arrays, and used many times."""

import numpy as np
import pytest
from tiny_problems import line, threshold

import solvary
from solvary import Artifact, ArtifactError, OptionError, SolverError


def test_without_an_artifact_a_solve_trains_first_and_says_so():
    solution = solvary.solve(threshold(), "learner", seed=0)
    assert solution.measures["loss"] <= 0.02
    assert "trained first" in solution.report["trained"]
    assert solution.provenance.artifact == "trained in this process"


@pytest.mark.parametrize("name", ["model.npz", "model.safetensors"])
def test_an_artifact_is_saved_loaded_and_used(tmp_path, name):
    artifact = solvary.train("learner", threshold(), epochs=40, seed=3)
    assert artifact.record["options"] == {"epochs": 40}
    assert artifact.record["seed"] == 3
    assert len(artifact.trace) == 41
    artifact.save(tmp_path / name)
    solution = solvary.solve(threshold(), "learner", artifact=tmp_path / name)
    assert solution.answer.threshold == artifact.arrays["threshold"]
    assert "trained" not in solution.report
    assert name in solution.provenance.artifact


def test_a_limit_ends_the_training_with_what_there_is():
    artifact = solvary.train("learner", threshold(), max_iterations=2)
    assert artifact.record["steps"] == 2
    assert artifact.arrays["threshold"] == pytest.approx(0.05)


def test_a_solve_says_when_its_training_was_cut_short(monkeypatch):
    import tiny_solvers

    def endless(problem, context):
        """Never done."""
        while True:
            yield solvary.Iterate({"threshold": np.array(0.5)})

    monkeypatch.setattr(tiny_solvers, "learn", endless)
    solution = solvary.solve(threshold(), "learner", time_limit=0.5)
    assert "did not finish" in solution.report["trained"]


def test_what_is_no_artifact_of_this_solver_is_refused(tmp_path):
    stranger = Artifact(arrays={"threshold": np.zeros(())}, record={"solver": "somebody-else"})
    with pytest.raises(ArtifactError, match=r"somebody-else.* not 'learner'"):
        solvary.solve(threshold(), "learner", artifact=stranger)
    with pytest.raises(ArtifactError, match="cannot read"):
        solvary.solve(threshold(), "learner", artifact=tmp_path / "nothing.npz")
    with pytest.raises(ArtifactError, match=r"expected .safetensors or .npz"):
        solvary.solve(threshold(), "learner", artifact=tmp_path / "evil.pkl")


def test_only_solvers_that_train_take_part():
    with pytest.raises(OptionError, match="does not train"):
        solvary.train("descent", line())
    with pytest.raises(OptionError, match="is not trained"):
        solvary.solve(line(), "descent", artifact="model.npz")
    with pytest.raises(OptionError, match=r"epoch: .*'epochs'"):
        solvary.train("learner", threshold(), epoch=3)


def test_a_training_that_raises_is_named(monkeypatch):
    import tiny_solvers

    def broken(problem, context):
        """Raises."""
        raise ZeroDivisionError
        yield

    monkeypatch.setattr(tiny_solvers, "learn", broken)
    with pytest.raises(SolverError, match=r"learner \(tiny-plugin 1.0\): training raised ZeroDivisionError"):
        solvary.train("learner", threshold())
