"""Branch and bound over the signs of undecided units, best bound first, in batches."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence

import attrs
import numpy as np
import torch
from torch import Tensor

from solvary_local_lipschitz.backward import Evaluation, Setting, evaluate
from solvary_local_lipschitz.feasibility import Patterns
from solvary_local_lipschitz.ties import ties
from solvary_robustness.bounds.crown import crown
from solvary_robustness.bounds.graph import Graph
from solvary_robustness.bounds.ibp import Interval, ibp


@attrs.frozen(eq=False)
class Forward:
    """How the inputs of the activations are bounded."""

    method: str
    alpha_steps: int
    margin: float

    def bounds(self, graph: Graph, lo: Tensor, hi: Tensor, known: Sequence[Interval] | None = None) -> list[Interval]:
        """Intervals (B, n) of the input of each activation; slopes are optimised on the whole region only."""
        if self.method == "crown":
            steps = self.alpha_steps if known is None else 0
            found, _ = crown(graph, lo, hi, everywhere=False, alpha_steps=steps, margin=self.margin, known=known)
            return found

        def refine(k: int, earlier: Sequence[Interval], given: Interval) -> Interval:
            wider = given.widen(self.margin * given.size)
            return wider if known is None else wider.intersect(known[k])

        return ibp(graph, lo, hi, refine)[0]


@attrs.define(eq=False)
class Domain:
    """A part of the region for one row (linf) or all rows (l2), by the signs of some units.

    `forward` (2, N) and `cotangents` (2, R, N) hold the ends of the intervals of all activations side by side; `split`
    is the unit to split, or -1: nothing is undecided, and the bound is exact if any input has these signs.
    """

    bound: float
    rows: Tensor
    forward: Tensor
    cotangents: Tensor
    split: int

    def __lt__(self, other: Domain) -> bool:
        return self.bound > other.bound  # a heap has the smallest first


@attrs.define(eq=False)
class Tree:
    """The domains that are still open.

    `bound` bounds the constant; `exact` says that it is attained: the best domain has no undecided unit, and it is not
    empty. `visited` counts the domains that were bounded.
    """

    graph: Graph
    lo: Tensor
    hi: Tensor
    forward: Forward
    setting: Setting
    patterns: Patterns
    heap: list[Domain]
    bound: float
    exact: bool = False
    visited: int = 0
    tied: tuple[Tensor, Tensor] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.tied = ties(self.graph)

    @classmethod
    def root(
        cls, graph: Graph, lo: Tensor, hi: Tensor, forward: Forward, setting: Setting, patterns: Patterns,
        rows: Tensor, intervals: Sequence[Interval], found: Evaluation,
    ) -> Tree:  # fmt: skip
        """One domain for each row of `rows` (1, R, o) in linf, and one of them all in l2."""
        joined = _side_by_side(intervals)[:, 0] if intervals else torch.zeros(2, 0)
        cotangents = _side_by_side(found.cotangents)[:, 0] if intervals else torch.zeros(2, rows.shape[1], 0)
        heap = []
        if setting.norm == "linf":
            for row in range(rows.shape[1]):
                part = slice(row, row + 1)
                alone = evaluate(graph, rows[:, part], intervals, setting, _cut(found.cotangents, part))
                bound = min(float(found.value[0, row]), float(alone.value[0, 0]))
                split = int(_choice(alone)[0])
                heap.append(Domain(bound, rows[0, part], joined, cotangents[:, part], split))
        else:
            heap.append(Domain(float(found.value[0, 0]), rows[0], joined, cotangents, int(_choice(found)[0])))
        heapq.heapify(heap)
        return cls(graph, lo, hi, forward, setting, patterns, heap, heap[0].bound)

    def steps(self, batch: int, most: int) -> Iterator[None]:
        """Splits the `batch` domains of the largest bounds at a time, until `exact` or `most` domains were bounded."""
        decided = self._decided()
        while True:
            chosen: list[Domain] = []
            while self.heap and len(chosen) < batch:
                best = self.heap[0]
                if best.split >= 0:
                    chosen.append(heapq.heappop(self.heap))
                elif self._is_empty(best, decided):
                    heapq.heappop(self.heap)
                else:
                    break  # no domain below it can hold the maximum
            if not chosen:
                self.exact = bool(self.heap)
                self.bound = min(self.bound, self.heap[0].bound) if self.heap else self.bound
                return
            if self.visited + 2 * len(chosen) > most:
                for domain in chosen:
                    heapq.heappush(self.heap, domain)
                self.bound = min(self.bound, self.heap[0].bound)
                return
            for child in self._children(chosen):
                heapq.heappush(self.heap, child)
            if self.heap:
                self.bound = min(self.bound, self.heap[0].bound)
            yield

    def _children(self, parents: Sequence[Domain]) -> list[Domain]:
        """Both halves of each domain, without those that are surely empty."""
        count = len(parents)
        forward = torch.stack([domain.forward for domain in parents], dim=1).repeat(1, 2, 1)
        cotangents = torch.stack([domain.cotangents for domain in parents], dim=1).repeat(1, 2, 1, 1)
        rows = torch.stack([domain.rows for domain in parents]).repeat(2, 1, 1)
        units = torch.tensor([domain.split for domain in parents], device=rows.device)
        # Child A: l = 0+, so s = 1; child B: u = 0-, so s = the slope left of zero; and so for the units tied to it.
        tiny = torch.finfo(self.graph.dtype).tiny
        groups, signs = self.tied
        sign = torch.where(groups == groups[units, None], signs * signs[units, None], 0)
        sign = torch.cat([sign, -sign])
        lower, upper = forward
        # Both ends, so that a unit whose input is 0 on the whole region has two children.
        on, off = (sign > 0) & (upper >= 0), (sign < 0) & (lower <= 0)
        lower = torch.where(on, lower.clamp(min=tiny), torch.where(off, lower.clamp(max=-tiny), lower))
        upper = torch.where(on, upper.clamp(min=tiny), torch.where(off, upper.clamp(max=-tiny), upper))
        # What a tied unit contradicts is empty.
        lower = torch.where((sign > 0) & ~on, tiny, lower)
        upper = torch.where((sign < 0) & ~off, -tiny, upper)
        forward = torch.stack([lower, upper])
        self.visited += 2 * count
        lo, hi = self.lo.expand(2 * count, -1), self.hi.expand(2 * count, -1)
        intervals = self.forward.bounds(self.graph, lo, hi, self._apart(forward))
        forward = _side_by_side(intervals)
        possible = (forward[0] - forward[1] <= 8.0 * tiny).all(dim=-1).nonzero()[:, 0]
        if len(possible) == 0:
            return []
        forward, cotangents, rows = forward[:, possible], cotangents[:, possible], rows[possible]
        found = evaluate(self.graph, rows, self._apart(forward), self.setting, self._apart(cotangents))
        cotangents = _side_by_side(found.cotangents)
        values, splits = found.value.amax(dim=1).tolist(), _choice(found).tolist()
        return [
            Domain(
                min(value, parents[index % count].bound), rows[child].clone(), forward[:, child].clone(),
                cotangents[:, child].clone(), split,
            )
            for child, (index, value, split) in enumerate(zip(possible.tolist(), values, splits, strict=True))
        ]  # fmt: skip

    def _apart(self, joined: Tensor) -> list[Interval]:
        """The intervals of each activation from those side by side."""
        widths = [self.graph.nodes[number].width for number in self.graph.activations]
        return [
            Interval(lower, upper)
            for lower, upper in zip(joined[0].split(widths, dim=-1), joined[1].split(widths, dim=-1), strict=True)
        ]

    def _decided(self) -> Tensor:
        """Which units (N,) have one sign on the whole region."""
        lower, upper = self.heap[0].forward
        return (lower > 0) | (upper < 0)

    def _is_empty(self, leaf: Domain, decided: Tensor) -> bool:
        """Whether no input has the signs of a leaf (unproven: False)."""
        on, off = leaf.forward[0] > 0, leaf.forward[1] < 0
        if bool(decided.all()) or not bool((on | off).all()):
            return False
        widths = [self.graph.nodes[number].width for number in self.graph.activations]
        ends = np.cumsum(widths)[:-1]
        signs = np.where(on.cpu().numpy(), 1.0, -1.0)
        return self.patterns.is_empty(np.split(signs, ends), np.split(decided.cpu().numpy(), ends))


def _side_by_side(intervals: Sequence[Interval]) -> Tensor:
    """Ends (2, ..., N) of the intervals of all activations."""
    return torch.stack(
        [
            torch.cat([given.lower for given in intervals], dim=-1),
            torch.cat([given.upper for given in intervals], dim=-1),
        ]
    )


def _cut(intervals: Sequence[Interval], rows: slice) -> list[Interval]:
    return [Interval(given.lower[:, rows], given.upper[:, rows]) for given in intervals]


def _choice(found: Evaluation) -> Tensor:
    """The unit (B,) with the largest score; -1 where none is left to split."""
    if not found.scores:
        return torch.full((len(found.value),), -1)
    best = torch.cat(found.scores, dim=-1).max(dim=-1)
    return torch.where(best.values >= 0, best.indices, -1)
