"""Small seeded training loops of torch classifiers: plain, with Gaussian noise, on PGD attacks, on interval bounds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.adam import adam

from solvary import ProblemError
from solvary_robustness.attacks import cross_entropy, pgd
from solvary_robustness.layers import Norm

#: mean loss of a batch: module, inputs (B, d), labels (B,), random numbers, share of the training done
BatchLoss = Callable[[nn.Module, Tensor, Tensor, torch.Generator, float], Tensor]


class Adam:
    """The state of torch's Adam, which updates; torch's own class imports its compiler first, for seconds."""

    def __init__(self, parameters: Iterator[nn.Parameter], learning_rate: float) -> None:
        self.learning_rate = learning_rate
        self._parameters = [part for part in parameters if part.requires_grad]
        self._m, self._v = ([torch.zeros_like(part) for part in self._parameters] for _ in range(2))
        self._counts = [torch.zeros(()) for _ in self._parameters]

    def step(self, loss: Tensor) -> None:
        """One update along the gradient of `loss`."""
        gradients = list(torch.autograd.grad(loss, self._parameters))
        with torch.no_grad():
            adam(
                self._parameters, gradients, self._m, self._v, [], self._counts, lr=self.learning_rate,
                beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0, amsgrad=False, maximize=False, foreach=True,
            )  # fmt: skip


def plain_loss(module: nn.Module, x: Tensor, labels: Tensor, generator: torch.Generator, progress: float) -> Tensor:
    """The cross-entropy."""
    return functional.cross_entropy(module(x), labels)


def noise_loss(sigma: float) -> BatchLoss:
    """The cross-entropy at inputs with Gaussian noise of deviation `sigma` (Cohen et al. 2019)."""

    def loss(module: nn.Module, x: Tensor, labels: Tensor, generator: torch.Generator, progress: float) -> Tensor:
        noise = torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)
        return functional.cross_entropy(module(x + sigma * noise), labels)

    return loss


def pgd_loss(
    eps: float, norm: Norm = "linf", box: tuple[Any, Any] | None = (0.0, 1.0), steps: int = 7, warm: float = 0.0
) -> BatchLoss:
    """The cross-entropy at PGD attacks (Madry et al. 2018); the radius grows linearly over the share `warm`."""

    def loss(module: nn.Module, x: Tensor, labels: Tensor, generator: torch.Generator, progress: float) -> Tensor:
        radius = eps * min(1.0, progress / warm) if warm > 0 else eps
        options: dict[str, Any] = {"norm": norm, "box": box, "steps": steps, "restarts": 1, "loss": cross_entropy}
        return functional.cross_entropy(module(pgd(module, x, labels, radius, generator=generator, **options)), labels)

    return loss


def ibp_loss(eps: float, box: tuple[float, float] | None = (0.0, 1.0), warm: float = 0.5) -> BatchLoss:
    """The cross-entropy at the worst logits that interval bounds allow (Gowal et al. 2018), mixed with the plain one.

    For modules that `interval_logits` knows. Radius and weight of the bounds (up to a half) grow linearly over the
    share `warm` of the training.
    """

    def loss(module: nn.Module, x: Tensor, labels: Tensor, generator: torch.Generator, progress: float) -> Tensor:
        share = min(1.0, progress / warm) if warm > 0 else 1.0
        lower, upper = x - share * eps, x + share * eps
        if box is not None:
            lower, upper = lower.clamp(*box), upper.clamp(*box)
        low, high = interval_logits(module, lower, upper)
        own = functional.one_hot(labels, low.shape[1]).bool()
        worst = functional.cross_entropy(torch.where(own, low, high), labels)
        return (1.0 - 0.5 * share) * functional.cross_entropy(module(x), labels) + 0.5 * share * worst

    return loss


def interval_logits(module: nn.Module, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor]:
    """Lower and upper ends (B, classes) of the logits for inputs between `lower` and `upper` (B, d), differentiable.

    Not rounded outwards: for training. What certifies is `solvary_robustness.bounds`.
    """
    center, radius = (upper + lower) / 2.0, (upper - lower) / 2.0
    for part in module.modules():
        if isinstance(part, nn.Sequential):
            continue
        if isinstance(part, nn.Linear):
            center, radius = part(center), functional.linear(radius, part.weight.abs())
        elif isinstance(part, nn.Conv2d) and part.padding_mode == "zeros":
            options = (part.stride, part.padding, part.dilation, part.groups)
            center, radius = part(center), functional.conv2d(radius, part.weight.abs(), None, *options)
        elif isinstance(part, nn.Flatten | nn.Unflatten | nn.Identity):
            center, radius = part(center), part(radius)
        elif isinstance(part, nn.ReLU):
            high, low = (center + radius).relu(), (center - radius).relu()
            center, radius = (high + low) / 2.0, (high - low) / 2.0
        else:
            words = f"{type(part).__name__} has no interval bound here"
            raise ProblemError("module", words, "Sequential, Linear, Conv2d, Flatten, Unflatten, Identity or ReLU")
    return center - radius, center + radius


def make_mlp(widths: tuple[int, ...], seed: int = 0, dtype: torch.dtype = torch.float32) -> nn.Sequential:
    """A ReLU network of these widths (input, hidden, ..., classes), He-normal weights from the seed, zero biases."""
    rng = np.random.default_rng(seed)
    modules: list[nn.Module] = []
    for fan_in, out in itertools.pairwise(widths):
        modules += [nn.Linear(fan_in, out, dtype=dtype), nn.ReLU()]
    module = nn.Sequential(*modules[:-1])
    initialise(module, rng)
    return module


@torch.no_grad()
def initialise(module: nn.Module, rng: np.random.Generator) -> None:
    """He-normal weights (variance 2 / fan-in) and zero biases for every linear and convolutional layer, in order."""
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Conv2d):
            fan_in = part.weight[0].numel()
            draw = rng.standard_normal(tuple(part.weight.shape)) * math.sqrt(2.0 / fan_in)
            part.weight.copy_(torch.as_tensor(draw, dtype=part.weight.dtype))
            if part.bias is not None:
                part.bias.zero_()


def epochs_of(
    module: nn.Module,
    x: np.ndarray,
    labels: np.ndarray,
    *,
    epochs: int,
    seed: int = 0,
    batch: int = 64,
    learning_rate: float = 1e-3,
    loss: BatchLoss = plain_loss,
) -> Iterator[float]:
    """Trains the module in place with Adam; yields the mean loss after every epoch. Same seed, same result.

    Args:
        module: logits of inputs (B, d), on the device and of the type of its first parameter.
        x, labels: training inputs (n, d) and labels (n,).
        epochs, batch, learning_rate: passes, inputs of one update, and the step of Adam (constant).
        loss: mean loss of a batch; `plain_loss`, `noise_loss(sigma)`, `pgd_loss(eps)`, `ibp_loss(eps)` or one's own.
    """
    first = next(module.parameters())
    inputs = torch.as_tensor(np.array(x), dtype=first.dtype, device=first.device)
    targets = torch.as_tensor(np.array(labels, dtype=np.int64), device=first.device)
    order = np.random.default_rng(seed)
    generator = torch.Generator(device=first.device).manual_seed(int(order.integers(2**31)))
    optimizer = Adam(module.parameters(), learning_rate)
    module.train()
    for epoch in range(epochs):
        shuffled = torch.as_tensor(order.permutation(len(inputs)), device=first.device)
        total = 0.0
        for start in range(0, len(inputs), batch):
            rows = shuffled[start : start + batch]
            progress = (epoch + start / len(inputs)) / epochs
            value = loss(module, inputs[rows], targets[rows], generator, progress)
            optimizer.step(value)
            total += float(value.detach()) * len(rows)
        yield total / len(inputs)
    module.eval()


def train(module: nn.Module, x: np.ndarray, labels: np.ndarray, **options: Any) -> nn.Module:
    """`epochs_of` to the end; returns the module, in evaluation mode."""
    for _ in epochs_of(module, x, labels, **options):
        pass
    return module.eval()


@torch.no_grad()
def accuracy(module: nn.Module, x: np.ndarray, labels: np.ndarray) -> float:
    """The share of inputs (n, d) whose largest logit is the label's."""
    first = next(module.parameters())
    logits = module(torch.as_tensor(np.array(x), dtype=first.dtype, device=first.device))
    return float((logits.argmax(dim=1).cpu().numpy() == np.asarray(labels)).mean())
