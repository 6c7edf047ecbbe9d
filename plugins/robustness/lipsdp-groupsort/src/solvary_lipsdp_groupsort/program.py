"""The semidefinite programs of a scaled loop: which weights there are, what they cost, and where to start."""

from __future__ import annotations

import numpy as np

from solvary_lipsdp_groupsort.barrier import CEILING, Program
from solvary_robustness.loop_scaling import Scaled


def euclidean(scaled: Scaled) -> tuple[Program, np.ndarray]:
    """l2: minimise rho, one weight of all inputs; the bound is `sqrt(rho)`. With a strictly feasible start."""
    d = scaled.loop.inputs
    return _program(scaled, np.zeros(d, np.intp), 1)


def maximum(scaled: Scaled) -> tuple[Program, np.ndarray]:
    """linf, one output: minimise `1^T mu`, a weight for every input; the bound is the root.

    `|y|^2 <= sum_i mu_i x_i^2 <= 1^T mu` on the unit cube. This is the paper's program with a border: its optimum over
    all scalings of (mu, lam) and 1/rho is `(rho + 1^T mu) / 2 = sqrt(1^T mu)`.
    """
    d = scaled.loop.inputs
    return _program(scaled, np.arange(d), d)


def _program(scaled: Scaled, inputs: np.ndarray, weights: int) -> tuple[Program, np.ndarray]:
    loop = scaled.loop
    groups = weights + np.repeat(np.arange(len(loop.sizes)), loop.sizes)
    cost = np.zeros(weights + len(loop.sizes))
    cost[:weights] = 1.0
    owners = np.concatenate([inputs, groups]).astype(np.intp)
    start = np.concatenate([np.full(weights, scaled.rho), scaled.lam])
    # A group that nothing feeds only gets better with its weight, and would walk a long way to the ceiling.
    dead = np.add.reduceat(np.abs(loop.P).sum(axis=1), loop.starts) == 0
    start[weights:][dead] = CEILING / 2
    return Program(loop.P, loop.C.T @ loop.C, loop.inputs, owners, cost), start
