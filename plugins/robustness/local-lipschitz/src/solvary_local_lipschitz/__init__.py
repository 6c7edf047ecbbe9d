"""Local Lipschitz constants of networks by linear bound propagation through the Clarke Jacobian (arXiv:2210.07394).

This module only declares; `monotonicity` is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

from solvary import Claim, Implementation, Paper, Solver, hookimpl

if TYPE_CHECKING:
    from solvary_local_lipschitz.solver import monotonicity as monotonicity

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={"solver": ["monotonicity"]})

_PACKAGE = "solvary_local_lipschitz."

SOLVER = Solver(
    id="local-lipschitz",
    solves="robustness.lipschitz",
    summary="linear bounds propagated through the Clarke Jacobian on a ball of inputs; exact by branch and bound",
    paper=Paper(
        "Efficiently Computing Local Lipschitz Constants of Neural Networks via Bound Propagation",
        arxiv="2210.07394",
        year=2022,
        authors="Zhouxing Shi, Yihan Wang, Huan Zhang, J. Zico Kolter, Cho-Jui Hsieh",
        venue="NeurIPS 2022",
    ),
    implementations={
        "cpu": _PACKAGE + "solver:solve",
        "cuda": Implementation(_PACKAGE + "cuda:solve", worthwhile=_PACKAGE + "solver:worthwhile"),
    },
    traits={"anytime", "deterministic"},
    accepts=_PACKAGE + "solver:accepts",
    claims=(
        Claim(
            "tighter-relaxation",
            "Gaussian ReLU networks: at most 0.25 (five layers: 0.1) of the bound of interval arithmetic, no row above "
            "RecurJac's, at most 3.5 times the largest Jacobian norm found; the norm product is far above",
            run=_PACKAGE + "claims:tighter_relaxation",
        ),
        Claim(
            "exact-by-branching",
            "16-16-16-10, eps 0.1: branch and bound closes to the maximum over all activation patterns to 1e-6",
            run=_PACKAGE + "claims:exact_by_branching",
        ),
        Claim(
            "branching-lowers",
            "64-64-64-64-10, eps 0.02: a minute of branching lowers the bound by at least 5 %",
            run=_PACKAGE + "claims:branching_lowers",
            sizes=("full",),
        ),
        Claim(
            "convolutional",
            "three convolutions on MNIST digits, eps 1/255: all ten rows within a minute, at most 0.5 of the bound of "
            "interval arithmetic",
            run=_PACKAGE + "claims:convolutional",
            sizes=("full",),
        ),
    ),
)


@hookimpl
def solvary_solvers() -> list[Solver]:
    """The solver of this plugin."""
    return [SOLVER]
