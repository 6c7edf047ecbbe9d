"""Plug-and-play restoration with a learned proximal network, on `inverse.linear`."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from torch import Tensor

from solvary import Artifact, Context, Iterate, OptionError, Outcome, ProblemError, Range, Status
from solvary_inverse.operators import norm
from solvary_inverse.operators_torch import TorchMap, to_torch
from solvary_inverse.pnp import State, admm, data_term, patched, pgd
from solvary_inverse.prior import ProximalModel, legendre
from solvary_learned_proximal.learning import Recipe, few, image_shape, learn, tensor
from solvary_learned_proximal.network import Architecture, LearnedProximal, unpack

if TYPE_CHECKING:
    from solvary_inverse.linear import LinearInverse

#: samples that are drawn from a known mixture when there are no training samples
_DRAWN = 2000
_PRETRAIN, _STEPS = 300, 300


def accepts(problem: LinearInverse) -> str | None:
    """Why a problem is not one for this method, or None."""
    if problem.task != "estimate":
        return "it gives one estimate, not samples of the posterior"
    return None


def train(
    problem: LinearInverse,
    context: Context,
    *,
    hidden: Annotated[int, Range(ge=1)] = 64,
    layers: Annotated[int, Range(ge=1)] = 2,
    beta: Annotated[float, Range(gt=0)] = 10.0,
    strong_convexity: Annotated[float, Range(ge=0)] = 0.01,
    convolutional: bool = False,
    loss: Literal["proximal-matching", "l1", "l2"] = "proximal-matching",
    gammas: tuple[float, ...] | None = None,
    pretrain_steps: Annotated[int, Range(ge=0)] | None = None,
    steps: Annotated[int, Range(ge=0)] | None = None,
    batch: Annotated[int, Range(ge=1)] = 64,
    noise: Annotated[float, Range(gt=0)] = 0.2,
) -> Generator[Iterate, None, dict[str, np.ndarray]]:
    """Train the network on the problem's clean samples, or on samples of its mixture.

    `noise` is the standard deviation that the network learns to remove, in units of the data's peak: it sets how
    strong the prior is and need not be that of the measurements. The other options are those of `learned-proximal`,
    with short defaults (300 steps of each kind): for images worth restoring train longer.
    """
    samples = tensor(_training(problem, context), context.device)
    count, d = samples.shape
    architecture = Architecture(
        shape=image_shape(problem.shape, d, convolutional),
        hidden=hidden,
        layers=layers,
        beta=beta,
        strong_convexity=strong_convexity,
        convolutional=convolutional,
    )
    recipe = Recipe(
        architecture=architecture,
        loss=loss,
        gammas=gammas,
        pretrain_steps=few(pretrain_steps, _PRETRAIN, 3, count),
        steps=few(steps, _STEPS, 5, count),
        batch=batch,
    )
    training = learn(samples, noise * problem.peak, context, recipe)
    while True:
        try:
            trainee, stage = next(training)
        except StopIteration as end:
            return dict(end.value.arrays())
        yield Iterate(trainee.arrays, gamma=stage.gamma)


def solve(
    problem: LinearInverse,
    context: Context,
    *,
    algorithm: Literal["admm", "pgd"] = "admm",
    rho: Annotated[float, Range(gt=0)] = 1.0,
    step: Annotated[float, Range(gt=0)] | None = None,
    max_iterations: Annotated[int, Range(ge=1)] = 200,
    stop_change: Annotated[float, Range(ge=0)] = 1e-6,
    monitor: Annotated[int, Range(ge=1)] = 10,
    patch_stride: Annotated[int, Range(ge=1)] | None = None,
) -> Generator[Iterate, None, Any]:
    """Plug-and-play ADMM or proximal gradient descent with f = prox of R in place of a denoiser.

    Source: Fang, Buchanan, Sulam, arXiv:2310.14344, Section 4.

    "admm" works on |A x - y|^2 / 2 + rho R(x), "pgd" on |A x - y|^2 / 2 + R(x) / step, with `step` by default
    0.99 / |A|^2. Every `monitor` iterations the iterate carries this `objective` (mean over the batch; known, since
    every estimate is f of a known point). With a strongly convex psi both converge to critical points: pgd for
    step < 1 / |A|^2, admm for rho > |A|^2. It has converged when no variable changes by more than `stop_change`,
    relatively. A network of smaller images is applied to overlapping patches, `patch_stride` apart (by default half a
    patch), and averaged; the average is no exact prox, and there is no objective then.
    """
    learned = unpack(context.artifact or {}, context.device)
    A = to_torch(problem.A, device=context.device)
    y = tensor(problem.data, context.device).reshape(-1, A.m)
    size = norm(problem.A)
    f, exact = _prox(learned, problem, patch_stride)
    start = A.adjoint(y)
    iterates: Iterator[State]
    if algorithm == "admm":
        weight = rho
        iterates = admm(A, y, f, rho, start)
        if rho <= size**2:
            context.report["convergence"] = f"rho = {rho:g} <= |A|^2 = {size**2:.4g}: no guarantee"
    else:
        eta = step if step is not None else 0.99 / size**2 if size > 0 else 1.0
        weight = 1 / eta
        iterates = pgd(A, y, f, eta, start)
        if eta * size**2 >= 1:
            context.report["convergence"] = f"step |A|^2 = {eta * size**2:.4g} >= 1: no guarantee"
    shape = problem.data.shape[:-1]
    for iteration, state in enumerate(iterates, start=1):
        figures = {"change": state.change}
        if exact and iteration % monitor == 0:
            figures["objective"] = float(objective(learned, A, y, state, weight).mean())
        answer = partial(_answer, state.x, (*shape, A.d), context)
        yield Iterate(answer, **figures)
        if state.change <= stop_change:
            return answer()
        if iteration == max_iterations:
            words = f"the variables still change by {state.change:.2g} after {max_iterations} iterations"
            return Outcome(answer(), Status.LIMIT_ITERATIONS, words)
    raise AssertionError("the iterations do not end by themselves")


def objective(learned: LearnedProximal, A: TorchMap, y: Tensor, state: State, weight: float) -> Tensor:
    """|A x - y|^2 / 2 + weight R(x) at x = f(preimage), shape (B,): R by Legendre's identity."""
    psi, f = learned.evaluate_tensors(state.preimage)
    return data_term(A, y, f) + weight * legendre(psi, f, state.preimage)


