"""Training by proximal matching: the losses, the schedule of their widths, the loop.

Source: Fang, Buchanan, Sulam, arXiv:2310.14344, Section 3; schedules from the reference code.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Generator, Sequence

import attrs
import torch
from torch import Tensor

from solvary import OptionError
from solvary_inverse.adam import Adam
from solvary_inverse.convex_layers import ConvexNetwork

#: steps from one yield to the next
EVERY = 25
#: widths of the matching loss for one coordinate, in units of the data, with learning rates and shares of the steps
_ONE_DIMENSION = ((0.5, 1e-3, 0.15), (0.5, 1e-4, 0.15), (0.4, 1e-4, 0.15), (0.3, 1e-4, 0.2), (0.2, 1e-4, 0.2),
                  (0.1, 1e-5, 0.15))  # fmt: skip
#: for images: the last width is 0.08 sqrt(d); it is halved in each of four stages
_LAST_WIDTH, _STAGES = 0.08, 4
_PRETRAIN_RATE, _RATE = 1e-3, 1e-4


@attrs.frozen
class Stage:
    """A part of the training with one loss ("l1", "l2", "proximal-matching") and one learning rate."""

    loss: str
    rate: float
    steps: int
    gamma: float = math.nan


def schedule(
    loss: str, d: int, unit: float, gammas: Sequence[float] | None, pretrain_steps: int, steps: int
) -> list[Stage]:
    """The stages of a training.

    Proximal matching starts from the l1 solution: with a small gamma from the start almost every gradient vanishes.
    The l1 and l2 losses take the second half of their steps at a tenth of the rate; alone they take all the steps.

    Args:
        loss: the last stage's.
        d: number of coordinates.
        unit: the unit of the data (their order of magnitude); the default widths are in this unit.
        gammas: widths of the matching loss, one per stage, decreasing; None: the defaults.
        pretrain_steps: with the l1 loss.
        steps: with the matching loss, over all its stages.
    """
    if loss != "proximal-matching":
        first = (pretrain_steps + steps) // 2
        later = pretrain_steps + steps - first
        return [Stage(loss, _PRETRAIN_RATE, first), Stage(loss, _RATE, later)]
    first = (pretrain_steps + 1) // 2
    stages = [Stage("l1", _PRETRAIN_RATE, first), Stage("l1", _RATE, pretrain_steps - first)]
    if gammas is not None:
        widths: list[tuple[float, float, float]] = [(gamma, _RATE, 1 / len(gammas)) for gamma in gammas]
    elif d == 1:
        widths = [(gamma * unit, rate, share) for gamma, rate, share in _ONE_DIMENSION]
    else:
        last = _LAST_WIDTH * math.sqrt(d) * unit
        widths = [(last * 2.0 ** (_STAGES - 1 - stage), _RATE, 1 / _STAGES) for stage in range(_STAGES)]
    done, share_done = 0, 0.0
    for gamma, rate, share in widths:
        share_done += share
        until = round(min(share_done, 1.0) * steps)
        stages.append(Stage("proximal-matching", rate, until - done, gamma))
        done = until
    return stages


def check_gammas(gammas: Sequence[float] | None) -> None:
    """Refuse widths that are not positive and decreasing."""
    if gammas is None:
        return
    falling = all(later <= earlier for earlier, later in itertools.pairwise(gammas))
    if not gammas or not falling or not all(math.isfinite(gamma) and gamma > 0 for gamma in gammas):
        raise OptionError("gammas", f"got {tuple(gammas)}", "positive numbers, none larger than the one before it")


def slope(stage: Stage, x: Tensor) -> Callable[[Tensor], Tensor]:
    """dL/df of the stage's loss L(f) for clean samples x (B, d), as a function of f.

    l1 and l2: means over all entries of |f - x| and its square. Proximal matching: the mean over the batch of
    m_gamma(|f - x|_2), m_gamma(r) = 1 - exp(-r^2 / gamma^2); as gamma falls its minimiser goes to the posterior mode.
    """
    if stage.loss == "l1":
        return lambda f: torch.sign(f - x) / x.numel()
    if stage.loss == "l2":
        return lambda f: (f - x) * (2 / x.numel())

    def of_matching(f: Tensor) -> Tensor:
        r = f - x
        weight = torch.exp(r.square().sum(dim=1, keepdim=True) / -(stage.gamma**2))
        return r * weight * (2 / (stage.gamma**2 * len(x)))

    return of_matching


def fit(
    network: ConvexNetwork,
    samples: Tensor,
    noise: float,
    stages: Sequence[Stage],
    batch: int,
    generator: torch.Generator,
) -> Generator[Stage, None, None]:
    """Train in place; yields every `EVERY` steps and at the end of a stage.

    Args:
        network: float32, on the device of the samples.
        samples: (N, d) clean samples.
        noise: standard deviation of the noise that is added, fresh in every step.
        stages: see `schedule`.
        batch: samples per step.
        generator: on that device.
    """
    optimizer = Adam(network.parameters())
    network.clamp()
    for stage in stages:
        for step in range(1, stage.steps + 1):
            rows = torch.randint(len(samples), (batch,), generator=generator, device=samples.device)
            x = samples[rows]
            y = x + noise * torch.randn(x.shape, generator=generator, device=x.device)
            optimizer.zero_grad()
            network.backward(y, slope(stage, x))
            optimizer.step(stage.rate)
            network.clamp()
            if step % EVERY == 0 or step == stage.steps:
                yield stage
