"""Private-GSD: Liu, Tang, Vietri and Wu (2023), algorithms 1 (one-shot) and 3 (adaptive), with their genetic search."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from difflib import get_close_matches
from importlib import import_module
from typing import Annotated, Any, Literal

import numpy as np

from solvary import Context, Iterate, OptionError, Outcome, Range, Status
from solvary_privacy import Mechanisms, SyntheticData
from solvary_privacy.domain import outside, uniform
from solvary_privacy.ledger import PrivateAnswer
from solvary_privacy.workload import Unit
from solvary_private_gsd.measurement import Measurement
from solvary_private_gsd.population import OPERATORS
from solvary_private_gsd.search import Search

Steps = Generator[Iterate, None, PrivateAnswer | Outcome]


def solve(
    problem: SyntheticData,
    context: Context,
    *,
    mode: Literal["one-shot", "adaptive"] = "one-shot",
    rounds: Annotated[int, Range(ge=1)] = 20,
    per_round: Annotated[int, Range(ge=1)] = 1,
    generations: Annotated[int, Range(ge=1)] = 200_000,
    population: Annotated[int, Range(ge=1)] = 100,
    elite: Annotated[int, Range(ge=1)] = 2,
    operators: tuple[str, ...] = OPERATORS,
    bandit: bool = True,
    tolerance: Annotated[float, Range(ge=0)] = 1e-4,
    initial: np.ndarray | None = None,
    generations_per_yield: Annotated[int, Range(ge=1)] = 2000,
) -> Steps:
    """Measures the workload with Gaussian noise, then breeds a table whose answers are near the noisy ones.

    Yields the best table every few generations; each is a release. Status LIMIT_ITERATIONS when the generations were
    used up before the search came to rest.

    Args:
        problem: the private table.
        mode: "one-shot" measures every unit (marginal table, or family of prefixes or halfspaces) once with rho / k.
            "adaptive" spends rho / (2 K) in each of K rounds on finding the units (marginal tables, or single
            queries) whose answers are worst, and rho / (2 K) on measuring them.
        rounds: K; fewer when there are no more units to measure.
        per_round: units that an adaptive round finds and measures. Many queries of one kind need many of them:
            K times so many is what the table is made from.
        generations: in all; adaptive rounds share what is left.
        population: P, candidates per generation.
        elite: E, tables that crossover takes values from.
        operators: of "mutate", "cross", "swap" and "continuous".
        bandit: use operators that improve more often.
        tolerance: the search ends when max(100, m) generations improve the loss by less than this share.
        initial: public table to begin with; its rows are drawn with replacement when they are not m.
        generations_per_yield: between iterates.

    Raises:
        OptionError: an unknown operator, or an initial table that does not fit the domain.
    """
    _check_operators(operators)
    table = _start(problem, context, initial)
    kernels = import_module(f"solvary_private_gsd.{'simd' if context.backend == 'simd' else 'reference'}")
    mechanisms = Mechanisms(context, problem.epsilon, problem.delta)
    measurement = Measurement(problem.queries, problem.data, mechanisms)
    settings: dict[str, Any] = {
        "population": population,
        "elite": elite,
        "operators": operators,
        "learns": bandit,
        "tolerance": tolerance,
        "rng": context.rng,
    }
    left = generations
    for units, rounds_left in _measured(problem, measurement, mechanisms, mode, rounds, per_round, lambda: table):
        search = Search(*measurement.targets(units), table, kernels, **settings)
        share = left // rounds_left
        yield _iterate(mechanisms, search)
        while not search.stopped and search.generation < share:
            search.run(min(generations_per_yield, share - search.generation))
            yield _iterate(mechanisms, search)
        table, left = search.table, left - search.generation
    context.report.update(
        fitness=search.loss,
        generations=generations - left,
        measured=[unit.stop - unit.start for unit in units],
        operators={OPERATORS[number]: odds for number, odds in search.odds.items()},
    )
    answer = mechanisms.answer(table)
    if search.stopped:
        return answer
    return Outcome(answer, Status.LIMIT_ITERATIONS, f"the loss still fell after generations = {generations}")


def _iterate(mechanisms: Mechanisms, search: Search) -> Iterate:
    return Iterate(answer=lambda: mechanisms.answer(search.table), fitness=search.loss)


def _measured(
    problem: SyntheticData,
    measurement: Measurement,
    mechanisms: Mechanisms,
    mode: str,
    rounds: int,
    per_round: int,
    table: Callable[[], np.ndarray],
) -> Generator[tuple[list[Unit], int], None, None]:
    """The units measured so far, and how many rounds there are from here on, once a round."""
    if mode == "one-shot":
        units = problem.queries.units(single=False)
        for unit in units:
            measurement.measure(unit, mechanisms.rho / len(units))
        yield units, 1
        return
    waiting, chosen = problem.queries.units(single=True), list[Unit]()
    rounds = min(rounds, math.ceil(len(waiting) / per_round))
    rho = mechanisms.rho / (2 * rounds)
    for number in range(rounds):
        count = min(per_round, len(waiting))
        worst = measurement.worst(waiting, count, table(), rho)
        for place in worst:
            measurement.measure(waiting[place], rho / count)
        chosen += [waiting[place] for place in worst]
        waiting = [unit for place, unit in enumerate(waiting) if place not in set(worst)]
        yield chosen, rounds - number


def _check_operators(operators: tuple[str, ...]) -> None:
    for name in operators:
        if name not in OPERATORS:
            near = get_close_matches(name, OPERATORS, n=1)
            expected = repr(near[0]) if near else f"one of {', '.join(OPERATORS)}"
            raise OptionError("operators", f"has the unknown operator {name!r}", expected)
    if not operators:
        raise OptionError("operators", "is empty", f"at least one of {', '.join(OPERATORS)}")


def _start(problem: SyntheticData, context: Context, initial: np.ndarray | None) -> np.ndarray:
    """m uniform rows of the domain, or those of a public table."""
    m, d = problem.rows, len(problem.domain)
    if initial is None:
        return uniform(problem.domain, m, context.rng)
    try:
        given = np.asarray(initial, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise OptionError("initial", f"is no table of numbers ({error})", f"shape ({m}, {d})") from None
    if given.ndim != 2 or given.shape[1] != d or not len(given):
        raise OptionError("initial", f"has shape {given.shape}", f"shape ({m}, {d})")
    wrong = outside(given, problem.domain)
    if wrong.any():
        row, column = map(int, np.argwhere(wrong)[0])
        words = f"has {given[row, column]:g} in row {row}, column {column}"
        raise OptionError("initial", words, f"a value of {problem.domain[column]}")
    return given if len(given) == m else given[context.rng.integers(len(given), size=m)]
