"""Speed and memory beside the bars: this solver and CVXPY with Clarabel on the same networks, in one run.

python benchmarks/barrier_against_conic.py [--quick]
"""

import argparse
import time
import tracemalloc

import numpy as np

import solvary
from solvary_lipsdp_groupsort import barrier
from solvary_lipsdp_groupsort.claims import chain
from solvary_lipsdp_groupsort.program import euclidean
from solvary_robustness.lifting import liftings
from solvary_robustness.lipschitz import LipschitzBound
from solvary_robustness.network import GroupSort

ID = "lipsdp-groupsort"


def maxmin(*dims):
    return LipschitzBound(network=chain(dims, lambda rng, width: GroupSort(2), 0))


def seconds(problem, solver, threads, repeats, **options):
    """Best wall clock of whole runs, the proof of the last answer included, the problem's own measuring not."""
    found = []
    for _ in range(repeats):
        began = time.perf_counter()
        run = solvary.iterate(problem, solver, threads=threads, trace="none", **options)
        for _ in run:
            pass
        found.append(time.perf_counter() - began)
    return min(found), run.solution


def peak(problem):
    """Peak of what one interior-point step allocates, in matrices of s^2 doubles, and s."""
    (lifting,) = liftings(problem.network, "l2")
    program, start = euclidean(lifting.scaled)
    tracemalloc.start()
    next(barrier.follow(program, start, 1e-6))
    top = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    s = len(program.owners)
    return top / (8 * s * s), s, len(program.cost)


def show(what, measured, bar=""):
    print(f"{what:<72} {measured:>10.4g}   {bar}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="without the sizes that take CVXPY minutes")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()

    for dims, bar in (((10, 64, 5), "< 2 s"), ((10, 128, 10), "< 20 s"), ((10, 32, 32, 5), ""), ((784, 256, 10), "")):
        took, solution = seconds(maxmin(*dims), ID, arguments.threads, 3)
        show(f"MaxMin {dims}: seconds, {solution.report['steps']} steps to 1e-6", took, bar)
    for dims in ((10, 32, 5),) if arguments.quick else ((10, 32, 5), (10, 64, 5)):
        problem = maxmin(*dims)
        ours, mine = seconds(problem, ID, arguments.threads, 3)
        first, other = seconds(problem, ID, arguments.threads, 1, method="first-order", tolerance=1e-4)
        theirs, conic = seconds(problem, "cvxpy-lipsdp-groupsort", arguments.threads, 1)
        show(f"MaxMin {dims}: CVXPY + Clarabel / barrier", theirs / ours, ">= 10")
        show(f"MaxMin {dims}: CVXPY + Clarabel / first-order (1e-4)", theirs / first)
        show(f"MaxMin {dims}: value of Clarabel / value of barrier", conic.answer.value / mine.answer.value)
        show(f"MaxMin {dims}: value of first-order / value of barrier", other.answer.value / mine.answer.value)
    for dims in ((10, 64, 5), (10, 256, 10), (10, 1024, 10)):
        matrices, s, weights = peak(maxmin(*dims))
        show(f"MaxMin {dims}: peak of a step in s x s doubles (s = {s}, m = {weights})", matrices, f"<< m = {weights}")
    problem = LipschitzBound(network=chain((10, 64, 64, 5), lambda rng, width: GroupSort(4), 0))
    took, solution = seconds(problem, ID, arguments.threads, 3, per_layer=True)
    whole, _ = seconds(problem, ID, arguments.threads, 3)
    show("GroupSort(4) 10-64-64-5: seconds per layer / whole", took / whole)
    assert np.isfinite(solution.answer.value)


if __name__ == "__main__":
    main()
