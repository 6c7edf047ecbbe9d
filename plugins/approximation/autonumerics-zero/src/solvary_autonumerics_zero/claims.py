"""The paper's claim on 2^x: programs of k operations far more accurate than polynomials of k operations.

Errors are measured by the problem, on 20001 points and around the worst of them. The polynomials are minimax (Remez),
in Horner's form: 2 operations a degree.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import solvary
from solvary.claims import Check, at_most, report
from solvary_approximation import instances
from solvary_approximation.simplify import X, constant, index, lines_of, to_program
from solvary_autonumerics_zero import simd
from solvary_autonumerics_zero.mutations import Genome
from solvary_autonumerics_zero.training import Trainer

_ID = "autonumerics-zero"
#: the goal in ULP: below 1
_BELOW_ONE = 1.0 - 1e-9


def five_operations(size: str) -> list[Check]:
    """At most 5 operations, best of 3 seeds; a polynomial of as many has degree 2."""
    problem = instances.exp2(tolerance=6e-4, budget=5)
    runs = [_solve(problem, seed, generations=60 if size == "quick" else 300) for seed in range(3)]
    best = min(runs, key=lambda run: float(run.measures["max_error"]))
    polynomial = solvary.solve(instances.exp2(tolerance=None, budget=5), "remez-polynomial", seed=0)
    return [
        at_most("operations", best.measures["cost"], 5),
        at_most("relative error at <= 5 operations", best.measures["max_error"], 6e-4),
        at_most("the same / error of the best polynomial", _ratio(best, polynomial), 1 / 3),
        report("seeds of 3 that reach 6e-4", sum(run.measures["max_error"] <= 6e-4 for run in runs)),
        report("candidates fitted, best seed", best.report["fits"]),
    ]


def seven_operations(size: str) -> list[Check]:
    """At most 7 operations, best of 3 seeds, from empty programs; the whole front of the best seed."""
    problem = instances.exp2(tolerance=None, budget=7)
    runs = [_solve(problem, seed, generations=150) for seed in range(3)]
    best = min(runs, key=lambda run: float(run.measures["max_error"]))
    polynomial = solvary.solve(problem, "remez-polynomial", seed=0)
    checks = [
        at_most("relative error at <= 7 operations", best.measures["max_error"], 2.5e-5),
        at_most("the same / error of the best polynomial", _ratio(best, polynomial), 1 / 3),
    ]
    for row in best.report["front"]:
        if row["operations"]:
            same = instances.exp2(tolerance=None, budget=row["operations"])
            others = [
                f"{name} {solvary.solve(same, name, seed=0).measures['max_error']:.2e}"
                for name in ("remez-polynomial", "aaa-rational")
            ]
            checks.append(report(f"error at {row['operations']} operations", row["error"], "; ".join(others)))
    return checks


def single_precision(size: str) -> list[Check]:
    """Below 1 ULP in float32, fma allowed, with no more operations than the shortest Horner's form below 1 ULP.

    Best of at most 3 seeds. Horner's form takes one fma a degree, its coefficients are tuned as those of the programs.
    """
    horner = {degree: tuned_horner_ulp(degree) for degree in range(4, 9)}
    shortest = min(degree for degree, ulp in horner.items() if ulp < 1.0)
    problem = instances.exp2(tolerance=_BELOW_ONE, budget=shortest, norm="ulp32")
    given = {"precision": "float32", "operations": ("add", "sub", "mul", "div", "fma"), "elitism": True}
    least = np.inf
    for seed in range(3):
        run = _solve(problem, seed, generations=1500, **given)
        least = min(least, float(run.measures["max_error"]))
        if least < 1.0:
            break
    return [
        at_most(f"ULP of a program of at most {shortest} operations", least, _BELOW_ONE),
        report("ULP of Horner's form by degree", " ".join(f"{degree}: {ulp:.2f}" for degree, ulp in horner.items())),
        report("seeds that were run", seed + 1),
    ]


def tuned_horner_ulp(degree: int) -> float:
    """ULP of the minimax polynomial as fused multiply-adds, its coefficients rounded to float32 and tuned."""
    problem = instances.exp2(tolerance=None, budget=2 * degree, norm="ulp32")
    polynomial = solvary.solve(problem, "remez-polynomial", seed=0, degree=degree).answer
    lines, values, _ = lines_of(polynomial)
    # The minimax program reads its coefficients in Horner's order, highest first.
    coefficients = [values[index(source)] for line in lines for source in line[1:] if source < X]
    fused = [("fma", k - 1 if k else constant(0), X, constant(k + 1)) for k in range(degree)]
    trainer = Trainer(problem, problem.values_at, simd, 64, 1, "lm", True)
    tuned, _ = trainer.judged(Genome(tuple(fused), tuple(coefficients)), np.array(coefficients))
    return float(problem.measure(to_program(fused, tuned.tolist()))["max_error"])


def _solve(problem: Any, seed: int, **options: Any) -> solvary.Solution:
    return solvary.solve(problem, _ID, backend="simd", seed=seed, trace="none", threads=1, **options)


def _ratio(one: solvary.Solution, other: solvary.Solution) -> float:
    return float(one.measures["max_error"]) / float(other.measures["max_error"])
