"""scikit-learn as solvers of the problems of several families, one module each. This module only declares."""

from __future__ import annotations

from solvary import Solver, hookimpl

K_MEANS = Solver(
    id="sklearn-k-means",
    solves="clustering.k-medoids",
    summary="k-means on the points, then the nearest point to each centre (scikit-learn)",
    implementations={"cpu": "solvary_contrib_scikit_learn.k_means:solve"},
    accepts="solvary_contrib_scikit_learn.k_means:accepts",
    traits={"one-shot", "baseline"},
)

BAYESIAN_RIDGE = Solver(
    id="bayesian-ridge",
    solves="inverse.linear",
    summary="Bayesian ridge regression on the principal components of the training samples (scikit-learn)",
    implementations={"cpu": "solvary_contrib_scikit_learn.bayesian_ridge:solve"},
    accepts="solvary_contrib_scikit_learn.bayesian_ridge:accepts",
    traits={"one-shot", "baseline"},
)


@hookimpl
def solvary_solvers() -> list[Solver]:
    """The solvers of this package."""
    return [K_MEANS, BAYESIAN_RIDGE]
