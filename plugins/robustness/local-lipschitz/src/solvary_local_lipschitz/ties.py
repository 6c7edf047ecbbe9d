"""Units of one layer whose inputs agree on all of space up to sign and a power of two: their signs are tied.

Splitting one of them settles the others. Without that, a network with a doubled unit, or with `relu(x)` and `relu(-x)`,
keeps patterns that hold on the kink only, and no arithmetic with rounding can tell these from very thin ones.
"""

from __future__ import annotations

import torch
from torch import Tensor

from solvary_robustness.bounds.graph import Convolution, Graph


def ties(graph: Graph) -> tuple[Tensor, Tensor]:
    """For the units of all activations side by side (N,): the number of their group, and their sign in it."""
    groups, signs = [torch.zeros(0, dtype=torch.int64)], [torch.zeros(0, dtype=torch.int64)]
    count = 0
    for number in graph.activations:
        group, sign = _layer(graph, graph.nodes[number].sources[0])
        groups.append(group + count)
        signs.append(sign)
        count += int(group.max()) + 1
    return torch.cat(groups).to(graph.device), torch.cat(signs).to(graph.device)


def _layer(graph: Graph, source: int) -> tuple[Tensor, Tensor]:
    node = graph.nodes[source]
    alone = torch.arange(node.width), torch.ones(node.width, dtype=torch.int64)
    if node.kind != "affine":
        return alone
    if isinstance(node.map, Convolution):
        # Channels with one kernel and bias agree place by place.
        channels = node.map.made[0]
        places = node.width // channels
        rows = torch.column_stack([node.map.kernel.flatten(1), node.bias.reshape(channels, places)[:, 0]])
        group, sign = _groups(rows)
        at = torch.arange(places)
        return (group[:, None] * places + at).flatten(), sign[:, None].expand(-1, places).flatten()
    if node.map.weight.is_sparse:
        return alone
    return _groups(torch.column_stack([node.map.weight, node.bias]))


def _groups(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows that are equal once divided (exactly) by a power of two and the sign of their first entry that is not 0."""
    rows = rows.cpu()
    _, exponent = torch.frexp(rows.abs().amax(dim=1))
    scaled = torch.ldexp(rows, -exponent[:, None])
    first = (scaled != 0).to(torch.int8).argmax(dim=1)
    sign = torch.where(scaled.gather(1, first[:, None])[:, 0] < 0, -1, 1)
    canonical = scaled * sign[:, None] + 0.0  # -0 becomes 0
    # Rows that lost digits to underflow could be equal without being so before.
    exact = (torch.ldexp(scaled, exponent[:, None]) == rows).all(dim=1)
    _, group = torch.unique(canonical, dim=0, return_inverse=True)
    group = torch.where(exact, group, len(rows) + torch.arange(len(rows)))
    _, group = torch.unique(group, return_inverse=True)
    return group, sign
