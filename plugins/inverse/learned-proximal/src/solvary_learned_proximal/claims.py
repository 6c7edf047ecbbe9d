"""The executable claims."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import solvary
from solvary import Artifact, Solution
from solvary.claims import Check, at_least, at_most, report, skip
from solvary_inverse import LinearInverse
from solvary_inverse.prior import PriorLearning, ProximalModel

_PRIOR, _PNP = "learned-proximal", "learned-proximal-pnp"
_LOSSES = ("proximal-matching", "l1", "l2")


def soft_thresholding(size: str) -> list[Check]:
    """Laplace(0, 1) samples, noise 1: the posterior mode is soft thresholding by 1, the regulariser |x|.

    Proximal matching goes on from the l1 solution, as its schedule says; l2 takes at least as many steps as l1.
    """
    quick = size == "quick"
    problem = solvary.instance("inverse.prior", "laplace")
    pretrain, steps, batch = (1300, 2600, 500) if quick else (3000, 5500, 2000)

    def trained(loss: str, **options: Any) -> Solution:
        given: dict[str, Any] = {"backend": "cpu", "seed": 0, "threads": 1, "trace": "none", "batch": batch}
        return solvary.solve(problem, _PRIOR, loss=loss, **given, **options)

    found = {"l1": trained("l1", pretrain_steps=pretrain, steps=0)}
    with tempfile.TemporaryDirectory() as folder:
        weights = str(Path(folder) / "l1.npz")
        found["l1"].save(weights)
        found["proximal-matching"] = trained("proximal-matching", pretrain_steps=0, steps=steps, weights=weights)
    found["l2"] = trained("l2", pretrain_steps=pretrain, steps=0 if quick else steps)
    error = {loss: solution.measures["prox_error_mean"] for loss, solution in found.items()}
    largest = {loss: solution.measures["prox_error_max"] for loss, solution in found.items()}
    checks = [
        at_most("asymmetry of the Jacobian, largest of three losses", _largest(found, "asymmetry"), 1e-6),
        at_least("smallest eigenvalue of the Jacobian, of three losses", -_largest(found, "min_eigenvalue", -1), -1e-8),
        at_most("mean error against soft thresholding, proximal matching", error["proximal-matching"], 0.11),
        at_most("mean error of proximal matching over that of l2", error["proximal-matching"] / error["l2"], 0.65),
        report("mean errors of l1 and l2", (round(error["l1"], 3), round(error["l2"], 3))),
        report("largest errors of the three losses", tuple(round(largest[loss], 3) for loss in _LOSSES)),
    ]
    if not quick:
        of_r = {loss: solution.measures["regulariser_error"] for loss, solution in found.items()}
        checks += [
            at_most("largest error, proximal matching", largest["proximal-matching"], 0.27),
            at_most("mean error, proximal matching", error["proximal-matching"], 0.075),
            at_most("error of the regulariser on [-2, 2], proximal matching", of_r["proximal-matching"], 0.25),
            # after the best constant; that of the exact posterior mean is 0.319
            at_least("error of the regulariser on [-2, 2], l2", of_r["l2"], 0.28),
        ]
    return checks


def _largest(found: dict[str, Solution], name: str, sign: float = 1.0) -> float:
    return max(sign * float(solution.measures[name]) for solution in found.values())


def descent(size: str) -> list[Check]:
    """Masked digits: the objective that both algorithms are said to minimise, evaluated along the way."""
    images, pretrain, steps = (10, 200, 200) if size == "quick" else (50, 600, 600)
    problem = solvary.instance("inverse.linear", "digits", images=images)
    trained = solvary.train(_PNP, problem, seed=0, threads=1, pretrain_steps=pretrain, steps=steps)
    checks = []
    for algorithm, rho in (("pgd", 1.0), ("admm", 1.2)):
        options: dict[str, Any] = {"algorithm": algorithm, "monitor": 1, "max_iterations": 200, "stop_change": 0.0}
        if algorithm == "admm":
            options["rho"] = rho
        solution = _restore(problem, trained, **options)
        values = np.array([row["yielded"]["objective"] for row in solution.trace])
        rise = float(np.max(np.diff(values)) / (1 + abs(values[0])))
        late = float(np.max(np.diff(values[-50:])) / (1 + abs(values[0])))
        if algorithm == "pgd":
            checks.append(at_most("pgd: largest relative rise of the objective", rise, 1e-9))
        else:
            checks.append(report("admm: largest relative rise of the objective", rise, "not claimed before the end"))
        checks.append(at_most(f"{algorithm}: largest relative rise in the last 50 iterations", late, 1e-6))
        change = solution.trace[-1]["yielded"]["change"]
        checks.append(at_most(f"{algorithm}: relative change of the variables in iteration 200", change, 1e-3))
    return checks


def digits(size: str) -> list[Check]:
    """Digits with half of the pixels masked, and blurred: against total variation and wavelets of scikit-image.

    All methods are tuned (strength of the prior) on measured training images; the comparison is on other images.
    """
    checks: list[Check] = []
    for operator in ("mask(0.5)", "blur(1)"):
        problem = solvary.instance("inverse.linear", "digits", operator=operator, images=50)
        tuning = _measured(problem, 60)
        ours = _tuned_network(problem, tuning, checks, operator)
        checks.append(report(f"{operator}: psnr of learned-proximal-pnp, dB", ours))
        theirs = {peer: _peer(problem, peer) for peer in ("skimage-total-variation", "skimage-wavelet")}
        known = {peer: value for peer, value in theirs.items() if value is not None}
        for peer, value in known.items():
            checks.append(report(f"{operator}: psnr of {peer}, dB", value))
        if known:
            checks.append(at_least(f"{operator}: psnr over the better of these, dB", ours - max(known.values()), 0.5))
        else:
            checks.append(skip("solvary-contrib-scikit-image is not installed"))
        exact = _peer(problem, "gaussian-posterior")
        checks.append(report(f"{operator}: psnr of the mean of a Gaussian prior of the samples' moments, dB", exact))
    return checks + _ordering(solvary.instance("inverse.linear", "digits", images=200))


#: noise that the network is trained for, from a weak prior to a strong one
_STRENGTHS = (0.2, 0.3)
_RHOS = (0.03, 0.2, 1.05)


def _tuned_network(problem: LinearInverse, tuning: LinearInverse, checks: list[Check], operator: str) -> float:
    trained = {
        noise: solvary.train(_PNP, problem, seed=0, threads=1, noise=noise, pretrain_steps=1000, steps=1000)
        for noise in _STRENGTHS
    }
    scores = {
        (noise, rho): _restore(tuning, artifact, rho=rho).measures["psnr"]
        for noise, artifact in trained.items()
        for rho in _RHOS
    }
    noise, rho = max(scores, key=lambda key: scores[key])
    checks.append(report(f"{operator}: chosen training noise and rho", (noise, rho)))
    solution = _restore(problem, trained[noise], rho=rho, monitor=1, stop_change=0.0)
    values = np.array([row["yielded"]["objective"] for row in solution.trace])[-50:]
    rise = float(np.max(np.diff(values)) / (1 + abs(values[0])))
    checks.append(at_most(f"{operator}: largest relative rise of the objective, last 50 iterations", rise, 1e-6))
    return float(solution.measures["psnr"])


def _peer(problem: LinearInverse, solver: str) -> float | None:
    """The psnr of another solver, which tunes itself on measured training images; None where it is not installed."""
    try:
        return float(solvary.solve(problem, solver, seed=0).measures["psnr"])
    except solvary.NotInstalled:
        return None


def _measured(problem: LinearInverse, count: int) -> LinearInverse:
    """The same measurement of training images."""
    assert problem.training is not None
    clean = problem.training[:count]
    rng = np.random.default_rng(1)
    data = problem.A.apply(clean) + problem.noise * rng.standard_normal((count, problem.A.m))
    return LinearInverse(
        operator=problem.operator, data=data, noise=problem.noise, shape=problem.shape, training=clean, truth=clean
    )


def _ordering(problem: LinearInverse) -> list[Check]:
    """Whether R is lower at test digits than at the same with noise, and there lower than at uniform noise."""
    assert problem.training is not None
    assert problem.truth is not None
    prior = PriorLearning(samples=problem.training, noise=0.1, shape=np.array(problem.shape))
    solution = solvary.solve(
        prior, _PRIOR, seed=0, threads=1, trace="none", hidden=128, layers=2, strong_convexity=0.01, batch=128,
        pretrain_steps=1500, steps=1500,
    )  # fmt: skip
    model: ProximalModel = solution.answer
    rng = np.random.default_rng(2)
    clean = problem.truth
    points = [clean] + [clean + sigma * rng.standard_normal(clean.shape) for sigma in (0.1, 0.3)]
    values = [model.regulariser(x) for x in [*points, rng.random(clean.shape)]]
    names = ("clean < noise 0.1", "noise 0.1 < noise 0.3", "noise 0.3 < uniform")
    return [
        at_least(f"share of test digits whose R is in order: {name}", float((low < high).mean()), 0.95)
        for name, low, high in zip(names, values, values[1:], strict=False)
    ] + [report("share of points with R < inf", float(np.isfinite(values).mean()))]


def _restore(problem: LinearInverse, trained: Artifact, **options: Any) -> Solution:
    return solvary.solve(problem, _PNP, backend="cpu", seed=0, threads=1, artifact=trained, **options)
