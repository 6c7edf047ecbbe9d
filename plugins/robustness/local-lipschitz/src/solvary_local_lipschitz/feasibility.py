"""Whether any input of a box has a given activation pattern: one linear program, and a proof of a negative answer."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np
import torch
from scipy.optimize import linprog

from solvary_robustness.bounds.graph import Graph
from solvary_robustness.bounds.ibp import magnitudes
from solvary_robustness.network import Network


@attrs.frozen(eq=False)
class Patterns:
    """Activation patterns of a network on the inputs between `lo` and `hi` (d,)."""

    graph: Graph
    lo: np.ndarray
    hi: np.ndarray

    @classmethod
    def of(cls, network: Network, lo: np.ndarray, hi: np.ndarray) -> Patterns:
        """Always in float64 on the host, whatever the bounds are computed in."""
        return cls(Graph.of(network), lo, hi)

    def is_empty(self, signs: Sequence[np.ndarray], fixed: Sequence[np.ndarray]) -> bool:
        """Whether it is proven that no input gives these signs.

        Within a pattern the inputs of all activations are affine, so the question is whether
        `max_x min_k sign_k (a_k x + b_k) >= 0`. The dual multipliers of the program prove a negative optimum by a bound
        that holds for any multipliers, rounding included.

        Args:
            signs: for each activation +1 or -1 for every unit (n,).
            fixed: for each activation which units (n,) have this sign on all inputs, and need no constraint.
        """
        rows, values, slack = self._affine(signs, fixed)
        scale = np.abs(rows).sum(axis=1) + np.abs(values)
        keep = scale > 0
        if not keep.any():
            return False
        rows, values = rows[keep] / scale[keep, None], values[keep] / scale[keep]
        slack = slack[keep] / scale[keep] + 1e-14 * (1 + rows.shape[1])
        d = rows.shape[1]
        # Minimise -t subject to t - rows . xi <= values, xi in [-1, 1], t <= 1.
        program = linprog(
            np.append(np.zeros(d), -1.0),
            A_ub=np.column_stack([-rows, np.ones(len(rows))]),
            b_ub=values,
            bounds=[(-1.0, 1.0)] * d + [(None, 1.0)],
            method="highs",
        )
        if program.status != 0 or program.fun <= 0.0:
            return False
        dual = np.maximum(-program.ineqlin.marginals, 0.0)
        if dual.sum() <= 0.0:
            return False
        dual /= dual.sum()
        best = np.abs(dual @ rows).sum() + dual @ (values + slack)
        return bool(best < 0.0)

    def _affine(
        self, signs: Sequence[np.ndarray], fixed: Sequence[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For every unit that is not fixed: `sign (a r)` (K, d), `sign (a c + b)` (K,), and their rounding errors (K,).

        The inputs are `c + r xi` with `xi` in [-1, 1].
        """
        graph = self.graph
        ends = graph.domain(self.lo, self.hi)
        size = magnitudes(graph, *ends)
        center, radius = ((self.lo + self.hi) / 2.0, (self.hi - self.lo) / 2.0)
        values = [graph.tensor(np.vstack([center, np.diag(radius)]))]  # row 0: at the centre, others: along an axis
        rows, at, slack = [], [], []
        k = 0
        for node in graph.nodes[1:]:
            sources = [values[source] for source in node.sources]
            if node.kind == "affine":
                image = node.map.apply(sources[0])
                image[0] += node.bias
                values.append(image)
            elif node.kind == "sum":
                values.append(sources[0] + sources[1])
            else:
                sign = torch.as_tensor(signs[k])
                free = ~fixed[k]
                units = (sources[0] * sign)[:, torch.as_tensor(free)].numpy()
                rows.append(units[1:].T)
                at.append(units[0])
                slack.append(graph.rounding * (1 + len(center)) * size[node.sources[0]][0].numpy()[free])
                values.append(sources[0] * torch.where(sign > 0, torch.ones_like(sign), node.slope))
                k += 1
        return np.concatenate(rows), np.concatenate(at), np.concatenate(slack)
