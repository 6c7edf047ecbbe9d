"""Learned proximal networks: priors that are learned, can be evaluated, and restore with guarantees.

This module only declares; the method is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

from solvary import Claim, Paper, Solver, hookimpl

if TYPE_CHECKING:
    from solvary_learned_proximal.restoration import artifact_of as artifact_of

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={"restoration": ["artifact_of"]})

_CLAIMS = "solvary_learned_proximal.claims:"
_PAPER = Paper(
    "What's in a Prior? Learned Proximal Networks for Inverse Problems",
    arxiv="2310.14344",
    year=2024,
    authors="Zhenghan Fang, Sam Buchanan, Jeremias Sulam",
    venue="ICLR 2024",
)

LEARN = Solver(
    id="learned-proximal",
    solves="inverse.prior",
    summary="the gradient of an input-convex network, trained by proximal matching",
    paper=_PAPER,
    implementations={
        "cpu": "solvary_learned_proximal.solver:solve",
        "cuda": "solvary_learned_proximal.solver:solve",
    },
    traits={"anytime"},
    claims=(
        Claim(
            "soft-thresholding",
            "on Laplace samples only proximal matching learns soft thresholding and the l1 prior; every loss "
            "gives a proximal operator",
            run=_CLAIMS + "soft_thresholding",
        ),
    ),
)
RESTORE = Solver(
    id="learned-proximal-pnp",
    solves="inverse.linear",
    summary="plug-and-play ADMM or proximal gradient descent with a learned proximal network",
    paper=_PAPER,
    implementations={
        "cpu": "solvary_learned_proximal.restoration:solve",
        "cuda": "solvary_learned_proximal.restoration:solve",
    },
    traits={"anytime", "trained"},
    accepts="solvary_learned_proximal.restoration:accepts",
    train="solvary_learned_proximal.restoration:train",
    claims=(
        Claim(
            "descent",
            "the objective with the learned regulariser never rises in proximal gradient descent, and both algorithms "
            "end at a critical point",
            run=_CLAIMS + "descent",
        ),
        Claim(
            "digits",
            "on masked and blurred digits it restores better than total variation and wavelets by 0.5 dB, and the "
            "learned regulariser is lower at digits than at noisy digits and noise",
            run=_CLAIMS + "digits",
            sizes=("full",),
        ),
    ),
)


@hookimpl
def solvary_solvers() -> list[Solver]:
    """The solvers of this plugin."""
    return [LEARN, RESTORE]
