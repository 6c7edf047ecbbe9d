"""What the paper promises, as programs. Noise and search use chosen seeds, so that a run can be repeated."""

from __future__ import annotations

import math
from typing import Any

import attrs
import numpy as np

from solvary import Problem, Solution, solve
from solvary.claims import Check, at_most, report
from solvary_privacy import Ordinal, Real, SyntheticData, noise_free
from solvary_privacy.synthetic_instances import latent_class, mixed_gaussian
from solvary_privacy.workload import Marginals

CARDS = (2, 3, 4, 5, 2, 6, 3, 4)
_BINS = 16
_FIELDS = ("data", "domain", "workload", "epsilon", "delta", "synthetic_rows")


def below_the_noise(size: str) -> list[Check]:
    """All 28 two-way marginals of 10,000 rows at epsilon = 1, against the noisy answers and independent columns."""
    problem = latent_class(n=10_000, cards=CARDS, synthetic_rows=1000)
    found = [_solve(problem, seed).measures for seed in range(3 if size == "quick" else 5)]
    independent = solve(problem, "independent-columns", seed=0).measures["average_error"]
    average = float(np.mean([m["average_error"] for m in found]))
    largest = float(np.mean([m["max_error"] for m in found]))
    floor, floor_max = found[0]["noise_floor"], found[0]["noise_floor_max"]
    return [
        at_most("average error over that of the noisy answers", average / floor, 0.85, f"{average:.4g}, {floor:.4g}"),
        at_most(
            "max error over that of the noisy answers", largest / floor_max, 0.75, f"{largest:.4g}, {floor_max:.4g}"
        ),
        at_most("average error over that of independent columns", average / independent, 0.25, f"{independent:.4g}"),
    ]


def prefixes_without_bins(size: str) -> list[Check]:
    """2000 prefixes of six real columns and a label: adaptive search on them, against binned two-way marginals.

    30 rounds measure 20 queries each, of the 5 to 200 of the authors' experiments. Expected at most 0.6 at n = 20,000;
    not reproduced, and therefore reported. The figures at n = 200,000, where the noise is a tenth, were added when
    that was known, and are reported as well.
    """
    checks = []
    for n, seeds in ((20_000, 5), (200_000, 3)):
        maxima, averages = [], []
        for seed in range(seeds):
            problem = mixed_gaussian(n=n, d=6, prefixes=2000, synthetic_rows=2000, seed=seed)
            ours = _solve(problem, seed, mode="adaptive", rounds=30, per_round=20).measures
            other = _binned(problem, seed)
            maxima.append(ours["max_error"] / other["max_error"])
            averages.append(ours["average_error"] / other["average_error"])
        words = f"n = {n:,}, {seeds} seeds: mean max error over that of marginals of {_BINS} bins"
        note = f"largest {max(maxima):.3g}" + ("; expected <= 0.6" if n == 20_000 else "")
        checks.append(report(words, float(np.mean(maxima)), note))
        checks.append(report(f"n = {n:,}: mean average error over that of the marginals", float(np.mean(averages))))
    return checks


def fits_exact_answers(size: str) -> list[Check]:
    """Without noise, on the instance of `below_the_noise`: what is left is the search's own error."""
    problem = latent_class(n=10_000, cards=CARDS, synthetic_rows=1000)
    with noise_free():
        exact = _evolved(problem, epsilon=math.inf)
        found = _solve(exact, 0, generations=200_000, tolerance=0.0).measures
    return [at_most("average error times rows, after 200,000 generations", found["average_error"] * 1000, 2.0)]


def _solve(problem: Problem, seed: int, **options: Any) -> Solution:
    return solve(problem, "private-gsd", backend="simd", seed=seed, **options)


def _binned(problem: SyntheticData, seed: int) -> dict[str, Any]:
    """The whole budget on two-way marginals of binned columns, the same search, and uniform values in the bins."""
    codes = problem.data.copy()
    columns = list(problem.domain)
    for j, column in enumerate(problem.domain):
        if isinstance(column, Real):
            codes[:, j] = np.minimum(
                np.floor((codes[:, j] - column.low) / (column.high - column.low) * _BINS), _BINS - 1
            )
            columns[j] = Ordinal(_BINS)
    coarse = _evolved(problem, data=codes, domain=columns, workload=(Marginals(2),))
    answer = _solve(coarse, seed).answer
    table, rng = answer.value.copy(), np.random.default_rng(seed)
    for j, column in enumerate(problem.domain):
        if isinstance(column, Real):
            table[:, j] = column.low + (table[:, j] + rng.random(len(table))) / _BINS * (column.high - column.low)
    return problem.measure(attrs.evolve(answer, value=table))


def _evolved(problem: SyntheticData, **changes: Any) -> SyntheticData:
    given = {name: getattr(problem, name) for name in _FIELDS}
    return SyntheticData(**{**given, **changes})
