"""The exact denoiser of a Gaussian mixture on torch tensors; gradients flow through it."""

from __future__ import annotations

import math

import numpy as np
import torch

from solvary_inverse.mixture import GaussianMixture


def denoise(mixture: GaussianMixture, v: torch.Tensor, level: float, scale: float = 1.0) -> torch.Tensor:
    """E[x | v], (..., d), for v = scale x + level e; see `GaussianMixture.denoise`."""
    means, values, vectors, log_weights = _tensors(mixture, v.device, v.dtype)
    z = torch.einsum("kji,...kj->...ki", vectors, v[..., None, :] - scale * means)
    variance = scale**2 * values + level**2
    joint = log_weights - 0.5 * (torch.log(2 * math.pi * variance) + z**2 / variance).sum(-1)
    back = torch.einsum("kij,...kj->...ki", vectors, scale * values / variance * z)
    return torch.einsum("...k,...ki->...i", torch.softmax(joint, -1), means + back)


def _tensors(
    mixture: GaussianMixture, device: torch.device, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Means, eigenvalues, eigenvectors and log-weights, converted once per device and type."""
    kept: dict[tuple[str, str], tuple[torch.Tensor, ...]] = mixture.__dict__.setdefault("_kept_tensors", {})
    key = (str(device), str(dtype))
    if key not in kept:
        values, vectors = mixture.spectra
        parts = (mixture.means, np.maximum(values, 0.0), vectors, np.log(mixture.weights))
        kept[key] = tuple(torch.tensor(part, device=device, dtype=dtype) for part in parts)
    means, values_, vectors_, log_weights = kept[key]
    return means, values_, vectors_, log_weights
