"""Bounds of the Clarke Jacobian by linear bound propagation on its backward graph.

The cotangent `J_v` of a node `v` of the network is `c^T` times the Jacobian of the output with respect to `v`. The
chain rule runs from the output to the input; linear bounds of a form of `J_v` are propagated against it, so from `v`
towards the output, where the cotangent is the constant `c`. Source: arXiv:2210.07394, Sections 3.2 and 3.3.

Axes: domains B, rows `c` of one domain R, specifications S, entries n.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from solvary_local_lipschitz.relaxation import (
    Derivative,
    Lines,
    Relaxation,
    absolute,
    derivatives,
    product,
    square,
    times,
)
from solvary_robustness.bounds.crown import BLOCK
from solvary_robustness.bounds.graph import Convolution, Graph, Linear, Node
from solvary_robustness.bounds.ibp import Interval


@attrs.frozen(eq=False)
class Setting:
    """How the Jacobian is bounded."""

    norm: str
    relaxation: Relaxation
    heuristic: str
    margin: float
    block: int = BLOCK


@attrs.frozen(eq=False)
class Evaluation:
    """Bounds on a batch of domains.

    Attributes:
        value: bounds of the constant: (B, R), one for each row, in linf; (B, 1), of all rows together, in l2.
        cotangents: intervals (B, R, n) of the cotangent of each activation's output.
        jacobian: intervals (B, R, d) of the entries of the rows of the Jacobian.
        scores: for each activation (B, n), how much a split is worth; negative where there is nothing to split.
    """

    value: Tensor
    cotangents: list[Interval]
    jacobian: Interval
    scores: list[Tensor]


def evaluate(
    graph: Graph, rows: Tensor, forward: Sequence[Interval], setting: Setting, known: Sequence[Interval] | None = None
) -> Evaluation:
    """Bounds of the norm of `rows` (B, R, o) times the Clarke Jacobian on domains.

    Args:
        graph: the network.
        rows: the vectors c.
        forward: intervals (B, n) of the input of each activation.
        setting: norm, relaxation, branching heuristic, margin.
        known: intervals of the cotangents of the activations' outputs that hold (those of a larger domain).
    """
    s = derivatives(graph, forward)
    reached = reach(graph, s)
    size = _magnitudes(graph, rows)
    lines: dict[int, Lines] = {}
    order = {number: k for k, number in enumerate(graph.activations)}
    cotangents: list[Interval] = [Interval(rows, rows)] * len(graph.activations)
    pending: dict[int, Interval] = {graph.output: Interval(rows, rows)}

    def refined(number: int, given: Interval, columns: Tensor) -> Interval:
        if setting.relaxation == "interval" or len(columns) == 0 or not lines:
            return given  # without an activation behind it the cotangent is a constant
        found = _entries(graph, number, columns, lines, rows, setting.block)
        slack = graph.rounding * size[number][..., columns]
        lower, upper = given.lower.clone(), given.upper.clone()
        lower[..., columns] = torch.maximum(lower[..., columns], found.lower - slack)
        upper[..., columns] = torch.minimum(upper[..., columns], found.upper + slack)
        return Interval(lower, upper)

    for number in range(graph.output, 0, -1):
        node, given = graph.nodes[number], pending.pop(number)
        if node.kind == "affine":
            given = _transposed(node, graph.parts[number], given)
        elif node.kind == "activation":
            k = order[number]
            open_ = s[k].undecided & (reached[k] > 0)
            given = _outwards(refined(number, given, open_.any(dim=0).nonzero()[:, 0]), setting.margin)
            cotangents[k] = given = given if known is None else given.intersect(known[k])
            lines[number] = product(given, s[k], setting.relaxation)
            given = times(given, s[k].least[:, None], s[k].most[:, None])
        for source in node.sources:
            pending[source] = _sum(pending[source], given) if source in pending else given
    everything = torch.arange(graph.nodes[0].width, device=rows.device)
    jacobian = _outwards(refined(0, pending[0], everything), setting.margin)
    value, weights = _norm(graph, rows, jacobian, lines, size[0], setting)
    scores = []
    for k, number in enumerate(graph.activations):
        weight = weights.get(number)
        scores.append(_score(cotangents[k], s[k], reached[k], weight, setting.heuristic))
    return Evaluation(value * (1.0 + setting.margin), cotangents, jacobian, scores)


def upper_bound(
    graph: Graph,
    start: int,
    coefficients: Tensor,
    lines: dict[int, Lines],
    rows: Tensor,
    weights: dict[int, Tensor] | None = None,
) -> Tensor:
    """Upper bounds (B, R, S) of linear forms `coefficients` (B or 1, R or 1, S, n) of the cotangent of node `start`.

    `weights` receives, for each activation, the coefficients of its `z` (B, R, n) of the first specification.
    """
    last = {source: number for number, node in enumerate(graph.nodes) for source in node.sources}
    pending = {start: coefficients}
    constant: Tensor | float = 0.0
    for number in range(start + 1, len(graph.nodes)):
        node = graph.nodes[number]
        parts = [pending[source] for source in node.sources if source in pending]
        for source in node.sources:
            if last[source] == number:
                pending.pop(source, None)
        if not parts:
            continue
        form = parts[0] if len(parts) == 1 else parts[0] + parts[1]
        if node.kind == "affine":
            form = node.map.apply(form)
        elif node.kind == "activation":
            if weights is not None:
                weights[number] = form[:, :, 0]
            line = lines[number]
            positive = form.clamp(min=0.0)
            negative = form - positive
            constant = constant + (positive @ line.high_at.mT + negative @ line.low_at.mT)[..., 0]
            form = positive * line.high + negative * line.low
        pending[number] = form
    value: Tensor = (pending[graph.output] @ rows[..., None])[..., 0] + constant
    return value


def _entries(graph: Graph, number: int, columns: Tensor, lines: dict[int, Lines], rows: Tensor, block: int) -> Interval:
    """Linear bounds (B, R, C) of entries of a cotangent, all as one batch of specifications, in blocks."""
    width = graph.nodes[number].width
    widest = max(node.width for node in graph.nodes[number + 1 :])
    each = max(1, block // (2 * rows.shape[0] * rows.shape[1] * widest * rows.element_size()))
    lower, upper = [], []
    for part in columns.split(each):
        unit = torch.zeros(len(part), width, dtype=rows.dtype, device=rows.device)
        unit[torch.arange(len(part), device=rows.device), part] = 1.0
        ends = upper_bound(graph, number, torch.cat([unit, -unit])[None, None], lines, rows)
        high, low = ends.split(len(part), dim=-1)
        upper.append(high)
        lower.append(-low)
    return Interval(torch.cat(lower, dim=-1), torch.cat(upper, dim=-1))


def _norm(
    graph: Graph, rows: Tensor, jacobian: Interval, lines: dict[int, Lines], size: Tensor, setting: Setting
) -> tuple[Tensor, dict[int, Tensor]]:
    """The bound of the norm from the intervals of the Jacobian's entries, and the weights of the `z` in it."""
    largest, loss = jacobian.size, graph.rounding
    weights: dict[int, Tensor] = {}
    if setting.norm == "linf":
        value = largest.sum(dim=-1) * (1.0 + loss)
        if setting.relaxation == "interval":
            return value, weights
        slope, intercept = absolute(jacobian)
        form = upper_bound(graph, 0, slope[:, :, None], lines, rows, weights)[..., 0]
        slack = loss * (slope.abs() * size + intercept).sum(dim=-1)
        return torch.minimum(value, form + intercept.sum(dim=-1) + slack), weights
    # |J|_2 <= |mid|_2 + |rad|_2 and <= |max |J||_2 for any J in the intervals: the norm is monotone on matrices >= 0.
    middle, radius, entire = (
        torch.linalg.matrix_norm(part, ord=2) for part in (jacobian.center, jacobian.radius, largest)
    )
    value = torch.minimum(middle + radius, entire) * (1.0 + loss)
    if setting.relaxation == "interval":
        return value[:, None], weights
    slope, intercept = square(jacobian)
    form = upper_bound(graph, 0, slope[:, :, None], lines, rows, weights)[..., 0]
    slack = loss * (slope.abs() * size + largest**2).sum(dim=-1)
    frobenius = (form + intercept.sum(dim=-1) + slack).sum(dim=-1).clamp(min=0.0).sqrt() * (1.0 + loss)
    return torch.minimum(value, frobenius)[:, None], weights


