"""Speed and memory of tensor attention by features, beside the exact path and torch's attention, in one run.

python benchmarks/tensor_attention.py [--quick] [--threads 2]
"""

from __future__ import annotations

import argparse
import math
import resource
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np

import solvary
from solvary_sequence import AttentionOutput, attention
from solvary_sequence.attention_instances import random_uniform


def main() -> None:
    """Print one line for each bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    attention.REFERENCE_WEIGHTS = 0  # only the solver is measured
    large(100_000 if options.quick else 1_000_000, options.threads)
    exact(300 if options.quick else 600, options.threads)
    against_exact(400 if options.quick else 800, options.threads)
    against_torch(4096 if options.quick else 16_384, options.threads)


def solve(problem: AttentionOutput, threads: int, **given: Any) -> solvary.Solution:
    """One solve on the CPU."""
    return solvary.solve(problem, "kronecker-attention", backend="cpu", threads=threads, **given)


def best(run: Callable[[], float], repeats: int) -> float:
    """The least of several times."""
    return min(run() for _ in range(repeats))


def large(n: int, threads: int) -> None:
    """Order 3, d = 4, degree 4 (70 features), e = 8: seconds, and memory beyond the inputs.

    The memory includes the answer twice (once as the driver's copy).
    """
    problem = random_uniform(n=n, d=4, e=8, bound=1.0)
    solve(random_uniform(n=1000), threads)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = solve(problem, threads, degree=4).seconds
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    tracemalloc.start()
    solution = solve(problem, threads, degree=4)
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    assert solution.report["features"] == 70
    scale = n / 1e6
    print(f"order 3, n = {n}, 70 features: {seconds:.2f} s (bar {15 * scale:g} s)")
    print(
        f"  memory beyond the inputs: {peak:.0f} MB of arrays, {grown:.0f} MB of the process (bar {300 * scale:g} MB)"
    )


def exact(n: int, threads: int) -> None:
    """Weights per second of the exact path, order 3."""
    problem = random_uniform(n=n, d=4, e=8)
    for dtype in ("float64", "float32"):
        seconds = best(lambda kind=dtype: solve(problem, threads, method="exact", dtype=kind).seconds, 5)
        print(f"exact path, order 3, n = {n}, {dtype}: {n**3 / seconds:.2g} weights/s (bar 3e8 on two idle cores)")

        def processor(kind: str = dtype) -> float:
            began = time.process_time()
            solve(problem, 1, method="exact", dtype=kind)
            return time.process_time() - began

        print(f"  per second of processor time of one core: {n**3 / best(processor, 5):.2g} weights")


def against_exact(n: int, threads: int) -> None:
    """Features against the exact path."""
    problem = random_uniform(n=n, d=4, e=8)
    fast = best(lambda: solve(problem, threads).seconds, 20)
    slow = best(lambda: solve(problem, threads, method="exact").seconds, 2)
    bar = 200 * (n / 800) ** 2
    print(f"order 3, n = {n}: exact / features = {slow / fast:.0f} (bar {bar:.0f})")


def against_torch(n: int, threads: int) -> None:
    """Order 2 beside `scaled_dot_product_attention`, in float32 and float64."""
    import torch

    torch.set_num_threads(threads)
    problem = random_uniform(n=n, d=4, e=8, order=2)
    for dtype in (np.float32, np.float64):
        arrays = [
            torch.tensor(part.astype(dtype))[None] for part in (problem.query, problem.keys[0], problem.values[0])
        ]

        def peer(arrays: Any = arrays) -> float:
            began = time.perf_counter()
            torch.nn.functional.scaled_dot_product_attention(*arrays, scale=1 / problem.scale)
            return time.perf_counter() - began

        name = np.dtype(dtype).name
        slow = best(peer, 3)
        fast = best(lambda kind=name: solve(problem, threads, dtype=kind).seconds, 9)
        rounded = math.floor(slow / fast)
        print(f"order 2, n = {n}, {name}: torch scaled_dot_product_attention / features = {rounded}")


if __name__ == "__main__":
    main()
