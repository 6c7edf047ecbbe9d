"""Noise has the scale and law that its entry states, budgets are kept, and the account agrees with the literature."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import solvary_privacy.accountant as accountant
from solvary import SolverError
from solvary_privacy import Ledger, Mechanisms, noise_free
from solvary_privacy.ledger import Entry
from solvary_privacy.mechanisms import ball_length
from solvary_privacy.noise import generator, on_grid


class Seeded:
    """The part of a context that mechanisms look at, with a chosen seed."""

    repeatable = True

    def __init__(self, seed=0):
        self.rng = np.random.default_rng(seed)


class Unseeded(Seeded):
    repeatable = False


def mechanisms(epsilon=1e6, delta=1e-6, seed=0):
    return Mechanisms(Seeded(seed), epsilon, delta)


def fits(sample, law):
    """Kolmogorov and Smirnov's test accepts the law, and rejects it at 0.95 and 1.05 of its scale."""
    at = stats.kstest(sample, law(1.0).cdf).pvalue
    off = [stats.kstest(sample, law(factor).cdf).pvalue for factor in (0.95, 1.05)]
    return at > 1e-3 and max(off) < 1e-6


MANY = 200_000


def test_gaussian_noise_has_the_scale_of_its_cost():
    made = mechanisms()
    sample = made.gaussian(np.full(MANY, 7.0), sensitivity=3.0, rho=0.125, what="x") - 7.0
    assert fits(sample, lambda factor: stats.norm(scale=factor * 3.0 / math.sqrt(2 * 0.125)))
    (entry,) = made.ledger.entries
    assert (entry.rho, entry.scale) == (0.125, 6.0)


def test_laplace_noise_has_the_scale_of_its_cost():
    sample = mechanisms().laplace(np.zeros(MANY), sensitivity=2.0, epsilon=0.5, what="x")
    assert fits(sample, lambda factor: stats.laplace(scale=factor * 4.0))


def test_the_sum_of_local_messages_has_the_noise_of_all_users():
    sums = [
        mechanisms(seed=s).gaussian_sum(np.zeros(2000), users=400, sensitivity=1, sigma=2.0, what="x")
        for s in range(100)
    ]
    assert fits(np.concatenate(sums), lambda factor: stats.norm(scale=factor * 40.0))
    made = mechanisms()
    made.gaussian_sum(0.0, users=400, sensitivity=1, sigma=2.0, what="x")
    assert made.ledger.total(1e-6).rho == pytest.approx(1 / 8)


def test_the_exponential_mechanism_has_its_odds():
    scores, epsilon, sensitivity = np.array([0.0, 1.0, 3.0]), 0.8, 2.0
    made, counts = mechanisms(), np.zeros(3)
    for _ in range(20_000):
        counts[made.exponential(scores, sensitivity=sensitivity, epsilon=epsilon, what="x")] += 1
    weights = np.exp(epsilon * scores / (2 * sensitivity))
    assert stats.chisquare(counts, 20_000 * weights / weights.sum()).pvalue > 1e-3
    doubled = np.exp(2 * epsilon * scores / (2 * sensitivity))
    assert stats.chisquare(counts, 20_000 * doubled / doubled.sum()).pvalue < 1e-6


def test_the_largest_are_chosen_as_if_one_after_another():
    scores, epsilon = np.array([0.0, 1.0, 3.0]), 1.6
    made, counts = mechanisms(), np.zeros((3, 3))
    for _ in range(10_000):
        first, second = made.largest(scores, 2, sensitivity=1.0, epsilon=epsilon, what="x")
        counts[first, second] += 1
    weights = np.exp(epsilon * scores / 2)
    odds = np.array([[a * b / (weights.sum() - a) for b in weights] for a in weights]) / weights.sum()
    apart = ~np.eye(3, dtype=bool)
    assert counts[~apart].sum() == 0
    assert stats.chisquare(counts[apart], 10_000 * odds[apart]).pvalue > 1e-3
    assert made.ledger.total(1e-6).rho == pytest.approx(20_000 * epsilon**2 / 8)


