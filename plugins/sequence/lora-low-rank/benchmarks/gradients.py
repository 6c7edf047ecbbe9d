"""Time and memory of adapter gradients: low-rank, exact in blocks, and torch autograd, in one run.

    python benchmarks/gradients.py [--quick]

Needs solvary-contrib-torch with its extra for this family, and Linux for the memory. Times are the best of several
repeats, taken in turn; d = 4, query adapter of rank 2, spread 0.3. Memory is the growth of the resident set of a fresh
process over a first small solve, the problem's arrays and (up to n = 16384) the measuring included.
"""

import argparse
import pathlib
import subprocess
import sys

import solvary

LOW_RANK = {"method": "low-rank", "basis": "taylor", "degree": 4}
WAYS = {
    "low-rank": ("lora-low-rank", LOW_RANK),
    "low-rank, float32": ("lora-low-rank", LOW_RANK | {"dtype": "float32"}),
    "exact": ("lora-low-rank", {"method": "exact"}),
    "torch fused": ("torch-autograd", {"attention": "fused"}),
    "torch plain": ("torch-autograd", {"attention": "plain"}),
}


def run(way, n):
    solver, options = WAYS[way]
    problem = solvary.instance("sequence.adapter-gradient", "gaussian", n=n)
    return solvary.solve(problem, solver, backend="cpu", threads=1, **options).seconds


def best(ways, n, repeats):
    found = {way: [] for way in ways}
    for _ in range(repeats):
        for way in ways:
            found[way].append(run(way, n))
    return {way: min(seconds) for way, seconds in found.items()}


def peak_megabytes(way, n):
    words = f"import gradients; gradients.report_peak({way!r}, {n})"
    made = subprocess.run(
        [sys.executable, "-c", words], cwd=__file__.rpartition("/")[0] or ".", capture_output=True, check=True
    )
    return float(made.stdout)


def report_peak(way, n):
    run(way, 100)
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = resident("VmRSS")
    run(way, n)
    print(resident("VmHWM") - before)


def resident(which):
    """Megabytes from the kernel's account of this process."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(which):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"no {which} in /proc/self/status")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    repeats = 2 if quick else 5
    for way in WAYS:
        run(way, 100)

    n = 2000 if quick else 4000
    seconds = best(WAYS, n, repeats)
    for way, value in seconds.items():
        print(f"n = {n}: {way} / torch plain: {value / seconds['torch plain']:.3f}")
    print(f"n = {n}: exact / torch plain: {seconds['exact'] / seconds['torch plain']:.2f} (bar 1.5)")

    n = 10_000 if quick else 20_000
    ways = [way for way in WAYS if way != "torch plain"]
    once, twice = best(["low-rank"], n, 9)["low-rank"], best(["low-rank"], 2 * n, 9)["low-rank"]
    print(f"low-rank, n = {2 * n} / n = {n}: {twice / once:.2f} (bar 1.6 to 2.6)")
    seconds = best(ways, 2 * n, 1)
    for way, value in seconds.items():
        print(
            f"n = {2 * n}: {way} / low-rank: {value / seconds['low-rank']:.1f}"
            + (" (bar 20)" if way == "exact" else "")
        )

    for way in WAYS:
        print(f"n = 10000: peak of {way}: {peak_megabytes(way, 10_000):.0f} MB")
    n = 100_000 if quick else 1_000_000
    print(f"n = {n}: peak of low-rank: {peak_megabytes('low-rank', n):.0f} MB (bar 400)")


if __name__ == "__main__":
    main()
