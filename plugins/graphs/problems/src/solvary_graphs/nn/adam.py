"""Adam, with a constant rate or cosine warm restarts.

The updates are torch's. Only the class around them is our own: torch's imports its compiler when the first one is made,
which takes seconds in every process; short trainings such as these would spend most of their time on it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim.adam import adam


class Adam:
    """Adam (Kingma and Ba, 2015, Algorithm 1) with beta = (0.9, 0.999) and epsilon = 1e-8.

    Args:
        parameters: tensors with gradients.
        learning_rate: alpha at the start and after every restart.
        period: updates from one restart to the next, over which alpha falls to 0 along half a cosine; None: constant.
    """

    def __init__(self, parameters: Iterable[Tensor], learning_rate: float, period: int | None = None) -> None:
        self._parameters = list(parameters)
        self._m, self._v = ([torch.zeros_like(part) for part in self._parameters] for _ in range(2))
        self._counts = [torch.zeros(()) for _ in self._parameters]
        self._learning_rate, self._period, self._t = learning_rate, period, 0

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for part in self._parameters:
            part.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """One update with the gradients; a parameter without one is left as it is."""
        alpha = self._learning_rate
        if self._period is not None:
            alpha *= (1 + math.cos(math.pi * (self._t % self._period) / self._period)) / 2
        self._t += 1
        live = [place for place, part in enumerate(self._parameters) if part.grad is not None]
        parts = [self._parameters[place] for place in live]
        m, v, counts = ([state[place] for place in live] for state in (self._m, self._v, self._counts))
        adam(
            parts, [part.grad for part in parts], m, v, [], counts,
            lr=alpha, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0, amsgrad=False, maximize=False, foreach=True,
        )  # fmt: skip
