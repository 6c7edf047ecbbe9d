"""AutoNumerics-Zero (arXiv:2312.08472): evolution of short programs for functions. This module only declares."""

from __future__ import annotations

from solvary import Claim, Paper, Solver, hookimpl

_RUN = "solvary_autonumerics_zero.solver:solve"
_CLAIMS = "solvary_autonumerics_zero.claims:"

SOLVER = Solver(
    id="autonumerics-zero",
    solves="approximation.function",
    summary="Evolves short programs from empty ones: accuracy against operations or time",
    paper=Paper(
        "AutoNumerics-Zero: Automated Discovery of State-of-the-Art Mathematical Functions",
        arxiv="2312.08472",
        year=2023,
        authors="Real, Chen, Rossini, de Souza, Garg, Verghese, Firsching, Le, Cubuk, Park",
    ),
    implementations={"cpu": _RUN, "simd": _RUN},
    traits={"anytime"},
    accepts="solvary_autonumerics_zero.solver:one_input",
    claims=(
        Claim(
            "five-operations",
            "2^x on [0, 1]: a program of at most 5 operations with relative error <= 6e-4, a third of the best "
            "polynomial's (best of 3 seeds)",
            run=_CLAIMS + "five_operations",
            sizes=("quick", "full"),
        ),
        Claim(
            "seven-operations",
            "2^x on [0, 1]: a program of at most 7 operations with relative error <= 2.5e-5, a third of the best "
            "polynomial's; the front beside polynomials and AAA",
            run=_CLAIMS + "seven_operations",
            sizes=("full",),
        ),
        Claim(
            "float32",
            "2^x on [0, 1] in float32: below 1 ULP with no more operations than the shortest Horner's form below 1 ULP",
            run=_CLAIMS + "single_precision",
            sizes=("full",),
        ),
    ),
)


@hookimpl
def solvary_solvers() -> list[Solver]:
    """The one solver of this plugin."""
    return [SOLVER]