def artifact_of(model: ProximalModel) -> Artifact:
    """A network learned on `inverse.prior`, as the artifact that a restoration takes: `artifact=artifact_of(model)`."""
    record = {"solver": "learned-proximal-pnp", "problem": "inverse.prior"}
    return Artifact(arrays=dict(model.arrays), record=record, source="learned on inverse.prior")


def _answer(x: Tensor, shape: tuple[int, ...], context: Context) -> Any:
    answer = x.reshape(shape)
    return answer if context.backend == "cuda" else answer.numpy().copy()


def _training(problem: LinearInverse, context: Context) -> Any:
    if problem.training is not None:
        return problem.training
    if problem.mixture is not None:
        return problem.mixture.sample(context.rng, _DRAWN)
    raise ProblemError("training", "is missing", "clean samples to learn from, a mixture, or a trained artifact")


def _prox(learned: LearnedProximal, problem: LinearInverse, stride: int | None) -> tuple[Any, bool]:
    """f on whole images, and whether it is the network itself; else the average over patches."""
    d, trained = problem.A.d, learned.architecture
    if trained.width == d:
        return learned.prox, True
    if problem.shape is None or len(problem.shape) != 2 or len(trained.shape) != 3 or trained.shape[0] != 1:
        expected = f"one of {d}, or one of smaller images with one channel"
        raise OptionError("weights", f"are of a network of {trained.width} coordinates", expected)
    image = (problem.shape[0], problem.shape[1])
    patch = (trained.shape[1], trained.shape[2])
    if patch[0] > image[0] or patch[1] > image[1]:
        raise OptionError("weights", f"are of images {patch}", f"of images no larger than {image}")
    if stride is not None and stride > min(patch):
        raise OptionError("patch_stride", f"got {stride}", f"at most {min(patch)}, so that patches cover the image")
    return patched(learned.prox, image, patch, stride or max(1, min(patch) // 2)), False