class TestTheBallMechanism:
    def test_is_unbiased_and_all_its_messages_have_one_length(self):
        vector = np.array([0.3, -1.0, 0.5])
        sent = mechanisms().ball(np.tile(vector, (100_000, 1)), bound=2.0, epsilon=1.0, what="x")
        length = ball_length(3, 2.0, 1.0)
        np.testing.assert_allclose(np.linalg.norm(sent, axis=1), length, rtol=1e-12)
        np.testing.assert_allclose(sent.mean(axis=0), vector, atol=5 * length / math.sqrt(3 * 100_000))

    def test_keeps_its_epsilon(self):
        """The densities of opposite vectors differ by at most e^epsilon, and by that much where it can be seen."""
        epsilon, made = 1.0, mechanisms()
        one, other = (
            made.ball(np.tile(sign * np.eye(1, 4), (40_000, 1)), bound=1.0, epsilon=epsilon, what="x")[:, 0] > 0
            for sign in (1.0, -1.0)
        )
        assert math.log(one.mean() / other.mean()) == pytest.approx(epsilon, abs=0.05)

    def test_refuses_a_vector_outside_of_the_ball(self):
        with pytest.raises(SolverError, match="norm 2 exceeds the bound 1"):
            mechanisms().ball(np.array([[2.0]]), bound=1.0, epsilon=1.0, what="x")

    def test_sends_a_direction_for_the_zero_vector(self):
        sent = mechanisms().ball(np.zeros((50_000, 2)), bound=1.0, epsilon=2.0, what="x")
        np.testing.assert_allclose(sent.mean(axis=0), 0.0, atol=0.05)


class TestBudgets:
    def test_are_kept(self):
        made = Mechanisms(Seeded(), 1.0, 1e-6)
        made.gaussian(0.0, sensitivity=1.0, rho=made.rho / 2, what="first")
        made.gaussian(0.0, sensitivity=1.0, rho=made.rho / 2, what="second")
        with pytest.raises(SolverError, match=r"budget: releasing 'third' would cost epsilon = .* at most 1 at delta"):
            made.gaussian(0.0, sensitivity=1.0, rho=made.rho, what="third")
        assert [entry.what for entry in made.ledger.entries] == ["first", "second"]

    def test_of_pure_privacy_take_no_gaussian_noise(self):
        made = Mechanisms(Seeded(), 1.0, 0.0)
        made.laplace(0.0, sensitivity=1.0, epsilon=1.0, what="all")
        with pytest.raises(SolverError, match="budget"):
            made.laplace(0.0, sensitivity=1.0, epsilon=0.01, what="more")
        with pytest.raises(SolverError, match="budget"):
            Mechanisms(Seeded(), 1.0, 0.0).gaussian(0.0, sensitivity=1.0, rho=1e-9, what="any")

    def test_of_different_people_are_not_added(self):
        made = Mechanisms(Seeded(), 1.0, 0.0)
        for group in ("a", "b", "c"):
            made.laplace(0.0, sensitivity=1.0, epsilon=1.0, what="x", group=group)
        assert made.ledger.total(0.0).epsilon == 1.0
        with pytest.raises(SolverError, match="budget"):
            made.laplace(0.0, sensitivity=1.0, epsilon=0.5, what="x")

    def test_without_noise_nothing_is_refused(self):
        with noise_free():
            made = Mechanisms(Seeded(), math.inf, 1e-6)
            np.testing.assert_array_equal(made.gaussian([1.0, 2.0], sensitivity=1.0, rho=made.rho, what="x"), [1, 2])
            assert made.exponential([0.0, 5.0], sensitivity=1.0, epsilon=1e-3, what="x") == 1


