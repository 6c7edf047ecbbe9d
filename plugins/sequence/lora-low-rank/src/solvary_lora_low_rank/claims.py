"""The paper's headlines, re-measured: accuracy where scores are bounded, linear time, and the transition beyond."""

from __future__ import annotations

import math
import tracemalloc
from time import perf_counter
from typing import Any

import attrs
import numpy as np

import solvary
from solvary.claims import Check, at_least, at_most, report
from solvary_sequence import AdapterGradient
from solvary_sequence.adapter_gradient import weights_of

_PROBLEM = "sequence.adapter-gradient"
_KIND: Any = AdapterGradient
_FIELDS = tuple(field.name for field in attrs.fields(_KIND))


def accuracy(size: str) -> list[Check]:
    """Taylor expansions of fixed degree at n = 300, d = 4, and the tolerance, against the exact gradient."""
    seeds = range(10 if size == "full" else 4)
    checks = []
    for spread, degree in ((0.3, 4), (0.5, 6)):
        error, bound = _expanded(_gaussian(spread=spread), degree)
        checks.append(at_most(f"degree {degree}, spread {spread:g}: relative error", error, 1e-6, _up_to(bound)))
        worst, bound = max(_expanded(_gaussian(spread=spread, seed=seed), degree) for seed in seeds)
        checks.append(report(f"the same, worst of {len(seeds)} seeds", worst, _up_to(bound)))
    error, bound = _expanded(_with_scores(4.0), 6)
    checks.append(at_least("degree 6, scores up to 4: relative error", error, 1e-4, "outside the regime"))
    checks.append(at_most("degree 6, scores up to 4: relative error", error, 1e-1))
    error, bound = _expanded(_with_scores(2.1), 10)
    checks.append(at_most("degree 10, scores up to 2.1: relative error", error, 1e-6))
    for tolerance in (1e-2, 1e-4, 1e-6):
        errors = [_with_tolerance(tolerance, adapted, seed) for adapted in ("q", "qkv") for seed in seeds]
        what = f"tolerance {tolerance:g}: worst relative error / tolerance"
        checks.append(at_most(what, max(errors) / tolerance, 10.0, f"{len(errors)} problems"))
    return checks


def linear_time(size: str) -> list[Check]:
    """Best times at n = 20000 and 40000, taken in turn; the exact blocked gradient; memory at n = 10^6."""
    short, long = (_gaussian(n=n) for n in (20_000, 40_000))
    options: dict[str, Any] = {"method": "low-rank", "basis": "taylor", "degree": 4}
    times: dict[int, list[float]] = {20_000: [], 40_000: []}
    for _ in range(15):
        for problem in (short, long):
            times[len(problem.x)].append(_seconds(problem, options))
    once, twice = (min(found) for found in times.values())
    exact = _seconds(long, {"method": "exact"})

    tracemalloc.start()
    solution = solvary.solve(_gaussian(n=10**6), "lora-low-rank", backend="cpu", **options)
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return [
        at_least("time at n = 40000 / at n = 20000", twice / once, 1.6),
        at_most("time at n = 40000 / at n = 20000", twice / once, 2.6),
        at_least("exact blocked gradient / low-rank, n = 40000", exact / twice, 20.0, "d = 4, degree 4"),
        at_most("peak memory at n = 10^6 in MB, the problem's arrays included", peak, 400.0),
        report("features", solution.report["features"]),
    ]


def descent(size: str) -> list[Check]:
    """Ten steps of gradient descent on all six factors, with low-rank and with exact gradients."""
    n = 4000 if size == "full" else 1000
    checks = []
    for spread, degree in ((0.3, 4), (0.5, 6)):
        start = _gaussian(n=n, spread=spread, adapted="qkv")
        rate = 0.05 / max(float(np.abs(part).max()) for part in _gradients(start, method="exact").values())
        exact = _descend(start, rate, method="exact")
        moved = _difference(start, exact)
        note = f"n = {n}; they moved by up to {moved:.2g}, loss {start.loss():.6g} to {exact.loss():.6g}"
        off = _difference(_descend(start, rate, method="low-rank", basis="taylor", degree=degree), exact)
        what = f"spread {spread:g}: largest relative difference of a factor"
        checks.append(at_most(f"{what}, degree {degree}", off, 1e-4, note))
        off = _difference(_descend(start, rate, method="low-rank"), exact)
        checks.append(report(f"{what}, default tolerance 1e-4", off))
    return checks


