"""Mixtures: densities, the exact denoiser and score, the posterior in closed form."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn import mixture as sklearn_mixture

from solvary import ProblemError
from solvary_inverse import GaussianMixture, MixturePosterior
from solvary_inverse.mixture_torch import denoise


def any_mixture(c=3, d=2, seed=0):
    rng = np.random.default_rng(seed)
    roots = rng.standard_normal((c, d, d))
    return GaussianMixture(
        rng.standard_normal((c, d)), roots @ roots.swapaxes(1, 2) + 0.1 * np.eye(d), rng.random(c) + 0.2
    )


@pytest.mark.parametrize(("level", "scale"), [(0.0, 1.0), (0.7, 1.0), (0.3, 0.8)])
def test_densities_are_those_of_scipy(level, scale):
    mixture = any_mixture()
    v = np.random.default_rng(1).standard_normal((5, 2))
    parts = [
        np.log(w) + multivariate_normal(scale * m, scale**2 * C + level**2 * np.eye(2)).logpdf(v)
        for m, C, w in zip(mixture.means, mixture.covariances, mixture.weights, strict=True)
    ]
    np.testing.assert_allclose(mixture.log_density(v, level, scale), logsumexp(parts, axis=0), rtol=1e-10)
    np.testing.assert_allclose(mixture.responsibilities(v, level, scale).sum(axis=-1), 1.0)


def test_the_score_is_the_gradient_of_the_density():
    mixture, h = any_mixture(d=3), 1e-5
    v = np.random.default_rng(1).standard_normal(3)
    for level, scale in ((0.5, 1.0), (0.6, 0.8)):
        slopes = [
            (mixture.log_density(v + h * e, level, scale) - mixture.log_density(v - h * e, level, scale)) / (2 * h)
            for e in np.eye(3)
        ]
        np.testing.assert_allclose(mixture.score(v, level, scale), slopes, rtol=1e-6, atol=1e-8)


def test_the_denoiser_is_the_conditional_mean():
    """In one dimension, against the integral of x p(x) p(v | x) on a grid."""
    mixture = GaussianMixture([[-1.0], [2.0]], [0.2, 0.5], [0.3, 0.7])
    x = np.linspace(-8, 10, 20001)[:, None]
    for v, level, scale in ((0.4, 0.8, 1.0), (-2.0, 0.3, 0.5)):
        density = np.exp(mixture.log_density(x) - 0.5 * ((v - scale * x[:, 0]) / level) ** 2)
        expected = (density * x[:, 0]).sum() / density.sum()
        assert mixture.denoise(np.array([v]), level, scale)[0] == pytest.approx(expected, rel=1e-8)


def test_tensors_give_the_same_and_the_second_order():
    mixture = any_mixture(c=4, d=3)
    v = np.random.default_rng(1).standard_normal((2, 5, 3))
    there = torch.tensor(v, requires_grad=True)
    found = denoise(mixture, there, 0.4, 0.9)
    np.testing.assert_allclose(found.detach().numpy(), mixture.denoise(v, 0.4, 0.9), rtol=1e-10)
    # Tweedie of second order: the Jacobian of the denoiser is scale / level^2 times the conditional covariance, so >= 0
    (gradient,) = torch.autograd.grad(found[..., 0].sum(), there)
    assert (gradient[..., 0] > 0).all()


def test_samples_have_the_moments():
    mixture = any_mixture(d=3)
    draws = mixture.sample(np.random.default_rng(0), 200_000)
    np.testing.assert_allclose(draws.mean(axis=0), mixture.mean, atol=0.03)
    np.testing.assert_allclose(np.cov(draws.T), mixture.covariance, atol=0.1)


def test_a_gaussian_posterior_is_the_closed_form():
    rng = np.random.default_rng(0)
    root, A, y, noise = rng.standard_normal((4, 4)), rng.standard_normal((3, 4)), rng.standard_normal(3), 0.3
    mean, C = rng.standard_normal(4), root @ root.T
    exact = MixturePosterior(GaussianMixture(mean[None], C[None]), A, noise).at(y)
    gain = C @ A.T @ np.linalg.inv(A @ C @ A.T + noise**2 * np.eye(3))
    np.testing.assert_allclose(exact.mean, mean + gain @ (y - A @ mean), rtol=1e-10)
    np.testing.assert_allclose(exact.covariance, C - gain @ A @ C, atol=1e-10)


def test_a_mixture_posterior_agrees_with_importance_sampling():
    mixture, rng = any_mixture(c=3, d=2), np.random.default_rng(5)
    A, y, noise = np.array([[1.0, -0.5]]), np.array([0.3]), 0.5
    exact = MixturePosterior(mixture, A, noise).at(y)
    draws = mixture.sample(rng, 400_000)
    weights = np.exp(-0.5 * ((y - draws @ A.T) / noise) ** 2).ravel()
    weights /= weights.sum()
    mean = weights @ draws
    np.testing.assert_allclose(exact.mean, mean, atol=0.01)
    np.testing.assert_allclose(exact.covariance, (draws - mean).T @ (weights[:, None] * (draws - mean)), atol=0.03)
    np.testing.assert_allclose(exact.weights, weights @ mixture.responsibilities(draws), atol=0.01)


def test_the_evidence_weighs_the_components():
    mixture, y, noise = any_mixture(c=3, d=2), np.array([0.2, 0.1, -0.4]), 0.2
    A = np.random.default_rng(3).standard_normal((3, 2))
    evidence = [
        w * multivariate_normal(A @ m, A @ C @ A.T + noise**2 * np.eye(3)).pdf(y)
        for m, C, w in zip(mixture.means, mixture.covariances, mixture.weights, strict=True)
    ]
    found = MixturePosterior(mixture, A, noise).at(y).weights
    np.testing.assert_allclose(found, np.array(evidence) / np.sum(evidence), rtol=1e-8)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 5), st.floats(1e-9, 1e3))
def test_posteriors_stay_sane_at_every_noise_and_rank(c, d, m, noise):
    rng = np.random.default_rng(c + d + m)
    mixture = any_mixture(c, d, seed=m)
    A = np.zeros((1, d)) if m == 0 else rng.standard_normal((m, d))
    truth = mixture.sample(rng, 1)[0]
    exact = MixturePosterior(mixture, A, noise).at(A @ truth)
    assert np.isfinite(exact.mean).all()
    spread, prior = np.linalg.eigvalsh(exact.covariances), np.linalg.eigvalsh(mixture.covariances)
    assert (spread <= prior * (1 + 1e-9)).all()  # a measurement only narrows a Gaussian
    assert np.linalg.norm(A @ (exact.means - truth).T) <= 1e-6 + 10 * np.linalg.norm(A @ (mixture.means - truth).T)


def test_exact_data_pin_the_posterior():
    exact = MixturePosterior(any_mixture(d=3), np.eye(3), 1e-9).at(np.array([0.1, 0.2, 0.3]))
    np.testing.assert_allclose(exact.mean, [0.1, 0.2, 0.3], atol=1e-7)
    np.testing.assert_allclose(exact.covariance, 0, atol=1e-12)


def test_a_measurement_of_nothing_leaves_the_prior():
    mixture = any_mixture()
    exact = MixturePosterior(mixture, np.zeros((1, 2)), 0.1).at(np.array([3.0]))
    np.testing.assert_allclose(exact.weights, mixture.weights)
    np.testing.assert_allclose(exact.covariance, mixture.covariance, rtol=1e-10)


def test_all_forms_of_covariances():
    means = np.zeros((2, 3))
    np.testing.assert_array_equal(GaussianMixture(means, 4.0).covariances[1], 4 * np.eye(3))
    np.testing.assert_array_equal(GaussianMixture(means, [1.0, 2.0]).covariances[1], 2 * np.eye(3))
    np.testing.assert_array_equal(
        GaussianMixture(means, np.arange(6.0).reshape(2, 3)).covariances[1], np.diag([3, 4, 5])
    )
    np.testing.assert_array_equal(GaussianMixture(means, np.diag([1.0, 2, 3])).covariances[0], np.diag([1, 2, 3]))


@pytest.mark.parametrize("form", ["full", "tied", "diag", "spherical"])
def test_those_of_scikit_learn_are_taken(form):
    points = np.random.default_rng(0).standard_normal((60, 3))
    fitted = sklearn_mixture.GaussianMixture(3, covariance_type=form, random_state=0).fit(points)
    np.testing.assert_allclose(GaussianMixture.of(fitted).log_density(points), fitted.score_samples(points), rtol=1e-6)


def test_points_masses_and_far_points_are_no_trouble():
    masses = GaussianMixture([[0.0], [1.0]], 0.0)
    assert masses.responsibilities(np.array([[1.0]]))[0].tolist() == [0.0, 1.0]
    assert masses.denoise(np.array([0.5]), 0.1)[0] == pytest.approx(0.5)
    assert np.isfinite(masses.responsibilities(np.array([[1e200]]))).all()


def test_it_travels():
    mixture = any_mixture()
    back = pickle.loads(pickle.dumps(mixture))
    np.testing.assert_array_equal(back.covariances, mixture.covariances)
    with pytest.raises(ValueError, match="read-only"):
        back.means[0] = 1


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"means": [1.0, 2.0]}, "means of shape"),
        ({"means": [[np.nan]]}, "not finite"),
        ({"means": np.zeros((2, 2)), "weights": [1.0, -1.0]}, "weights"),
        ({"means": np.zeros((2, 2)), "weights": [1.0]}, "weights"),
        ({"means": np.zeros((2, 2)), "covariances": -1.0}, "negative eigenvalue"),
        ({"means": np.zeros((1, 2)), "covariances": [[[1.0, 0.5], [0.0, 1.0]]]}, "not symmetric"),
        ({"means": np.zeros((1, 2)), "covariances": np.ones((3, 3, 3))}, "covariances of shape"),
        ({"means": [["a"]]}, "no numbers"),
    ],
)
def test_what_is_no_mixture_is_refused(parts, words):
    with pytest.raises(ProblemError, match=words):
        GaussianMixture(**parts)
