"""Candidates a second on 28 two-way marginals, beside the same algorithm that counts everything anew; and memory.

    python speed.py [--quick]

Both price the same candidates, one thread, compiled; processor time, compilation left out.
"""

import argparse
import tracemalloc
from time import process_time

import numpy as np
from numba import njit

from solvary_privacy.increments import indexed, state_of
from solvary_privacy.synthetic_instances import latent_class, mixed_gaussian
from solvary_private_gsd import reference, simd
from solvary_private_gsd.population import GAPS, columns_of, no_elite, quantiles


@njit(cache=True)
def recount(codes, strides, offset, targets, rows, columns, values):
    """The loss of every candidate (one or two changed cells) from all rows."""
    out = np.empty(len(rows))
    counts = np.empty(len(targets))
    for p in range(len(rows)):
        saved = np.empty(2, np.int32)
        for k in range(2):
            if columns[p, k] >= 0:
                saved[k] = codes[rows[p, k], columns[p, k]]
                codes[rows[p, k], columns[p, k]] = values[p, k]
        counts[:] = 0
        for i in range(codes.shape[0]):
            for g in range(strides.shape[1]):
                cell = offset[g]
                for v in range(strides.shape[0]):
                    cell += strides[v, g] * codes[i, v]
                counts[cell] += 1
        out[p] = np.square(counts / codes.shape[0] - targets).sum()
        for k in range(2):
            if columns[p, k] >= 0:
                codes[rows[p, k], columns[p, k]] = saved[k]
    return out


def candidates_per_second(problem, start, operators, generations):
    """With the operators of 100 candidates, from a table of private rows."""
    queries, columns = problem.queries, columns_of(problem.domain)
    state, edges = state_of(queries, start, problem.private_answers), quantiles(start, problem.domain, columns)
    index, elite = indexed(queries), no_elite(2)
    began = process_time()
    simd.generations(queries, index, state, elite, columns, edges, operators, 1, 0, generations)
    return len(operators) * generations / (process_time() - began)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer generations")
    generations = 2000 if parser.parse_args().quick else 20_000
    problem = latent_class(n=10_000, cards=(2, 3, 4, 5, 2, 6, 3, 4), synthetic_rows=1000)
    queries, columns, edges = problem.queries, columns_of(problem.domain), np.zeros((0, GAPS + 1))
    start = problem.data[np.random.default_rng(0).integers(len(problem.data), size=1000)]
    operators = np.arange(100) % 3
    candidates_per_second(problem, start, operators, 1)
    rate = max(candidates_per_second(problem, start, operators, generations) for _ in range(3))
    found = reference.candidates(start, no_elite(2), columns, edges, operators, reference.draws(1, 0, 100))
    given = (queries.codes(start), queries.strides, queries.offsets, problem.private_answers, *found)
    recount(*given)
    began = process_time()
    recount(*given)
    naive = 100 / (process_time() - began)
    print(f"candidates a second on one core: {rate:.3g}   (bar 5e6)")
    print(f"over the same with everything counted anew: {rate / naive:.0f}   (bar 30)")
    prefixes = mixed_gaussian(n=20_000, d=6, prefixes=2000, synthetic_rows=2000)
    rows = prefixes.data[np.random.default_rng(0).integers(len(prefixes.data), size=2000)]
    some = max(candidates_per_second(prefixes, rows, np.arange(100) % 4, generations // 20) for _ in range(3))
    print(f"candidates a second, 2000 prefixes: {some:.3g}")
    tracemalloc.start()
    state = state_of(queries, start, problem.private_answers)
    simd.generations(queries, indexed(queries), state, no_elite(2), columns, edges, operators, 1, 0, 100)
    peak = tracemalloc.get_traced_memory()[1]
    print(f"peak memory of the search over that of the table (float64) and the answers: "
          f"{peak / (start.nbytes + 8 * queries.size):.1f}")  # fmt: skip


if __name__ == "__main__":
    main()
