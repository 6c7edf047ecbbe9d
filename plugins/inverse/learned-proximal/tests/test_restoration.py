"""The solver `learned-proximal-pnp`."""

import numpy as np
import pytest

import solvary
from solvary import Artifact, NotAccepted, OptionError, Status
from solvary_inverse import LinearInverse, PriorLearning
from solvary_learned_proximal import artifact_of

ID = "learned-proximal-pnp"
SETTINGS = {"seed": 0, "threads": 1, "backend": "cpu"}
TINY = {"hidden": 24, "layers": 1, "batch": 64, "pretrain_steps": 300, "steps": 100, "seed": 0, "threads": 1}


def signals(operator, noise=0.05, count=3, **given):
    """Piecewise constant signals with 12 entries."""
    rng = np.random.default_rng(0)
    clean = np.repeat(rng.random((400, 4)), 3, axis=1)
    truth = clean[:count]
    A = LinearInverse(operator=operator, data=np.zeros(_rows(operator)), noise=1.0, shape=(3, 4)).A
    data = A.apply(truth) + noise * rng.standard_normal((count, A.m))
    return LinearInverse(
        operator=operator, data=data, noise=noise, shape=(3, 4), training=clean[count:], truth=truth, **given
    )


def _rows(operator):
    return operator.shape[0] if isinstance(operator, np.ndarray) else {"mask(0.5)": 6}.get(operator, 12)


@pytest.fixture(scope="module")
def blurred():
    problem = signals("blur(1)")
    return problem, solvary.train(ID, problem, **TINY)


@pytest.mark.parametrize("algorithm", ["admm", "pgd"])
def test_the_objective_falls_to_a_fixed_point(blurred, algorithm):
    problem, artifact = blurred
    solution = solvary.solve(
        problem, ID, artifact=artifact, algorithm=algorithm, rho=1.2, monitor=1, stop_change=1e-8,
        max_iterations=3000, **SETTINGS,
    )  # fmt: skip
    assert solution.status is Status.CONVERGED
    values = [row["yielded"]["objective"] for row in solution.trace]
    tail = values if algorithm == "pgd" else values[-50:]
    assert np.max(np.diff(tail)) <= 1e-8 * (1 + abs(values[0]))
    assert "convergence" not in solution.report
    warned = solvary.solve(problem, ID, artifact=artifact, rho=0.1, step=5.0, algorithm=algorithm, max_iterations=1,
                           **SETTINGS)  # fmt: skip
    assert "no guarantee" in warned.report["convergence"]
    # A critical point of h + c R: x = f(x - A'(A x - y) / c), as 0 = A'(A x - y) + c grad R(x)
    weight = 1.2 if algorithm == "admm" else problem_step(problem)
    model = model_of(artifact)
    x = solution.answer
    again = model.prox(x - problem.A.adjoint(problem.A.apply(x) - problem.data) / weight)
    np.testing.assert_allclose(again, x, atol=1e-5)


def problem_step(problem):
    return np.linalg.norm(problem.A.apply(np.eye(problem.A.d)), 2) ** 2 / 0.99


def model_of(artifact):
    from solvary_learned_proximal.network import model

    return model(artifact.arrays)


def test_the_objective_is_data_term_and_regulariser(blurred):
    problem, artifact = blurred
    seen = {}
    solvary.solve(
        problem, ID, artifact=artifact, algorithm="pgd", step=0.5, max_iterations=10, monitor=10, stop_change=0.0,
        callback=lambda it: seen.update(x=np.array(it.answer), **it.figures), **SETTINGS,
    )  # fmt: skip
    h = ((problem.A.apply(seen["x"]) - problem.data) ** 2).sum(axis=1) / 2
    expected = (h + model_of(artifact).regulariser(seen["x"]) / 0.5).mean()
    assert seen["objective"] == pytest.approx(expected, abs=1e-5)


def test_missing_entries_are_restored_better_than_by_their_means():
    problem = signals("mask(0.5)", count=40)
    artifact = solvary.train(ID, problem, **{**TINY, "hidden": 32, "pretrain_steps": 700, "steps": 0}, noise=0.3)
    solution = solvary.solve(problem, ID, artifact=artifact, rho=0.2, **SETTINGS)
    filled = np.tile(problem.training.mean(axis=0), (40, 1))
    seen = problem.A.adjoint(np.ones(6)) > 0
    filled[:, seen] = problem.data
    assert solution.measures["mse"] < 0.8 * problem.measure(filled)["mse"]
    assert "no guarantee" in solution.report["convergence"]


