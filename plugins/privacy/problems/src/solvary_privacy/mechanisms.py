"""Mechanisms that add the noise and write the ledger; a solver touches private data only through them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
from scipy.special import gammaln

from solvary import SolverError
from solvary_privacy import accountant, noise
from solvary_privacy.ledger import Entry, Ledger, PrivateAnswer

if TYPE_CHECKING:
    from solvary import Context

_SLACK = 1 + 1e-9


class Mechanisms:
    """The mechanisms of one run, under one budget.

    Every call draws fresh noise, writes an entry, and raises `SolverError` before it releases anything that the
    budget does not cover. Inside `noise_free` nothing is added and nothing refused.

    Args:
        context: of the run; says whether a seed was chosen.
        epsilon, delta: the budget; delta = 0 asks for pure privacy.
    """

    def __init__(self, context: Context, epsilon: float, delta: float) -> None:
        self.epsilon, self.delta = epsilon, delta
        self._rng = noise.generator(context)
        self._repeatable = context.repeatable
        self._exact = noise.is_noise_free()
        self._entries: dict[Entry, int] = {}
        self._planned: dict[Entry, int] = {}
        #: whether there is a plan and all releases so far are in it
        self._on_plan = False
        #: zCDP of the budget: what the solver divides among its releases
        self.rho = accountant.zcdp_budget(epsilon, delta) if delta > 0 else 0.0

    def answer(self, value: Any) -> PrivateAnswer:
        """The value with the ledger so far."""
        return PrivateAnswer(value, self.ledger)

    @property
    def ledger(self) -> Ledger:
        """All releases so far."""
        entries = tuple(attrs.evolve(kind, times=times) for kind, times in self._entries.items())
        return Ledger(entries, self._repeatable)

    def gaussian(
        self, value: Any, *, sensitivity: float, what: str, rho: float | None = None, sigma: float | None = None,
        group: str = "", rate: float = 1.0, users: int = 1,
    ) -> np.ndarray:  # fmt: skip
        """`value` + N(0, sigma^2) in every entry, for an l2 sensitivity; give `sigma` or `rho` = D^2 / (2 sigma^2).

        With `users` > 1 the leading axis holds one message per user, each about that user only.
        """
        if sigma is None:
            sigma = 0.0 if math.isinf(rho or 0.0) else sensitivity / math.sqrt(2 * _positive("rho", rho))
        cost = math.inf if sigma == 0 else sensitivity**2 / (2 * sigma**2)
        self.charge(
            Entry(
                mechanism="gaussian",
                what=what,
                rho=cost,
                scale=sigma,
                sensitivity=sensitivity,
                rate=rate,
                group=group,
                users=users,
            )
        )
        return self._noisy(value, sigma, "standard_normal")

    def gaussian_sum(
        self, total: Any, *, users: int, sensitivity: float, sigma: float, what: str, group: str = ""
    ) -> np.ndarray:
        """The sum of `users` messages of which each is a Gaussian release of its user (local privacy), drawn at once.

        `total` is the sum of what the users hold; the sum of their noise is N(0, users sigma^2).
        """
        cost = math.inf if sigma == 0 else sensitivity**2 / (2 * sigma**2)
        kind = Entry(mechanism="gaussian", what=what, rho=cost, scale=sigma, sensitivity=sensitivity, group=group)
        self.charge(attrs.evolve(kind, users=users))
        return self._noisy(total, sigma * math.sqrt(users), "standard_normal")

    def laplace(
        self, value: Any, *, sensitivity: float, epsilon: float, what: str, group: str = "", users: int = 1
    ) -> np.ndarray:
        """`value` + Laplace(D / epsilon) in every entry, for an l1 sensitivity D: epsilon-DP."""
        scale = sensitivity / _positive("epsilon", epsilon)
        entry = Entry(
            mechanism="laplace", what=what, epsilon=epsilon, scale=scale, sensitivity=sensitivity, group=group
        )
        self.charge(attrs.evolve(entry, users=users))
        return self._noisy(value, scale, "laplace")

    def exponential(self, scores: Any, *, sensitivity: float, epsilon: float, what: str, group: str = "") -> int:
        """An index of large score: the exponential mechanism with weights exp(epsilon score / (2 D)).

        By Gumbel noise: the largest of score + Gumbel(2 D / epsilon). Costs epsilon, and epsilon^2 / 8 in zCDP.
        """
        return int(self.largest(scores, 1, sensitivity=sensitivity, epsilon=epsilon, what=what, group=group)[0])

    def largest(
        self, scores: Any, count: int, *, sensitivity: float, epsilon: float, what: str, group: str = ""
    ) -> np.ndarray:
        """(count,) indices of large scores, the largest first: as many exponential mechanisms, each at epsilon.

        One draw of Gumbel noise does for all: its largest entries are distributed as by choosing them one after
        another, each among those that are left (Durfee and Rogers, 2019).
        """
        scale = 2 * sensitivity / _positive("epsilon", epsilon)
        self.charge(
            Entry(
                mechanism="exponential", what=what, epsilon=epsilon, rho=accountant.exponential_zcdp(epsilon),
                scale=scale, sensitivity=sensitivity, times=count, group=group,
            )
        )  # fmt: skip
        order: np.ndarray = np.argsort(-self._noisy(scores, scale, "gumbel"), kind="stable")[:count]
        return order

    def ball(self, vectors: np.ndarray, *, bound: float, epsilon: float, what: str, group: str = "") -> np.ndarray:
        """One message per user (row): an unbiased epsilon-DP randomiser of vectors of l2 norm at most `bound`.

        Duchi, Jordan and Wainwright (2018), section 4.2.3: the vector is rounded to +-bound times its direction,
        keeping its mean, and answered by a uniform direction of the half space around that (with probability
        e^epsilon / (1 + e^epsilon)) or of the opposite one, at the length that makes the mean right.
        """
        users, dimension = vectors.shape
        self.charge(
            Entry(mechanism="ball", what=what, epsilon=epsilon, sensitivity=2 * bound, group=group, users=users)
        )
        if self._exact:
            return np.array(vectors, dtype=np.float64)
        norms = np.linalg.norm(vectors, axis=1)
        if norms.max(initial=0.0) > bound * _SLACK:
            raise SolverError(f"{what}: a message of norm {norms.max():.6g} exceeds the bound {bound:.6g}")
        direction = self._rng.standard_normal((users, dimension))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        # Rounding to the sphere: +g/|g| with probability 1/2 + |g| / (2 B). A zero vector goes either way.
        flips = self._rng.random((2, users))
        up = np.where(flips[0] < 0.5 + norms / (2 * bound), 1.0, -1.0)
        keep = np.where(flips[1] < 1 / (1 + math.exp(-epsilon)), 1.0, -1.0)
        axis = np.where(norms[:, None] > 0, vectors, np.eye(1, dimension))
        sides = np.where(np.einsum("ud,ud->u", direction, axis) >= 0, 1.0, -1.0)
        return ball_length(dimension, bound, epsilon) * (up * keep * sides)[:, None] * direction

    def plan(self, entries: Sequence[Entry]) -> None:
        """Check once that these releases together are within the budget; then each of them needs only to be counted.

        For runs of many releases of few kinds, where an accountant asked at every release would take the time. They
        are planned before the first release; nothing is written until they are made.

        Raises:
            SolverError: the budget does not cover them.
        """
        if self._entries:
            raise SolverError("plan: called after a release; expected before the first")
        for entry in entries:
            kind = attrs.evolve(entry, times=1)
            self._planned[kind] = self._planned.get(kind, 0) + entry.times
        planned = Ledger(tuple(attrs.evolve(kind, times=times) for kind, times in self._planned.items()))
        spent = planned.total(self.delta) if not self._exact else None
        if spent is not None and not (spent.epsilon <= self.epsilon * _SLACK and spent.delta <= self.delta):
            raise SolverError(
                f"budget: the planned releases would cost epsilon = {spent.epsilon:.6g}; "
                f"expected at most {self.epsilon:g} at delta = {self.delta:g}"
            )
        self._on_plan = True

    def charge(self, entry: Entry) -> None:
        """Write an entry; raise `SolverError` when the budget does not cover it."""
        times = self._entries.get(kind := attrs.evolve(entry, times=1), 0) + entry.times
        self._on_plan = self._on_plan and times <= self._planned.get(kind, 0)
        if self._on_plan:
            self._entries[kind] = times
            return
        before = dict(self._entries)
        self._entries[kind] = times
        if self._exact or self._covered():
            return
        spent = self.ledger.total(self.delta)
        self._entries = before
        raise SolverError(
            f"budget: releasing {entry.what!r} would cost epsilon = {spent.epsilon:.6g} in all; "
            f"expected at most {self.epsilon:g} at delta = {self.delta:g}"
        )

    def _covered(self) -> bool:
        """Whether the releases so far are within the budget; first by the cheap sum of zCDP."""
        costs = (times * min(kind.rho, accountant.pure_zcdp(kind.epsilon)) for kind, times in self._entries.items())
        if self.delta > 0 and all(kind.rate == 1 for kind in self._entries) and sum(costs) <= self.rho:
            return True
        spent = self.ledger.total(self.delta)
        return spent.epsilon <= self.epsilon * _SLACK and spent.delta <= self.delta

    def _noisy(self, value: Any, scale: float, law: str) -> np.ndarray:
        """`value` plus noise of this scale, on the grid of released numbers."""
        given = np.asarray(value, dtype=np.float64)
        if self._exact or scale == 0:
            return given.copy()
        drawn = getattr(self._rng, law)(size=given.shape)
        return noise.on_grid(given + scale * drawn, scale)


def ball_length(dimension: int, bound: float, epsilon: float) -> float:
    """The length of the messages of `Mechanisms.ball`.

    B sqrt(pi) / 2 (e^eps + 1) / (e^eps - 1) d Gamma((d + 1) / 2) / Gamma(d / 2 + 1).
    """
    ratio = math.exp(gammaln((dimension + 1) / 2) - gammaln(dimension / 2 + 1))
    return bound * math.sqrt(math.pi) / 2 / math.tanh(epsilon / 2) * dimension * ratio


def _positive(name: str, value: float | None) -> float:
    if value is None or not value > 0:
        raise SolverError(f"{name}: got {value!r}; expected a positive number")
    return value
