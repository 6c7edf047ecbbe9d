"""From samples and options to a trained network, shared by both solvers."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor

from solvary import Context, OptionError
from solvary_inverse.convex_layers import ConvexNetwork
from solvary_learned_proximal.network import Architecture, pack, unpack
from solvary_learned_proximal.training import Stage, check_gammas, fit, schedule

#: fewer samples than this are answered with a warning
_FEW = 100
#: weights between layers of an image network at the start: exp(N(-10, 0.1^2))
_MEAN, _DEVIATION = -10.0, 0.1


@attrs.frozen(kw_only=True)
class Recipe:
    """How to train."""

    architecture: Architecture
    loss: str
    gammas: tuple[float, ...] | None
    pretrain_steps: int
    steps: int
    batch: int


@attrs.define
class Trainee:
    """A network on its way: in float32, on the device, in the unit of the data."""

    architecture: Architecture
    network: ConvexNetwork
    location: Tensor
    scale: float

    def arrays(self) -> dict[str, np.ndarray]:
        """The network so far, as named arrays."""
        return pack(self.architecture, self.network, self.location, self.scale)


def image_shape(shape: Sequence[int] | np.ndarray | None, d: int, convolutional: bool) -> tuple[int, ...]:
    """(channels, rows, columns) of images, else (d,), which a convolutional network does not take."""
    if shape is None or len(shape) not in (2, 3):
        if convolutional:
            wrong = "is True, but the problem has no image shape"
            raise OptionError("convolutional", wrong, "False, or a problem with one")
        return (d,)
    lengths = [int(length) for length in shape]
    return (1, *lengths) if len(lengths) == 2 else tuple(lengths)


def learn(
    samples: Tensor, noise: float, context: Context, recipe: Recipe, weights: dict[str, np.ndarray] | None = None
) -> Generator[tuple[Trainee, Stage], None, Trainee]:
    """Train on samples (N, d) of the context's device, from given weights or from fresh ones.

    The network sees the data in units of their order of magnitude (a power of ten, 1 for data of a size like 1), and
    centred where their mean is far away.
    """
    check_gammas(recipe.gammas)
    if len(samples) < _FEW:
        words = f"only {len(samples)} samples to learn from; a prior needs hundreds at least"
        context.report["warning"] = words
        context.log.warning(words)
    generator = context.torch_generator("cpu")
    if weights is None:
        location, scale = _unit(samples, noise)
        network = recipe.architecture.network()
        _start(network, recipe.architecture, generator)
        trainee = Trainee(recipe.architecture, network.to(context.device), location, scale)
    else:
        given = unpack(weights, context.device, torch.float32)
        if given.architecture != recipe.architecture:
            wrong = f"are those of {given.architecture}"
            raise OptionError("weights", wrong, f"those of {recipe.architecture}")
        trainee = Trainee(recipe.architecture, given.network, given.location.double(), given.scale)
    scaled = ((samples - trainee.location) / trainee.scale).float()
    stages = _in_unit(recipe, trainee.scale)
    batch = min(recipe.batch, len(samples))
    on_device = context.torch_generator(context.device) if context.device != "cpu" else generator
    for stage in fit(trainee.network, scaled, noise / trainee.scale, stages, batch, on_device):
        yield trainee, stage
    return trainee


def _in_unit(recipe: Recipe, unit: float) -> list[Stage]:
    """The schedule, its widths in the network's unit."""
    d = recipe.architecture.width
    stages = schedule(recipe.loss, d, unit, recipe.gammas, recipe.pretrain_steps, recipe.steps)
    return [attrs.evolve(stage, gamma=stage.gamma / unit) for stage in stages]


def _unit(samples: Tensor, noise: float) -> tuple[Tensor, float]:
    """Centre (d,) and unit: the size of y - mean as a power of ten, the mean to ten of these units."""
    mean = samples.mean(dim=0)
    size = math.sqrt(float((samples - mean).square().mean()) + noise**2)
    scale = 10.0 ** round(math.log10(size))
    return torch.round(mean / (10 * scale)) * (10 * scale), scale


def _start(network: ConvexNetwork, architecture: Architecture, generator: torch.Generator) -> None:
    network.initialise(generator)
    if architecture.convolutional:
        network.spread(_MEAN, _DEVIATION, generator)


def few(asked: int | None, default: int, per_sample: int, count: int) -> int:
    """A number of steps: as asked, or by default at most `per_sample` for each sample."""
    return asked if asked is not None else min(default, per_sample * count)


def tensor(array: Any, device: str) -> Tensor:
    """A float64 tensor on the device of an array, or of a tensor that is already there."""
    if isinstance(array, Tensor):
        return array.to(device, torch.float64)
    return torch.as_tensor(np.array(array, dtype=np.float64), device=device)
