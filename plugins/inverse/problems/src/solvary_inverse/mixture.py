"""Gaussian mixtures: density, samples, and the exact denoiser and score at every noise level."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
from scipy.special import logsumexp

from solvary import ProblemError

_EXPECTED = "a GaussianMixture: means (c, d), covariances (c, d, d), (d, d), (c, d), (c,) or one number, weights (c,)"
#: the most negative eigenvalue of a covariance that is taken for rounding, relative to the largest
_ROUNDING = -1e-10
#: the smallest variance that a density is computed with
_THIN = 1e-200


@attrs.frozen(eq=False, slots=False)
class GaussianMixture:
    """sum_k w_k N(mu_k, C_k) on R^d.

    Attributes:
        means: mu (c, d).
        covariances: C (c, d, d), symmetric positive semidefinite. Also taken: one matrix (d, d) for all, variances per
            coordinate (c, d), per component (c,), or one number. With c = d an array (c, d) is read as variances.
        weights: w (c,) > 0, scaled to sum to 1; equal by default.
    """

    means: np.ndarray
    covariances: np.ndarray = attrs.field(default=1.0, converter=np.asarray)
    weights: np.ndarray = attrs.field(default=None)

    def __attrs_post_init__(self) -> None:
        means = _array("means", self.means)
        if means.ndim != 2 or 0 in means.shape:
            raise ProblemError("mixture", f"has means of shape {means.shape}", "means (c, d)")
        c, d = means.shape
        weights = np.ones(c) if self.weights is None else _array("weights", self.weights)
        if weights.shape != (c,) or np.any(weights <= 0):
            raise ProblemError("mixture", f"has weights of shape {weights.shape}: {weights}", f"({c},) numbers > 0")
        self._set("means", means)
        self._set("covariances", _full(_array("covariances", self.covariances), c, d))
        self._set("weights", weights / weights.sum())
        if np.any(self.spectra[0] < _ROUNDING * np.maximum(self.spectra[0].max(axis=1, keepdims=True), 1e-300)):
            raise ProblemError("mixture", "has a covariance with a negative eigenvalue", "positive semidefinite ones")

    def _set(self, name: str, value: np.ndarray) -> None:
        value = value.view()
        value.flags.writeable = False
        object.__setattr__(self, name, value)

    def __getstate__(self) -> dict[str, np.ndarray]:
        return self.to_arrays()

    def __setstate__(self, state: dict[str, np.ndarray]) -> None:
        for name, value in state.items():
            self._set(name, value)

    @classmethod
    def of(cls, given: Any) -> GaussianMixture | None:
        """A mixture from itself, from a mapping with its parts, from one of scikit-learn that is fitted, or None."""
        if given is None or isinstance(given, GaussianMixture):
            return given
        if isinstance(given, Mapping) and "means" in given and given.keys() <= {"means", "covariances", "weights"}:
            return cls(**given)
        parts = ("means_", "covariances_", "weights_")
        if all(hasattr(given, part) for part in parts):
            means, covariances, weights = (np.asarray(getattr(given, part)) for part in parts)
            if getattr(given, "covariance_type", "") == "tied":
                covariances = np.broadcast_to(covariances, (len(means), *covariances.shape))
            return cls(means, covariances, weights)
        raise ProblemError("mixture", f"is a {type(given).__name__}", _EXPECTED)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The parts by name, as `of` takes them."""
        return {"means": self.means, "covariances": self.covariances, "weights": self.weights}

    @property
    def c(self) -> int:
        """Number of components."""
        return int(self.means.shape[0])

    @property
    def d(self) -> int:
        """Dimension."""
        return int(self.means.shape[1])

    @functools.cached_property
    def spectra(self) -> tuple[np.ndarray, np.ndarray]:
        """Eigenvalues (c, d) and eigenvectors (c, d, d), in columns, of the covariances."""
        values, vectors = np.linalg.eigh(self.covariances)
        return values, vectors

    @functools.cached_property
    def roots(self) -> np.ndarray:
        """L_k (c, d, d) with L_k L_k' = C_k."""
        values, vectors = self.spectra
        return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :])

    def shifted(self, means: np.ndarray, weights: np.ndarray) -> GaussianMixture:
        """The same covariances, decomposed only once, around other means (c, d) with other weights (c,)."""
        made = object.__new__(GaussianMixture)
        for name, value in (("means", means), ("covariances", self.covariances), ("weights", weights / weights.sum())):
            made._set(name, value)
        made.__dict__.update(spectra=self.spectra, roots=self.roots)
        return made

    @functools.cached_property
    def mean(self) -> np.ndarray:
        """The mean (d,) of the mixture."""
        return np.asarray(self.weights @ self.means)

    @functools.cached_property
    def covariance(self) -> np.ndarray:
        """The covariance (d, d) of the mixture."""
        spread = self.means - self.mean
        within = np.einsum("k,kij->ij", self.weights, self.covariances)
        return np.asarray(within + np.einsum("k,ki,kj->ij", self.weights, spread, spread))

    def sample(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """Independent draws (size, d)."""
        component = rng.choice(self.c, size=size, p=self.weights)
        draws = rng.standard_normal((size, self.d))
        for k in range(self.c):
            drawn = component == k
            draws[drawn] = draws[drawn] @ self.roots[k].T + self.means[k]
        return draws

    def log_joint(self, v: np.ndarray, level: float = 0.0, scale: float = 1.0) -> np.ndarray:
        """log w_k N(v; scale mu_k, scale^2 C_k + level^2 I), (..., c), for v (..., d) = scale x + level noise."""
        values, _ = self.spectra
        z = self._rotated(v, scale)
        # A flat component (variance 0, at level 0) gets the density of a very thin one.
        variance = np.maximum(scale**2 * values + level**2, _THIN)
        with np.errstate(over="ignore"):
            square = (z / np.sqrt(variance)) ** 2
        logarithms = np.log(self.weights) - 0.5 * np.log(2 * np.pi * variance).sum(axis=-1)
        return np.asarray(logarithms - 0.5 * square.sum(axis=-1))

    def log_density(self, v: np.ndarray, level: float = 0.0, scale: float = 1.0) -> np.ndarray:
        """log p(v), (...,), for v (..., d) = scale x + level noise."""
        return np.asarray(logsumexp(self.log_joint(v, level, scale), axis=-1))

    def responsibilities(self, v: np.ndarray, level: float = 0.0, scale: float = 1.0) -> np.ndarray:
        """P(component k | v), (..., c); the weights where v is too far from every component to tell."""
        joint = self.log_joint(v, level, scale)
        joint = np.where(np.isneginf(joint).all(axis=-1, keepdims=True), np.log(self.weights), joint)
        return np.asarray(np.exp(joint - logsumexp(joint, axis=-1, keepdims=True)))

    def denoise(self, v: np.ndarray, level: float, scale: float = 1.0) -> np.ndarray:
        """E[x | v], (..., d), for v (..., d) = scale x + level e with e ~ N(0, I): the exact denoiser.

        Per component mu_k + scale C_k (scale^2 C_k + level^2 I)^-1 (v - scale mu_k), weighted by responsibilities.
        """
        values, vectors = self.spectra
        values = np.maximum(values, 0.0)
        variance = scale**2 * values + level**2
        gain = np.divide(scale * values, variance, out=np.zeros_like(values), where=variance > 0)
        back = np.einsum("kij,...kj->...ki", vectors, gain * self._rotated(v, scale))
        return np.asarray(np.einsum("...k,...ki->...i", self.responsibilities(v, level, scale), self.means + back))

    def score(self, v: np.ndarray, level: float, scale: float = 1.0) -> np.ndarray:
        """grad log p(v), (..., d), for v = scale x + level e: by Tweedie's formula (scale E[x|v] - v) / level^2."""
        if not level > 0:
            raise ValueError(f"level is {level}; expected a number > 0")
        return np.asarray((scale * self.denoise(v, level, scale) - v) / level**2)

    def _rotated(self, v: np.ndarray, scale: float) -> np.ndarray:
        """v - scale mu_k in the eigenvectors of each component, (..., c, d)."""
        shifted = v[..., None, :] - scale * self.means
        return np.asarray(np.einsum("kji,...kj->...ki", self.spectra[1], shifted))


def _array(name: str, given: Any) -> np.ndarray:
    try:
        array = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise ProblemError("mixture", f"has {name} that are no numbers", _EXPECTED) from None
    if not np.isfinite(array).all():
        raise ProblemError("mixture", f"has {name} that are not finite", _EXPECTED)
    return array


def _full(covariances: np.ndarray, c: int, d: int) -> np.ndarray:
    """Covariances (c, d, d) from any of the forms that are taken."""
    if covariances.ndim == 0:
        return np.broadcast_to(covariances * np.eye(d), (c, d, d))
    if covariances.shape == (c,):
        return np.asarray(covariances[:, None, None] * np.eye(d))
    if covariances.shape == (c, d):
        return np.asarray(covariances[:, :, None] * np.eye(d))
    if covariances.shape == (d, d):
        covariances = np.broadcast_to(covariances, (c, d, d))
    if covariances.shape != (c, d, d):
        raise ProblemError("mixture", f"has covariances of shape {covariances.shape}", f"({c}, {d}, {d})")
    if not np.allclose(covariances, covariances.swapaxes(1, 2), rtol=1e-8, atol=1e-12 * np.abs(covariances).max()):
        raise ProblemError("mixture", "has a covariance that is not symmetric", "symmetric ones")
    return covariances
