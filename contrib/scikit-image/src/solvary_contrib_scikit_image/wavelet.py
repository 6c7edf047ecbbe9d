"""Wavelet shrinkage as the proximal step."""

from __future__ import annotations

import math
import warnings
from typing import Annotated, Any

import numpy as np
from skimage.restoration import denoise_wavelet

from solvary import Context, OptionError, Range
from solvary_contrib_scikit_image import proximal_gradient
from solvary_inverse import LinearInverse


def solve(
    problem: LinearInverse,
    context: Context,
    *,
    weight: Annotated[float, Range(ge=0)] | None = None,
    wavelet: str = "haar",
    shifts: Annotated[int, Range(ge=0)] = 1,
    tolerance: Annotated[float, Range(ge=0)] = 1e-3,
    max_iterations: Annotated[int, Range(ge=1)] = 200,
    tuning_images: Annotated[int, Range(ge=1)] = 8,
) -> proximal_gradient.Run:
    """Proximal gradients on |A x - y|^2 / 2 with soft thresholds on wavelet coefficients, averaged over shifts.

    Without shifts and with orthogonal wavelets on images of even sides this minimises |A x - y|^2 / 2 + weight |W x|_1,
    W the detail coefficients; with shifts it is a plug-and-play method.

    Args:
        problem: a linear inverse problem on images (h, w).
        context: its `rng` draws the training images and their noise when the weight is chosen.
        weight: the threshold, for an operator of norm 1; None: chosen as by `skimage-total-variation`.
        wavelet: a discrete wavelet of PyWavelets.
        shifts: images are denoised at all circular shifts by 0 to `shifts` pixels per axis, and averaged.
        tolerance: stop when no image changes by more than this part of its norm in a step.
        max_iterations: the most steps.
        tuning_images: training images on which a weight is tried.
    """
    try:
        _shrink(np.eye(4)[..., None], 1.0, wavelet)
    except ValueError as error:
        expected = 'a discrete wavelet of PyWavelets, such as "haar" or "db2"'
        raise OptionError("wavelet", f"got {wavelet!r}", expected) from error

    def denoise(images: np.ndarray, strength: float) -> np.ndarray:
        if strength == 0:
            return images
        stacked = np.moveaxis(images, 0, -1)
        moves = [(i, j) for i in range(shifts + 1) for j in range(shifts + 1)]
        total = np.zeros_like(stacked)
        for move in moves:
            shrunk = _shrink(np.roll(stacked, move, axis=(0, 1)), strength, wavelet)
            total += np.roll(shrunk, (-move[0], -move[1]), axis=(0, 1))
        return np.moveaxis(total / len(moves), -1, 0)

    return proximal_gradient.solve(problem, context, denoise, weight, tolerance, max_iterations, tuning_images)


def _shrink(stacked: np.ndarray, threshold: float, wavelet: str) -> np.ndarray:
    """Soft thresholds on the details of images (h, w, B)."""
    # The universal threshold of VisuShrink is sigma sqrt(2 log n): this sigma makes it the threshold that is wanted.
    pixels = stacked.shape[0] * stacked.shape[1]
    sigma = threshold / math.sqrt(2.0 * math.log(pixels)) if pixels > 1 else 0.0
    if sigma == 0.0:
        return stacked
    options: dict[str, Any] = {"mode": "soft", "method": "VisuShrink", "channel_axis": -1, "rescale_sigma": False}
    with warnings.catch_warnings():  # images so small that every coefficient feels the border
        warnings.filterwarnings("ignore", message="Level value")
        return np.asarray(denoise_wavelet(stacked, sigma=sigma, wavelet=wavelet, **options))
