"""A network as a linear map in feedback with blocks that are 1-Lipschitz and known no better.

Every activation here is `b = H a + G c` with a linear part H and G that it applies whatever its input is, and a rest
`c` whose increments obey `|c_j| <= |(K a)_j|` in each group j:

* GroupSort / MaxMin: the mean of a group is kept, the deviations from it are sorted;
* Householder: what is orthogonal to v is kept, `v^T b = |v^T a|`;
* ReLU, leaky ReLU: slopes in [alpha, beta] are their mean plus a slope in [-1, 1].

Substituting this eliminates the multipliers nu, tau and gam of Pauli et al. (arXiv:2401.14033). Two dimensions of them
count: gam belongs to the difference of the squares of 1^T a and 1^T b, nu + tau to the square of `1^T b - 1^T a = 0`.
The inequality only gets easier as nu + tau grows, and by Finsler's lemma the limit is the inequality on the subspace
where the sums agree. What remains is `lam >= 0` and a smaller matrix.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from solvary_robustness.network import Activation, Conv2d, Dense, Flatten, GroupSort, Householder, Layer, Residual


@attrs.frozen(eq=False)
class Block:
    """One activation layer: its rests are `width` coordinates of z from `start` on, in groups of `size`.

    Groups of one entry have no rest (width and size are 0 then).

    Attributes:
        start: first coordinate of z that belongs to it.
        width: number of coordinates.
        size: coordinates per group.
        first: number of its first group among all groups.
        layer: the layer.
        inputs: width of the activation.
    """

    start: int
    width: int
    size: int
    first: int
    layer: Layer
    inputs: int

    @property
    def groups(self) -> int:
        """Number of groups."""
        return self.width // self.size if self.size else 0


@attrs.frozen(eq=False)
class Loop:
    """`y = C z`, `z = (x, c)`, `|c_j| <= |P_j z|` for every group j (increments throughout).

    Attributes:
        inputs: d, the width of x.
        P: (q, s) with s = d + q, the row for every coordinate of c.
        C: (o, s).
        sizes: (m,) the number of coordinates of each group, in order.
        blocks: the activation layers, in order.
    """

    inputs: int
    P: np.ndarray
    C: np.ndarray
    sizes: np.ndarray
    blocks: tuple[Block, ...]

    @property
    def starts(self) -> np.ndarray:
        """First coordinate of c of each group, (m,)."""
        return np.concatenate([[0], np.cumsum(self.sizes)[:-1]]).astype(np.intp)


def helmert(size: int) -> np.ndarray:
    """Orthonormal columns orthogonal to the vector of ones, (size, size - 1)."""
    k = np.arange(1, size)
    rows = np.tril(np.ones((size - 1, size)))
    rows[k - 1, k] = -k
    return np.asarray((rows / np.sqrt(k * (k + 1.0))[:, None]).T)


def slopes(layer: Activation) -> tuple[float, float]:
    """The interval of slopes."""
    alpha = layer.negative_slope
    return min(alpha, 1.0), max(alpha, 1.0)


def close(layers: Sequence[Layer], width: int) -> Loop:
    """The loop of a chain of layers with `width` inputs; O(s^2 times the layer widths) operations."""
    count = _rests(layers, width)
    columns = width + count
    state = _State(width, np.zeros((count, columns)))
    output = state.through(layers, np.eye(width, columns))
    sizes = [size for block in state.blocks for size in [block.size] * block.groups]
    return Loop(width, state.P, output, np.array(sizes, dtype=np.intp), tuple(state.blocks))


def _rests(layers: Sequence[Layer], width: int) -> int:
    """How many coordinates of c the layers need."""
    total = 0
    for layer in layers:
        if isinstance(layer, Residual):
            total += _rests(layer.layers, width)
        elif isinstance(layer, GroupSort):
            total += width // layer.size * (layer.size - 1)
        elif isinstance(layer, Householder):
            total += len(layer.vectors)
        elif isinstance(layer, Activation) and layer.negative_slope != 1.0:
            total += width
        width = layer.width(width)
    return total


class _State:
    """The rows collected while an expression (width, s) goes through the layers."""

    def __init__(self, inputs: int, P: np.ndarray) -> None:
        self.inputs, self.P = inputs, P
        self.blocks: list[Block] = []
        self.used = 0

    def through(self, layers: Sequence[Layer], a: np.ndarray) -> np.ndarray:
        """The expression after all layers."""
        for layer in layers:
            a = self._layer(layer, a)
        return a

    def _layer(self, layer: Layer, a: np.ndarray) -> np.ndarray:
        if isinstance(layer, Conv2d):
            layer = layer.lowered()
        if isinstance(layer, Dense):
            return np.asarray(layer.weight @ a)
        if isinstance(layer, Flatten):
            return a
        if isinstance(layer, Residual):
            return np.asarray(a + self.through(layer.layers, a))
        if isinstance(layer, GroupSort):
            return self._group_sort(layer, a)
        if isinstance(layer, Householder):
            return self._householder(layer, a)
        return self._slope(layer, a)

    def _take(self, rows: np.ndarray, size: int, layer: Layer, inputs: int) -> slice:
        """New coordinates of c with their rows K a; the slice of their columns."""
        start = self.inputs + self.used
        first = self.blocks[-1].first + self.blocks[-1].groups if self.blocks else 0
        self.P[self.used : self.used + len(rows)] = rows
        self.blocks.append(Block(start, len(rows), size, first, layer, inputs))
        self.used += len(rows)
        return slice(start, start + len(rows))

    def _group_sort(self, layer: GroupSort, a: np.ndarray) -> np.ndarray:
        g = layer.size
        grouped = a.reshape(-1, g, a.shape[1])
        basis = helmert(g)  # U: columns orthogonal to 1
        rows = np.einsum("ij,njs->nis", basis.T, grouped).reshape(-1, a.shape[1])  # K a = U^T a
        columns = self._take(rows, g - 1, layer, len(a))
        b = np.repeat(grouped.mean(axis=1), g, axis=0)  # H a = 1 1^T a / g
        b[:, columns] += np.kron(np.eye(len(grouped)), basis)  # G c = U c
        return b

    def _householder(self, layer: Householder, a: np.ndarray) -> np.ndarray:
        norms = np.linalg.norm(layer.vectors, axis=1)
        v = layer.vectors / norms[:, None]
        rows = np.einsum("gk,gks->gs", v, a.reshape(*v.shape, a.shape[1]))  # K a = v^T a
        columns = self._take(rows, 1, layer, len(a))
        # Along v the slopes are 1 and 1 - 2 |v|^2, which is -1 up to the rounding of v.
        mean, half = 1.0 - norms**2, norms**2
        b = a - ((1.0 - mean)[:, None] * v).reshape(-1, 1) * np.repeat(rows, v.shape[1], axis=0)
        index = np.arange(len(a))
        b[index, columns.start + index // v.shape[1]] += (half[:, None] * v).ravel()
        return np.asarray(b)

    def _slope(self, layer: Activation, a: np.ndarray) -> np.ndarray:
        alpha, beta = slopes(layer)
        if alpha == beta:
            return a
        columns = self._take(a, 1, layer, len(a))
        b = 0.5 * (alpha + beta) * a
        index = np.arange(len(a))
        b[index, columns.start + index] += 0.5 * (beta - alpha)
        return b


def alive(loop: Loop) -> Loop:
    """The same loop with all columns zero that belong to groups which nothing feeds: their rests are zero, too."""
    P, C = loop.P.copy(), loop.C.copy()
    while True:
        fed = np.add.reduceat(np.abs(P).sum(axis=1), loop.starts) > 0 if len(P) else np.ones(0, bool)
        dead = loop.inputs + np.flatnonzero(~np.repeat(fed, loop.sizes))
        if not (P[:, dead].any() or C[:, dead].any()):
            return attrs.evolve(loop, P=P, C=C)
        P[:, dead] = C[:, dead] = 0.0
