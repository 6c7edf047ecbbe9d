"""The paper's headline, measured: smaller gradients than DP-GD under the same budget."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

import solvary
from solvary.claims import Check, at_most, report
from solvary_privacy import PrivateStationaryPoint, stationary_instances
from solvary_privacy.glm import LOSSES

LENGTHS, STEPS, PHASES = (20, 60, 200, 600), (2.0, 5.0, 15.0), (20, 60, 200)
PASSES, PASS_STEPS = (32, 64, 128, 256, 512), (5.0, 15.0, 45.0, 135.0)
SEEDS = 5


def better_estimates(size: str) -> list[Check]:
    """Errors of the released gradients at the points of a run, d = 100, eta = 2 and anchors at every 20th step.

    Both methods have the same number of steps and the same budget. Full: n = 4000, and every T of the grid.
    """
    quick = size == "quick"
    problem = stationary_instances.sigmoid_nonconvex(n=1000 if quick else 4000, d=100)
    checks = []
    for length in (20, 60) if quick else LENGTHS:
        errors = [
            _estimate_error(problem, "dp-stationary-points", iterations=length, step=2.0, phase=20),
            _estimate_error(problem, "dp-gd", iterations=length, step=2.0),
        ]
        note = _against(*errors)
        checks.append(
            at_most(f"T = {length}: root mean square error of gradients / DP-GD's", errors[0] / errors[1], 0.5, note)
        )
    return checks


def smaller_gradients(size: str) -> list[Check]:
    """Both methods at their best setting of one grid, and 5 seeds there; settings are chosen by one other seed.

    Reported only: the sigmoid is flat far from the origin, and the grid's best settings of SpiderBoost get there by
    noise. Their gradients are small, and their objective is that of w_0. A second pair of figures takes only settings
    that lower the mean objective along the run by 0.02 at least.
    """
    problem = stationary_instances.sigmoid_nonconvex(n=1000 if size == "quick" else 4000, d=100)
    start = problem.objective(np.zeros(100))
    trials = [(solver, options, _along(problem, solver, (100,), **options)) for solver, options in _grid()]
    checks = []
    for words, most in (("all settings", math.inf), ("settings that lower the objective", start - 0.02)):
        figures = {}
        for solver in ("dp-stationary-points", "dp-gd"):
            fit = [(found[0], options) for name, options, found in trials if name == solver and found[1] <= most]
            _, options = min(fit, key=lambda pair: pair[0])
            figures[solver] = norm, objective = _along(problem, solver, range(SEEDS), **options)
            note = f"mean objective {objective:.3f} (at w_0: {start:.3f}); {_words(options)}"
            checks.append(report(f"{words}, {solver}: root mean square gradient norm", norm, note))
        ratio = figures["dp-stationary-points"][0] / figures["dp-gd"][0]
        checks.append(report(f"{words}: ratio of the two", ratio))
    return checks


def one_pass(size: str) -> list[Check]:
    """Tree-based SPIDER against DP-SGD that reads every row once, n = 16000, d = 20.

    First the error of the released gradients at equal and short steps, where the differences of a tree are small.
    Then each method at its best setting; reported, as these have steps longer than L0 / L1, over which a difference
    is as noisy as a gradient. Both have the same steps and numbers of iterations to choose from. Settings are chosen
    by one seed; the figure is the root mean square over 5 others of the norm of the population gradient along a run.
    As in `smaller_gradients`, a second pair of figures takes only settings that lower the mean objective along the
    run, here by 0.1 at least.
    """
    problem = stationary_instances.sigmoid_nonconvex(n=16_000, d=20)
    errors = [
        _estimate_error(problem, "dp-stationary-points", iterations=64, step=2.0, variant="tree", phase=16, radius=1e9),
        _estimate_error(problem, "dp-gd", iterations=64, step=2.0, one_pass=True),
    ]
    checks = [at_most("error of gradients, 64 steps of 2 / DP-SGD's", errors[0] / errors[1], 0.5, _against(*errors))]
    start = problem.objective(np.zeros(20))
    few, many = (problem.population(np.random.default_rng(7), count) for count in (20_000, 160_000))
    trees: list[dict[str, Any]] = [
        {"variant": "tree", "iterations": length, "phase": leaves, "step": step, "radius": radius}
        for length in PASSES for leaves in (2, 4, 16, 64) if leaves < length
        for step in PASS_STEPS for radius in (1.0, 3.0, 10.0)
    ]  # fmt: skip
    passes = [{"one_pass": True, "iterations": length, "step": step} for length in PASSES for step in PASS_STEPS]
    tried = {
        solver: [(_along(problem, solver, (100,), few, **options), options) for options in settings]
        for solver, settings in (("dp-stationary-points", trees), ("dp-gd", passes))
    }
    for words, most in (("all settings", math.inf), ("settings that lower the objective", start - 0.1)):
        norms = {}
        for solver, found in tried.items():
            _, options = min(
                ((norm, options) for (norm, objective), options in found if objective <= most), key=lambda pair: pair[0]
            )
            norms[solver], objective = _along(problem, solver, range(SEEDS), many, **options)
            note = f"mean objective {objective:.3f} (at w_0: {start:.3f}); {_words(options)}"
            checks.append(report(f"{words}, {solver}: population gradient norm", norms[solver], note))
            if solver == "dp-stationary-points" and not math.isinf(most):
                calls = solvary.solve(problem, solver, seed=0, **options).measures["calls.gradient"]
                checks.insert(0, at_most("gradients of examples / n", calls / len(problem.labels), 2.0))
        ratio = norms["dp-stationary-points"] / norms["dp-gd"]
        checks.append(report(f"{words}: ratio of the two", ratio, "expected <= 1"))
    return checks


def _grid() -> Iterable[tuple[str, dict[str, Any]]]:
    for length in LENGTHS:
        for step in STEPS:
            yield "dp-gd", {"iterations": length, "step": step}
            for phase in PHASES:
                if phase <= length:
                    yield "dp-stationary-points", {"iterations": length, "step": step, "phase": phase}


def _along(
    problem: PrivateStationaryPoint, solver: str, seeds: Iterable[int],
    rows: tuple[np.ndarray, np.ndarray] | None = None, **options: Any,
) -> tuple[float, float]:  # fmt: skip
    """Over all visited points and seeds: the root mean square gradient norm, and the mean objective (on the rows)."""
    squares, objectives = [], []
    for seed in seeds:
        points = _points(problem, solver, seed, **options)
        squares.append(float(np.mean(_norms(problem, points, rows) ** 2)))
        some = points[:: max(1, len(points) // 20)]
        objectives.append(float(np.mean([problem.objective(w) for w in some])))
    return math.sqrt(float(np.mean(squares))), float(np.mean(objectives))


def _points(problem: PrivateStationaryPoint, solver: str, seed: int, **options: Any) -> np.ndarray:
    """The visited points (T, d)."""
    run = solvary.iterate(problem, solver, seed=seed, trace="none", **options)
    return np.array([iterate.answer.value for iterate in run])


def _estimate_error(problem: PrivateStationaryPoint, solver: str, *, step: float, **options: Any) -> float:
    """The root mean square of |g_t - grad F(w_t)|, where w_{t+1} = w_t - step g_t tells g_t."""
    squares = []
    for seed in range(SEEDS):
        points = _points(problem, solver, seed, step=step, **options)
        released = (points[:-1] - points[1:]) / step
        exact = np.array([problem.gradient(w) for w in points[:-1]])
        squares.append(float(np.mean(np.sum((released - exact) ** 2, axis=1))))
    return math.sqrt(float(np.mean(squares)))


def _norms(
    problem: PrivateStationaryPoint, points: np.ndarray, rows: tuple[np.ndarray, np.ndarray] | None
) -> np.ndarray:
    """Norms of the exact gradient at points (T, d), on the problem's rows or on others, in blocks of points."""
    x, y = (problem.features, problem.labels) if rows is None else rows
    loss, found = LOSSES[problem.loss], []
    for block in np.array_split(points, -(-len(points) * len(x) // 4_000_000)):
        slopes = loss.slopes(np, x @ block.T, y[:, None])
        gradients = slopes.T @ x / len(x) + np.array([problem.penalty.gradient(w) for w in block])
        found.append(np.linalg.norm(gradients, axis=1))
    return np.concatenate(found)


def _against(ours: float, theirs: float) -> str:
    return f"{ours:.4f} against {theirs:.4f}"


def _words(options: dict[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in options.items())
