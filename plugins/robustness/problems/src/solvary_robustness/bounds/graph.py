"""A network as a graph of torch operations: affine maps, entrywise activations and sums, in topological order."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import attrs
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from solvary import ProblemError
from solvary_robustness.network import Activation, Conv2d, Dense, Flatten, Layer, Network, Residual

#: a sparse weight with at most this many entries (zeros included) is made dense
_DENSE = 2**22


@attrs.frozen(eq=False)
class Linear:
    """`x -> W x` on the last axis, `weight` (o, i), dense or a sparse torch tensor."""

    weight: Tensor

    @property
    def terms(self) -> int:
        """Numbers that are added up for one output, or for one entry of the transposed map, at most."""
        return int(max(self.weight.shape))

    @property
    def width(self) -> int:
        """Entries of the output."""
        return int(self.weight.shape[0])

    def apply(self, x: Tensor) -> Tensor:
        """`W x`: (..., o) for x (..., i)."""
        return _times(x, self.weight.transpose(0, 1))

    def transpose(self, c: Tensor) -> Tensor:
        """`W^T c`: (..., i) for c (..., o)."""
        return _times(c, self.weight)

    def absolute(self) -> Linear:
        """The map with the absolute values of the entries."""
        return Linear(self.weight.abs())

    def positive(self, sign: int) -> Linear:
        """The map with the positive entries of `sign` times this one, zero elsewhere."""
        return Linear(_positive(sign * self.weight))


def _times(x: Tensor, matrix: Tensor) -> Tensor:
    with plain_products(x.dtype):
        if not matrix.is_sparse:
            return x @ matrix
        flat = x.reshape(-1, x.shape[-1])
        columns = torch.sparse.mm(matrix.transpose(0, 1), flat.transpose(0, 1))
        return columns.transpose(0, 1).reshape(*x.shape[:-1], -1)


def _positive(weight: Tensor) -> Tensor:
    if not weight.is_sparse:
        return weight.clamp(min=0.0)
    entries = weight.coalesce()
    values = entries.values().clamp(min=0.0)
    return torch.sparse_coo_tensor(entries.indices(), values, weight.shape, check_invariants=True).coalesce()


@contextmanager
def plain_products(dtype: torch.dtype) -> Iterator[None]:
    """Products and sums in the type itself: no TF32 and no Winograd transforms, which the error bounds do not cover."""
    if dtype == torch.float64:
        yield
        return
    matmul = torch.backends.cuda.matmul
    before = matmul.allow_tf32
    matmul.allow_tf32 = False
    try:
        with torch.backends.cudnn.flags(enabled=False):  # type: ignore[no-untyped-call]
            yield
    finally:
        matmul.allow_tf32 = before


@attrs.frozen(eq=False)
class Convolution:
    """The linear part of a `Conv2d` on flat images: `kernel` (out, in, height, width)."""

    kernel: Tensor
    stride: tuple[int, int]
    padding: tuple[int, int]
    given: tuple[int, int, int]
    made: tuple[int, int, int]

    @property
    def terms(self) -> int:
        """Numbers that are added up for one output, or for one entry of the transposed map, at most."""
        out, channels, height, width = self.kernel.shape
        return int(max(out, channels) * height * width)

    @property
    def width(self) -> int:
        """Entries of the output."""
        return int(np.prod(self.made))

    def apply(self, x: Tensor) -> Tensor:
        """Images (..., o) of images (..., i)."""
        images = x.reshape(-1, *self.given)
        with plain_products(x.dtype):
            made = functional.conv2d(images, self.kernel, None, self.stride, self.padding)
        return made.reshape(*x.shape[:-1], -1)

    def transpose(self, c: Tensor) -> Tensor:
        """The transposed map: (..., i) for c (..., o)."""
        kernel = self.kernel.shape[2:]
        #: rows and columns at the end that no kernel reaches
        rest = [
            self.given[axis + 1] + 2 * self.padding[axis] - kernel[axis] - self.stride[axis] * (self.made[axis + 1] - 1)
            for axis in (0, 1)
        ]
        with plain_products(c.dtype):
            images = functional.conv_transpose2d(
                c.reshape(-1, *self.made), self.kernel, None, self.stride, self.padding, (rest[0], rest[1])
            )
        return images.reshape(*c.shape[:-1], -1)

    def absolute(self) -> Convolution:
        """The map with the absolute values of the entries."""
        return attrs.evolve(self, kernel=self.kernel.abs())

    def positive(self, sign: int) -> Convolution:
        """The map with the positive entries of `sign` times this one, zero elsewhere."""
        return attrs.evolve(self, kernel=_positive(sign * self.kernel))


@attrs.frozen(eq=False)
class Node:
    """A value in the network: the input, an affine map of another one, an activation of one, or the sum of two."""

    kind: Literal["input", "affine", "activation", "sum"]
    sources: tuple[int, ...]
    width: int
    #: affine: the map, the same with absolute entries, and the bias (width,)
    map: Any = None
    magnitude: Any = None
    bias: Any = None
    #: activation: the derivative left of zero
    slope: float = 1.0


@attrs.frozen(eq=False, slots=False)
class Graph:
    """A network's nodes in topological order; node 0 is the input, the last one the output.

    `activations` are the numbers of the activation nodes (identities are left out), in order.
    """

    nodes: tuple[Node, ...]
    activations: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device

    @classmethod
    def of(cls, network: Network, *, dtype: torch.dtype = torch.float64, device: str | torch.device = "cpu") -> Graph:
        """The graph of a network.

        Raises:
            ProblemError: a layer that is no entrywise or affine one, named by position and class.
        """
        wrong = unsupported(network)
        if wrong:
            raise ProblemError("network", wrong, "Dense, Conv2d, Flatten, Residual, relu, leaky, identity")
        builder = _Builder(dtype, torch.device(device))
        builder.nodes.append(Node("input", (), network.input_size))
        builder.chain(network.layers, 0)
        nodes = tuple(builder.nodes)
        activations = tuple(number for number, node in enumerate(nodes) if node.kind == "activation")
        return cls(nodes, activations, dtype, torch.device(device))

    @functools.cached_property
    def parts(self) -> dict[int, tuple[Linear | Convolution, ...]]:
        """For each affine node `A x + b` the maps `max(A, 0)` and `max(-A, 0)`, entrywise."""
        return {
            number: (node.map.positive(1), node.map.positive(-1))
            for number, node in enumerate(self.nodes)
            if node.kind == "affine"
        }

    @property
    def output(self) -> int:
        """The number of the last node."""
        return len(self.nodes) - 1

    @property
    def rounding(self) -> float:
        """Relative error of any chain of products and sums through the graph, over the sum of absolute values.

        A value computed along paths of the graph has an error of at most this times the sum of the absolute values of
        its terms (Higham, Accuracy and Stability of Numerical Algorithms, Lemma 3.1): a sum of n terms counts n, a node
        eight more for the slopes and intercepts of its relaxation and for the weights' own rounding.
        """
        count = sum(8 + (node.map.terms if node.kind == "affine" else 0) for node in self.nodes) + self.nodes[0].width
        loss = count * torch.finfo(self.dtype).eps
        return loss / (1.0 - loss) if loss < 0.5 else float("inf")

    def tensor(self, array: Any) -> Tensor:
        """An array as a tensor of the graph's type on its device."""
        return torch.as_tensor(np.array(array, dtype=np.float64)).to(self.device, self.dtype)

    def domain(self, lo: np.ndarray, hi: np.ndarray) -> tuple[Tensor, Tensor]:
        """Ends (1, d) of a box of inputs, rounded outwards where the type is coarser than theirs."""
        ends = self.tensor(lo)[None], self.tensor(hi)[None]
        if self.dtype == torch.float64:
            return ends
        infinity = torch.full_like(ends[0], torch.inf)
        return torch.nextafter(ends[0], -infinity), torch.nextafter(ends[1], infinity)


