"""Interval bound propagation: intervals of all values of a network over boxes of inputs, outward rounded."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
import torch
from torch import Tensor

from solvary_robustness.bounds.graph import Graph, Node


@attrs.frozen(eq=False)
class Interval:
    """Entrywise lower and upper ends, (B, n) each."""

    lower: Tensor
    upper: Tensor

    def intersect(self, other: Interval) -> Interval:
        """The common part; where there is none (an empty set of inputs) the lower end is above the upper one."""
        return Interval(torch.maximum(self.lower, other.lower), torch.minimum(self.upper, other.upper))

    def widen(self, margin: float | Tensor) -> Interval:
        """Both ends moved outwards by `margin`."""
        return Interval(self.lower - margin, self.upper + margin)

    @property
    def size(self) -> Tensor:
        """The largest absolute value of each entry."""
        return torch.maximum(self.lower.abs(), self.upper.abs())

    @property
    def radius(self) -> Tensor:
        """Half of the length."""
        return ((self.upper - self.lower) / 2.0).clamp(min=0.0)

    @property
    def center(self) -> Tensor:
        """The middle."""
        return self.lower / 2.0 + self.upper / 2.0


#: what improves the interval of an activation's input: (which activation, intervals of the earlier ones, its interval)
Refinement = Callable[[int, Sequence[Interval], Interval], Interval]


def ibp(graph: Graph, lo: Tensor, hi: Tensor, refine: Refinement | None = None) -> tuple[list[Interval], Interval]:
    """Intervals (B, n) of the input of each activation, and of the output, for inputs between `lo` and `hi` (B, d).

    `refine` may improve the interval of an activation's input before it is used further on.
    """
    intervals: list[Interval] = [Interval(lo, hi)]
    found: list[Interval] = []
    for node in graph.nodes[1:]:
        if node.kind == "affine":
            intervals.append(affine(node, intervals[node.sources[0]]))
        elif node.kind == "sum":
            intervals.append(add(*(intervals[source] for source in node.sources)))
        else:
            given = intervals[node.sources[0]]
            if refine is not None:
                given = intervals[node.sources[0]] = refine(len(found), found, given)
            found.append(given)
            intervals.append(activation(node, given))
    return found, intervals[-1]


def affine(node: Node, given: Interval) -> Interval:
    """The interval of `A x + b`: its centre is `A c + b`, its radius `|A| r`."""
    center = node.map.apply(given.center) + node.bias
    radius = node.magnitude.apply(given.radius)
    loss = (node.map.terms + 8) * torch.finfo(center.dtype).eps
    slack = loss * (node.magnitude.apply(given.size) + node.bias.abs())
    return Interval(center - radius - slack, center + radius + slack)


def add(first: Interval, second: Interval) -> Interval:
    """The interval of a sum."""
    slack = 2.0 * torch.finfo(first.lower.dtype).eps * (first.size + second.size)
    return Interval(first.lower + second.lower - slack, first.upper + second.upper + slack)


def activation(node: Node, given: Interval) -> Interval:
    """The interval of the activation: its ends are at the ends, or at the kink if that is inside."""
    ends = torch.stack([torch.where(end > 0, end, node.slope * end) for end in (given.lower, given.upper)])
    low, high = ends.amin(dim=0), ends.amax(dim=0)
    inside = (given.lower < 0) & (given.upper > 0)
    zero = torch.zeros_like(low)
    slack = 2.0 * torch.finfo(low.dtype).eps * (given.size * abs(node.slope))
    low = torch.where(inside, torch.minimum(low, zero), low)
    high = torch.where(inside, torch.maximum(high, zero), high)
    # A unit that is surely on is passed as it is.
    slack = torch.where(given.lower >= 0, zero, slack)
    return Interval(low - slack, high + slack)


def magnitudes(graph: Graph, lo: Tensor, hi: Tensor) -> list[Tensor]:
    """For each node the sum (B, n) of the absolute values of all terms that linear bounds of it may add up.

    An activation's relaxation has slopes and intercepts that together weigh at most 2 + 2 |slope| times its input.
    """
    found = [torch.maximum(lo.abs(), hi.abs())]
    for node in graph.nodes[1:]:
        sources = [found[source] for source in node.sources]
        if node.kind == "affine":
            found.append(node.magnitude.apply(sources[0]) + node.bias.abs())
        elif node.kind == "sum":
            found.append(sources[0] + sources[1])
        else:
            found.append((2.0 + 2.0 * abs(node.slope)) * sources[0])
    return found
