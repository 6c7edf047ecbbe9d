"""The posterior of a Gaussian mixture under linear measurements, in closed form."""

from __future__ import annotations

import attrs
import numpy as np
from scipy.special import logsumexp

from solvary_inverse.mixture import GaussianMixture


@attrs.frozen(eq=False)
class MixturePosterior:
    """x | y for x ~ `prior` and y = A x + n, n ~ N(0, noise^2 I): again a mixture, with the same covariances for all y.

    With C_k = L L' and B = A L / noise, component k has the covariance L (I + B'B)^-1 L', the mean
    mu_k + L (I + B'B)^-1 B'r, r = (y - A mu_k) / noise, and the evidence N(r; 0, I + B B') / noise^m. All come from one
    singular value decomposition of B, which loses nothing when the noise is tiny or A has no full rank.
    """

    prior: GaussianMixture
    matrix: np.ndarray
    noise: float
    _factors: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = attrs.field(init=False)
    _around: GaussianMixture = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        found = [np.linalg.svd(self.matrix @ root / self.noise) for root in self.prior.roots]
        covariances = []
        for root, (_, s, Vt) in zip(self.prior.roots, found, strict=True):
            shrink = np.ones(self.prior.d)
            shrink[: s.size] = 1.0 / np.hypot(1.0, s)
            half = root @ (Vt.T * shrink)
            covariances.append(half @ half.T)
        object.__setattr__(self, "_factors", found)
        object.__setattr__(self, "_around", GaussianMixture(self.prior.means, np.stack(covariances)))

    def at(self, y: np.ndarray) -> GaussianMixture:
        """The posterior given y (m,)."""
        means, evidence = np.empty_like(self.prior.means), np.empty(self.prior.c)
        for k, (U, s, Vt) in enumerate(self._factors):
            r = (y - self.matrix @ self.prior.means[k]) / self.noise
            rotated = U.T @ r
            z = np.zeros(self.prior.d)
            z[: s.size] = s / (1.0 + s**2) * rotated[: s.size]
            means[k] = self.prior.means[k] + self.prior.roots[k] @ (Vt.T @ z)
            # r'(I + B B')^-1 r, as a sum of what is shrunk and what A does not reach
            rest = rotated[: s.size] / np.hypot(1.0, s)
            square = rest @ rest + rotated[s.size :] @ rotated[s.size :]
            evidence[k] = np.log(self.prior.weights[k]) - 0.5 * (square + np.log1p(s**2).sum())
        weights = np.exp(evidence - logsumexp(evidence))
        return self._around.shifted(means, np.maximum(weights, np.finfo(float).tiny))
