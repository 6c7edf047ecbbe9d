"""A network as an immutable value: layers with read-only arrays in float64, and what they compute together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from solvary import ProblemError
from solvary_robustness.layers import KINDS as KINDS
from solvary_robustness.layers import Activation as Activation
from solvary_robustness.layers import Conv2d as Conv2d
from solvary_robustness.layers import Dense as Dense
from solvary_robustness.layers import Flatten as Flatten
from solvary_robustness.layers import GroupSort as GroupSort
from solvary_robustness.layers import Householder as Householder
from solvary_robustness.layers import Layer as Layer
from solvary_robustness.layers import MaxMin as MaxMin
from solvary_robustness.layers import Norm as Norm
from solvary_robustness.layers import Residual as Residual
from solvary_robustness.layers import as_layers, chained, first_width, inputs_of, pulled, reject_strangers
from solvary_robustness.layers import operator_norm as operator_norm

if TYPE_CHECKING:
    import torch


@attrs.frozen(eq=False)
class Network:
    """A chain of layers, checked: widths fit, numbers are finite. Raises `ProblemError` on `network`.

    Inputs are flat: vectors (d,), batches (B, d); images in the order channel, row, column.
    """

    layers: tuple[Layer, ...] = attrs.field(converter=as_layers)
    input_size: int = attrs.field(init=False)
    output_size: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        reject_strangers(self.layers)
        width = first_width(self.layers)
        if width is None:
            raise ProblemError("network", "has no layer that fixes the input size", "at least one Dense layer")
        object.__setattr__(self, "input_size", width)
        object.__setattr__(self, "output_size", chained(self.layers, width))

    def __reduce__(self) -> tuple[Any, ...]:
        # Unpickled arrays can be written, so the network is made anew from them.
        return Network.from_arrays, (self.to_arrays(),)

    def __repr__(self) -> str:
        words = " ".join(_word(layer) for layer in self.layers)
        return f"Network({self.input_size} {words})"

    @property
    def classes(self) -> int:
        """How many logits come out."""
        return self.output_size

    @property
    def head(self) -> Dense:
        """The last layer, which must be a `Dense`; its input is the feature vector."""
        last = self.layers[-1]
        if not isinstance(last, Dense):
            raise ProblemError("network", f"ends with a {type(last).__name__}", "a final Dense layer")
        return last

    def features(self, x: np.ndarray) -> np.ndarray:
        """What goes into the head, (B, features), at inputs (B, d)."""
        _ = self.head
        return self.inputs(x)[-2]

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Outputs (B, o) at inputs (B, d); one vector in, one vector out."""
        return self.inputs(x)[-1]

    __call__ = forward

    def inputs(self, x: np.ndarray) -> list[np.ndarray]:
        """What goes into each layer, and last what comes out, at inputs (..., d)."""
        return inputs_of(self.layers, self._points(x))

    def backward(self, x: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
        """Vector-Jacobian products `J(x)^T c`, (B, d), for inputs (B, d) and cotangents (B, o).

        At a kink the derivative from the left is taken (torch's choice for ReLU).
        """
        inputs = self.inputs(x)
        return pulled(self.layers, inputs, np.asarray(cotangent, dtype=np.float64))

    def jacobian(self, x: np.ndarray) -> np.ndarray:
        """The Jacobian (o, d) at one input (d,), or (B, o, d) at a batch (B, d)."""
        points = self._points(x)
        inputs = inputs_of(self.layers, points[..., None, :])
        seed = np.broadcast_to(np.eye(self.output_size), (*points.shape[:-1], self.output_size, self.output_size))
        return pulled(self.layers, inputs, seed)

    def _points(self, x: np.ndarray) -> np.ndarray:
        points = np.asarray(x, dtype=np.float64)
        if points.ndim == 0 or points.shape[-1] != self.input_size:
            raise ProblemError("x", f"has shape {points.shape}", f"inputs of {self.input_size} entries")
        return points

    def product_bound(self, norm: Norm = "l2") -> float:
        """The product of the layers' Lipschitz constants, in l2 (spectral norms) or linf (row sums)."""
        return float(np.prod([layer.lipschitz(norm) for layer in self.layers]))

    def lowered(self, dense: bool = False) -> Network:
        """The same function with every `Conv2d` as a `Dense` layer (sparse, or of plain arrays) and no `Flatten`."""
        return Network(_lowered(self.layers, dense))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """All layers as named arrays, which `from_arrays` takes."""
        return _written(self.layers, "")

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> Network:
        """A network from the arrays of `to_arrays`, or from `W0, b0, W1, b1, ...` with ReLU between them."""
        if "W0" in arrays:
            return cls(_plain(arrays))
        return cls(_read(arrays))

    def to_torch(self, dtype: Any = None) -> torch.nn.Sequential:
        """The same function as a torch module (float64 unless another dtype is given)."""
        from solvary_robustness.torch_layers import to_torch

        return to_torch(self, dtype)

    @classmethod
    def from_torch(cls, module: torch.nn.Module, input_shape: tuple[int, ...] | None = None) -> Network:
        """The network that a torch module computes; see `solvary_robustness.torch_layers.from_torch`."""
        from solvary_robustness.torch_layers import from_torch

        return from_torch(module, input_shape)


def _word(layer: Layer) -> str:
    if isinstance(layer, Activation):
        return layer.kind
    if isinstance(layer, GroupSort):
        return f"GroupSort({layer.size})"
    if isinstance(layer, Residual):
        return f"Residual({' '.join(_word(part) for part in layer.layers)})"
    if isinstance(layer, Dense | Conv2d):
        return f"{type(layer).__name__}({layer.width(0)})"
    return type(layer).__name__


def _lowered(layers: tuple[Layer, ...], dense: bool) -> tuple[Layer, ...]:
    found: list[Layer] = []
    for layer in layers:
        if isinstance(layer, Conv2d):
            layer = layer.lowered()
        if isinstance(layer, Flatten):
            continue
        if isinstance(layer, Residual):
            # What only flattens adds the input to itself.
            layer = Residual(_lowered(layer.layers, dense) or (Activation("identity"),))
        elif dense and isinstance(layer, Dense) and not isinstance(layer.weight, np.ndarray):
            layer = Dense(layer.weight.toarray(), layer.bias)
        found.append(layer)
    return tuple(found)


def _written(layers: tuple[Layer, ...], prefix: str) -> dict[str, np.ndarray]:
    """The arrays "position.class.field" of each layer, and "position.Residual.position.class.field" inside."""
    arrays: dict[str, np.ndarray] = {}
    for position, layer in enumerate(layers):
        name = f"{prefix}{position}.{type(layer).__name__}"
        if isinstance(layer, Residual):
            arrays |= _written(layer.layers, name + ".")
        elif isinstance(layer, Flatten):
            arrays[f"{name}.none"] = np.zeros(0)
        else:
            for field in attrs.fields(type(layer)):
                value = getattr(layer, field.name)
                if not field.init:
                    continue
                if hasattr(value, "indptr"):
                    parts = {"data": value.data, "indices": value.indices, "indptr": value.indptr}
                    arrays |= {f"{name}.{field.name}.{part}": array for part, array in parts.items()}
                    arrays[f"{name}.{field.name}.shape"] = np.array(value.shape)
                else:
                    arrays[f"{name}.{field.name}"] = np.asarray(value)
    return arrays


def _read(arrays: Mapping[str, Any]) -> tuple[Layer, ...]:
    """The inverse of `_written`."""
    found: dict[int, tuple[str, dict[str, Any]]] = {}
    for name, value in arrays.items():
        position, _, rest = name.partition(".")
        kind, _, field = rest.partition(".")
        if not position.isdigit() or kind not in _BY_NAME or not field:
            known = "names like '0.Dense.weight', or 'W0', 'b0', ..."
            raise ProblemError("network", f"has an array named {name!r}", known)
        found.setdefault(int(position), (kind, {}))[1][field] = value
    return tuple(_made(*found[position]) for position in sorted(found))


def _made(kind: str, values: dict[str, Any]) -> Layer:
    if kind == "Residual":
        return Residual(_read(values))
    if kind == "Flatten":
        return Flatten()
    if "weight.data" in values:
        from scipy.sparse import csr_array

        parts = tuple(values.pop(f"weight.{part}") for part in ("data", "indices", "indptr"))
        shape = tuple(int(length) for length in values.pop("weight.shape"))
        values["weight"] = csr_array(parts, shape=shape)
    try:
        layer: Layer = _BY_NAME[kind](**values)
    except TypeError as error:
        raise ProblemError("network", f"the arrays of a {kind} layer are {sorted(values)} ({error})") from None
    return layer


_BY_NAME: dict[str, Any] = {kind.__name__: kind for kind in KINDS}


def _plain(arrays: Mapping[str, Any]) -> tuple[Layer, ...]:
    """Layers from `W0 (o, i), b0 (o,), W1, ...`; a bias may be missing. ReLU between the layers."""
    depth = sum(1 for name in arrays if name.startswith("W"))
    expected = {f"{letter}{k}" for letter in "Wb" for k in range(depth)}
    needed = {f"W{k}" for k in range(depth)}
    if not needed <= set(arrays) <= expected:
        raise ProblemError("network", f"has the arrays {sorted(arrays)}", "W0, b0, W1, b1, ... without a gap")
    layers: list[Layer] = []
    for k in range(depth):
        layers += [Dense(arrays[f"W{k}"], arrays.get(f"b{k}")), Activation("relu")]
    return tuple(layers[:-1])
