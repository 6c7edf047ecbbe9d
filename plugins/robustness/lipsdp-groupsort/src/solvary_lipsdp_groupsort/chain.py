"""The same semidefinite program split along the layers: cliques of one layer each, no matrix of the whole order.

A network is a chain of stages `x_{k+1} = B_k (x_k, c_k)`: an activation with the linear layers before it, or a residual
block. Eliminating the stages from the last to the first leaves Schur complements of the size of one stage,

    Y_k = -(S_xx - S_xc S_cc^-1 S_cx),   S = diag(0, lam_k) - P_k^T diag(lam_k) P_k - B_k^T Y_{k+1} B_k,

the storage functions of the chordal decomposition (the clique of stage k is (x_k, c_k), the separator x_k). Then
`log det S = sum_k log det S_cc + log det(diag(w) - Y_1)`, and its gradient needs, from the first stage to the last,
only the covariances of (x_k, c_k): O(sum n_k^3) time and O(max n_k^2) memory a stage.
"""

from __future__ import annotations

import attrs
import numpy as np
from scipy.linalg import cho_solve, cholesky

from solvary_robustness.lifting import Lifting
from solvary_robustness.loops import close
from solvary_robustness.network import Layer


@attrs.frozen(eq=False)
class Stage:
    """One clique: `n` entries of x, rows P (q, n + q) of the groups `owners` (q,), next state B (n', n + q)."""

    n: int
    P: np.ndarray
    B: np.ndarray
    owners: np.ndarray


@attrs.frozen(eq=False)
class Chain:
    """Stages in order and the output map (o, n) of the last state, scaled like the loop it came from."""

    stages: tuple[Stage, ...]
    C: np.ndarray
    inputs: np.ndarray
    weights: int

    @property
    def order(self) -> int:
        """Order of the matrix S of the whole."""
        return len(self.inputs) + sum(len(stage.P) for stage in self.stages)

    def value(self, theta: np.ndarray) -> tuple[float, np.ndarray] | None:
        """`log det S(theta)` and its gradient; None where S is not positive definite."""
        eliminated = self._eliminate(theta)
        if eliminated is None:
            return None
        total, head, kept = eliminated
        gradient = np.zeros_like(theta)
        covariance = cho_solve((head, True), np.eye(len(head)), check_finite=False)
        np.add.at(gradient, self.inputs, np.diagonal(covariance))
        for stage, (factor, gain) in zip(self.stages, kept, strict=True):
            covariance = _joint(covariance, factor, gain)
            seen = stage.P @ covariance
            each = np.diagonal(covariance)[stage.n :] - np.einsum("qs,qs->q", seen, stage.P)
            np.add.at(gradient, self.weights + stage.owners, each)
            covariance = stage.B @ covariance @ stage.B.T
        return total, gradient

    def _eliminate(self, theta: np.ndarray) -> tuple[float, np.ndarray, list[tuple[np.ndarray, np.ndarray]]] | None:
        """log det S, the factor of `diag(w) - Y_1`, and of every stage the factor of S_cc and `-S_cc^-1 S_cx`."""
        Y = self.C.T @ self.C
        kept, total = [], 0.0
        try:
            for stage in reversed(self.stages):
                n = stage.n
                lam = theta[self.weights + stage.owners]
                S = -(stage.B.T @ Y @ stage.B) - (stage.P.T * lam) @ stage.P
                S[np.arange(n, len(S)), np.arange(n, len(S))] += lam
                factor = cholesky(S[n:, n:], lower=True, check_finite=False)
                gain = -cho_solve((factor, True), S[n:, :n], check_finite=False)
                Y = -(S[:n, :n] + S[:n, n:] @ gain)
                Y = 0.5 * (Y + Y.T)
                total += 2.0 * float(np.log(np.diagonal(factor)).sum())
                kept.append((factor, gain))
            head = cholesky(np.diag(theta[self.inputs]) - Y, lower=True, check_finite=False)
        except np.linalg.LinAlgError:
            return None
        return total + 2.0 * float(np.log(np.diagonal(head)).sum()), head, kept[::-1]


def _joint(covariance: np.ndarray, factor: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Covariance of (x, c) from that of x: c = gain x + an independent part with covariance S_cc^-1."""
    cross = gain @ covariance
    own = cho_solve((factor, True), np.eye(len(factor)), check_finite=False)
    return np.block([[covariance, cross.T], [cross, cross @ gain.T + own]])


def split(lifting: Lifting, inputs: np.ndarray) -> Chain:
    """The chain of a network, in the scaled units of its loop; `inputs` (d,) says which weight each input has."""
    scaled, width = lifting.scaled, lifting.scaled.loop.inputs
    stages: list[Stage] = []
    pending: list[Layer] = []
    coordinate, start = 0, width
    units, groups = scaled.units[scaled.loop.inputs :], np.repeat(np.arange(len(scaled.loop.sizes)), scaled.loop.sizes)
    for layer in lifting.layers:
        pending.append(layer)
        width = layer.width(width)
        part = close(pending, start)
        count = len(part.P)
        if not count:
            continue
        u = units[coordinate : coordinate + count]
        columns = np.concatenate([np.ones(part.inputs), u])
        stages.append(
            Stage(part.inputs, part.P * columns / u[:, None], part.C * columns, groups[coordinate : coordinate + count])
        )
        coordinate, start, pending = coordinate + count, width, []
    tail = close(pending, start)
    C = tail.C if lifting.norm == "l2" else tail.C[lifting.row : lifting.row + 1]
    weights = int(inputs.max()) + 1
    return Chain(tuple(stages), C / (scaled.output or 1.0), inputs, weights)
