"""What the paper says of its method, measured again (Park, Choo, Park, arXiv:2106.01680)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

import solvary
from solvary.claims import Check, at_most, equal, report
from solvary_convergent_graph_solvers.layer import Settings, normalised
from solvary_convergent_graph_solvers.network import ConvergentGraphSolver
from solvary_graphs.nn import Graphs
from solvary_graphs.supervised import GraphSupervised
from solvary_graphs.supervised_instances import sampler, screened_diffusion
from solvary_graphs.supervised_instances import value_iteration as value_iteration_problem

_ID = "convergent-graph-solvers"
#: learning rate of both networks in `larger_graphs`
_RATE = 3e-3


def larger_graphs(size: str) -> list[Check]:
    """Screened diffusion, 16 heads, gamma = 0.95: NMSE on n = 400 after training on n in 40..60, beside depth 4."""
    updates = 300 if size == "quick" else 3000
    problem = screened_diffusion(train=1, valid=8, fresh=True)
    ours = _train(problem, _ID, updates, gamma=0.95, heads=16, learning_rate=_RATE)
    # Of the widths and rates that were tried, those with which 4 layers fit graphs of the training sizes best.
    fixed_depth = _train(problem, "message-passing", updates, layers=4, hidden=64, learning_rate=_RATE)
    error, other = (found.measures["extrapolation_error"] for found in (ours, fixed_depth))
    bound = 0.25 if size == "quick" else 0.08
    figures = [
        at_most(f"NMSE on n = 400 after {updates} updates", error, bound),
        at_most("NMSE / NMSE of 4 hidden layers without a fixed point", error / other, 0.5, f"{other:.3f}"),
    ]
    return [
        *figures,
        report(
            "NMSE on n in 40..60", ours.measures["test_error"], f"4 layers: {fixed_depth.measures['test_error']:.3f}"
        ),
        equal("batches whose fixed point was not reached", _missed(ours), 0),
    ]


def value_iteration(size: str) -> list[Check]:
    """Value iteration, 64 heads as in the paper: the error on 100 states over that on 20 to 50, and convergence."""
    problem = value_iteration_problem(train=1, test=20, fresh=True)
    found = _train(problem, _ID, 3000, gamma=0.5, heads=64)
    errors = [found.measures[name] for name in ("test_error", "extrapolation_error")]
    # The targets of larger graphs vary less: the paper's figure is the error in units of the values themselves.
    far, near = (_percent(problem, found.answer, rows) for rows in (problem.extrapolate, problem.test))
    return [
        equal("batches whose fixed point was not reached", _missed(found), 0),
        at_most("mean absolute percentage error on n = 100 over that on n in 20..50", far / near, 1.5, f"{near:.4f}"),
        report("NMSE on n in 20..50, and on n = 100", " ".join(f"{error:.3f}" for error in errors)),
    ]


def implicit_gradient(size: str) -> list[Check]:
    """Gradients of every parameter in float64, both normalisations, against autograd through 200 unrolled steps."""
    graphs, targets = _batch(4, 20, 30)
    checks = []
    for normalisation in ("attention", "degree"):
        network = _network(normalisation=normalisation, fixed_point_tolerance=1e-13)
        implicit = _gradients(network, graphs, targets)
        unrolled = _gradients(_unrolled(network), graphs, targets)
        # A bias that a softmax cancels has a gradient of rounding errors: there is nothing to compare it with.
        floor = 1e-12 * max(float(part.norm()) for part in unrolled)
        worst = max(
            float((ours - theirs).norm()) / max(float(theirs.norm()), floor)
            for ours, theirs in zip(implicit, unrolled, strict=True)
        )
        checks.append(at_most(f"largest relative difference of a parameter's gradient, {normalisation}", worst, 1e-6))
    return checks


def constant_memory(size: str) -> list[Check]:
    """Bytes kept for the backward pass at tolerances 1e-3 and 1e-8, and beside them those of unrolling."""
    graphs, targets = _batch(8, 50, 50)
    kept, steps = {}, {}
    for tolerance in (1e-3, 1e-8):
        network = _network(gamma=0.9, fixed_point_tolerance=tolerance)
        kept[tolerance] = _saved_bytes(network, graphs, targets)
        steps[tolerance] = network.fixed_point.forward_pass[0]
    unrolled = _saved_bytes(_unrolled(network), graphs, targets)
    difference = abs(kept[1e-8] / kept[1e-3] - 1)
    return [
        at_most("relative difference of the bytes kept", difference, 0.01, f"{steps[1e-3]} and {steps[1e-8]} steps"),
        report("bytes kept by 200 unrolled steps over ours", unrolled / kept[1e-8]),
    ]


class _Unrolled(torch.nn.Module):
    """The layer's forward pass as 200 plain steps, which autograd follows."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings

    def forward(self, graphs: Graphs, logits: Tensor, b: Tensor) -> Tensor:
        """(n, K)."""
        weights = self._settings.gamma * normalised(logits, graphs, self._settings.normalisation)
        x = b
        for _ in range(200):
            x = b.index_add(0, graphs.target, weights * x.index_select(0, graphs.source))
        return x


