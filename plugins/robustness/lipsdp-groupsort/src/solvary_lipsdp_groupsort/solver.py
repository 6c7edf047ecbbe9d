"""The entry point: the network as a loop, a semidefinite program for each output, a proved bound after every step."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterator
from typing import Annotated, Literal

import attrs
import numpy as np

from solvary import Context, Iterate, Outcome, Range, Status
from solvary_lipsdp_groupsort import barrier, first_order
from solvary_lipsdp_groupsort.barrier import Point, Program
from solvary_lipsdp_groupsort.chain import split
from solvary_lipsdp_groupsort.program import euclidean, maximum
from solvary_robustness import lmi
from solvary_robustness.layers import first_width
from solvary_robustness.lifting import Lifting, Proved, liftings, together, vanishing
from solvary_robustness.lipschitz import Bound, LipschitzBound
from solvary_robustness.loop_scaling import spectral
from solvary_robustness.network import Dense, Layer, Network, Residual

Method = Literal["barrier", "first-order", "cvxpy"]


def solve(
    problem: LipschitzBound,
    context: Context,
    *,
    method: Method = "barrier",
    tolerance: Annotated[float, Range(gt=0, lt=1)] = 1e-6,
    max_iterations: Annotated[int, Range(ge=1)] = 100,
    per_layer: bool = False,
    drop_gamma: bool = True,
    repair: bool = True,
) -> Generator[Iterate, None, Bound | Outcome]:
    """LipSDP with the quadratic constraints of Pauli et al., arXiv:2401.14033, and repaired certificates.

    Args:
        problem: the network and the norm; a region or a box is ignored with a warning (the bound is global).
        context: receives the order of the matrix, the number of multipliers and the gap in its report.
        method: "barrier" (primal-dual interior point on low-rank factors), "first-order" (quasi-Newton steps on the
            chordal splitting along the layers, for thousands of units), or "cvxpy" (the paper's program through the
            conic solver that CVXPY picks: Clarabel, else SCS).
        tolerance: gap between the squared bound and the optimum of the program, relative. "first-order" rarely needs to
            be asked for less than 1e-4.
        max_iterations: the most steps (for norm "linf": for each output); "first-order" counts blocks of 25 gradients.
        per_layer: split the network after every second affine layer and after every residual block, and multiply the
            bounds of the parts: looser, cheaper, and without a certificate of the whole.
        drop_gamma: write `gam` as half of nu minus half of tau. The bound is the same.
        repair: mix in feasible multipliers until the inequality holds in float64; otherwise the bound may be violated
            by what the solver missed.

    Yields:
        A proved `Bound` after every step (a bound of all outputs for "linf").

    Returns:
        The `Bound`; an `Outcome` that says why when the tolerance was not reached.
    """
    if problem.region is not None or problem.box is not None:
        where = "region" if problem.region is not None else "box"
        warnings.warn(f"{where} is ignored: the bound of lipsdp-groupsort is global", stacklevel=2)
    options = _Options(method, tolerance, max_iterations, not drop_gamma, repair)
    if per_layer:
        return _multiplied(problem, context, options)
    return _bounded(problem.network, _norm(problem), context, options)


def _norm(problem: LipschitzBound) -> lmi.Norm:
    return "l2" if problem.norm == "l2" else "linf"


@attrs.frozen
class _Options:
    method: Method
    tolerance: float
    max_iterations: int
    keep_gamma: bool
    repair: bool


@attrs.define(eq=False)
class _Row:
    """One inequality and the best weights so far: in the beginning the feasible ones of the scaled loop."""

    lifting: Lifting
    w: np.ndarray = attrs.field(init=False)
    lam: np.ndarray = attrs.field(init=False)
    gap: float = np.inf
    proved: Proved | None = None

    def __attrs_post_init__(self) -> None:
        scaled = self.lifting.scaled
        self.w = np.full(1 if self.lifting.norm == "l2" else scaled.loop.inputs, scaled.rho)
        self.lam = scaled.lam

    @property
    def value(self) -> float:
        """The bound of the weights, before the repair."""
        return self.lifting.scaled.output * float(np.sqrt(self.w.sum()))

    def move(self, theta: np.ndarray) -> None:
        """New weights."""
        self.w, self.lam, self.proved = theta[: len(self.w)], theta[len(self.w) :], None

    def prove(self, repair: bool) -> Proved:
        """The certificate of the weights."""
        if self.proved is None:
            self.proved = self.lifting.prove(self.w, self.lam, repair)
        return self.proved


def _bounded(
    network: Network, norm: lmi.Norm, context: Context, options: _Options
) -> Generator[Iterate, None, Bound | Outcome]:
    """The bound of one network."""
    zero = vanishing(network, norm)
    if zero is not None:
        return zero
    rows = [_Row(lifting) for lifting in liftings(network, norm, options.keep_gamma)]
    loop = rows[0].lifting.scaled.loop
    context.report.update(order=loop.P.shape[1], multipliers=len(loop.sizes), inequalities=len(rows))
    if not len(loop.P):
        for row in rows:
            row.w, row.gap = _linear(row.lifting.scaled.loop.C, norm), 0.0
        return _answer(rows, options)
    steps, solved = 0, 0.0
    # The largest first: an output whose bound falls below that of a finished one needs no more steps.
    for row in sorted(rows, key=lambda row: -row.value):
        program, start = (euclidean if norm == "l2" else maximum)(row.lifting.scaled)
        for count, point in enumerate(_points(row, program, start, options), 1):
            row.move(point.theta)
            row.gap = point.gap / float(program.cost @ point.theta)
            steps += 1
            yield Iterate(lambda: _answer(rows, options), bound=max(each.value for each in rows), gap=row.gap)
            if count >= options.max_iterations or row.value <= solved:
                break
        solved = max(solved, row.value)
    answer = _smaller(_answer(rows, options), network, norm, context)
    # The row with the largest bound says how far the whole can be from its optimum, whatever the others miss.
    missed = max(rows, key=lambda row: row.value).gap
    context.report.update(steps=steps, gap=missed)
    if missed <= options.tolerance:
        return answer
    return Outcome(
        answer, Status.LIMIT_ITERATIONS, f"a proved bound, with the relative gap {missed:.2g} after {steps} steps"
    )


def _smaller(answer: Bound, network: Network, norm: lmi.Norm, context: Context) -> Bound:
    """In linf the product of row sums can be below the optimum of the program: it knows the cube, not only the ball."""
    product = network.product_bound(norm)
    if norm == "l2" or product >= answer.value:
        return answer
    context.report["program"] = answer.value
    return Bound(product)


def _points(row: _Row, program: Program, start: np.ndarray, options: _Options) -> Iterator[Point]:
    """The iterates of the method asked for."""
    if options.method == "barrier":
        return barrier.follow(program, start, options.tolerance)
    if options.method == "first-order":
        chain = split(row.lifting, program.owners[: program.first])
        return first_order.follow(chain, program.cost, start, options.tolerance)
    from solvary_lipsdp_groupsort import conic

    return conic.points(row.lifting, program, options.tolerance)


def _linear(C: np.ndarray, norm: lmi.Norm) -> np.ndarray:
    """Optimal weights without any activation: the squared spectral norm, or |c_i| |c|_1, widened by rounding."""
    if norm == "l2":
        return np.array([spectral(C) ** 2])
    return np.asarray(np.abs(C[0]) * np.abs(C[0]).sum())


def _answer(rows: list[_Row], options: _Options) -> Bound:
    """The bound of all rows; the product of the layers' norms where float64 cannot hold the multipliers of any."""
    lifting = rows[0].lifting
    proofs = [row.prove(options.repair) for row in rows]
    if options.repair and not all(proof.holds for proof in proofs):
        return Bound(lifting.network.product_bound(lifting.norm))
    return together(proofs, lifting.norm)


