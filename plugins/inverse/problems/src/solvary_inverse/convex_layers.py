"""Input-convex networks: psi(y) is convex and C2 in y, so that grad psi is a proximal operator by construction.

Softplus with parameter beta is convex and non-decreasing, and the weights between layers are kept non-negative; the
weights that see the input directly may have any sign. Sources: Amos, Xu, Kolter, Input convex neural networks (2017);
for the gradient as a proximal operator, Gribonval and Nikolova (2020), and Fang, Buchanan, Sulam (arXiv:2310.14344).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

#: beta a beyond which softplus is the identity: torch's default of 20 leaves a step that is seen in float64
_LINEAR_FROM = 80.0
#: below it the logarithm of 1 - g'(a) is not taken; there g(a) = a to the last bit
_TINY = 1e-35
#: units of the dense layer that ends a convolutional network
_DENSE_UNITS = 64


class ConvexNetwork(nn.Module):
    """A convex scalar network psi, and its gradient.

    A subclass gives `potential`, and names in `between` its modules whose weights must not be negative. All
    points are rows: (n, d).
    """

    between: list[nn.Module]

    def potential(self, y: Tensor) -> Tensor:
        """psi(y), shape (n,), for y of shape (n, d)."""
        raise NotImplementedError

    def evaluate(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """psi(y) of shape (n,) and f(y) = grad psi(y) of shape (n, d)."""
        with torch.enable_grad():
            point = y.detach().requires_grad_(True)
            psi = self.potential(point)
            (f,) = torch.autograd.grad(psi.sum(), point)
        return psi.detach(), f

    def backward(self, y: Tensor, slope: Callable[[Tensor], Tensor]) -> Tensor:
        """Add to the `.grad` of the parameters the gradient of a loss L of f(y), where slope(f) = dL/df; returns f."""
        point = y.detach().requires_grad_(True)
        (f,) = torch.autograd.grad(self.potential(point).sum(), point, create_graph=True)
        torch.sum(f * slope(f.detach())).backward()  # type: ignore[no-untyped-call]
        return f.detach()

    def constrained(self) -> Iterator[tuple[str, Tensor]]:
        """The weights that must not be negative, by the names that they have in the state dict."""
        members = {id(module) for module in self.between}
        for name, module in self.named_modules():
            if id(module) in members:
                yield f"{name}.weight", cast(Tensor, module.weight)

    @torch.no_grad()
    def clamp(self) -> None:
        """Set negative weights between layers to 0: the projection onto convex networks."""
        for module in self.between:
            cast(Tensor, module.weight).clamp_(min=0)

    @torch.no_grad()
    def spread(self, mean: float, deviation: float, generator: torch.Generator) -> None:
        """Draw the weights between layers as exp(N(mean, deviation^2))."""
        for _, weight in self.constrained():
            drawn = torch.randn(weight.shape, generator=generator)
            weight.copy_(drawn.mul_(deviation).add_(mean).exp_())

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw all parameters uniformly on +-1/sqrt(fan in), as torch's layers do, then clamp."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                bound = 1 / math.sqrt(module.weight[0].numel())
                for part in (module.weight, module.bias):
                    if part is not None:
                        drawn = torch.rand(part.shape, generator=generator)
                        part.copy_(drawn.mul_(2 * bound).sub_(bound))
        self.clamp()


class InputConvexDense(ConvexNetwork):
    """z_1 = g(H_1 y), z_{k+1} = g(W_k z_k + H_{k+1} y + b_k), psi(y) = w'z + h'y + b + (alpha/2) |y|^2.

    The gradient and its derivative by the parameters are written out: three passes over the layers instead of the
    graph of a gradient that automatic differentiation would keep.

    Args:
        width: d.
        hidden: units of a layer.
        layers: how many layers follow the first.
        beta: of softplus, g(a) = log(1 + exp(beta a)) / beta.
        strong_convexity: alpha.
    """

    def __init__(self, width: int, *, hidden: int, layers: int, beta: float, strong_convexity: float = 0.0) -> None:
        super().__init__()
        self.beta, self.alpha = beta, strong_convexity
        self.entry = nn.Linear(width, hidden, bias=False)
        self.core = nn.ModuleList(nn.Linear(hidden, hidden, bias=False) for _ in range(layers))
        self.skip = nn.ModuleList(nn.Linear(width, hidden) for _ in range(layers))
        self.exit = nn.Linear(hidden, 1, bias=False)
        self.tilt = nn.Linear(width, 1)
        self.between = [*self.core, self.exit]

    def potential(self, y: Tensor) -> Tensor:
        """psi(y), shape (n,)."""
        z = self._g(self.entry(y))
        for core, skip in zip(self.core, self.skip, strict=True):
            z = self._g(core(z) + skip(y))
        psi: Tensor = (self.exit(z) + self.tilt(y)).squeeze(1)
        return psi + (self.alpha / 2) * y.square().sum(dim=1) if self.alpha else psi

    def _g(self, a: Tensor) -> Tensor:
        return functional.softplus(a, self.beta, _LINEAR_FROM)

    def evaluate(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """psi(y) of shape (n,) and f(y) = grad psi(y) of shape (n, d)."""
        with torch.no_grad():
            psi, _, slopes, _ = self._climb(y)
            return psi, self._descend(y, slopes)[0]

    @torch.no_grad()
    def backward(self, y: Tensor, slope: Callable[[Tensor], Tensor]) -> Tensor:
        """As `ConvexNetwork.backward`, by hand.

        With v = dL/df held fixed, dL = d<v, grad psi(y)>, the derivative of psi along v. It is carried up the layers
        beside z (dots below) and differentiated on the way down; the adjoint of a dotted pre-activation is the
        adjoint p that f itself is made of.
        """
        _, z, s, t = self._climb(y)
        f, p = self._descend(y, s)
        v = slope(f)
        # up: a_k' = W_k z_{k-1}' + H_k v and z_k' = g'(a_k) a_k'
        rise = [v @ self.entry.weight.T]
        dotted = [s[0] * rise[0]]
        for k, (core, skip) in enumerate(zip(self.core, self.skip, strict=True), start=1):
            rise.append(torch.addmm(v @ skip.weight.T, dotted[-1], core.weight.T))
            dotted.append(s[k] * rise[k])
        _add(self.exit.weight, dotted[-1].sum(dim=0, keepdim=True))
        _add(self.tilt.weight, v.sum(dim=0, keepdim=True))
        # down: q_k is the adjoint of a_k; g'' = beta g' (1 - g'), and p holds the factor g' already
        bend = [below * up for below, up in zip(p, rise, strict=True)]
        for part, rest in zip(bend, t, strict=True):
            part.mul_(rest).mul_(self.beta)
        q = bend[-1]
        for k in range(len(self.core), 0, -1):
            core, skip = self.core[k - 1], self.skip[k - 1]
            _add(core.weight, torch.addmm(p[k].T @ dotted[k - 1], q.T, z[k - 1]))
            _add(skip.weight, torch.addmm(p[k].T @ v, q.T, y))
            _add(skip.bias, q.sum(dim=0))
            q = bend[k - 1].addcmul_(q @ core.weight, s[k - 1])
        _add(self.entry.weight, torch.addmm(p[0].T @ v, q.T, y))
        return f

    def _climb(self, y: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor], list[Tensor]]:
        """psi, and by layer the activations z_k, their slopes g'(a_k), and 1 - g'(a_k)."""
        layers = [self._activate(y @ self.entry.weight.T)]
        for core, skip in zip(self.core, self.skip, strict=True):
            layers.append(self._activate(torch.addmm(skip(y), layers[-1][0], core.weight.T)))
        z, s, t = (list(parts) for parts in zip(*layers, strict=True))
        psi = (self.exit(z[-1]) + self.tilt(y)).squeeze(1)
        return psi + (self.alpha / 2) * y.square().sum(dim=1) if self.alpha else psi, z, s, t

    def _descend(self, y: Tensor, s: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """f(y), and the derivatives p_k of psi by the pre-activations a_k."""
        p = [s[-1] * self.exit.weight]
        f = p[0] @ self.skip[-1].weight if len(self.skip) else torch.zeros_like(y)
        for k in range(len(self.core) - 1, -1, -1):
            p.append((p[-1] @ self.core[k].weight) * s[k])
            f = torch.addmm(f, p[-1], self.skip[k - 1].weight if k else self.entry.weight)
        if not len(self.core):
            f = p[0] @ self.entry.weight
        f = f + self.tilt.weight
        return f + self.alpha * y if self.alpha else f, p[::-1]

    def _activate(self, a: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """g(a), g'(a) and t = 1 - g'(a): t = sigmoid(-beta a), and g(a) = -log(t) / beta."""
        t = (a * -self.beta).sigmoid_()
        g = t.clamp_min(_TINY).log_().mul_(-1 / self.beta)
        return torch.maximum(a, g, out=g), 1 - t, t


class InputConvexConvolutional(ConvexNetwork):
    """The same for images: 3 x 3 convolutions with strides 2, 1, 2, 1, ..., then a dense layer of 64 units.

    The input enters every layer again, resized (bilinear, so linear in y) to the layer's size.

    Args:
        shape: (channels, rows, columns) of an image; points are its d = channels * rows * columns numbers.
        hidden: channels of a layer.
        layers: how many layers follow the first, the dense one included; at least 1.
        beta: of softplus.
        strong_convexity: alpha.
    """

    def __init__(
        self, shape: tuple[int, int, int], *, hidden: int, layers: int, beta: float, strong_convexity: float = 0.0
    ) -> None:
        super().__init__()
        channels, *size = shape
        self.shape, self.beta, self.alpha = shape, beta, strong_convexity
        strides = [2 - index % 2 for index in range(layers - 1)]
        self.sizes = [(size[0], size[1])]
        for stride in strides:
            rows, columns = self.sizes[-1]
            self.sizes.append((-(-rows // stride), -(-columns // stride)))
        cells = math.prod(self.sizes[-1])
        self.entry = nn.Conv2d(channels, hidden, 3, padding=1, bias=False)
        self.core = nn.ModuleList(nn.Conv2d(hidden, hidden, 3, stride, 1, bias=False) for stride in strides)
        self.skip = nn.ModuleList(nn.Conv2d(channels, hidden, 3, stride, 1) for stride in strides)
        self.dense = nn.Linear(hidden * cells, _DENSE_UNITS, bias=False)
        self.dense_skip = nn.Linear(channels * cells, _DENSE_UNITS)
        self.exit = nn.Linear(_DENSE_UNITS, 1, bias=False)
        self.tilt = nn.Linear(math.prod(shape), 1)
        self.between = [*self.core, self.dense, self.exit]

    def potential(self, y: Tensor) -> Tensor:
        """psi(y), shape (n,)."""
        image = y.reshape(-1, *self.shape)
        z = self._g(self.entry(image))
        for core, skip, size in zip(self.core, self.skip, self.sizes, strict=False):
            z = self._g(core(z) + skip(_resized(image, size)))
        inner = _resized(image, self.sizes[-1])
        z = self._g(self.dense(z.flatten(1)) + self.dense_skip(inner.flatten(1)))
        psi: Tensor = (self.exit(z) + self.tilt(y)).squeeze(1)
        return psi + (self.alpha / 2) * y.square().sum(dim=1) if self.alpha else psi

    def _g(self, a: Tensor) -> Tensor:
        return functional.softplus(a, self.beta, _LINEAR_FROM)


def _resized(image: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(image.shape[2:]) == size:
        return image
    return functional.interpolate(image, size, mode="bilinear", align_corners=False)


def _add(parameter: Tensor, gradient: Tensor) -> None:
    if parameter.grad is None:
        parameter.grad = gradient.clone()
    else:
        parameter.grad.add_(gradient)
