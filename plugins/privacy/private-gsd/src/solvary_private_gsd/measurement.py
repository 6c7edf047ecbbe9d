"""Noisy answers: the only place where the private table is looked at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from solvary_privacy import Mechanisms
from solvary_privacy.workload import Queries, Unit


class Measurement:
    """Answers with Gaussian noise, clipped to [0, 1].

    Args:
        queries: all of the workload.
        data: (n, d) the private table; it is read once, here.
        mechanisms: of the run.
    """

    def __init__(self, queries: Queries, data: np.ndarray, mechanisms: Mechanisms) -> None:
        self._answers, self._rows, self._mechanisms = queries.answers(data), len(data), mechanisms
        self._noisy = np.full(queries.size, np.nan)
        self._queries = queries

    def measure(self, unit: Unit, rho: float) -> None:
        """a = q(D) + N(0, s^2 / (2 rho)), for rho of zCDP; s is the l2 sensitivity of the unit."""
        place = slice(unit.start, unit.stop)
        noisy = self._mechanisms.gaussian(
            self._answers[place], sensitivity=unit.sensitivity / self._rows, rho=rho,
            what=f"answers {unit.start} to {unit.stop - 1}",
        )  # fmt: skip
        self._noisy[place] = np.clip(noisy, 0.0, 1.0)

    def worst(self, units: Sequence[Unit], count: int, table: np.ndarray, rho: float) -> list[int]:
        """Report noisy max: units whose largest errors on a synthetic table are large, for rho of zCDP in all.

        A score is a largest absolute difference of shares, and one replaced row moves it by at most 1 / n. Each of
        the choices is an exponential mechanism, whose zCDP at epsilon is epsilon^2 / 8.
        """
        error = np.abs(self._answers - self._queries.answers(table))
        scores = np.array([error[unit.start : unit.stop].max() for unit in units])
        chosen = self._mechanisms.largest(
            scores, count, sensitivity=1 / self._rows, epsilon=float(np.sqrt(8 * rho / count)),
            what="units with the worst answers",
        )  # fmt: skip
        return [int(number) for number in chosen]

    def targets(self, units: Sequence[Unit]) -> tuple[Queries, np.ndarray]:
        """The queries of measured units, and their noisy answers."""
        part, numbers = self._queries.subset(units)
        return part, self._noisy[numbers]
