"""Projected gradient descent (PGD) on the loss of a torch classifier, in an l2 or linf ball cut with a box."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from solvary_robustness.layers import Norm

Loss = Callable[[Tensor, Tensor], Tensor]


def margin_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """The largest other logit minus the label's, (B,): positive where the input is misclassified."""
    own = logits.gather(1, labels[:, None])[:, 0]
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return others.amax(dim=1) - own


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """The cross-entropy of each input, (B,)."""
    return functional.cross_entropy(logits, labels, reduction="none")


def project(delta: Tensor, eps: float, norm: Norm) -> Tensor:
    """The nearest perturbations (B, d) with norm at most `eps`."""
    if norm == "linf":
        return delta.clamp(-eps, eps)
    length = delta.norm(dim=1, keepdim=True)
    return delta * (eps / length.clamp(min=eps)) if eps > 0 else torch.zeros_like(delta)


def pgd(
    module: Callable[[Tensor], Tensor],
    x: Tensor,
    labels: Tensor,
    eps: float,
    *,
    norm: Norm = "linf",
    box: tuple[Any, Any] | None = None,
    steps: int = 40,
    restarts: int = 5,
    step: float | None = None,
    loss: Loss = margin_loss,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Perturbed inputs (B, d), each the one of the largest loss seen over all steps and restarts.

    Args:
        module: logits (B, classes) of inputs (B, d).
        x, labels: inputs (B, d) and their labels (B,).
        eps: radius of the ball; `norm` its norm; `box` = (lo, hi), numbers or tensors, cuts it.
        steps, restarts: gradient steps of each restart; every restart but the first begins at a random point.
        step: length of a step, 2.5 eps / steps unless given (Madry et al. 2018).
        loss: of logits and labels, (B,), which is maximised.
        generator: of the random points; the first restart begins at x.
    """
    length = 2.5 * eps / max(steps, 1) if step is None else step
    best, highest = x.detach().clone(), torch.full((len(x),), -torch.inf, dtype=x.dtype, device=x.device)
    for restart in range(max(restarts, 1)):
        delta = torch.zeros_like(x) if restart == 0 else _random(x, eps, norm, generator)
        y = _inside(x + delta, box)
        for turn in range(steps + 1):
            y = y.detach().requires_grad_(True)
            losses = loss(module(y), labels)
            better = losses.detach() > highest
            best = torch.where(better[:, None], y.detach(), best)
            highest = torch.where(better, losses.detach(), highest)
            if turn < steps:
                (gradient,) = torch.autograd.grad(losses.sum(), y)
                y = _inside(x + project(y.detach() + length * _direction(gradient, norm) - x, eps, norm), box)
    return best


def accuracy_under_pgd(module: nn.Module, x: Tensor, labels: Tensor, eps: float, **options: Any) -> float:
    """The share of inputs that stay rightly classified under `pgd` (ties count as wrong)."""
    attacked = pgd(module, x, labels, eps, **options)
    with torch.no_grad():
        return float((margin_loss(module(attacked), labels) < 0).double().mean())


def _direction(gradient: Tensor, norm: Norm) -> Tensor:
    if norm == "linf":
        return gradient.sign()
    return gradient / gradient.norm(dim=1, keepdim=True).clamp(min=torch.finfo(gradient.dtype).tiny)


def _random(x: Tensor, eps: float, norm: Norm, generator: torch.Generator | None) -> Tensor:
    """Uniform in the ball."""
    if norm == "linf":
        return eps * (2.0 * torch.rand(x.shape, generator=generator, dtype=x.dtype, device=x.device) - 1.0)
    direction = torch.randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)
    radius = torch.rand((len(x), 1), generator=generator, dtype=x.dtype, device=x.device) ** (1.0 / x.shape[1])
    return eps * radius * direction / direction.norm(dim=1, keepdim=True)


def _inside(x: Tensor, box: tuple[Any, Any] | None) -> Tensor:
    if box is None:
        return x
    lo, hi = (torch.as_tensor(end, dtype=x.dtype, device=x.device) for end in box)
    return torch.maximum(torch.minimum(x, hi), lo)
