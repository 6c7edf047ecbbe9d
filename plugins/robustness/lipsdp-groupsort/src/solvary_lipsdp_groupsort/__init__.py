"""LipSDP beyond slope-restricted activations (arXiv:2401.14033). This module only declares."""

from __future__ import annotations

from solvary import Claim, Paper, Solver, hookimpl

SOLVER = Solver(
    id="lipsdp-groupsort",
    solves="robustness.lipschitz",
    summary="semidefinite program with certificates: GroupSort, MaxMin, Householder, ReLU; feed-forward and residual",
    paper=Paper(
        "Novel Quadratic Constraints for Extending LipSDP beyond Slope-Restricted Activations",
        arxiv="2401.14033",
        year=2024,
        authors="Pauli, Havens, Araujo, Garg, Khorrami, Allgöwer, Hu",
        venue="ICLR 2024",
    ),
    implementations={"cpu": "solvary_lipsdp_groupsort.solver:solve"},
    traits={"anytime", "deterministic"},
    claims=(
        Claim(
            "below-the-product",
            "MaxMin (2,8,1), (10,32,5), seed 0: at most 0.35, 0.70 of the product of norms; (10,16,1) within 1.02 of a "
            "lower bound (its share of 0.72 is not reproduced: reported)",
            run="solvary_lipsdp_groupsort.claims:below_the_product",
        ),
        Claim(
            "sees-one-lipschitz",
            "MaxMin and GroupSort between identity weights: a bound of 1, where LipSDP on the two-ReLU rewriting of "
            "MaxMin gives at least 1.2",
            run="solvary_lipsdp_groupsort.claims:sees_one_lipschitz",
        ),
        Claim(
            "deep-and-residual",
            "(10,64,5), GroupSort of 5, two hidden layers, Householder, three residual blocks: below the product of "
            "norms, seed 0",
            run="solvary_lipsdp_groupsort.claims:deep_and_residual",
            sizes=("full",),
        ),
    ),
)


@hookimpl
def solvary_solvers() -> list[Solver]:
    """The one solver of this plugin."""
    return [SOLVER]
