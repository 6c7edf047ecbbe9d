"""Networks as torch modules and back: the activations that torch lacks, and the two conversions."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from solvary import ProblemError
from solvary_robustness import network as layers
from solvary_robustness.layers import spread_kernel

#: relative difference between a module and the network made from it that float32 explains
_AGREES = 1e-3


class GroupSort(nn.Module):
    """Sorts each group of `size` neighbouring features (last axis) in descending order."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Values (..., n) at inputs (..., n)."""
        groups = x.unflatten(-1, (-1, self.size))
        return groups.sort(dim=-1, descending=True, stable=True).values.flatten(-2)


class MaxMin(GroupSort):
    """Larger and smaller entry of each pair."""

    def __init__(self) -> None:
        super().__init__(2)


class Householder(nn.Module):
    """Reflects each group with `v^T x <= 0`; `vectors` (groups, size) are unit."""

    vectors: torch.Tensor

    def __init__(self, vectors: Any) -> None:
        super().__init__()
        self.register_buffer("vectors", torch.as_tensor(vectors))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Values (..., n) at inputs (..., n)."""
        groups = x.unflatten(-1, tuple(self.vectors.shape))
        along = (groups * self.vectors).sum(dim=-1, keepdim=True)
        return (groups - 2.0 * along.clamp(max=0.0) * self.vectors).flatten(-2)


class Residual(nn.Module):
    """`x + body(x)`."""

    def __init__(self, *body: nn.Module) -> None:
        super().__init__()
        self.body = body[0] if len(body) == 1 else nn.Sequential(*body)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Values at inputs, of one shape."""
        y: torch.Tensor = x + self.body(x)
        return y


def to_torch(network: layers.Network, dtype: torch.dtype | None = None) -> nn.Sequential:
    """A module of flat inputs (B, d), float64 unless `dtype` is given; parameters require gradients as usual."""
    return nn.Sequential(*_modules(network.layers)).to(dtype or torch.float64)


def _modules(parts: tuple[layers.Layer, ...]) -> Iterator[nn.Module]:
    for layer in parts:
        if isinstance(layer, layers.Dense):
            yield _linear(layer)
        elif isinstance(layer, layers.Conv2d):
            yield from _convolution(layer)
        elif isinstance(layer, layers.GroupSort):
            yield MaxMin() if layer.size == 2 else GroupSort(layer.size)
        elif isinstance(layer, layers.Householder):
            yield Householder(torch.tensor(layer.vectors))
        elif isinstance(layer, layers.Residual):
            yield Residual(nn.Sequential(*_modules(layer.layers)))
        elif isinstance(layer, layers.Flatten):
            yield nn.Flatten()
        elif layer.kind == "leaky":
            yield nn.LeakyReLU(layer.slope)
        else:
            yield nn.ReLU() if layer.kind == "relu" else nn.Identity()


def _linear(layer: layers.Dense) -> nn.Linear:
    weight = layer.weight if isinstance(layer.weight, np.ndarray) else layer.weight.toarray()
    module = nn.Linear(weight.shape[1], weight.shape[0], dtype=torch.float64)
    with torch.no_grad():
        module.weight.copy_(torch.tensor(weight))
        module.bias.copy_(torch.tensor(layer.bias))
    return module


def _convolution(layer: layers.Conv2d) -> Iterator[nn.Module]:
    out, channels, *kernel = layer.weight.shape
    module = nn.Conv2d(
        channels, out, (kernel[0], kernel[1]), layer.stride, layer.padding, dtype=torch.float64
    )  # fmt: skip
    assert module.bias is not None
    with torch.no_grad():
        module.weight.copy_(torch.tensor(layer.weight))
        module.bias.copy_(torch.tensor(layer.bias))
    yield from (nn.Unflatten(1, layer.input_shape), module, nn.Flatten())


def from_torch(module: nn.Module, input_shape: tuple[int, ...] | None = None) -> layers.Network:
    """The network that a torch module computes in evaluation mode, in float64.

    Known are Sequential (nested), Linear, ReLU, LeakyReLU, Identity, Flatten, Unflatten, Conv2d, Dropout in
    evaluation mode, and this module's GroupSort, MaxMin, Householder and Residual.

    Args:
        module: a module of these.
        input_shape: (channels, height, width) of one input; needed where a Conv2d comes first.

    Raises:
        ProblemError: another layer (named by position and class), or what is computed is not what the layers say
            (a subclass or a hook that changes the forward pass, found by comparing outputs).
    """
    shape = tuple(int(length) for length in input_shape) if input_shape is not None else None
    found, _ = _converted(module, "", shape)
    network = layers.Network(found)
    _compare(module, network, shape)
    return network