def _unrolled(network: ConvergentGraphSolver) -> ConvergentGraphSolver:
    """The same network with unrolled steps in the place of the layer."""
    setattr(network, "fixed_point", _Unrolled(network.fixed_point.settings))  # noqa: B010
    return network


def _train(problem: GraphSupervised, solver: str, updates: int, **options: Any) -> solvary.Solution:
    """Fresh batches of 8 graphs, each for 10 updates, at a constant learning rate."""
    epochs = updates // 10
    given = {
        "epochs": epochs,
        "patience": epochs,
        "batch_size": 8,
        "fresh_every": 10,
        "schedule": "constant",
        **options,
    }
    return solvary.solve(problem, solver, backend="cpu", seed=0, threads=1, **given)


def _missed(found: solvary.Solution) -> int:
    """Epochs in whose passes a fixed point was not reached."""
    return sum("fixed_point_missed" in row["yielded"] for row in found.trace)


def _percent(problem: GraphSupervised, model: Any, rows: np.ndarray) -> float:
    """Mean absolute error over the mean absolute target on these rows."""
    graph = problem.graphs.node_graph
    chosen = np.bincount(graph[rows], minlength=len(problem.node_counts)) > 0
    targets = problem.targets[rows]
    outputs = model.predict(problem.graphs.select(chosen))
    return float(np.abs(outputs - targets).mean() / np.abs(targets).mean())


def _batch(count: int, smallest: int, largest: int) -> tuple[Graphs, Tensor]:
    graphs, targets = sampler("screened-diffusion", smallest, largest)(np.random.default_rng(0), count)
    return Graphs.of(graphs, "cpu", torch.float64), torch.from_numpy(targets)


def _network(**settings: Any) -> ConvergentGraphSolver:
    shape = {"node_width": 1, "edge_width": 1, "outputs": 1, "heads": 16, "hidden": 32, "layers": 1}
    other = {"aggregation": "sum", "readout": None, "gamma": 0.5, "normalisation": "attention"}
    other |= {"fixed_point_tolerance": 1e-6}
    chosen: dict[str, Any] = {**shape, **other, "fixed_point": "iterate", "max_fixed_point_steps": None, **settings}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = ConvergentGraphSolver(**chosen)
    network.double()
    return network


def _gradients(network: ConvergentGraphSolver, graphs: Graphs, targets: Tensor) -> list[Tensor]:
    loss = torch.nn.functional.mse_loss(network(graphs), targets)
    parameters = list(network.parameters())
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    return [torch.zeros_like(part) if grad is None else grad for part, grad in zip(parameters, found, strict=True)]


def _saved_bytes(network: ConvergentGraphSolver, graphs: Graphs, targets: Tensor) -> int:
    """Bytes of the tensors that autograd keeps for the backward pass, each storage once."""
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = torch.nn.functional.mse_loss(network(graphs), targets)
    total = sum(kept.values())
    loss.backward()
    return total