class TestTheAccount:
    def test_of_one_gaussian_is_exact(self):
        """Balle and Wang's calibration: the entry costs what was asked for, and less noise would cost more."""
        sigma = accountant.gaussian_scale(2.0, 0.7, 1e-5)
        made = Mechanisms(Seeded(), 0.7, 1e-5)
        made.gaussian(0.0, sensitivity=2.0, sigma=sigma, what="x")
        assert made.ledger.total(1e-5).epsilon == pytest.approx(0.7, rel=1e-6)
        with pytest.raises(SolverError, match="budget"):
            Mechanisms(Seeded(), 0.7, 1e-5).gaussian(0.0, sensitivity=2.0, sigma=0.99 * sigma, what="x")

    @settings(max_examples=15, deadline=None)
    @given(st.floats(0.05, 8), st.floats(1e-9, 1e-2))
    def test_of_zcdp_lies_between_the_exact_and_the_simple_one(self, epsilon, delta):
        rho = accountant.zcdp_budget(epsilon, delta)
        assert rho + 2 * math.sqrt(rho * math.log(1 / delta)) == pytest.approx(epsilon)
        exact = accountant.gaussian_epsilon(math.sqrt(2 * rho), delta)
        assert exact <= accountant.zcdp_epsilon(rho, delta) * (1 + 1e-9)
        assert accountant.zcdp_epsilon(rho, delta) <= epsilon * (1 + 1e-9)

    def test_agrees_with_the_prv_accountant(self):
        from prv_accountant import GaussianMechanism, PRVAccountant

        made = mechanisms()
        for _ in range(3):
            made.gaussian(0.0, sensitivity=1.0, sigma=4.0, what="x")
        peer = PRVAccountant(prvs=[GaussianMechanism(4.0)], max_self_compositions=[3], eps_error=0.01, delta_error=1e-9)
        low, _, high = peer.compute_epsilon(1e-5, [3])
        assert low <= made.ledger.total(1e-5).epsilon <= high

    def test_of_poisson_samples_is_calibrated_within_its_budget(self):
        multiplier = accountant.subsampled_multiplier(1.0, 1e-5, 0.01, 100)
        ledger = Ledger(
            (Entry(mechanism="gaussian", what="x", scale=3 * multiplier, sensitivity=3.0, rate=0.01, times=100),)
        )
        assert 0.9 < ledger.total(1e-5).epsilon <= 1.0
        assert multiplier < accountant.gaussian_scale(1.0, 1.0, 1e-5) * 10  # 100 releases on all rows would need that

    def test_of_pure_and_gaussian_releases_adds_their_zcdp(self):
        made = mechanisms()
        made.laplace(0.0, sensitivity=1.0, epsilon=0.2, what="x")
        made.gaussian(0.0, sensitivity=1.0, rho=0.03, what="y")
        spent = made.ledger.total(1e-6)
        assert spent.rho == pytest.approx(0.05)
        assert spent.epsilon == accountant.zcdp_epsilon(0.05, 1e-6)

    def test_survives_files(self):
        made = mechanisms()
        made.laplace(0.0, sensitivity=1.0, epsilon=0.2, what="x")
        stored = made.ledger.as_arrays()
        stored["entries"][0]["rho"] = "inf"  # as JSON writes it
        assert Ledger.from_arrays(stored).total(0.0) == made.ledger.total(0.0)


class TestTheGenerator:
    def test_repeats_a_chosen_seed_and_says_so(self):
        one, two = (mechanisms(seed=3).gaussian(np.zeros(5), sensitivity=1, rho=1, what="x") for _ in range(2))
        np.testing.assert_array_equal(one, two)
        assert mechanisms().ledger.repeatable

    def test_is_new_every_time_without_one(self):
        one, two = (generator(Unseeded()).standard_normal(4) for _ in range(2))
        assert not np.any(one == two)
        assert not Mechanisms(Unseeded(), 1.0, 1e-6).ledger.repeatable

    @settings(max_examples=30, deadline=None)
    @given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e3))
    def test_releases_lie_on_a_grid_that_does_not_depend_on_the_value(self, value, scale):
        step = 2.0 ** (math.ceil(math.log2(scale)) - 30)
        released = on_grid(np.array([value]), scale)[0]
        assert released / step == round(released / step)
        assert abs(released - value) <= step / 2
