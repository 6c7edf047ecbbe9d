"""Training, inversion and plug-and-play restoration of learned proximal networks, beside the bars of the method.

The training steps are compared in the same run with those of automatic differentiation on the same network, which
is how the reference implementation takes them. One thread.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import torch

import solvary
from solvary_inverse.convex_layers import ConvexNetwork, InputConvexDense
from solvary_learned_proximal.training import Stage, fit, slope


def best(run: Callable[[], object], repeats: int) -> float:
    """Processor seconds of the fastest of some runs: other work on the machine counts less than in wall time."""
    times = []
    for _ in range(repeats):
        began = time.process_time()
        run()
        times.append(time.process_time() - began)
    return min(times)


def training(steps: int, repeats: int) -> None:
    generator = torch.Generator().manual_seed(0)
    network = InputConvexDense(1, hidden=50, layers=4, beta=10.0)
    network.initialise(generator)
    samples = torch.as_tensor(np.random.default_rng(0).laplace(size=(100_000, 1)), dtype=torch.float32)

    def ours() -> None:
        for _ in fit(network, samples, 1.0, [Stage("l1", 1e-3, steps)], 2000, generator):
            pass

    def automatic() -> None:
        for _ in range(steps):
            x = samples[torch.randint(len(samples), (2000,), generator=generator)]
            y = x + torch.randn(x.shape, generator=generator)
            ConvexNetwork.backward(network, y, slope(Stage("l1", 1e-3, 1), x))

    rate, plain = (steps / best(run, repeats) for run in (ours, automatic))
    print(f"1-D training, batch 2000: {rate:.0f} steps per processor second (bar 60)")
    print(f"  gradients by automatic differentiation alone: {plain:.0f}; ratio {rate / plain:.2f}")


def inversion(repeats: int) -> None:
    problem = solvary.instance("inverse.prior", "laplace", samples=5000)
    options = {"pretrain_steps": 500, "steps": 0, "batch": 500, "trace": "none", "seed": 0, "threads": 1}
    model = solvary.solve(problem, "learned-proximal", backend="cpu", **options).answer
    x = np.linspace(-2, 2, 500)[:, None]
    seconds = best(lambda: model.regulariser(x), repeats)
    residual = model.invert(x)[1].max()
    print(f"inversion of 500 points: {seconds:.2f} s (bar 2), largest residual {residual:.1e}")


def restoration(repeats: int) -> None:
    problem = solvary.instance("inverse.linear", "digits", images=50)
    trained = solvary.train("learned-proximal-pnp", problem, seed=0, threads=1)

    def run(solver: str, **options: object) -> Callable[[], object]:
        return lambda: solvary.solve(problem, solver, seed=0, threads=1, backend="cpu", trace="none", **options)

    ours = run("learned-proximal-pnp", artifact=trained, max_iterations=200, stop_change=0.0)
    seconds = best(ours, repeats)
    tracemalloc.start()
    ours()
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    print(
        f"50 digits, 200 iterations of PnP-ADMM: {seconds:.2f} s (bar 10); {peak:.1f} MiB of Python and NumPy at peak"
    )
    try:
        peer = best(run("skimage-total-variation", weight=0.01, max_iterations=200, tolerance=0.0), 1)
        print(f"  200 iterations of scikit-image's total variation: {peer:.2f} s; ratio {seconds / peer:.2f}")
    except solvary.NotInstalled:
        print("  solvary-contrib-scikit-image is not installed: no comparison")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few repeats")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    training(40 if quick else 200, 2 if quick else 5)
    inversion(1 if quick else 3)
    restoration(1 if quick else 3)


if __name__ == "__main__":
    main()
