"""What is common to restorations of images: what they take, and how a parameter is chosen for a problem."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from solvary_inverse import LinearInverse

#: a restoration with its parameter: data (B, m) -> images (B, d)
Restore = Callable[[np.ndarray], np.ndarray]


def accepts(problem: LinearInverse) -> str | None:
    """Estimates of images."""
    if problem.task != "estimate":
        return "it asks for posterior samples, and this gives one estimate"
    if problem.shape is None or len(problem.shape) != 2:
        return f"it needs images with a height and a width, and this problem has the shape {problem.shape}"
    return None


def loss(
    problem: LinearInverse, rng: np.random.Generator, restore: Callable[[float], Restore], images: int
) -> Callable[[float], float]:
    """How badly a parameter restores, remembered for each that was tried.

    Up to `images` training images are measured as the problem does: the loss is minus their mean psnr, up to constants.
    Without training images it is how far the residual |y - A x| is from what the noise explains, noise sqrt(m) (the
    discrepancy principle).
    """
    data = np.atleast_2d(problem.data)
    clean: np.ndarray | None = None
    if problem.training is not None:
        chosen = rng.permutation(len(problem.training))[:images]
        clean = problem.training[chosen]
        data = problem.A.apply(clean)
        data = data + problem.noise * rng.standard_normal(data.shape)

    @functools.cache
    def of(candidate: float) -> float:
        restored = restore(candidate)(data)
        if clean is not None:
            return float(np.mean(np.log(np.mean((restored - clean) ** 2, axis=1) + 1e-30)))
        distance = np.linalg.norm(data - problem.A.apply(restored), axis=1) / (problem.noise * np.sqrt(problem.A.m))
        return abs(float(np.mean(distance)) - 1.0)

    return of
