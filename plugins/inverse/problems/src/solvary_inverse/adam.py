"""Adam over one flat vector.

The update is torch's. Only the class around it is our own: torch's imports its compiler when the first one is made,
which takes seconds in every process, and goes through the parameters one by one; for nets of a few thousand numbers
both cost more than the gradients.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim.adam import adam


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
        self._count = torch.zeros(())
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
        adam(
            [self._flat], [self._gradient], [self._m], [self._v], [], [self._count],
            lr=rate, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0, amsgrad=False, maximize=False, foreach=False,
        )  # fmt: skip
