"""Adam over one flat vector.

Torch's own optimizers import its compiler when the first one is made, which takes seconds in every process, and go
through the parameters one by one; for nets of a few thousand numbers both cost more than the gradients.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor


class Adam:
    """Adam (Kingma and Ba, 2015, Algorithm 1) with beta = (0.9, 0.999) and epsilon = 1e-8.

    The parameters become views of one vector, and so do their gradients: do not replace either afterwards.

    Args:
        parameters: the leaves to update, all of one type and on one device.
    """

    def __init__(self, parameters: Iterable[Tensor]) -> None:
        leaves = list(parameters)
        self._flat = torch.cat([leaf.detach().reshape(-1) for leaf in leaves])
        self._gradient, self._m, self._v = (torch.zeros_like(self._flat) for _ in range(3))
        self._t = 0
        start = 0
        for leaf in leaves:
            end = start + leaf.numel()
            leaf.data = self._flat[start:end].view_as(leaf)
            leaf.grad = self._gradient[start:end].view_as(leaf)
            start = end

    def zero_grad(self) -> None:
        """Set all gradients to 0."""
        self._gradient.zero_()

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """One update with the gradients and this learning rate."""
        self._t += 1
        self._m.lerp_(self._gradient, 0.1)
        self._v.mul_(0.999).addcmul_(self._gradient, self._gradient, value=0.001)
        root = math.sqrt(1 - 0.999**self._t)
        step = rate / (1 - 0.9**self._t)
        self._flat.addcdiv_(self._m, (self._v.sqrt() / root).add_(1e-8), value=-step)
