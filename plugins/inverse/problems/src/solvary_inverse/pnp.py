"""Plug-and-play iterations with a proximal operator f = prox of R, on batches of vectors (torch).

h(x) = |A x - y|^2 / 2 throughout. With f exactly a prox both are descent methods for an explicit objective.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import attrs
import torch
from torch import Tensor

from solvary_inverse.operators_torch import TorchMap

Prox = Callable[[Tensor], Tensor]


@attrs.define
class State:
    """One iterate: the estimate x = f(preimage) (B, d), and the largest relative change of the variables."""

    x: Tensor
    preimage: Tensor
    change: float


def admm(A: TorchMap, y: Tensor, f: Prox, rho: float, start: Tensor) -> Iterator[State]:
    """PnP-ADMM for h + rho R: x = argmin h(x) + rho/2 |x - z + u|^2, u += x - z, z = f(x + u).

    This order of updates (x, u, z) is that of the reference code. For rho > |A|^2 and a strongly
    convex psi it converges to a critical point of h + rho R; the estimate is z.

    Args:
        A: the operator, on (B, d).
        y: (B, m).
        f: the prox, (B, d) -> (B, d).
        rho: the penalty, > 0.
        start: (B, d), the first z.
    """
    z, u = start, torch.zeros_like(start)
    back = A.adjoint(y)
    x = start
    while True:
        before = z, u
        x = solve_regularised(A, back + rho * (z - u), rho, x)
        u = u + x - z
        preimage = x + u
        z = f(preimage)
        yield State(z, preimage, max(_change(z, before[0]), _change(u, before[1], z)))


def pgd(A: TorchMap, y: Tensor, f: Prox, step: float, start: Tensor) -> Iterator[State]:
    """PnP proximal gradient descent, x = f(x - step A'(A x - y)), for h + R / step.

    For step < 1 / |A|^2 the objective falls in every iteration, convex or not.

    Args: as `admm`; `step` is eta > 0.
    """
    x = start
    while True:
        preimage = x - step * A.adjoint(A.apply(x) - y)
        moved = f(preimage)
        change, x = _change(moved, x), moved
        yield State(x, preimage, change)


def data_term(A: TorchMap, y: Tensor, x: Tensor) -> Tensor:
    """h(x) = |A x - y|^2 / 2, shape (B,)."""
    return (A.apply(x) - y).square().sum(dim=-1) / 2


def solve_regularised(
    A: TorchMap, right: Tensor, rho: float, start: Tensor, tolerance: float = 1e-10, max_iterations: int = 500
) -> Tensor:
    """(A'A + rho I) x = right, row by row, by conjugate gradients from `start`."""
    x = start
    residual = right - A.adjoint(A.apply(x)) - rho * x
    direction, energy = residual, residual.square().sum(dim=-1, keepdim=True)
    goal = tolerance**2 * right.square().sum(dim=-1, keepdim=True)
    for _ in range(max_iterations):
        if bool((energy <= goal).all()):
            break
        applied = A.adjoint(A.apply(direction)) + rho * direction
        curvature = (direction * applied).sum(dim=-1, keepdim=True)
        length = torch.where(curvature > 0, energy / curvature, 0.0)
        x = x + length * direction
        residual = residual - length * applied
        fresh = residual.square().sum(dim=-1, keepdim=True)
        direction = residual + torch.where(energy > 0, fresh / energy, 0.0) * direction
        energy = fresh
    return x


def patched(f: Prox, image: tuple[int, int], patch: tuple[int, int], stride: int) -> Prox:
    """f of every patch of an image, averaged where patches overlap.

    The average of proximal operators of patches is no longer exactly a proximal operator of images: for convergence
    nothing is promised. The last row and column of patches end at the border.

    Args:
        f: on patches, (n, p).
        image, patch: (rows, columns), the patch no larger than the image.
        stride: from one patch to the next.
    """
    rows, columns = (_starts(whole, part, stride) for whole, part in zip(image, patch, strict=True))
    within = torch.arange(patch[0])[:, None] * image[1] + torch.arange(patch[1])
    corners = [row * image[1] + column for row in rows for column in columns]
    places = torch.stack([(within + corner).reshape(-1) for corner in corners])
    count = torch.bincount(places.reshape(-1), minlength=image[0] * image[1])

    def prox(y: Tensor) -> Tensor:
        where = places.to(y.device)
        moved = f(y[:, where].reshape(-1, where.shape[1])).reshape(len(y), -1)
        total = torch.zeros_like(y).index_add(1, where.reshape(-1), moved)
        return total / count.to(y)

    return prox


def _starts(whole: int, part: int, stride: int) -> list[int]:
    last = whole - part
    return sorted({*range(0, last + 1, stride), last})


def _change(new: Tensor, old: Tensor, size: Tensor | None = None) -> float:
    """Largest relative change over the batch."""
    scale = 1 + (new if size is None else size).norm(dim=-1)
    return float(((new - old).norm(dim=-1) / scale).max())
