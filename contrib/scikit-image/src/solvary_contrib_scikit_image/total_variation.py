"""Least squares with total variation."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from skimage.restoration import denoise_tv_chambolle

from solvary import Context, Range
from solvary_contrib_scikit_image import proximal_gradient
from solvary_inverse import LinearInverse


def solve(
    problem: LinearInverse,
    context: Context,
    *,
    weight: Annotated[float, Range(ge=0)] | None = None,
    inner: Annotated[int, Range(ge=1)] = 10,
    tolerance: Annotated[float, Range(ge=0)] = 1e-3,
    max_iterations: Annotated[int, Range(ge=1)] = 200,
    tuning_images: Annotated[int, Range(ge=1)] = 8,
) -> proximal_gradient.Run:
    """min |A x - y|^2 / 2 + weight TV(x), TV isotropic, by proximal gradients.

    Args:
        problem: a linear inverse problem on images (h, w).
        context: its `rng` draws the training images and their noise when the weight is chosen.
        weight: of the total variation; None: chosen on the problem's training images (by the discrepancy principle
            where there are none). The report has it.
        inner: the most iterations of `denoise_tv_chambolle` in each step.
        tolerance: stop when no image changes by more than this part of its norm in a step.
        max_iterations: the most steps.
        tuning_images: training images on which a weight is tried.
    """

    def denoise(images: np.ndarray, strength: float) -> np.ndarray:
        if strength == 0:
            return images
        options = {"weight": strength, "eps": 1e-6, "max_num_iter": inner}
        return np.stack([denoise_tv_chambolle(u, **options) for u in images])

    return proximal_gradient.solve(problem, context, denoise, weight, tolerance, max_iterations, tuning_images)
