"""Root bound of a wide network (seconds, coefficient memory) and domains a second in branch and bound.

Run: python benchmarks/bounds.py [--quick] [--device cpu]. The baselines are this package's own interval arithmetic and
RecurJac relaxations in the same run; the papers' tools are not on the package index.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
import torch

from solvary_local_lipschitz.backward import Setting, evaluate
from solvary_local_lipschitz.branching import Forward, Tree
from solvary_local_lipschitz.feasibility import Patterns
from solvary_robustness.bounds.graph import Graph
from solvary_robustness.instances import gaussian_net


def peak() -> float:
    """Largest resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def root(dims: tuple[int, ...], eps: float, relaxation: str, device: str) -> tuple[float, float, float, float]:
    """Seconds and processor seconds (best of three), MB above what the network took, and the bound."""
    problem = gaussian_net(dims, eps)
    graph = Graph.of(problem.network, device=device)
    ends = graph.domain(*problem.domain)
    rows = torch.eye(dims[-1], dtype=graph.dtype, device=device)[None]
    setting = Setting("linf", relaxation, "area", 1e-9)
    before, seconds, busy = peak(), np.inf, np.inf
    for _ in range(3):
        start, used = time.perf_counter(), time.process_time()
        intervals = Forward("crown", 0, 1e-9).bounds(graph, *ends)
        value = float(evaluate(graph, rows, intervals, setting).value.max())
        seconds, busy = min(seconds, time.perf_counter() - start), min(busy, time.process_time() - used)
    return seconds, busy, peak() - before, value


def domains(dims: tuple[int, ...], eps: float, most: int, device: str) -> tuple[float, float, int]:
    """Domains a second and a processor second, and how many."""
    problem = gaussian_net(dims, eps)
    graph = Graph.of(problem.network, device=device)
    ends = graph.domain(*problem.domain)
    rows = torch.eye(dims[-1], dtype=graph.dtype, device=device)[None]
    forward, setting = Forward("crown", 0, 1e-9), Setting("linf", "tight", "area", 1e-9)
    intervals = forward.bounds(graph, *ends)
    found = evaluate(graph, rows, intervals, setting)
    patterns = Patterns.of(problem.network, *problem.domain)
    tree = Tree.root(graph, *ends, forward, setting, patterns, rows, intervals, found)
    start, used = time.perf_counter(), time.process_time()
    for _ in tree.steps(64, most):
        pass
    seconds, busy = time.perf_counter() - start, time.process_time() - used
    return tree.visited / seconds, tree.visited / busy, tree.visited


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller networks")
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    dims = (784, 64, 64, 64, 10) if given.quick else (784, 256, 256, 256, 10)
    with torch.no_grad():
        for eps in (0.002, 0.01, 0.05):
            for relaxation in ("interval", "recurjac", "tight"):
                seconds, busy, memory, value = root(dims, eps, relaxation, given.device)
                name = f"{'-'.join(map(str, dims))}, eps {eps}, {relaxation}"
                times = f"{seconds:.2f} s, {busy:.2f} s of processor time (bar 4 s)"
                print(f"{name}: {times}, {memory:.0f} MB more (bar 200 MB), bound {value:.4g}")
        rate, used, visited = domains((64, 64, 64, 64, 10), 0.02, 512 if given.quick else 4000, given.device)
        print(f"width 64: {rate:.0f} domains/s, {used:.0f} a processor second (bar 200), {visited} domains")


if __name__ == "__main__":
    main()
