"""The closed-form baselines and the instances of `inverse.linear`."""

import numpy as np
import pytest

import solvary
from solvary import NotAccepted, OptionError
from solvary_inverse import GaussianMixture, LinearInverse
from solvary_inverse.phantoms import shepp_logan


def test_the_mixture_posterior_is_exact():
    estimate = solvary.instance("inverse.linear", "gmm", task="estimate", images=2)
    assert solvary.solve(estimate, "mixture-posterior").measures["mean_error"] == 0
    draws = solvary.solve(solvary.instance("inverse.linear", "gmm", samples=1000), "mixture-posterior", seed=0)
    assert draws.measures["mode_tv"] < 0.05
    assert draws.measures["sliced_w2"] < 0.05


def test_the_gaussian_posterior_is_the_ridge_solution():
    """With x ~ N(0, I) it minimises |A x - y|^2 / noise^2 + |x|^2."""
    rng = np.random.default_rng(0)
    A, data = rng.standard_normal((4, 6)), rng.standard_normal((3, 4))
    problem = LinearInverse(operator=A, data=data, noise=0.3, mixture=GaussianMixture(np.zeros((1, 6))))
    found = solvary.solve(problem, "gaussian-posterior").answer
    np.testing.assert_allclose(found, np.linalg.solve(A.T @ A + 0.09 * np.eye(6), A.T @ data.T).T, rtol=1e-9)


def test_a_gaussian_prior_learned_from_samples_restores_digits():
    problem = solvary.instance("inverse.linear", "digits", images=20)
    learned = solvary.solve(problem, "gaussian-posterior").measures
    flat = solvary.solve(problem, "gaussian-posterior", shrinkage=1.0).measures  # no correlations: pixels stay unknown
    assert learned["psnr"] > flat["psnr"] + 3
    draws = solvary.solve(
        solvary.instance("inverse.linear", "digits", images=2, task="posterior", samples=4), "gaussian-posterior"
    )
    assert draws.answer.shape == (2, 4, 64)


def test_what_they_do_not_take():
    problem = LinearInverse(operator=np.ones((1, 2)), data=[1.0], noise=1)
    for solver in ("mixture-posterior", "gaussian-posterior"):
        with pytest.raises(NotAccepted, match="mixture"):
            solvary.solve(problem, solver)
    with pytest.raises(NotAccepted, match="4096 unknowns"):
        solvary.solve(solvary.instance("inverse.linear", "phantom"), "gaussian-posterior")


@pytest.mark.parametrize("operator", ["mask(0.5)", "blur(1)", "downsample(2)", "radon(6)", "gaussian(20)"])
def test_the_truth_explains_the_data_of_digits(operator):
    problem = solvary.instance("inverse.linear", "digits", operator=operator)
    assert problem.measure(problem.truth)["residual"] == pytest.approx(1, abs=0.1)
    assert problem.training.shape == (1500, 64)
    assert problem.training.min() == 0
    assert problem.training.max() == problem.peak == 1


def test_training_and_test_digits_are_apart():
    problem = solvary.instance("inverse.linear", "digits", images=297)
    known = {row.tobytes() for row in problem.training}
    assert sum(row.tobytes() in known for row in problem.truth) == 0
    one = solvary.instance("inverse.linear", "digits", images=1)
    assert one.batch is None
    np.testing.assert_array_equal(one.truth, problem.truth[0])


def test_blocks():
    problem = solvary.instance("inverse.linear", "blocks", images=5, operator="mask(1)", noise=1e-9)
    images = problem.truth.reshape(5, 8, 8)
    assert (np.diff(images, axis=1) >= 0).all()
    assert (images[:, -1, -1] == 1).all()
    assert (images[:, 0, 0] == 0).all()
    np.testing.assert_allclose(problem.data, problem.truth, atol=1e-7)


def test_the_phantom():
    image = shepp_logan(64)
    assert image[32, 32] == pytest.approx(0.2)  # the brain
    assert image[0, 0] == 0
    assert image[:, 32].max() == pytest.approx(1.0)  # the skull
    problem = solvary.instance("inverse.linear", "phantom", size=16, angles=8)
    assert problem.measure(problem.truth)["residual"] == pytest.approx(1, abs=0.15)
    assert problem.training.shape == (20, 256)


def test_bad_parameters_of_instances():
    with pytest.raises(OptionError, match="images"):
        solvary.instance("inverse.linear", "digits", images=298)
    with pytest.raises(OptionError, match="components"):
        solvary.instance("inverse.linear", "gmm", components=0)