def phase_transition(size: str) -> list[Check]:
    """Features K that tolerance 1e-4 takes, d = log2 n, with scores that reach log n and scores that stay at 1/2."""
    lengths = (64, 256, 1024) if size == "quick" else (64, 256, 1024, 4096)
    growing: list[float] = []
    bounded: list[float] = []
    notes = []
    for n in lengths:
        hard = solvary.instance(_PROBLEM, "hard", n=n, factor=1.0)
        easy = _with_scores(0.5, n=n, d=hard.x.shape[1])
        for problem, ratios in ((hard, growing), (easy, bounded)):
            said = solvary.solve(problem, "lora-low-rank", backend="cpu").report
            ratios.append(said["features"] * problem.x.shape[1] / n)
            notes.append(f"n = {n}: norm {said['weight_norm']:.1f}, sqrt(log n) {said['threshold']:.1f}")
    span = f"n = {lengths[0]} to {lengths[-1]}"
    return [
        at_least(
            f"scores up to log n: growth of K d / n, {span}", growing[-1] / growing[0], 10.0, "; ".join(notes[::2])
        ),
        at_most(f"scores up to 1/2: growth of K d / n, {span}", bounded[-1] / bounded[0], 1.0, "; ".join(notes[1::2])),
        at_least("scores up to log n: smallest K d / n (exact is cheaper above 1)", min(growing), 1.0),
        report("scores up to log n / up to 1/2: ratio of the features at the end", growing[-1] / bounded[-1]),
    ]


def _gaussian(**given: Any) -> AdapterGradient:
    problem: AdapterGradient = solvary.instance(_PROBLEM, "gaussian", **given)
    return problem


def _with_scores(largest: float, **given: Any) -> AdapterGradient:
    """The Gaussian instance with the spread for which max |S| has this value."""
    problem = _gaussian(spread=1.0, **given)
    wq, wk, _ = weights_of(problem)
    reached = float(np.abs(problem.x @ wq @ (problem.x @ wk).T).max()) / problem.scale
    return _gaussian(spread=math.sqrt(largest / reached), **given)


def _expanded(problem: AdapterGradient, degree: int) -> tuple[float, float]:
    """Relative error of the Taylor expansion, and the bound of the scores."""
    solution = solvary.solve(
        problem, "lora-low-rank", backend="cpu", method="low-rank", basis="taylor", degree=degree
    )  # fmt: skip
    return solution.measures["rel_error"], solution.report["bound"]


def _with_tolerance(tolerance: float, adapted: str, seed: int) -> float:
    problem = _gaussian(adapted=adapted, seed=seed)
    solution = solvary.solve(problem, "lora-low-rank", backend="cpu", method="low-rank", tolerance=tolerance)
    error: float = solution.measures["rel_error"]
    return error


def _up_to(bound: float) -> str:
    return f"scores up to {bound:.2g}"


def _seconds(problem: AdapterGradient, options: dict[str, Any]) -> float:
    began = perf_counter()
    solvary.solve(problem, "lora-low-rank", backend="cpu", **options)
    return perf_counter() - began


def _gradients(problem: AdapterGradient, **options: Any) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = solvary.solve(problem, "lora-low-rank", backend="cpu", **options).answer
    return found


def _difference(one: AdapterGradient, other: AdapterGradient) -> float:
    """Largest relative difference of a factor, Frobenius norm."""
    pairs = [(getattr(one, name), getattr(other, name)) for name in one.factors]
    return max(float(np.linalg.norm(first - second) / np.linalg.norm(second)) for first, second in pairs)


def _descend(problem: AdapterGradient, rate: float, **options: Any) -> AdapterGradient:
    for _ in range(10):
        gradients = _gradients(problem, **options)
        fields = {name: getattr(problem, name) for name in _FIELDS}
        fields |= {name: fields[name] - rate * gradient for name, gradient in gradients.items()}
        problem = AdapterGradient(**fields)
    return problem
