"""The program of the paper through CVXPY, with all its multipliers; what it finds is repaired like everything else."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import numpy as np

from solvary import OptionError
from solvary_lipsdp_groupsort.barrier import Point, Program
from solvary_robustness.lifting import Lifting


def points(lifting: Lifting, program: Program, tolerance: float) -> Iterator[Point]:
    """One point: the weights that CVXPY finds. The gap is the tolerance, or inf when it did not finish."""
    if importlib.util.find_spec("solvary_contrib_cvxpy") is None:
        raise OptionError(
            "method", "got 'cvxpy', which is not installed", 'pip install "solvary-lipsdp-groupsort[cvxpy]"'
        )
    from solvary_contrib_cvxpy.lipsdp import minimise

    found = minimise(
        lifting.forms, lifting.norm, row=lifting.row, gamma=lifting.keep_gamma, tolerance=tolerance,
        unit=lifting.scaled.output,
    )  # fmt: skip
    w, lam = lifting.weights(found.multipliers)
    theta = np.concatenate([w, lam])
    gap = tolerance * float(program.cost @ theta) if found.solved else np.inf
    yield Point(theta, gap, 1.0, 1.0)
