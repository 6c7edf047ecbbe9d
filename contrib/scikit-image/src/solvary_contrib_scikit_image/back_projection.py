"""Filtered back projection."""

from __future__ import annotations

from typing import Literal

import numpy as np
from skimage.transform import iradon

from solvary import Context
from solvary_contrib_scikit_image import images
from solvary_inverse import LinearInverse
from solvary_inverse.named_operators import parse


def accepts(problem: LinearInverse) -> str | None:
    """Square images from a sinogram."""
    if not isinstance(problem.operator, str) or parse(problem.operator)[0] != "radon":
        return 'it needs an operator "radon(angles)"'
    if problem.shape is not None and len(set(problem.shape)) > 1:
        return f"it needs square images, and this problem has the shape {problem.shape}"
    return images.accepts(problem)


def solve(
    problem: LinearInverse,
    context: Context,
    *,
    filter: Literal["ramp", "shepp-logan", "cosine", "hamming", "hann"] = "hann",
) -> np.ndarray:
    """Filtered back projection: linear, at once, and best with many angles and little noise.

    Args:
        problem: square images with an operator "radon(angles)".
        context: not used.
        filter: the window on the ramp; "hann" damps noise most.
    """
    assert problem.shape is not None
    angles = int(parse(problem.operator)[1][0])
    theta = np.arange(angles) * 180.0 / angles
    options = {"theta": theta, "filter_name": filter, "circle": False, "output_size": problem.shape[0]}
    sinograms = problem.data.reshape(-1, problem.A.m // angles, angles)
    found = np.stack([iradon(sinogram, **options) for sinogram in sinograms])
    return found.reshape(*problem.data.shape[:-1], -1)
