"""Linear relaxations of the nonlinear nodes of the backward graph: `z = J s`, `|J|` and `J^2`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import attrs
import torch
from torch import Tensor

from solvary_robustness.bounds.graph import Graph
from solvary_robustness.bounds.ibp import Interval

Relaxation = Literal["tight", "recurjac", "interval"]


@attrs.frozen(eq=False)
class Derivative:
    """The Clarke derivative of one activation on each domain: `least <= s <= most`, (B, n), `undecided` if apart."""

    least: Tensor
    most: Tensor
    undecided: Tensor


def derivatives(graph: Graph, forward: Sequence[Interval]) -> list[Derivative]:
    """`s` of every activation from the intervals (B, n) of the activations' inputs."""
    found = []
    for number, given in zip(graph.activations, forward, strict=True):
        slope = graph.nodes[number].slope
        on, off = given.lower > 0, given.upper < 0
        least = torch.full_like(given.lower, min(slope, 1.0))
        most = torch.full_like(given.lower, max(slope, 1.0))
        least = torch.where(on, 1.0, torch.where(off, slope, least))
        most = torch.where(on, 1.0, torch.where(off, slope, most))
        found.append(Derivative(least, most, ~(on | off)))
    return found


@attrs.frozen(eq=False)
class Lines:
    """`low J + low_at <= z <= high J + high_at`, all (B, R, 1, n)."""

    low: Tensor
    low_at: Tensor
    high: Tensor
    high_at: Tensor


def product(given: Interval, s: Derivative, relaxation: Relaxation) -> Lines:
    """The relaxation of `z = J s` for `J` in `given` (B, R, n).

    With `s = a + (b - a) t`, `t` in [0, 1]: `z = a J + (b - a) z'`, and `min(J, 0) <= z' <= max(J, 0)` lies between the
    lines through `(p, p), (q, 0)` and `(p, 0), (q, q)` for `p < 0 < q` (arXiv:2210.07394, Section 3.3). No lines are
    tighter.
    """
    p, q = given.lower.clamp(max=0.0), given.upper.clamp(min=0.0)
    least, most, undecided = s.least[:, None], s.most[:, None], s.undecided[:, None]
    if relaxation != "tight":
        # RecurJac: where s is undecided, z is a constant interval, independent of J.
        constant = times(given, least, most)
        slope = torch.where(undecided, 0.0, least).expand_as(p)
        low_at, high_at = (torch.where(undecided, end, 0.0) for end in (constant.lower, constant.upper))
        return Lines(*(part[:, :, None] for part in (slope, low_at, slope, high_at)))
    length = torch.where(q > p, q - p, 1.0)
    rise, spread = q / length, most - least
    fall = torch.where(q > p, -p / length, 0.0)
    low, high = least + spread * fall, least + spread * rise
    at = spread * (-p * rise)
    return Lines(*(part[:, :, None] for part in (low, -at, high, at)))


def times(given: Interval, least: Tensor, most: Tensor) -> Interval:
    """The interval of `J s`, rounded outwards."""
    ends = [end * s for end in (given.lower, given.upper) for s in (least, most)]
    low, high = torch.stack(ends).amin(dim=0), torch.stack(ends).amax(dim=0)
    loss = torch.where((least == 1.0) & (most == 1.0), 0.0, 2.0 * torch.finfo(low.dtype).eps)
    return Interval(low - loss * low.abs(), high + loss * high.abs())


def absolute(given: Interval) -> tuple[Tensor, Tensor]:
    """Slope and intercept of the upper line of `|J|`: the chord through the ends (Section 3.3); exact off zero."""
    p, q = given.lower, given.upper
    crossing = (p < 0) & (q > 0)
    length = torch.where(crossing, q - p, 1.0)
    slope = torch.where(crossing, q / length + p / length, torch.where(p >= 0, 1.0, -1.0))
    intercept = torch.where(crossing, -2.0 * p * (q / length), 0.0)
    return slope, intercept


def square(given: Interval) -> tuple[Tensor, Tensor]:
    """Slope and intercept of the chord of `J^2`."""
    return given.lower + given.upper, -given.lower * given.upper
