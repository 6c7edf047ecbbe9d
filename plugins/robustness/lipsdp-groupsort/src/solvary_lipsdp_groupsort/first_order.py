"""A first-order method for the chain of layers: limited-memory quasi-Newton steps on the barrier, in log multipliers.

It keeps every iterate strictly feasible, so that it can stop anywhere with a bound, and never forms a matrix that is
larger than a layer. Compared with the interior-point method it needs hundreds of cheap gradients for a few digits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np

from solvary_lipsdp_groupsort.barrier import CEILING, Point
from solvary_lipsdp_groupsort.chain import Chain

#: pairs that the quasi-Newton matrix remembers
_MEMORY = 60
#: gradients between two yields
_BLOCK = 25
#: growth of the barrier parameter
_GROWTH = 10.0
#: gradient (l1, in log multipliers) as a share of the barrier's parameter at which a centre counts as reached
_CENTRE = 0.5


def follow(chain: Chain, cost: np.ndarray, theta: np.ndarray, tolerance: float) -> Iterator[Point]:
    """Blocks of gradient steps along the central path; yields after each. Ends at the relative gap (an estimate)."""
    order = chain.order + len(theta) + int((cost == 0).sum())
    t = order / float(cost @ theta)
    barrier = _Barrier(chain, cost)
    while True:
        u = np.log(theta)
        pairs: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=_MEMORY)
        found = barrier(u, t)
        assert found is not None, "the start is strictly feasible"
        value, gradient = found
        for step in range(1, 40 * _BLOCK + 1):
            if np.abs(gradient).sum() <= _CENTRE * order:
                break
            moved = _move(barrier, u, t, value, gradient, pairs)
            if moved is None:
                break
            u, value, gradient = moved
            if step % _BLOCK == 0:
                yield Point(np.exp(u), (order + float(np.abs(gradient).sum())) / t, 1.0, 1.0)
        theta = np.exp(u)
        gap = (order + float(np.abs(gradient).sum())) / t
        yield Point(theta, gap, 1.0, 1.0)
        objective = float(cost @ theta)
        last = order * (1 + _CENTRE) / (tolerance * objective)
        if gap <= tolerance * objective or t >= last:
            return
        t = min(t * _GROWTH, last)


class _Barrier:
    """`t cost^T theta - log det S - sum log theta - sum log(ceiling - theta)` and its gradient in u = log theta."""

    def __init__(self, chain: Chain, cost: np.ndarray) -> None:
        self.chain, self.cost, self.free = chain, cost, cost == 0

    def __call__(self, u: np.ndarray, t: float) -> tuple[float, np.ndarray] | None:
        if (u[self.free] >= np.log(CEILING)).any() or (np.abs(u) > 300).any():
            return None
        theta = np.exp(u)
        found = self.chain.value(theta)
        if found is None:
            return None
        room = np.where(self.free, CEILING - theta, 1.0)
        value = (
            t * float(self.cost @ theta) - found[0] - float(u.sum()) - float(np.log(room / CEILING)[self.free].sum())
        )
        slope = t * self.cost - found[1] + np.where(self.free, 1.0 / room, 0.0)
        return value, slope * theta - 1.0


def _direction(gradient: np.ndarray, pairs: deque[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The two-loop recursion of L-BFGS (Nocedal and Wright, Algorithm 7.4)."""
    q = -gradient
    alphas = []
    for s, y in reversed(pairs):
        alpha = (s @ q) / (y @ s)
        q = q - alpha * y
        alphas.append(alpha)
    if pairs:
        s, y = pairs[-1]
        q = q * ((s @ y) / (y @ y))
    else:
        q = q / max(1.0, float(np.linalg.norm(q)))
    for (s, y), alpha in zip(pairs, reversed(alphas), strict=True):
        q = q + s * (alpha - (y @ q) / (y @ s))
    return q


def _move(
    barrier: _Barrier,
    u: np.ndarray,
    t: float,
    value: float,
    gradient: np.ndarray,
    pairs: deque[tuple[np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, float, np.ndarray] | None:
    """One step with backtracking into the domain and to a sufficient decrease; None where rounding allows none."""
    direction = _direction(gradient, pairs)
    slope = float(gradient @ direction)
    if slope >= 0:
        pairs.clear()
        direction, slope = -gradient, -float(gradient @ gradient)
    length = min(1.0, 3.0 / float(np.abs(direction).max()))
    while length > 1e-12:
        found = barrier(u + length * direction, t)
        if found is not None and found[0] <= value + 1e-4 * length * slope:
            s, y = length * direction, found[1] - gradient
            if s @ y > 1e-12 * np.linalg.norm(s) * np.linalg.norm(y):
                pairs.append((s, y))
            return u + s, found[0], found[1]
        length *= 0.5
    return None
