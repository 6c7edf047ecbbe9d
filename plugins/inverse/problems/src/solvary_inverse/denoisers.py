"""Counted access to denoisers: how often a method asks a network is for the problem to say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from solvary import CountedOracle
from solvary_inverse.mixture import GaussianMixture

#: (noisy points (N, d), noise level) -> their denoised form (N, d)
Denoiser = Callable[[Any, float], Any]


class DenoiserOracle(CountedOracle):
    """The problem's denoiser, counted: `network_evaluations` calls, and `network_rows` points over all calls.

    A point is v = scale x + level e with e ~ N(0, I): where a diffusion has the signal a and the noise s, its score is
    `score(v, s, a)`. Arrays give arrays and torch tensors give tensors, through which gradients flow, wherever the
    denoiser can do both (that of a mixture can).
    """

    counters: ClassVar[tuple[str, ...]] = ("network_evaluations", "network_rows")

    def __init__(self, denoiser: Denoiser | None, mixture: GaussianMixture | None) -> None:
        super().__init__()
        self._mixture = mixture
        self._denoiser = denoiser

    @property
    def available(self) -> bool:
        """Whether the problem has a denoiser: one of its own, or the exact one of its mixture."""
        return self._denoiser is not None or self._mixture is not None

    def denoise(self, v: Any, level: float, scale: float = 1.0) -> Any:
        """E[x | v], (N, d) or (d,)."""
        self._count(v)
        if self._denoiser is not None:
            return self._denoiser(v / scale, level / scale)
        if self._mixture is None:
            raise ValueError("the problem has neither a denoiser nor a mixture")
        if hasattr(v, "detach"):
            from solvary_inverse.mixture_torch import denoise

            return denoise(self._mixture, v, level, scale)
        return self._mixture.denoise(v, level, scale)

    def score(self, v: Any, level: float, scale: float = 1.0) -> Any:
        """grad log p(v), (N, d) or (d,), by Tweedie's formula (scale E[x|v] - v) / level^2; one evaluation."""
        return (scale * self.denoise(v, level, scale) - v) / level**2

    def counted(self, network: Callable[..., Any]) -> Callable[..., Any]:
        """`network`, whose first argument is a batch (N, ...), with each call counted: for a network that a solver
        brings (trained on the problem's samples, or an option).
        """

        def call(points: Any, *args: Any, **kwargs: Any) -> Any:
            self._count(points)
            return network(points, *args, **kwargs)

        return call

    def _count(self, points: Any) -> None:
        self.count("network_evaluations")
        self.count("network_rows", int(points.shape[0]) if points.ndim > 1 else 1)
