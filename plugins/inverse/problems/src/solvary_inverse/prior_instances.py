"""Ready inputs of `inverse.prior`: one-dimensional densities, and images of digits."""

from __future__ import annotations

import numpy as np

from solvary import ProblemError
from solvary_inverse.prior import PriorLearning


def laplace(
    samples: int = 100_000, scale: float = 1.0, noise: float = 1.0, dimension: int = 1, seed: int = 0
) -> PriorLearning:
    """Independent Laplace(0, scale) coordinates: the posterior mode is soft thresholding by noise^2 / scale."""
    rng = np.random.default_rng(seed)
    drawn = rng.laplace(0.0, scale, (samples, dimension))
    return PriorLearning(samples=drawn, noise=noise, closed_form="laplace", location=0.0, scale=scale)


def laplace_small(samples: int = 100, noise: float = 1.0, seed: int = 0) -> PriorLearning:
    """A few Laplace(0, 1) samples."""
    return laplace(samples, 1.0, noise, 1, seed)


def gaussian(
    samples: int = 100_000, scale: float = 1.0, noise: float = 0.5, dimension: int = 1, seed: int = 0
) -> PriorLearning:
    """Independent N(0, scale^2) coordinates: the posterior mode is shrinkage by scale^2 / (scale^2 + noise^2)."""
    rng = np.random.default_rng(seed)
    drawn = scale * rng.standard_normal((samples, dimension))
    return PriorLearning(samples=drawn, noise=noise, closed_form="gaussian", location=0.0, scale=scale)


def spike_slab(
    samples: int = 100_000, spike: float = 0.7, slab: float = 2.0, noise: float = 0.5, seed: int = 0
) -> PriorLearning:
    """0 with probability `spike`, else N(0, slab^2)."""
    if not 0 <= spike <= 1:
        raise ProblemError("spike", f"got {spike!r}", "a probability, 0 to 1")
    rng = np.random.default_rng(seed)
    drawn = slab * rng.standard_normal((samples, 1)) * (rng.random((samples, 1)) >= spike)
    return PriorLearning(samples=drawn, noise=noise)


def two_gaussians(
    samples: int = 100_000, distance: float = 4.0, spread: float = 0.3, noise: float = 0.5, seed: int = 0
) -> PriorLearning:
    """An even mixture of two Gaussians of standard deviation `spread`, whose means are `distance` apart."""
    rng = np.random.default_rng(seed)
    side = rng.choice([-0.5, 0.5], (samples, 1))
    return PriorLearning(samples=distance * side + spread * rng.standard_normal((samples, 1)), noise=noise)


def digits(noise: float = 0.1, training: int = 1500) -> PriorLearning:
    """8 x 8 images of handwritten digits with values 0 to 1 (scikit-learn), the first `training` of them."""
    from sklearn.datasets import load_digits

    images = load_digits().data / 16.0
    return PriorLearning(samples=images[:training], noise=noise, shape=np.array([8, 8]))
