"""Learned proximal networks on `inverse.prior`."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

from solvary import Context, Iterate, Range
from solvary_inverse.prior import ProximalModel
from solvary_learned_proximal.learning import Recipe, Trainee, few, image_shape, learn, tensor
from solvary_learned_proximal.network import Architecture, load, model

if TYPE_CHECKING:
    from solvary_inverse.prior import PriorLearning

_PRETRAIN, _STEPS = 3000, 5500


def solve(
    problem: PriorLearning,
    context: Context,
    *,
    hidden: Annotated[int, Range(ge=1)] = 50,
    layers: Annotated[int, Range(ge=1)] = 4,
    beta: Annotated[float, Range(gt=0)] = 10.0,
    strong_convexity: Annotated[float, Range(ge=0)] = 0.0,
    convolutional: bool = False,
    loss: Literal["proximal-matching", "l1", "l2"] = "proximal-matching",
    gammas: tuple[float, ...] | None = None,
    pretrain_steps: Annotated[int, Range(ge=0)] | None = None,
    steps: Annotated[int, Range(ge=0)] | None = None,
    batch: Annotated[int, Range(ge=1)] = 2000,
    weights: str | None = None,
) -> Generator[Iterate, None, ProximalModel]:
    """Train an input-convex network psi, so that f = grad psi is a proximal operator, by proximal matching.

    Source: Fang, Buchanan, Sulam, What's in a Prior?, arXiv:2310.14344, Sections 3.1 and 3.2.

    Yields the network every 25 steps; returns the last one. The answer is an exact proximal operator at every moment;
    whose prox it is depends on the loss: "l2" gives the posterior mean, "l1" the median, "proximal-matching" the mode,
    the prox of -noise^2 log p.

    Options: `hidden` units (or channels) per layer, `layers` after the first, `beta` of softplus,
    `strong_convexity` alpha (psi gains alpha/2 |y|^2; with alpha > 0 every x has an R(x) < inf), `convolutional` for
    images. `gammas` are the widths of the matching loss in the data's own unit, falling; None takes 0.5 ... 0.1 for one
    coordinate and 8, 4, 2, 1 times 0.08 sqrt(d) otherwise, in units of the data. `pretrain_steps` with the l1 loss
    (None: 3000, at most 3 per sample), then `steps` with the matching loss (None: 5500, at most 5 per sample), of
    `batch` samples (at most all of them). `weights` names a file of a network to start from.
    """
    count, d = problem.samples.shape
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
    given = None if weights is None else load(weights)
    training = learn(tensor(problem.samples, context.device), problem.noise, context, recipe, given)
    while True:
        try:
            trainee, stage = next(training)
        except StopIteration as end:
            return _answer(end.value)
        yield Iterate(partial(_answer, trainee), gamma=stage.gamma)


def _answer(trainee: Trainee) -> ProximalModel:
    return model(trainee.arrays())