@attrs.define(eq=False)
class _Builder:
    dtype: torch.dtype
    device: torch.device
    nodes: list[Node] = attrs.Factory(list)

    def tensor(self, array: Any) -> Tensor:
        return torch.as_tensor(np.array(array)).to(self.device, self.dtype)

    def add(self, node: Node) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1

    def chain(self, layers: Sequence[Layer], at: int) -> int:
        """Adds the nodes of the layers after node `at`; the last one's number."""
        for layer in layers:
            width = self.nodes[at].width
            if isinstance(layer, Residual):
                end = self.chain(layer.layers, at)
                at = self.add(Node("sum", (at, end), width))
            elif isinstance(layer, Activation):
                if layer.negative_slope != 1.0:
                    at = self.add(Node("activation", (at,), width, slope=layer.negative_slope))
            elif isinstance(layer, Dense | Conv2d):
                linear = self.linear(layer)
                bias = layer.bias
                if isinstance(layer, Conv2d):
                    bias = np.repeat(bias, linear.width // len(bias))
                at = self.add(
                    Node("affine", (at,), linear.width, map=linear, magnitude=linear.absolute(), bias=self.tensor(bias))
                )
        return at

    def linear(self, layer: Dense | Conv2d) -> Linear | Convolution:
        if isinstance(layer, Conv2d):
            return Convolution(
                self.tensor(layer.weight), layer.stride, layer.padding, layer.input_shape, layer.output_shape
            )
        if isinstance(layer.weight, np.ndarray):
            return Linear(self.tensor(layer.weight))
        if np.prod(layer.weight.shape) <= _DENSE:
            return Linear(self.tensor(layer.weight.toarray()))
        entries = layer.weight.tocoo()
        where = torch.as_tensor(np.stack([entries.row, entries.col]).astype(np.int64), device=self.device)
        values = self.tensor(entries.data)
        return Linear(torch.sparse_coo_tensor(where, values, layer.weight.shape, check_invariants=True).coalesce())


def unsupported(network: Network) -> str | None:
    """The first layer that bound propagation does not handle, in words with its position and class; or None."""
    return _unsupported(network.layers, "")


def _unsupported(layers: Sequence[Layer], prefix: str) -> str | None:
    for position, layer in enumerate(layers):
        name = f"{prefix}{position}"
        if isinstance(layer, Residual):
            inner = _unsupported(layer.layers, f"{name}.")
            if inner:
                return inner
        elif not isinstance(layer, Dense | Conv2d | Flatten | Activation):
            return f"layer {name} ({type(layer).__name__}) is not supported"
    return None