def _multiplied(
    problem: LipschitzBound, context: Context, options: _Options
) -> Generator[Iterate, None, Bound | Outcome]:
    """The product of the bounds of the parts."""
    parts, norm = _parts(problem.network), _norm(problem)
    values = [part.product_bound(norm) for part in parts]
    ends = []
    for k, part in enumerate(parts):
        run = _bounded(part, norm, context, options)
        while True:
            try:
                iterate = next(run)
            except StopIteration as stop:
                outcome = stop.value
                break
            inner = iterate.answer
            yield Iterate(lambda: Bound(_product(values, k, inner.value)), part=float(k))
        bound = outcome.answer if isinstance(outcome, Outcome) else outcome
        values[k] = min(values[k], bound.value)
        ends.append(outcome)
    context.report.update(parts=len(parts), bounds=list(values))
    answer = Bound(float(np.prod(values)))
    missed = next((end for end in ends if isinstance(end, Outcome)), None)
    return answer if missed is None else Outcome(answer, missed.status, missed.reason)


def _parts(network: Network) -> list[Network]:
    """Consecutive layers, cut after every second affine layer and after every residual block."""
    parts: list[list[Layer]] = [[]]
    affine = 0
    for layer in network.lowered().layers:
        parts[-1].append(layer)
        affine += isinstance(layer, Dense)
        if first_width(tuple(parts[-1])) is not None and (affine == 2 or isinstance(layer, Residual)):
            parts.append([])
            affine = 0
    if first_width(tuple(parts[-1])) is None:  # activations alone, or nothing
        tail = parts.pop()
        parts[-1] += tail
    return [Network(part) for part in parts]


def _product(values: list[float], k: int, value: float) -> float:
    return float(np.prod([*values[:k], min(values[k], value), *values[k + 1 :]]))
