"""The baseline `norm-product`: the product of the layers' Lipschitz constants."""

from __future__ import annotations

from solvary import Context
from solvary_robustness.lipschitz import Bound, LipschitzBound


def solve(problem: LipschitzBound, context: Context) -> Bound:
    """The product of spectral norms ("l2") or absolute row sums ("linf"); a residual block counts one plus its own."""
    return Bound(problem.product_bound)
