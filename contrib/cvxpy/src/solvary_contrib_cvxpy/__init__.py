"""CVXPY with Clarabel or SCS as solvers of Lipschitz bounds. This module only declares."""

from __future__ import annotations

from solvary import Solver, hookimpl

LIPSDP = Solver(
    id="cvxpy-lipsdp",
    solves="robustness.lipschitz",
    summary="LipSDP through CVXPY: ReLU and leaky ReLU networks, one multiplier a unit",
    implementations={"cpu": "solvary_contrib_cvxpy.lipsdp:solve"},
    accepts="solvary_contrib_cvxpy.lipsdp:accepts_slopes",
    traits={"one-shot", "deterministic", "baseline"},
)

LIPSDP_GROUPSORT = Solver(
    id="cvxpy-lipsdp-groupsort",
    solves="robustness.lipschitz",
    summary="LipSDP with the constraints for GroupSort and Householder through CVXPY: all multipliers of the paper",
    implementations={"cpu": "solvary_contrib_cvxpy.lipsdp:solve"},
    accepts="solvary_contrib_cvxpy.lipsdp:accepts_all",
    traits={"one-shot", "deterministic", "baseline"},
)


@hookimpl
def solvary_solvers() -> list[Solver]:
    """The adapters of this package."""
    return [LIPSDP, LIPSDP_GROUPSORT]
