"""Closed-form baselines of `inverse.linear`: the exact posterior of a mixture, and that of a Gaussian prior."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from solvary import Context, Range
from solvary_inverse.linear import LinearInverse
from solvary_inverse.mixture import GaussianMixture
from solvary_inverse.mixture_posterior import MixturePosterior
from solvary_inverse.operators import to_matrix

#: more unknowns than this are too many for dense decompositions
_MOST = 2048


def accepts_mixture(problem: LinearInverse) -> str | None:
    """It needs the exact prior, of a size for dense matrices."""
    return "it has no mixture as its prior" if problem.mixture is None else _size(problem)


def accepts_gaussian(problem: LinearInverse) -> str | None:
    """It needs training samples or a mixture, of a size for dense matrices."""
    if problem.training is None and problem.mixture is None:
        return "it has neither training samples nor a mixture to take a mean and a covariance from"
    return _size(problem)


def _size(problem: LinearInverse) -> str | None:
    d = problem.A.d
    return f"it has {d} unknowns, and dense posteriors are for at most {_MOST}" if d > _MOST else None


def mixture_posterior(problem: LinearInverse, context: Context) -> np.ndarray:
    """The posterior mean, or independent draws from the posterior; exact."""
    assert problem.mixture is not None
    return _answer(problem, context, MixturePosterior(problem.mixture, to_matrix(problem.A), problem.noise))


def gaussian_posterior(
    problem: LinearInverse, context: Context, *, shrinkage: Annotated[float, Range(ge=0, le=1)] = 0.001
) -> np.ndarray:
    """The posterior mean (the linear estimate of least mean square error) or draws, for a Gaussian prior that has
    the moments of the mixture where it is known, and else of the training samples.

    Args:
        problem: the problem.
        context: its `rng` draws samples.
        shrinkage: part of the training covariance that is replaced by its mean variance times the identity.
    """
    if problem.mixture is not None:
        mean, covariance = problem.mixture.mean, problem.mixture.covariance
    else:
        assert problem.training is not None
        mean, covariance = problem.training.mean(axis=0), moments(problem.training, shrinkage)
    prior = GaussianMixture(mean[None], covariance[None])
    return _answer(problem, context, MixturePosterior(prior, to_matrix(problem.A), problem.noise))


def moments(training: np.ndarray, shrinkage: float) -> np.ndarray:
    """The covariance (d, d) of samples (N, d), shrunk towards its mean variance times the identity."""
    d = training.shape[1]
    centred = training - training.mean(axis=0)
    covariance = centred.T @ centred / len(training)
    return np.asarray((1 - shrinkage) * covariance + shrinkage * np.trace(covariance) / d * np.eye(d))


def _answer(problem: LinearInverse, context: Context, posterior: MixturePosterior) -> np.ndarray:
    found = [posterior.at(y) for y in np.atleast_2d(problem.data)]
    if problem.task == "posterior":
        answers = [exact.sample(context.rng, problem.samples) for exact in found]
    else:
        answers = [exact.mean for exact in found]
    return answers[0] if problem.batch is None else np.stack(answers)
