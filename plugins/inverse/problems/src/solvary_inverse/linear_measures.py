"""Figures of answers to `inverse.linear`: fit, error, and distance from an exact posterior."""

from __future__ import annotations

import numpy as np

from solvary_inverse.mixture import GaussianMixture
from solvary_inverse.operators import LinearMap

#: draws from the exact posterior and directions of the sliced distance; both seeded
_EXACT_DRAWS = 4096
_DIRECTIONS = 64
#: no error is called smaller than this part of the peak, so that a perfect answer has 300 dB
_SMALLEST = 1e-15


def residual(A: LinearMap, y: np.ndarray, noise: float, x: np.ndarray) -> float:
    """|y - A x| / (noise sqrt(m)), mean over all x (B, S, d) for y (B, m): about 1 where the data are fitted."""
    distance = np.linalg.norm(y[:, None, :] - A.apply(x), axis=-1)
    return float(np.mean(distance) / (noise * np.sqrt(A.m)))


def errors(x: np.ndarray, truth: np.ndarray, peak: float) -> dict[str, float]:
    """`mse` and `psnr` in dB, means over all x (B, S, d), and `psnr_of_mean`, that of the mean over S."""
    mse = np.mean((x - truth[:, None, :]) ** 2, axis=-1)
    of_mean = np.mean((x.mean(axis=1) - truth) ** 2, axis=-1)
    found = {"mse": float(mse.mean()), "psnr": psnr(mse, peak)}
    return found | ({"psnr_of_mean": psnr(of_mean, peak)} if x.shape[1] > 1 else {})


def psnr(mse: np.ndarray, peak: float = 1.0) -> float:
    """10 log10(peak^2 / mse) in dB, mean over the images; 300 where there is no error."""
    return float(np.mean(-10.0 * np.log10(np.maximum(mse / peak**2, _SMALLEST**2))))


def of_estimate(x: np.ndarray, exact: GaussianMixture) -> dict[str, float]:
    """`mean_error` of an estimate (1, d): root mean square distance from the posterior mean over coordinates."""
    return {"mean_error": float(np.sqrt(np.mean((x[0] - exact.mean) ** 2)))}


def of_samples(x: np.ndarray, exact: GaussianMixture) -> dict[str, float]:
    """Distances of samples (S, d) from the exact posterior.

    `mean_error`: root mean square over coordinates; `covariance_error`: relative, Frobenius (for S >= 2); `mode_tv`:
    total variation between the mean responsibilities of the components and their weights; `sliced_w2`: root mean square
    over 64 seeded directions of the Wasserstein distance from 4096 seeded exact draws.
    """
    found = of_estimate(x.mean(axis=0, keepdims=True), exact)
    if len(x) >= 2:
        gap = np.cov(x, rowvar=False).reshape(exact.d, exact.d) - exact.covariance
        size = float(np.linalg.norm(exact.covariance))
        found["covariance_error"] = float(np.linalg.norm(gap)) / (size or 1.0)
    occupancy = exact.responsibilities(x).mean(axis=0)
    found["mode_tv"] = float(0.5 * np.abs(occupancy - exact.weights).sum())
    found["sliced_w2"] = sliced_w2(x, exact.sample(np.random.default_rng(0), _EXACT_DRAWS))
    return found


def sliced_w2(x: np.ndarray, y: np.ndarray, directions: int = _DIRECTIONS, seed: int = 0) -> float:
    """Root mean square, over random directions, of the 2-Wasserstein distance between projections of x and y."""
    units = np.random.default_rng(seed).standard_normal((x.shape[1], directions))
    units /= np.linalg.norm(units, axis=0)
    a, b = np.sort(x @ units, axis=0), np.sort(y @ units, axis=0)
    # Quantile functions are steps at i/S and j/T: their distance is a sum over the merged steps.
    ends = np.union1d(np.arange(1, len(a) + 1) * len(b), np.arange(1, len(b) + 1) * len(a))
    widths = np.diff(ends, prepend=0) / (len(a) * len(b))
    i, j = (ends - 1) // len(b), (ends - 1) // len(a)
    return float(np.sqrt(np.mean(widths @ (a[i] - b[j]) ** 2)))
