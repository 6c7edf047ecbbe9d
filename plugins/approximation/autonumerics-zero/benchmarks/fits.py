"""Candidate fits a minute at six operations and 64 points (bar: 2e4), and beside NumPy's; and the memory of a search."""

from __future__ import annotations

import argparse
import tracemalloc
from time import process_time

import numpy as np

import solvary
from solvary_approximation import instances
from solvary_approximation.grids import chebyshev_lobatto
from solvary_autonumerics_zero import host, simd
from solvary_autonumerics_zero.fitting import STAGES
from solvary_autonumerics_zero.mutations import Genome, _insert, empty, fresh_constant
from solvary_autonumerics_zero.training import _table


def candidates(count: int, rng: np.random.Generator) -> list[Genome]:
    """Random programs of six operations."""
    found: list[Genome] = []
    while len(found) < count:
        genome = empty(rng)
        while genome.cost < 6:  # an insertion that folding undoes is made again
            longer = _insert(genome, ("add", "sub", "mul", "div"), rng)
            genome = longer if longer.cost > genome.cost else genome
        if genome.constants:
            found.append(genome)
    return found


def rate(module, genomes: list[Genome], rng: np.random.Generator) -> float:
    """Fits a minute of one core, four starts each."""
    lengths = np.array([genome.cost for genome in genomes])
    counts = np.array([len(genome.constants) for genome in genomes])
    starts = np.zeros((len(genomes), 4, counts.max()))
    for p, genome in enumerate(genomes):
        starts[p, :, : counts[p]] = [[fresh_constant(rng) for _ in genome.constants] for _ in range(4)]
    codes = np.stack([_table(genome, 6) for genome in genomes])
    x = chebyshev_lobatto((0.0, 1.0), 64)
    f = np.exp2(x)
    began = process_time()
    module.fit(codes, lengths, counts, starts, x, f, 1.0 / f, STAGES, False)
    return 60.0 * len(genomes) / (process_time() - began)


def main() -> None:
    """Prints the figures beside their bars."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    rng = np.random.default_rng(0)
    genomes = candidates(100 if quick else 500, rng)
    rate(simd, genomes[:2], rng)
    fast, slow = max(rate(simd, genomes, rng) for _ in range(3)), rate(host, genomes[:20], rng)
    print(f"fits a minute of one core: {fast:.3g} (bar 2e4 on two), / bar {fast / 2e4:.2f}, / NumPy {fast / slow:.1f}")
    generations = 5 if quick else 50
    tracemalloc.start()
    solution = solvary.solve(
        instances.exp2(tolerance=None, budget=6), "autonumerics-zero", backend="simd", seed=0, generations=generations
    )
    peak = tracemalloc.get_traced_memory()[1]
    each = peak / max(1, solution.report["functions"])
    print(f"peak of {generations} generations: {peak / 1e6:.1f} MB, {each:.0f} bytes a function (bar 200 MB for 1000)")


if __name__ == "__main__":
    main()
