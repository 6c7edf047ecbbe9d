"""The noise of the solver's own releases: its scale, its cost, and what two neighbours give away."""

from itertools import permutations

import numpy as np
import pytest
from scipy import stats

import solvary
from solvary_privacy import Categorical, Marginals, Mechanisms, Prefixes, SyntheticData, audit, noise_free
from solvary_privacy.accountant import gaussian_epsilon
from solvary_privacy.synthetic_instances import mixed_gaussian
from solvary_private_gsd import measurement, solver


class Seeded:
    repeatable = True

    def __init__(self, seed=0):
        self.rng = np.random.default_rng(seed)


def test_measured_answers_have_the_noise_of_their_sensitivity():
    """By the law of the noise: a marginal of n rows has l2 sensitivity sqrt(2) / n, k prefixes have sqrt(k) / n."""
    made = mixed_gaussian(n=4000, d=3, prefixes=400, epsilon=2.0)
    instance = SyntheticData(
        data=made.data, domain=made.domain, workload=(Marginals(2, bins=20), Prefixes(400)), epsilon=2.0, delta=1e-9
    )
    queries = instance.queries
    mechanisms = Mechanisms(Seeded(), 2.0, 1e-9)
    measured = measurement.Measurement(queries, instance.data, mechanisms)
    units = queries.units(single=False)
    rho = mechanisms.rho / len(units)
    for unit in units:
        measured.measure(unit, rho)
    noise = measured.targets(units)[1] - instance.private_answers
    for unit, top in ((units[0], np.sqrt(2)), (units[-1], np.sqrt(400))):
        place = slice(unit.start, unit.stop)
        sigma = top / 4000 / np.sqrt(2 * rho)
        clear = np.abs(instance.private_answers[place] - 0.5) < 0.5 - 6 * sigma  # never clipped
        sample = noise[place][clear]
        assert len(sample) > 50 or top == np.sqrt(2)
        if len(sample) > 50:
            assert stats.kstest(sample / sigma, "norm").pvalue > 1e-3
            assert stats.kstest(sample / sigma * 3, "norm").pvalue < 1e-3
    assert mechanisms.ledger.total(1e-9).rho == pytest.approx(mechanisms.rho)


def adaptive(units, per_round, **fields):
    """The measurements of one adaptive run on a table that stays as it is."""
    made = mixed_gaussian(n=4000, d=3, prefixes=units, epsilon=2.0, **fields)
    mechanisms = Mechanisms(Seeded(), 2.0, 1e-9)
    measured = measurement.Measurement(made.queries, made.data, mechanisms)
    table = made.data[:100]
    yield made, mechanisms, measured
    yield from solver._measured(made, measured, mechanisms, "adaptive", 4, per_round, lambda: table)


def test_adaptive_answers_have_the_noise_of_their_share():
    """K rounds of S queries: each is measured for rho / (2 K S), and has the l2 sensitivity 1 / n."""
    steps = adaptive(600, 100)
    made, mechanisms, measured = next(steps)
    *_, (units, left) = steps
    assert (len(units), left) == (400, 1)
    chosen = np.array([unit.start for unit in units])
    assert len(set(chosen)) == 400
    _, noisy = measured.targets(units)
    sigma = 1 / 4000 / np.sqrt(2 * mechanisms.rho / (2 * 4 * 100))
    exact = made.private_answers[np.sort(chosen)]
    clear = np.abs(exact - 0.5) < 0.5 - 6 * sigma  # never clipped
    sample = (noisy - exact)[clear] / sigma
    assert len(sample) > 50
    assert stats.kstest(sample, "norm").pvalue > 1e-3
    assert stats.kstest(sample * 3, "norm").pvalue < 1e-3
    assert mechanisms.ledger.total(1e-9).rho == pytest.approx(mechanisms.rho)


