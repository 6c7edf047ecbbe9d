"""The solver: bounds of the pre-activations, of the Clarke Jacobian, and branch and bound."""

from __future__ import annotations

import warnings
from collections.abc import Generator
from typing import Annotated, Any, Literal

import numpy as np
import torch

from solvary import Context, Iterate, Outcome, ProblemError, Range, Status
from solvary_local_lipschitz.backward import Evaluation, Setting, evaluate
from solvary_local_lipschitz.branching import Forward, Tree
from solvary_local_lipschitz.feasibility import Patterns
from solvary_local_lipschitz.relaxation import Relaxation
from solvary_robustness.bounds.graph import Graph, unsupported
from solvary_robustness.lipschitz import Bound, LipschitzBound


def solve(
    problem: LipschitzBound,
    context: Context,
    *,
    relaxation: Relaxation = "tight",
    forward: Literal["crown", "ibp"] = "crown",
    branch: bool = False,
    batch: Annotated[int, Range(ge=1)] = 64,
    max_domains: Annotated[int, Range(ge=1)] = 20000,
    heuristic: Literal["area", "babsr"] = "area",
    alpha_steps: Annotated[int, Range(ge=0)] = 0,
    dtype: Literal["float64", "float32"] = "float64",
    margin: Annotated[float, Range(ge=0, lt=1)] = 1e-9,
) -> Generator[Iterate, None, Bound | Outcome]:
    """A sound upper bound of the local Lipschitz constant, with intervals of all Jacobian entries as certificate.

    Args:
        problem: a network of Dense, Conv2d, Residual and entrywise activation layers, and a bounded region. With norm
            "l2" the bound holds but is looser (a warning says so).
        context: `report` gets the bounds of the rows (norm "linf"), how many units are undecided and which outputs
            increase or decrease with an input.
        relaxation: of `z = J s` with an undecided derivative s: "tight" lines, "recurjac" constants, or "interval"
            arithmetic for the whole chain.
        forward: linear ("crown") or interval ("ibp") bounds of the pre-activations.
        branch: split undecided units until the bound is exact.
        batch: domains that are split at a time.
        max_domains: domains to bound at most.
        heuristic: which unit to split: "area" of its relaxation, or its intercept ("babsr").
        alpha_steps: gradient steps on the slopes of the linear bounds of the pre-activations.
        dtype: of all bounds. Rounding is covered in both; "float32" pays for it with looser bounds.
        margin: relative, added outwards to every interval and to the bound, beyond the proven rounding error.

    Yields:
        The bound of interval arithmetic, that of linear bound propagation, then the global bound after every batch.

    Returns:
        The `Bound`; with status LIMIT_ITERATIONS when `max_domains` did not suffice to close the tree.

    Raises:
        ProblemError: no bounded region, or a layer that is not supported.

    Source: arXiv:2210.07394.
    """
    lo, hi = _region(problem)
    graph = Graph.of(problem.network, dtype=getattr(torch, dtype), device=context.device)
    if problem.norm == "l2":
        words = "norm l2: the bound holds, but the method is made for linf; matrices of intervals stand for Jacobians"
        warnings.warn(words, stacklevel=2)
    steps: Generator[Iterate, None, Bound | Outcome] = _bounded(
        problem, context, graph, lo, hi, Forward(forward, alpha_steps, margin),
        Setting(problem.norm, relaxation, heuristic, margin), batch, max_domains if branch else 0,
    )  # fmt: skip
    return steps


@torch.no_grad()
def _bounded(
    problem: LipschitzBound, context: Context, graph: Graph, low: np.ndarray, high: np.ndarray,
    forward: Forward, setting: Setting, batch: int, most: int,
) -> Generator[Iterate, None, Bound | Outcome]:  # fmt: skip
    lo, hi = graph.domain(low, high)
    rows = torch.eye(graph.nodes[-1].width, dtype=graph.dtype, device=graph.device)[None]
    intervals = forward.bounds(graph, lo, hi)
    chain = Setting(setting.norm, "interval", setting.heuristic, setting.margin)
    found = evaluate(graph, rows, intervals, chain)
    bound = _answer(found)
    yield Iterate(bound, domains=0)
    if setting.relaxation != "interval":
        first = bound.value
        found = evaluate(graph, rows, intervals, setting)
        bound = _answer(found)
        bound = Bound(min(bound.value, first), bound.certificate)
        yield Iterate(bound, domains=0)
    _report(context, graph, found, bound, setting)
    if most == 0:
        return bound
    patterns = Patterns.of(problem.network, low, high)
    tree = Tree.root(graph, lo, hi, forward, setting, patterns, rows, intervals, found)
    for _ in tree.steps(batch, most):
        context.report["domains"] = tree.visited
        value = min(bound.value, tree.bound)
        yield Iterate(Bound(value, bound.certificate), domains=tree.visited)
    context.report["domains"], context.report["exact"] = tree.visited, tree.exact
    answer = Bound(min(bound.value, tree.bound), bound.certificate)
    if tree.exact:
        return answer
    return Outcome(answer, Status.LIMIT_ITERATIONS, f"max_domains = {most} reached with domains left to split")


def _region(problem: LipschitzBound) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the box of inputs, all finite."""
    if problem.domain is None or not all(np.isfinite(end).all() for end in problem.domain):
        raise ProblemError(
            "region",
            "is None, so that the inputs are unbounded" if problem.region is None else "is unbounded",
            "(center, eps): a local method; for a global bound use an SDP solver such as lipsdp-groupsort",
        )
    return problem.domain


def _answer(found: Evaluation) -> Bound:
    ends = (end[0].to(torch.float64).cpu().numpy() for end in (found.jacobian.lower, found.jacobian.upper))
    return Bound(float(found.value.amax()), dict(zip(("jacobian_lower", "jacobian_upper"), ends, strict=True)))


def _report(context: Context, graph: Graph, found: Evaluation, bound: Bound, setting: Setting) -> None:
    if setting.norm == "linf":
        context.report["rows"] = found.value[0].tolist()
    context.report["undecided"] = sum(int((score >= 0).sum()) for score in found.scores)
    direction = monotonicity(bound)
    context.report["increasing"], context.report["decreasing"] = (int((direction == sign).sum()) for sign in (1, -1))


def monotonicity(bound: Bound) -> np.ndarray:
    """In which inputs each output is proven monotone on the region: (o, d) of 1 (increases), -1 (decreases), 0 (open).

    Both weakly: an entry of the Jacobian that is proven to be 0 counts as increasing.
    """
    certificate = bound.certificate or {}
    if "jacobian_lower" not in certificate or "jacobian_upper" not in certificate:
        raise ValueError("the bound has no intervals of the Jacobian's entries in its certificate")
    rising, falling = certificate["jacobian_lower"] >= 0, certificate["jacobian_upper"] <= 0
    direction: np.ndarray = np.where(rising, 1, np.where(falling, -1, 0))
    return direction


def accepts(problem: LipschitzBound) -> str | None:
    """None, or the layer that is not supported."""
    wrong: Any = unsupported(problem.network)
    return f"network: {wrong}; expected Dense, Conv2d, Residual, relu, leaky" if wrong else None


def worthwhile(problem: LipschitzBound) -> str | None:
    """None from 512 units in the widest layer on; below, the launches of small kernels cost more than the work."""
    graph_widths = [layer.width(0) for layer in problem.network.layers if layer.expects is not None]
    widest = max(graph_widths, default=0)
    return None if widest >= 512 else f"layers of at most {widest} < 512 units: the launches dominate"
