"""Proximal operators and regularisers that are known exactly: soft thresholding and linear shrinkage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
import numpy as np


@attrs.frozen
class ClosedForm:
    """The prox of -noise^2 log p, for a density p of independent coordinates.

    Attributes:
        kind: "laplace" (soft thresholding) or "gaussian" (linear shrinkage).
        location: centre of the density.
        scale: b of exp(-|x - location| / b), or the standard deviation.
        noise: standard deviation of the noise.
    """

    kind: str
    location: float
    scale: float
    noise: float

    def evaluate(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """psi(y) of shape (n,) and f(y) of shape (n, d)."""
        centred = y - self.location
        if self.kind == "laplace":
            moved = np.sign(centred) * np.maximum(np.abs(centred) - self.noise**2 / self.scale, 0)
            psi = 0.5 * (moved**2).sum(axis=1)
        else:
            factor = self.scale**2 / (self.scale**2 + self.noise**2)
            moved = factor * centred
            psi = 0.5 * factor * (centred**2).sum(axis=1)
        return psi + self.location * y.sum(axis=1), self.location + moved

    def regulariser(self, x: np.ndarray) -> np.ndarray:
        """-noise^2 log p(x) up to a constant, shape (n,)."""
        centred = x - self.location
        if self.kind == "laplace":
            values: np.ndarray = self.noise**2 / self.scale * np.abs(centred).sum(axis=1)
        else:
            values = 0.5 * (self.noise / self.scale) ** 2 * (centred**2).sum(axis=1)
        return values


@attrs.frozen
class Functions:
    """A model of live functions; without a potential it has no psi (0), without a regulariser none but Legendre's."""

    prox: Callable[[np.ndarray], np.ndarray]
    potential: Callable[[np.ndarray], np.ndarray] | None
    regulariser: Callable[[np.ndarray], np.ndarray] | None

    def evaluate(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """psi(y) of shape (n,) and f(y) of shape (n, d)."""
        psi = np.zeros(len(y)) if self.potential is None else self.potential(y)
        return psi, self.prox(y)


def build(arrays: Mapping[str, np.ndarray], options: Mapping[str, Any]) -> ClosedForm:
    """The builder of a `ProximalModel` in closed form."""
    return ClosedForm(str(options["kind"]), options["location"], options["scale"], options["noise"])


def estimate(kind: str, samples: np.ndarray, location: float | None, scale: float | None) -> tuple[float, float]:
    """Location and scale, by maximum likelihood where they are not given."""
    if location is None:
        location = float(np.median(samples) if kind == "laplace" else samples.mean())
    if scale is None:
        centred = samples - location
        scale = float(np.abs(centred).mean() if kind == "laplace" else np.sqrt((centred**2).mean()))
        scale = max(scale, 1e-9 * (1 + abs(location)))  # samples that are all equal
    return location, scale