@pytest.mark.parametrize("count", [1, 2])
def test_worst_units_are_chosen_with_the_odds_of_the_exponential_mechanism(count):
    """Of three units, whose largest errors on a table of zeros are their shares of ones: 0.1, 0.3 and 0.8."""
    data = np.zeros((10, 3))
    data[:1, 0] = data[:3, 1] = data[:8, 2] = 1
    fields = {"domain": (Categorical(2),) * 3, "workload": (Marginals(1),), "epsilon": np.inf, "delta": 1e-5}
    with noise_free():
        queries = SyntheticData(data=data, synthetic_rows=5, **fields).queries
    mechanisms = Mechanisms(Seeded(), 1e4, 1e-5)
    measured = measurement.Measurement(queries, data, mechanisms)
    units, zeros = queries.units(single=True), np.zeros((5, 3))
    epsilon, runs = 0.7, 3000
    rho = count * epsilon**2 / 8
    found = [tuple(measured.worst(units, count, zeros, rho)) for _ in range(runs)]

    def fits(epsilon):
        weights = np.exp(epsilon * np.array([0.1, 0.3, 0.8]) / (2 / 10))
        odds = {}
        for order in permutations(range(3), count):
            left, odds[order] = weights.sum(), 1.0
            for unit in order:
                odds[order] *= weights[unit] / left
                left -= weights[unit]
        return stats.chisquare([found.count(order) for order in odds], runs * np.array(list(odds.values()))).pvalue

    assert fits(epsilon) > 1e-3
    assert fits(1.5 * epsilon) < 1e-6
    assert fits(epsilon / 1.5) < 1e-6
    assert mechanisms.ledger.total(1e-5).rho == pytest.approx(runs * rho)


ADAPTIVE = {"mode": "adaptive", "rounds": 4}


@pytest.mark.parametrize(("options", "choices"), [({}, 0), (ADAPTIVE, 4), (ADAPTIVE | {"per_round": 6}, 20)])
def test_the_whole_budget_is_spent_and_no_more(options, choices):
    made = mixed_gaussian(n=500, d=2, prefixes=20, synthetic_rows=50)
    found = solvary.solve(made, "private-gsd", seed=0, generations=50, backend="simd", **options)
    rho = Mechanisms(Seeded(), made.epsilon, made.delta).rho
    assert found.measures["rho_spent"] == pytest.approx(rho)
    assert found.measures["within_budget"]
    kinds = [entry.mechanism for entry in found.answer.ledger.entries for _ in range(entry.times)]
    assert kinds.count("exponential") == choices
    if not options:
        assert found.measures["epsilon_spent"] == pytest.approx(
            gaussian_epsilon(np.sqrt(2 * rho), made.delta), rel=1e-6
        )


def neighbours():
    """Twenty equal rows, and one of them replaced."""
    data = np.zeros((20, 1))
    other = data.copy()
    other[0] = 1
    fields = {"domain": (Categorical(2),), "workload": (Marginals(1),), "epsilon": 1.0, "delta": 1e-5}
    fields["synthetic_rows"] = 20
    return [SyntheticData(data=data, **fields), SyntheticData(data=other, **fields)]


def shares(value):
    return -float((value[:, 0] == 1).mean())


@pytest.mark.parametrize("options", [{}, {"mode": "adaptive", "rounds": 1}])
def test_an_audit_finds_no_more_than_the_budget(monkeypatch, options):
    settings = options | {"runs": 80, "statistic": shares, "delta": 1e-5, "generations": 100, "population": 10}
    settings |= {"backend": "simd", "seed": 1}
    one, two = neighbours()
    assert audit(one, "private-gsd", two, **settings) <= 1.0
    honest = Mechanisms.gaussian

    def careless(self, value, *, sensitivity, rho, what):
        noisy = honest(self, value, sensitivity=sensitivity, rho=rho, what=what)
        return np.asarray(value) + (noisy - value) / 100

    monkeypatch.setattr(Mechanisms, "gaussian", careless)
    assert audit(one, "private-gsd", two, **settings) > 1.0


def test_an_audit_of_the_choice_finds_no_more_than_the_budget(monkeypatch):
    """One round on two equally wrong columns, one of which a replaced row makes less wrong.

    Only the measured column can improve, so the answer shows which one was chosen.
    """
    data, start = np.zeros((20, 2)), np.tile([[0.0, 0.0], [1.0, 1.0]], (10, 1))
    other = data.copy()
    other[0, 0] = 1
    fields = {"domain": (Categorical(2),) * 2, "workload": (Marginals(1),), "epsilon": 1.0, "delta": 1e-5}
    one, two = (SyntheticData(data=table, synthetic_rows=20, **fields) for table in (data, other))
    settings = {"runs": 80, "delta": 1e-5, "generations": 20, "population": 10, "operators": ("mutate",)}
    settings |= {"mode": "adaptive", "rounds": 1, "initial": start, "backend": "simd", "seed": 1}
    settings["statistic"] = lambda value: float((value[:, 1] == start[:, 1]).all())
    assert audit(one, "private-gsd", two, **settings) <= 1.0

    def careless(self, scores, count, **about):
        return np.argsort(-scores, kind="stable")[:count]

    monkeypatch.setattr(Mechanisms, "largest", careless)
    assert audit(one, "private-gsd", two, **settings) > 1.0
