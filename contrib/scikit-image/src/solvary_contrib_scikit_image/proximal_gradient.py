"""Accelerated proximal gradients with a denoiser as the proximal step, on a batch of images."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator

import numpy as np

from solvary import Context, Iterate, Outcome, Status
from solvary_contrib_scikit_image.images import loss
from solvary_inverse import LinearInverse
from solvary_inverse.operators import norm

#: (images (B, h, w), weight) -> the minimisers of |u - image|^2 / 2 + weight R(u), or what stands for them
Denoise = Callable[[np.ndarray, float], np.ndarray]
Run = Generator[Iterate, None, np.ndarray | Outcome]


def iterates(problem: LinearInverse, data: np.ndarray, denoise: Denoise, weight: float) -> Generator[np.ndarray]:
    """Iterates (B, d) for min |A x - y|^2 / 2 + weight R(x): FISTA (Beck and Teboulle 2009), whose momentum starts
    again for each image where it points uphill (O'Donoghue and Candes 2015).

    Where A'A is a multiple of the identity, the first iterate is the solution: one denoising of the data.
    """
    assert problem.shape is not None
    A, shape = problem.A, problem.shape
    step = 1.0 / (norm(A) ** 2 or 1.0)
    x = z = np.zeros((len(data), A.d))
    t = np.ones((len(data), 1))
    while True:
        moved = z - step * A.adjoint(A.apply(z) - data)
        new = denoise(moved.reshape(-1, *shape), step * weight).reshape(x.shape)
        uphill = np.sum((z - new) * (new - x), axis=1, keepdims=True) > 0
        t = np.where(uphill, 1.0, t)
        after = (1.0 + np.sqrt(1.0 + 4.0 * t**2)) / 2.0
        z = new + np.where(uphill, 0.0, (t - 1.0) / after) * (new - x)
        x, t = new, after
        yield x


def solve(
    problem: LinearInverse,
    context: Context,
    denoise: Denoise,
    weight: float | None,
    tolerance: float,
    max_iterations: int,
    tuning_images: int,
) -> Run:
    """The weight, where none is given, by search among powers of 4 and then of 2, and then the iterates."""
    if weight is None:

        def restore(candidate: float) -> Callable[[np.ndarray], np.ndarray]:
            return lambda data: last(iterates(problem, data, denoise, candidate), max_iterations, tolerance)

        of = loss(problem, context.rng, restore, tuning_images)
        # A'n has entries of about this size, and so has what a weight outweighs.
        size = problem.noise * (norm(problem.A) or 1.0)
        weight = min((size * factor for factor in (1 / 64, 1 / 16, 1 / 4, 1.0, 4.0)), key=of)
        weight = min((weight * factor for factor in (0.5, 1.0, 2.0)), key=of)
    context.report["weight"] = weight
    shaped = problem.data.shape[:-1]
    previous = None
    for i, x in enumerate(iterates(problem, np.atleast_2d(problem.data), denoise, weight), start=1):
        answer = x.reshape(*shaped, -1)
        change = np.inf if previous is None else _change(x, previous)
        yield Iterate(answer, change=change)
        if change <= tolerance:
            return answer
        if i >= max_iterations:
            return Outcome(answer, Status.LIMIT_ITERATIONS, f"the images still change by {change:.2g} in a step")
        previous = x
    raise AssertionError("the iterates do not end")


def last(run: Generator[np.ndarray], steps: int, tolerance: float) -> np.ndarray:
    """The iterate after some steps, or the first that changes no more."""
    previous = next(run)
    for x in itertools.islice(run, max(steps - 1, 0)):
        if _change(x, previous) <= tolerance:
            return x
        previous = x
    return previous


def _change(x: np.ndarray, previous: np.ndarray) -> float:
    """The largest change of an image, relative to its norm."""
    size = np.linalg.norm(x, axis=1)
    change = np.linalg.norm(x - previous, axis=1)
    return float(np.max(np.divide(change, size, out=change.copy(), where=size > 0)))
