"""Bayesian ridge regression for linear inverse problems with a Gaussian prior."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from sklearn.linear_model import BayesianRidge

from solvary import Context, Range
from solvary_inverse import LinearInverse
from solvary_inverse.operators import to_matrix

#: more entries than this are too many for a dense regression
_MOST = 1 << 24


def accepts(problem: LinearInverse) -> str | None:
    """Problems that fit in a dense matrix."""
    entries = problem.A.m * problem.A.d
    return f"its matrix has {entries} entries, and a dense regression takes {_MOST}" if entries > _MOST else None


def solve(
    problem: LinearInverse,
    context: Context,
    *,
    components: Annotated[int, Range(ge=1)] | None = None,
    learn_noise: bool = False,
    max_iterations: Annotated[int, Range(ge=1)] = 300,
    tolerance: Annotated[float, Range(ge=0)] = 1e-3,
) -> np.ndarray:
    """x = mean + L z with z ~ N(0, I / lambda): a regression of y - A mean on A L, with lambda learned from y.

    L are principal components of the training samples, each scaled by its standard deviation, and `mean` is their mean;
    without training samples those of the mixture, and with neither L = I and the mean is 0. For the task "posterior" it
    draws from the Gaussian posterior.

    Args:
        problem: any; each y of a batch is a regression of its own.
        context: its `rng` draws samples; the report has the mean of the learned precisions.
        components: principal components that are kept; None: all with a variance.
        learn_noise: learn the precision of the noise from y, too, instead of taking it from the problem.
        max_iterations: the most iterations of each regression.
        tolerance: a regression has converged when its coefficients change by less than this.
    """
    mean, L = prior(problem, components)
    matrix = to_matrix(problem.A) @ L
    # With a sharp gamma distribution around 1/noise^2 the precision of the noise stays where it is.
    precision = 1.0 / problem.noise**2
    shape = 1e12 * problem.data.size
    sharp = {} if learn_noise else {"alpha_1": shape, "alpha_2": shape / precision}
    model = BayesianRidge(
        fit_intercept=False, alpha_init=precision, lambda_init=1.0, max_iter=max_iterations, tol=tolerance, **sharp
    )
    found, learned = [], []
    for y in np.atleast_2d(problem.data):
        model.fit(matrix, y - problem.A.apply(mean))
        z = np.asarray(model.coef_)
        if problem.task == "posterior":
            z = z + context.rng.standard_normal((problem.samples, z.size)) @ _root(model.sigma_).T
        found.append(mean + z @ L.T)
        learned.append((float(model.alpha_), float(model.lambda_)))
    alpha, strength = np.mean(learned, axis=0)
    context.report.update({"noise_precision": float(alpha), "prior_precision": float(strength)})
    return found[0] if problem.batch is None else np.stack(found)


def prior(problem: LinearInverse, components: int | None) -> tuple[np.ndarray, np.ndarray]:
    """The mean (d,) and L (d, r), L L' the covariance of the training samples, else of the mixture, else I."""
    if problem.training is not None:
        mean = problem.training.mean(axis=0)
        _, scales, directions = np.linalg.svd(problem.training - mean, full_matrices=False)
        scales, directions = scales / math.sqrt(len(problem.training)), directions.T
    elif problem.mixture is not None:
        mean = problem.mixture.mean
        directions, variances, _ = np.linalg.svd(problem.mixture.covariance, hermitian=True)
        scales = np.sqrt(variances)
    else:
        return np.zeros(problem.A.d), np.eye(problem.A.d)
    kept = scales > 1e-10 * scales.max()
    kept[0] = True  # a regression needs a column
    if components is not None:
        kept[components:] = False
    return mean, directions[:, kept] * scales[kept]


def _root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))
