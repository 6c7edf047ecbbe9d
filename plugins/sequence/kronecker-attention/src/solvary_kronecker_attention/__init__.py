"""Tensor attention by the polynomial method (arXiv:2310.04064). This module only declares."""

from __future__ import annotations

from solvary import Claim, Implementation, Paper, Solver, hookimpl

SOLVER = Solver(
    id="kronecker-attention",
    solves="sequence.attention",
    summary="softmax attention of order 2, 3, ... by a polynomial of the scores: linear in n for small entries",
    paper=Paper(
        "How to Capture Higher-order Correlations? Generalizing Matrix Softmax Attention to Kronecker Computation",
        arxiv="2310.04064",
        year=2023,
        authors="Josh Alman, Zhao Song",
        venue="ICLR 2024",
    ),
    implementations={
        "cpu": "solvary_kronecker_attention.solver:solve",
        "cuda": Implementation(
            "solvary_kronecker_attention.solver:solve", worthwhile="solvary_kronecker_attention.solver:worthwhile"
        ),
    },
    accepts="solvary_kronecker_attention.solver:accepts",
    traits={"one-shot", "deterministic"},
    claims=(
        Claim(
            "guaranteed-error",
            "n = 300, B = 1, tolerances 1e-2 and 1e-4: the error stays within the stated bound with at most 70 and 330 "
            "features",
            run="solvary_kronecker_attention.claims:guaranteed_error",
        ),
        Claim(
            "linear-time",
            "n = 20 000 in less than 3 s; n = 40 000 takes 1.6 to 2.6 times as long",
            run="solvary_kronecker_attention.claims:linear_time",
        ),
        Claim(
            "faster-than-exact",
            "n = 800: at least 200 times faster than the exact path at an error of at most 1e-3",
            run="solvary_kronecker_attention.claims:faster_than_exact",
            sizes=("full",),
        ),
        Claim(
            "phase-transition",
            "the number of features grows with B, and auto turns to the exact path at or before the B where they lose",
            run="solvary_kronecker_attention.claims:phase_transition",
        ),
        Claim(
            "triple-detection",
            "n = 200: order 3 finds the query of a planted triple, ordinary attention does not",
            run="solvary_kronecker_attention.claims:triple_detection",
        ),
    ),
)


@hookimpl
def solvary_solvers() -> list[Solver]:
    """The solver."""
    return [SOLVER]
