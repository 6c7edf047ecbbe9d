"""A loop in units in which every layer has a Lipschitz constant of about one, and multipliers that are feasible.

Weights (w, lam) with `S = diag(w on x, lam on c) - P^T diag(lam) P - C^T C >= 0` prove `|C z|^2 <= sum_i w_i x_i^2`.
The scaling keeps deep networks and networks of extreme weights solvable: all weights are then of the order of one.
"""

from __future__ import annotations

import attrs
import numpy as np

from solvary_robustness.layers import operator_norm
from solvary_robustness.loops import Loop

#: how far the feasible multipliers are inside: a factor per layer, and a term for directions that nothing feeds
_FACTOR, _TERM = 0.1, 1e-6


@attrs.frozen(eq=False)
class Scaled:
    """`P = diag(1/u_c) P_raw diag(u)`, `C = C_raw diag(u) / output`.

    Attributes:
        loop: the scaled loop.
        units: (s,) u: one for inputs, and for c a Lipschitz bound of its layer.
        output: a Lipschitz bound of the network: norms of matrices along the layers.
        rho: weight of all inputs that is strictly feasible with `lam`.
        lam: (m,) weights of the groups.
    """

    loop: Loop
    units: np.ndarray
    output: float
    rho: float
    lam: np.ndarray


def spectral(matrix: np.ndarray) -> float:
    """Spectral norm (l2); 0 for an empty matrix."""
    return operator_norm(matrix, "l2") if matrix.size else 0.0


def scale(loop: Loop) -> Scaled:
    """Norms forward through the layers give the units, and the same norms backward a feasible start."""
    d = loop.inputs
    parts = [slice(0, d)] + [slice(block.start, block.start + block.width) for block in loop.blocks]
    rows = [slice(part.start - d, part.stop - d) for part in parts[1:]]
    lengths = [1.0]
    norms: list[list[float]] = []
    for row in rows:
        norms.append([spectral(loop.P[row, part]) for part in parts[: len(lengths)]])
        lengths.append(float(np.dot(norms[-1], lengths)) or 1.0)
    last = [spectral(loop.C[:, part]) for part in parts]
    output = float(np.dot(last, lengths))
    units = np.repeat(lengths, [part.stop - part.start for part in parts])
    scaled = attrs.evolve(loop, P=loop.P * units / units[d:, None], C=loop.C * (units / (output or 1.0)))
    norms = [[n * u / lengths[k] for n, u in zip(line, lengths[:k], strict=True)] for k, line in enumerate(norms, 1)]
    weights = _backward(norms, [n * u / (output or 1.0) for n, u in zip(last, lengths, strict=True)])
    lam = np.repeat(weights[1:], [block.groups for block in loop.blocks])
    return Scaled(scaled, units, output, weights[0], lam)


def _backward(norms: list[list[float]], last: list[float]) -> list[float]:
    """Weights per part: `|sum_i M_i z_i|^2 <= (sum_i |M_i|) sum_i |M_i| |z_i|^2`, collected from the output back."""
    weights = [sum(last) * n for n in last]
    for k in range(len(norms), 0, -1):
        weights[k] = (1.0 + _FACTOR) * weights[k] + _TERM
        line = norms[k - 1]
        for i, n in enumerate(line):
            weights[i] += weights[k] * sum(line) * n
    weights[0] = (1.0 + _FACTOR) * weights[0] + _TERM
    return weights