def _score(given: Interval, s: Derivative, reached: Tensor, weight: Tensor | None, heuristic: str) -> Tensor:
    """What splitting each unit promises (B, n); -1 where the sign is settled or does not matter.

    "area": `(q |q| - p |p|)` times the weight of the unit's `z` in the bound (Section 3.4); "babsr": the weight times
    the intercept of the relaxation. Interval arithmetic has no weights: there the row of ones takes their place.
    """
    p, q = given.lower, given.upper
    size = reached[:, None] if weight is None else weight.abs()
    if heuristic == "area":
        gain = q * q.abs() - p * p.abs()
    else:
        low, high = p.clamp(max=0.0), q.clamp(min=0.0)
        gain = -low * (high / torch.where(high > low, high - low, 1.0))
    score = (gain * size).sum(dim=1)
    matters = s.undecided & (reached > 0) & (given.size > 0).any(dim=1)
    return torch.where(matters, torch.nan_to_num(score, nan=0.0).clamp(min=0.0), -1.0)


def reach(graph: Graph, s: Sequence[Derivative]) -> list[Tensor]:
    """For each activation (B, n) how strongly the inputs can move its input: 0 where its derivative does not matter."""
    batch = len(s[0].least) if s else 1
    values = [torch.ones(batch, graph.nodes[0].width, dtype=graph.dtype, device=graph.device)]
    found: list[Tensor] = []
    for node in graph.nodes[1:]:
        sources = [values[source] for source in node.sources]
        if node.kind == "affine":
            values.append(node.magnitude.apply(sources[0]))
        elif node.kind == "sum":
            values.append(sources[0] + sources[1])
        else:
            here = s[len(found)]
            found.append(sources[0])
            values.append(sources[0] * torch.maximum(here.least.abs(), here.most.abs()))
    return found


