"""Bayesian ridge regression for linear inverse problems."""

import numpy as np
import pytest

import solvary
from solvary import NotAccepted, OptionError
from solvary_inverse import GaussianMixture, LinearInverse


def regression(**given):
    rng = np.random.default_rng(0)
    A, truth = rng.standard_normal((40, 5)), rng.standard_normal((3, 5))
    data = truth @ A.T + 0.1 * rng.standard_normal((3, 40))
    return LinearInverse(**{"operator": A, "data": data, "noise": 0.1, "truth": truth, **given})


def ridge(problem, y, precision, covariance, mean):
    """The mean and covariance of x for the prior N(mean, covariance / precision)."""
    A = problem.operator
    inner = A.T @ A / problem.noise**2 + precision * np.linalg.inv(covariance)
    return mean + np.linalg.solve(inner, A.T @ (y - A @ mean) / problem.noise**2), np.linalg.inv(inner)


def test_without_samples_it_is_ridge_regression_with_the_learned_precision():
    problem = regression()
    for y in problem.data:
        one = regression(data=y, truth=None)
        solution = solvary.solve(one, "bayesian-ridge", seed=0)
        precision = solution.report["prior_precision"]
        expected, _ = ridge(one, y, precision, np.eye(5), np.zeros(5))
        np.testing.assert_allclose(solution.answer, expected, rtol=1e-3)
        assert solution.report["noise_precision"] == pytest.approx(100, rel=1e-6)
    together = solvary.solve(problem, "bayesian-ridge", seed=0)
    np.testing.assert_allclose(together.answer[-1], solution.answer, rtol=1e-10)
    assert together.measures["mse"] < 0.01


def test_the_prior_has_the_moments_of_the_training_samples_or_of_the_mixture():
    rng = np.random.default_rng(1)
    mean, root = rng.standard_normal(5), rng.standard_normal((5, 5))
    training = mean + rng.standard_normal((300, 5)) @ root.T
    moments = training.mean(axis=0), np.cov(training.T, bias=True)
    mixture = GaussianMixture(moments[0][None], moments[1][None])
    y = regression().data[0] * 0.01
    for prior in ({"training": training}, {"mixture": mixture}):
        problem = regression(data=y, truth=None, noise=2.0, **prior)
        solution = solvary.solve(problem, "bayesian-ridge", seed=0)
        expected, _ = ridge(problem, y, solution.report["prior_precision"], moments[1], moments[0])
        np.testing.assert_allclose(solution.answer, expected, rtol=2e-2, atol=2e-3)


def test_draws_have_the_moments_of_the_posterior():
    y = regression().data[0]
    problem = regression(data=y, truth=None, noise=1.0, task="posterior", samples=20_000)
    solution = solvary.solve(problem, "bayesian-ridge", seed=0)
    mean, covariance = ridge(problem, y, solution.report["prior_precision"], np.eye(5), np.zeros(5))
    np.testing.assert_allclose(solution.answer.mean(axis=0), mean, atol=0.01)
    np.testing.assert_allclose(np.cov(solution.answer.T), covariance, atol=0.01 * covariance.max() * 5)
    again = solvary.solve(problem, "bayesian-ridge", seed=0).answer
    np.testing.assert_array_equal(again, solution.answer)


def test_the_noise_can_be_learned():
    problem = regression(noise=1.0)  # ten times too much
    solution = solvary.solve(problem, "bayesian-ridge", seed=0, learn_noise=True)
    assert solution.report["noise_precision"] == pytest.approx(100, rel=0.5)


def test_degenerate_problems():
    one = LinearInverse(operator=[[0.0]], data=[1.0], noise=0.1)
    assert solvary.solve(one, "bayesian-ridge", seed=0).answer.tolist() == [0.0]
    constant = regression(training=np.ones((4, 5)))
    np.testing.assert_allclose(solvary.solve(constant, "bayesian-ridge", seed=0).answer, 1.0)


def test_what_it_does_not_take():
    large = LinearInverse(operator="blur(1)", shape=(70, 70), data=np.zeros(4900), noise=1)
    with pytest.raises(NotAccepted, match="entries"):
        solvary.solve(large, "bayesian-ridge")
    with pytest.raises(OptionError, match="components"):
        solvary.solve(regression(), "bayesian-ridge", components=0)