def test_without_an_artifact_it_trains_first_and_one_image_is_enough():
    problem = signals("mask(0.5)", count=1)
    single = LinearInverse(
        operator="mask(0.5)", data=problem.data[0], noise=0.05, shape=(3, 4), training=problem.training[:50]
    )
    solution = solvary.solve(single, ID, max_iterations=5, **SETTINGS)
    assert solution.answer.shape == (12,)
    assert "trained" in solution.report
    assert solution.status is Status.LIMIT_ITERATIONS


def test_nothing_measured_gives_a_fixed_point_of_f(blurred):
    problem = signals(np.zeros((5, 12)))
    _, artifact = blurred
    solution = solvary.solve(problem, ID, artifact=artifact, stop_change=1e-9, max_iterations=5000, **SETTINGS)
    np.testing.assert_allclose(model_of(artifact).prox(solution.answer), solution.answer, atol=1e-6)
    pgd = solvary.solve(problem, ID, artifact=artifact, algorithm="pgd", max_iterations=5, **SETTINGS)
    assert np.isfinite(pgd.answer).all()


def test_samples_come_from_a_known_mixture():
    problem = solvary.instance("inverse.linear", "gmm", d=3, m=2, components=2, task="estimate")
    artifact = solvary.train(ID, problem, **{**TINY, "pretrain_steps": 5, "steps": 5})
    solution = solvary.solve(problem, ID, artifact=artifact, max_iterations=3, **SETTINGS)
    assert solution.measures["feasible"]


def test_patches_for_images_larger_than_those_of_the_training(tmp_path):
    rng = np.random.default_rng(0)
    learned = {}
    for convolutional in (False, True):
        prior = PriorLearning(samples=rng.random((200, 6)), noise=0.2, shape=(2, 3))
        learned[convolutional] = solvary.solve(
            prior, "learned-proximal", hidden=4, layers=2, pretrain_steps=5, steps=5, convolutional=convolutional,
            **SETTINGS,
        ).answer  # fmt: skip
    image = rng.random((4, 5))
    data = image.reshape(-1) + 0.05 * rng.standard_normal(20)
    problem = LinearInverse(operator=np.eye(20), data=data, noise=0.05, shape=(4, 5), truth=image.reshape(-1))
    for model in learned.values():
        path = tmp_path / "prior.npz"
        artifact_of(model).save(path)
        solution = solvary.solve(problem, ID, artifact=path, algorithm="pgd", max_iterations=4, monitor=1, **SETTINGS)
        assert solution.measures["feasible"]
        assert "objective" not in solution.trace[-1]["yielded"]  # the average over patches is no exact prox
        # Patches of the last iterate, by hand: stride 1
        once = solvary.solve(
            problem, ID, artifact=path, algorithm="pgd", step=1.0, max_iterations=1, patch_stride=1, **SETTINGS
        ).answer.reshape(4, 5)
        total, count = np.zeros((4, 5)), np.zeros((4, 5))
        for i in range(3):
            for j in range(3):
                patch = data.reshape(4, 5)[i : i + 2, j : j + 3].reshape(1, 6)
                total[i : i + 2, j : j + 3] += model.prox(patch).reshape(2, 3)
                count[i : i + 2, j : j + 3] += 1
        np.testing.assert_allclose(once, total / count, rtol=1e-6)
        with pytest.raises(OptionError, match="patch_stride"):
            solvary.solve(problem, ID, artifact=path, patch_stride=3, **SETTINGS)


def test_bad_artifacts_and_problems_are_refused(blurred):
    problem, artifact = blurred
    arrays = dict(artifact.arrays)
    arrays["weight.exit.weight"] = -np.ones_like(arrays["weight.exit.weight"])
    bad = Artifact(arrays=arrays, record=artifact.record)
    with pytest.raises(OptionError, match=r"weights.*exit"):
        solvary.solve(problem, ID, artifact=bad, **SETTINGS)
    other = solvary.instance("inverse.linear", "gmm", d=3, m=2, task="estimate")
    with pytest.raises(OptionError, match="weights"):
        solvary.solve(other, ID, artifact=artifact, **SETTINGS)
    with pytest.raises(NotAccepted, match="posterior"):
        solvary.solve(solvary.instance("inverse.linear", "gmm"), ID, **SETTINGS)
    with pytest.raises(OptionError, match="rho"):
        solvary.solve(problem, ID, artifact=artifact, rho=0.0, **SETTINGS)


def test_cuda_agrees_with_cpu(blurred, emulated_cuda):
    problem, artifact = blurred
    for algorithm in ("admm", "pgd"):
        found = [
            solvary.solve(
                problem, ID, artifact=artifact, algorithm=algorithm, max_iterations=20, **{**SETTINGS, "backend": name}
            )
            for name in ("cpu", "cuda")
        ]
        np.testing.assert_allclose(found[0].answer, found[1].answer, rtol=1e-9, atol=1e-12)