def _known(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Whether it is of this kind and computes what the kind does."""
    return isinstance(module, kind) and type(module).forward is kind.forward


def _converted(
    module: nn.Module, where: str, shape: tuple[int, ...] | None
) -> tuple[list[layers.Layer], tuple[int, ...] | None]:
    """The layers of a module, and the shape of what comes out where it is known (one input, no batch axis)."""
    name = f"layer {where or '0'} ({type(module).__name__})"
    if _known(module, nn.Sequential):
        return _sequence(module, where, shape)
    if _known(module, Residual):
        inner, after = _converted(module.body, f"{where}.body" if where else "body", shape)
        return [layers.Residual(inner or [layers.Activation("identity")])], after
    if isinstance(module, nn.Dropout | nn.Dropout2d) or _known(module, nn.Identity):
        if not _known(module, nn.Identity) and module.training:
            raise ProblemError("network", f"{name} is in training mode", "a module in evaluation mode: module.eval()")
        return [], shape
    if _known(module, nn.Linear):
        if shape is not None and len(shape) > 1:
            raise ProblemError(
                "network", f"{name} takes the last axis of inputs of shape {shape}", "a Flatten before it"
            )
        bias = None if module.bias is None else _array(module.bias)
        return [layers.Dense(_array(module.weight), bias)], (module.out_features,)
    if _known(module, nn.ReLU):
        return [layers.Activation("relu")], shape
    if _known(module, nn.LeakyReLU):
        return [layers.Activation("leaky", module.negative_slope)], shape
    if _known(module, GroupSort) or _known(module, Householder):
        if shape is not None and len(shape) > 1:
            raise ProblemError(
                "network", f"{name} takes the last axis of inputs of shape {shape}", "a Flatten before it"
            )
        if isinstance(module, GroupSort):
            return [layers.GroupSort(module.size)], shape
        return [layers.Householder(_unit(module.vectors))], shape
    if _known(module, nn.Flatten):
        if module.start_dim not in (0, 1) or (module.end_dim != -1 and module.end_dim != len(shape or ())):
            words = f"{name} flattens axes {module.start_dim} to {module.end_dim}"
            raise ProblemError("network", words, "all axes but the batch: Flatten()")
        return [layers.Flatten()], None if shape is None else (int(np.prod(shape)),)
    if _known(module, nn.Unflatten):
        if module.dim not in (1, -1) or (shape is not None and len(shape) != 1):
            raise ProblemError("network", f"{name} unflattens axis {module.dim}", "the one axis of features")
        return [], tuple(int(length) for length in module.unflattened_size)
    if _known(module, nn.Conv2d):
        layer = _from_convolution(module, name, shape)
        return [layer], layer.output_shape
    known = (
        "Sequential, Linear, ReLU, LeakyReLU, Identity, Flatten, Unflatten, Conv2d, Dropout (eval), GroupSort, MaxMin"
    )
    raise ProblemError("network", f"{name} is not supported", f"{known}, Householder, Residual")


def _sequence(
    module: nn.Module, where: str, shape: tuple[int, ...] | None
) -> tuple[list[layers.Layer], tuple[int, ...] | None]:
    found: list[layers.Layer] = []
    # Not named_children: that leaves out repetitions of one module, such as one ReLU used twice.
    for name, child in module._modules.items():
        if child is not None:
            part, shape = _converted(child, f"{where}.{name}" if where else name, shape)
            found += part
    return found, shape


def _array(tensor: torch.Tensor) -> np.ndarray:
    array: np.ndarray = tensor.detach().cpu().to(torch.float64).numpy()
    return array


def _unit(vectors: torch.Tensor) -> np.ndarray:
    """Vectors in float64; those of lower precision that are unit to that precision are made so in float64."""
    array = _array(vectors)
    norms = np.linalg.norm(array, axis=1, keepdims=True)
    rounded = vectors.dtype != torch.float64 and bool((np.abs(norms - 1.0) < 1e-5).all())
    return array / norms if rounded else array


def _from_convolution(module: Any, name: str, shape: tuple[int, ...] | None) -> layers.Conv2d:
    if shape is None or len(shape) != 3:
        found = "is not known" if shape is None else f"is {shape}"
        expected = "input_shape=(channels, height, width) of Network.from_torch"
        raise ProblemError("network", f"{name}: the shape of its input {found}", expected)
    if module.padding_mode != "zeros" or (isinstance(module.padding, str) and module.padding != "valid"):
        words = f"{name} has padding {module.padding!r} of mode {module.padding_mode!r}"
        raise ProblemError("network", words, "zero padding given by numbers")
    return layers.Conv2d(
        spread_kernel(_array(module.weight), module.groups, module.dilation),
        None if module.bias is None else _array(module.bias),
        module.stride,
        0 if module.padding == "valid" else module.padding,
        input_shape=shape,
    )


def _compare(module: nn.Module, network: layers.Network, shape: tuple[int, ...] | None) -> None:
    """Refuses a module that does not compute what the network does (hooks, a changed forward pass)."""
    try:
        double = copy.deepcopy(module).cpu().to(torch.float64).eval()
    except (RuntimeError, TypeError):
        return  # what cannot be copied (a tensor that is no leaf) is taken at its layers' word
    x = np.random.default_rng(0).standard_normal((3, network.input_size))
    with torch.no_grad():
        given = torch.tensor(x)
        y = double(given.reshape(3, *shape) if shape is not None else given)
    own = network.forward(x)
    other = np.asarray(y, dtype=np.float64).reshape(3, -1)
    scale = float(np.abs(own).max()) + float(np.abs(other).max()) if other.size == own.size else 0.0
    if other.shape != own.shape or np.abs(own - other).max() > _AGREES * scale:
        words = f"{type(module).__name__} does not compute what its layers say (outputs differ)"
        raise ProblemError("network", words, "a module without hooks and without a forward pass of its own")
