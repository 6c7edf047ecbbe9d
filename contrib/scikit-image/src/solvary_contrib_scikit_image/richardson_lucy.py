"""Richardson-Lucy deconvolution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import numpy as np
from skimage.restoration import richardson_lucy

from solvary import Context, Range
from solvary_contrib_scikit_image import images
from solvary_inverse import LinearInverse
from solvary_inverse.named_operators import parse

#: numbers of iterations that are tried on training images: stopping early is what regularises
_COUNTS = (1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 120, 200)
#: data are lifted to this part of the peak: the method divides by them
_FLOOR = 1e-6


def accepts(problem: LinearInverse) -> str | None:
    """Images with a Gaussian blur."""
    if not isinstance(problem.operator, str) or parse(problem.operator)[0] != "blur":
        return 'it needs an operator "blur(width)"'
    return images.accepts(problem)


def solve(
    problem: LinearInverse,
    context: Context,
    *,
    steps: Annotated[int, Range(ge=1)] | None = None,
    tuning_images: Annotated[int, Range(ge=1)] = 32,
) -> np.ndarray:
    """Richardson-Lucy iterations from a constant image: nonnegative images only.

    Args:
        problem: images (h, w) with an operator "blur(width)"; they are continued by reflection, as the blur does.
        context: its `rng` draws the training images and their noise; the report has the number of steps.
        steps: iterations; None: chosen on the problem's training images (or by the discrepancy principle).
        tuning_images: training images on which numbers of iterations are tried.
    """
    assert problem.shape is not None
    shape, width = problem.shape, parse(problem.operator)[1][0]
    radius = int(4.0 * width + 0.5)
    profile = np.exp(-0.5 * (np.arange(-radius, radius + 1) / width) ** 2) if radius else np.ones(1)
    psf = np.outer(profile, profile) / profile.sum() ** 2

    def restore(count: float) -> Callable[[np.ndarray], np.ndarray]:
        return lambda data: np.stack([one(y.reshape(shape), int(count)).ravel() for y in data])

    def one(image: np.ndarray, count: int) -> np.ndarray:
        raised = np.maximum(np.pad(image, radius, mode="symmetric"), _FLOOR * problem.peak)
        found = np.asarray(richardson_lucy(raised, psf, num_iter=count, clip=False))
        return found[radius : radius + shape[0], radius : radius + shape[1]]

    if steps is None:
        steps = min(_COUNTS, key=images.loss(problem, context.rng, restore, tuning_images))
    context.report["steps"] = steps
    return restore(steps)(np.atleast_2d(problem.data)).reshape(*problem.data.shape[:-1], -1)