def _magnitudes(graph: Graph, rows: Tensor) -> dict[int, Tensor]:
    """For each node (B, R, n) the sum of the absolute values of all terms that bounds of its cotangent may add up."""
    found = {graph.output: rows.abs()}
    for number in range(graph.output, 0, -1):
        node, given = graph.nodes[number], found[number]
        if node.kind == "affine":
            given = node.magnitude.transpose(given)
        elif node.kind == "activation":
            given = (2.0 + 2.0 * abs(node.slope)) * given
        for source in node.sources:
            found[source] = found[source] + given if source in found else given
    return found


def _transposed(node: Node, parts: tuple[Linear | Convolution, ...], given: Interval) -> Interval:
    """The interval of `A^T J`, from the positive parts of A and of -A.

    An end that is a sum of terms of one sign keeps it, whatever the rounding: a proof of monotonicity may rest on a
    lower end of exactly 0.
    """
    ends = torch.stack([given.lower, given.upper, given.lower.abs(), given.upper.abs()])
    plus, minus = (part.transpose(ends) for part in parts)
    loss = (2 * node.map.terms + 8) * torch.finfo(ends.dtype).eps
    lower = plus[0] - minus[1] - loss * (plus[2] + minus[3])
    upper = plus[1] - minus[0] + loss * (plus[3] + minus[2])
    return Interval(lower, upper)


def _sum(first: Interval, second: Interval) -> Interval:
    eps = 2.0 * torch.finfo(first.lower.dtype).eps
    lower, upper = first.lower + second.lower, first.upper + second.upper
    return Interval(
        lower - eps * (first.lower.abs() + second.lower.abs()), upper + eps * (first.upper.abs() + second.upper.abs())
    )


def _outwards(given: Interval, margin: float) -> Interval:
    """Each end moved by its own size times the margin: an end at 0 stays there."""
    return Interval(given.lower - margin * given.lower.abs(), given.upper + margin * given.upper.abs())
