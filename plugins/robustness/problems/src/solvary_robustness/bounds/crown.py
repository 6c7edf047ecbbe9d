"""CROWN: linear bounds propagated backwards through a network, from any node to the input.

Source: Zhang et al., "Efficient neural network robustness certification with general activation functions" (2018); the
optimised slopes are those of Xu et al., "Fast and complete" (2021). All domains and specifications are one batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from solvary_robustness.bounds.graph import Graph
from solvary_robustness.bounds.ibp import Interval, ibp, magnitudes

#: bytes of one batch of coefficients
BLOCK = 2**23
#: step of the slopes' optimisation; they are between the derivatives left and right of zero
_STEP = 0.1


@attrs.frozen(eq=False)
class Lines:
    """Linear bounds of an activation `f`, each (B, 1, n): `low x + low_at <= f(x) <= high x + high_at`.

    `free` marks the units whose bound on one side (the lower one where f is convex) may have any slope between
    f's two derivatives; its intercept is 0.
    """

    low: Tensor
    low_at: Tensor
    high: Tensor
    high_at: Tensor
    free: Tensor
    convex: bool


def lines(given: Interval, slope: float) -> Lines:
    """The relaxation of `x if x > 0 else slope x` on an interval: a chord, and a line through the kink."""
    lower, upper = given.lower, given.upper
    on, off = lower >= 0, upper <= 0
    undecided = ~(on | off)
    # Not `torch.where(on, 1.0, slope)`: of two numbers it makes float32.
    outer = torch.full_like(lower, slope)
    length = torch.where(undecided, upper - lower, torch.ones_like(lower))
    #: the chord from (l, slope l) to (u, u)
    chord = torch.where(undecided, upper / length + slope * (-lower / length), torch.where(on, 1.0, outer))
    chord_at = torch.where(undecided, lower * (slope - chord), torch.zeros_like(lower))
    #: the line through the kink with the smaller area
    other = torch.where(undecided, torch.where(upper >= -lower, 1.0, outer), chord)
    zero = torch.zeros_like(lower)
    chord, chord_at, other, zero, undecided = (part[:, None] for part in (chord, chord_at, other, zero, undecided))
    if slope <= 1.0:
        return Lines(other, zero, chord, chord_at, undecided, True)
    return Lines(chord, chord_at, other, zero, undecided, False)


def upper_bound(
    graph: Graph,
    node: int,
    coefficients: Tensor,
    relaxed: Sequence[Lines],
    lo: Tensor,
    hi: Tensor,
    slopes: Sequence[Tensor] | None = None,
) -> Tensor:
    """Upper bounds (B, S) of the linear forms `coefficients` (B or 1, S, n) of a node's value over the inputs.

    Args:
        graph: the network.
        node: the number of the node; its activations must be among the `relaxed`.
        coefficients: one row for each specification.
        relaxed: the lines of the activations before the node, in order.
        lo: lower ends (B, d) of the inputs.
        hi: upper ends (B, d).
        slopes: for each activation before the node the free slopes (B, S, n), in place of those of the lines.
    """
    order = {number: k for k, number in enumerate(graph.activations)}
    pending: dict[int, Tensor] = {node: coefficients}
    constant: Tensor | float = 0.0
    for number in range(node, 0, -1):
        if number not in pending:
            continue
        at, rows = graph.nodes[number], pending.pop(number)
        if at.kind == "affine":
            constant = constant + rows @ at.bias
            rows = at.map.transpose(rows)
        elif at.kind == "activation":
            k = order[number]
            line = relaxed[k]
            positive = rows.clamp(min=0.0)
            negative = rows - positive
            low, high = line.low, line.high
            if slopes is not None:
                free = torch.where(line.free, slopes[k], line.low if line.convex else line.high)
                low, high = (free, high) if line.convex else (low, free)
            constant = constant + (positive @ line.high_at.mT + negative @ line.low_at.mT)[..., 0]
            rows = positive * high + negative * low
        for source in at.sources:
            pending[source] = pending[source] + rows if source in pending else rows
    rows = pending.get(0)
    if rows is None:
        raise AssertionError("every node depends on the input")
    box = Interval(lo, hi)
    value: Tensor = (rows @ box.center[..., None] + rows.abs() @ box.radius[..., None])[..., 0] + constant
    return value


def bounds_of(
    graph: Graph,
    node: int,
    columns: Tensor,
    relaxed: Sequence[Lines],
    lo: Tensor,
    hi: Tensor,
    *,
    alpha_steps: int = 0,
    block: int = BLOCK,
) -> Interval:
    """Linear bounds of some entries `columns` (C,) of a node's value: an interval (B, C), not yet rounded outwards."""
    width = graph.nodes[node].width
    widest = max(entry.width for entry in graph.nodes[: node + 1])
    size = max(1, block // (2 * len(lo) * widest * lo.element_size()))
    lower, upper = [], []
    for part in columns.split(size):
        unit = torch.zeros(len(part), width, dtype=lo.dtype, device=lo.device)
        unit[torch.arange(len(part), device=lo.device), part] = 1.0
        rows = torch.cat([unit, -unit])[None]
        if alpha_steps and relaxed:
            ends = _optimised(graph, node, rows, relaxed, lo, hi, alpha_steps)
        else:
            ends = upper_bound(graph, node, rows, relaxed, lo, hi)
        high, low = ends.expand(len(lo), -1).split(len(part), dim=1)
        upper.append(high)
        lower.append(-low)
    return Interval(torch.cat(lower, dim=1), torch.cat(upper, dim=1))


def _optimised(
    graph: Graph, node: int, rows: Tensor, relaxed: Sequence[Lines], lo: Tensor, hi: Tensor, steps: int
) -> Tensor:
    """The least upper bounds over projected gradient steps (Adam's) on the slopes of every specification."""
    slopes, moments, ranges = [], [], []
    shape = (len(lo), rows.shape[1])
    for k, line in enumerate(relaxed):
        outer = graph.nodes[graph.activations[k]].slope
        start = (line.low if line.convex else line.high).expand(*shape, -1).clone()
        slopes.append(start.requires_grad_())
        moments.append((torch.zeros_like(start), torch.zeros_like(start)))
        ranges.append((min(outer, 1.0), max(outer, 1.0)))
    best: Tensor | None = None
    for step in range(steps + 1):
        with torch.enable_grad():
            value = upper_bound(graph, node, rows, relaxed, lo, hi, slopes)
            total = value.sum()
        kept = value.detach()
        best = kept if best is None else torch.minimum(best, kept)
        if step == steps:
            break
        gradients = torch.autograd.grad(total, slopes, allow_unused=True)
        with torch.no_grad():
            for slope, gradient, (first, second), (least, most) in zip(slopes, gradients, moments, ranges, strict=True):
                if gradient is None:
                    continue
                first.mul_(0.9).add_(gradient, alpha=0.1)
                second.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
                mean, spread = first / (1.0 - 0.9 ** (step + 1)), second / (1.0 - 0.999 ** (step + 1))
                length = _STEP * (most - least)
                slope.sub_(length * mean / (spread.sqrt() + 1e-30)).clamp_(least, most)
    assert best is not None
    return best


def crown(
    graph: Graph,
    lo: Tensor,
    hi: Tensor,
    *,
    everywhere: bool = True,
    alpha_steps: int = 0,
    margin: float = 0.0,
    known: Sequence[Interval] | None = None,
    block: int = BLOCK,
) -> tuple[list[Interval], Interval]:
    """Intervals (B, n) of the input of each activation, and of the output, for inputs between `lo` and `hi` (B, d).

    Args:
        graph: the network.
        lo: lower ends (B, d) of the inputs.
        hi: upper ends (B, d).
        everywhere: False leaves the intervals of units whose sign the interval arithmetic settles, and that of the
            output, as they are: linear bounds of these change no relaxation.
        alpha_steps: gradient steps on the slopes of the relaxation, for each layer's bounds.
        margin: moved outwards by this much more, relative to the ends.
        known: intervals of the activations' inputs to intersect with (splits, or bounds of a larger domain). Where an
            intersection is empty, there are no such inputs.
        block: bytes of one batch of coefficients.
    """
    size = magnitudes(graph, lo, hi)
    relaxed: list[Lines] = []

    def improved(node: int, given: Interval, columns: Tensor) -> Interval:
        if len(columns) == 0 or not relaxed:
            return given
        found = bounds_of(graph, node, columns, relaxed, lo, hi, alpha_steps=alpha_steps, block=block)
        found = found.widen(graph.rounding * size[node][:, columns])
        lower, upper = given.lower.clone(), given.upper.clone()
        lower[:, columns] = torch.maximum(lower[:, columns], found.lower)
        upper[:, columns] = torch.minimum(upper[:, columns], found.upper)
        return Interval(lower, upper)

    def refine(k: int, earlier: Sequence[Interval], given: Interval) -> Interval:
        node = graph.nodes[graph.activations[k]]
        if known is not None:
            given = given.intersect(known[k])
        undecided = (given.lower <= 0) & (given.upper >= 0)
        columns = torch.ones_like(undecided) if everywhere else undecided
        given = improved(node.sources[0], given, columns.any(dim=0).nonzero()[:, 0])
        if margin:
            given = given.widen(margin * given.size)
        if known is not None:
            given = given.intersect(known[k])
        relaxed.append(lines(given, node.slope))
        return given

    found, output = ibp(graph, lo, hi, refine)
    if everywhere:
        everything = torch.arange(graph.nodes[-1].width, device=lo.device)
        output = improved(graph.output, output, everything)
    return found, output
