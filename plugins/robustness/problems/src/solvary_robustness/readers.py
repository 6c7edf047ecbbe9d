"""Networks and regions from files: NPZ, ONNX, VNN-LIB."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from solvary import ProblemError
from solvary.files import read_arrays
from solvary_robustness.layers import spread_kernel
from solvary_robustness.network import (
    Activation,
    Conv2d,
    Dense,
    Flatten,
    Layer,
    Network,
    Residual,
)

if TYPE_CHECKING:
    from solvary_robustness.lipschitz import LipschitzBound


def read_network(path: str | os.PathLike[str]) -> Network:
    """A network from a file, by its suffix: NPZ (`W0, b0, W1, ...`, or the arrays of `Network.to_arrays`) or ONNX."""
    suffix = Path(path).suffix.lower()
    if suffix == ".onnx":
        return read_onnx(path)
    if suffix != ".npz":
        raise ProblemError("network", f"cannot read {Path(path).name!r}", "a file .npz or .onnx")
    return Network.from_arrays(_npz(path))


def write_network(network: Network, path: str | os.PathLike[str]) -> None:
    """The network's arrays as NPZ, which `read_network` takes."""
    from solvary.files import write_arrays

    write_arrays(path, network.to_arrays())


def _npz(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    try:
        return read_arrays(path)
    except (ValueError, OSError) as error:
        expected = "an NPZ file without objects"
        raise ProblemError("input", f"cannot read {Path(path).name!r}: {error}", expected) from error


def read_lipschitz_npz(cls: type[LipschitzBound], path: Path, **given: Any) -> LipschitzBound:
    """The fields as `write` leaves them, or a bare network of `W0, b0, ...` with the other fields `given`."""
    arrays = _npz(path)
    fields: dict[str, Any] = {}
    for name, value in arrays.items():
        field, slash, part = name.partition("/")
        if slash:
            fields.setdefault(field, {})[part] = value
        elif field == "norm":
            fields[field] = str(value)
        else:
            fields.setdefault("network", {})[field] = value
    return cls(**{**fields, **given})


def read_lipschitz_onnx(cls: type[LipschitzBound], path: Path, **given: Any) -> LipschitzBound:
    """A network from ONNX; the other fields are `given`."""
    return cls(**{"network": read_onnx(path), **given})


# --- VNN-LIB -------------------------------------------------------------------------------------------------------

_BOUND = re.compile(r"\(\s*assert\s+\(\s*(<=|>=)\s+(\S+)\s+([^\s()]+)\s*\)\s*\)")


def read_vnnlib_box(path: str | os.PathLike[str]) -> tuple[np.ndarray, np.ndarray]:
    """The box of inputs (lo, hi), vectors (d,), that a VNN-LIB file asserts of X_0, X_1, ...; outputs are not read.

    Raises:
        ProblemError: an input has no bound on one side, or inputs stand in disjunctions.
    """
    text = re.sub(r";[^\n]*", "", Path(path).read_text())
    declared = {int(k) for k in re.findall(r"\(\s*declare-(?:const|fun)\s+X_(\d+)\b", text)}
    if not declared or declared != set(range(len(declared))):
        raise ProblemError("region", f"{Path(path).name!r} declares the inputs {sorted(declared)[:5]}", "X_0, X_1, ...")
    lo, hi = np.full(len(declared), -np.inf), np.full(len(declared), np.inf)
    for relation, left, right in _BOUND.findall(text):
        if left.startswith("X_") == right.startswith("X_"):
            continue
        if right.startswith("X_"):
            left, right, relation = right, left, {"<=": ">=", ">=": "<="}[relation]
        k, value = int(left.removeprefix("X_")), float(right)
        if k not in declared:
            raise ProblemError(
                "region", f"{Path(path).name!r} bounds X_{k}, which it does not declare", "declared inputs"
            )
        if relation == "<=":
            hi[k] = min(hi[k], value)
        else:
            lo[k] = max(lo[k], value)
    loose = ~(np.isfinite(lo) & np.isfinite(hi))
    if loose.any():
        words = f"{Path(path).name!r} asserts no two-sided bound of X_{int(np.argmax(loose))} by itself"
        raise ProblemError("region", words, "one box of inputs (no disjunction over inputs)")
    return lo, hi


def region_and_box(lo: np.ndarray, hi: np.ndarray) -> tuple[tuple[np.ndarray, float], tuple[np.ndarray, np.ndarray]]:
    """The fields `region` and `box` of a problem whose domain is the box [lo, hi]."""
    center = 0.5 * (lo + hi)
    # The ball must not cut the box by a rounding.
    eps = float(max((hi - center).max(), (center - lo).max())) * (1.0 + 1e-12)
    return (center, eps), (lo, hi)


# --- ONNX ----------------------------------------------------------------------------------------------------------


def read_onnx(path: str | os.PathLike[str]) -> Network:
    """A network from ONNX, in float64; needs the library `onnx` (extra "onnx").

    Operators: Gemm, MatMul, Add and Sub (of a constant, or the addition of a residual block), Relu, LeakyRelu, Conv,
    Flatten, Reshape to vectors, Identity, Dropout, Constant.

    Raises:
        ProblemError: another operator, or a graph that is no chain with residual additions; the node is named.
    """
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError as error:
        raise ProblemError(
            "network", "cannot be read: the library onnx is not installed", "solvary-robustness[onnx]"
        ) from error
    try:
        graph = onnx.load(os.fspath(path)).graph
    except Exception as error:  # the library raises what its parser raises
        raise ProblemError(
            "network", f"cannot read {Path(path).name!r}: {type(error).__name__}", "an ONNX file"
        ) from error
    constants = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    inputs = [item for item in graph.input if item.name not in constants]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise ProblemError("network", f"has {len(inputs)} inputs and {len(graph.output)} outputs", "one of each")
    shape = tuple(dimension.dim_value for dimension in inputs[0].type.tensor_type.shape.dim)[1:]
    read = _Graph(graph.node, constants, inputs[0].name, shape)
    return Network(read.layers_between(inputs[0].name, graph.output[0].name))


class _Graph:
    """An ONNX graph read backwards from its output: a chain of nodes, with residual additions."""

    def __init__(self, nodes: Any, constants: dict[str, np.ndarray], source: str, shape: tuple[int, ...]) -> None:
        from onnx import helper, numpy_helper

        self.constants = dict(constants)
        self.attributes: dict[str, dict[str, Any]] = {}
        self.producer: dict[str, Any] = {}
        for node in nodes:
            values = {item.name: helper.get_attribute_value(item) for item in node.attribute}
            if node.op_type == "Constant":
                self.constants[node.output[0]] = numpy_helper.to_array(values["value"])
                continue
            self.attributes[node.output[0]] = values
            self.producer[node.output[0]] = node
        #: shape of one value (no batch axis) where it is known
        self.shapes: dict[str, tuple[int, ...]] = {source: shape} if shape else {}

    def layers_between(self, start: str, end: str) -> list[Layer]:
        """The layers that map the value `start` to the value `end`."""
        found: list[Layer] = []
        for item in reversed(self._path(start, end)):
            found += self._layers(item)
        return _folded(found)

    def _path(self, start: str, end: str) -> list[Any]:
        """Nodes from `end` back to `start`; a residual addition stands for its block, as its two ends."""
        path: list[Any] = []
        while end != start:
            node = self.producer.get(end)
            if node is None:
                raise ProblemError("network", f"the value {end!r} does not come from the input", "one chain of layers")
            varying = [name for name in node.input if name and name not in self.constants]
            if node.op_type == "Add" and len(varying) == 2:
                trunk = self._trunk(varying)
                path.append(_Addition(node, trunk, varying[1] if trunk == varying[0] else varying[0]))
                end = trunk
            elif len(varying) == 1:
                path.append(node)
                end = varying[0]
            else:
                raise ProblemError(
                    "network", f"{_name(node)} takes {len(varying)} values", "one value, or a residual sum"
                )
        return path

    def _trunk(self, values: list[str]) -> str:
        """Which of two values the other one is computed from."""
        for trunk, branch in (values, values[::-1]):
            if trunk == branch or trunk in self._ancestors(branch):
                return trunk
        raise ProblemError("network", f"the sum of {values} is of two branches", "an addition x + layers(x)")

    def _ancestors(self, value: str) -> set[str]:
        found: set[str] = set()
        open_values = [value]
        while open_values:
            node = self.producer.get(open_values.pop())
            for name in node.input if node is not None else ():
                if name not in found and name not in self.constants:
                    found.add(name)
                    open_values.append(name)
        return found

    def _layers(self, node: Any) -> list[Layer]:
        """The layers of one node, whose input's shape is known as far as it can be."""
        if isinstance(node, _Addition):
            shape = self.shapes.get(node.trunk)
            layers = self.layers_between(node.trunk, node.branch)
            if shape is not None:
                self.shapes[node.node.output[0]] = shape
            return [Residual(layers or [Activation("identity")])]
        attributes = self.attributes[node.output[0]]
        value = next(name for name in node.input if name and name not in self.constants)
        given = self.shapes.get(value)
        layers, shape = self._converted(node, value, attributes, given)
        if shape is not None:
            self.shapes[node.output[0]] = shape
        return layers

    def _converted(
        self, node: Any, value: str, attributes: Mapping[str, Any], shape: tuple[int, ...] | None
    ) -> tuple[list[Layer], tuple[int, ...] | None]:
        constants = [
            np.asarray(self.constants[name], dtype=np.float64) for name in node.input if name in self.constants
        ]
        flat = None if shape is None or not all(shape) else (int(np.prod(shape)),)
        match node.op_type:
            case "Relu":
                return [Activation("relu")], shape
            case "LeakyRelu":
                return [Activation("leaky", float(attributes.get("alpha", 0.01)))], shape
            case "Identity" | "Dropout":
                return [], shape
            case "Flatten" if attributes.get("axis", 1) == 1:
                return [Flatten()], flat
            case "Reshape" if constants and len(np.ravel(constants[0])) == 2:
                return [Flatten()], flat
            case "Gemm" if value == node.input[0] and not attributes.get("transA", 0):
                dense = _gemm(constants, attributes)
                return [dense], (dense.weight.shape[0],)
            case "MatMul" if value == node.input[0] and constants[0].ndim == 2:
                return [Dense(constants[0].T)], (constants[0].shape[1],)
            case "Add" | "Sub":
                return [_shift(node, value, constants[0], shape)], shape
            case "Conv":
                conv = _convolution(node, constants, attributes, shape)
                return [conv], conv.output_shape
        known = "Gemm, MatMul, Add, Sub, Relu, LeakyRelu, Conv, Flatten, Reshape to vectors, Identity, Dropout"
        raise ProblemError("network", f"{_name(node)} is not supported here", known)


class _Addition:
    """A residual sum `trunk + branch`, where the branch is computed from the trunk."""

    def __init__(self, node: Any, trunk: str, branch: str) -> None:
        self.node, self.trunk, self.branch = node, trunk, branch


def _name(node: Any) -> str:
    return f"node {node.name or node.output[0]!r} ({node.op_type})"


def _gemm(constants: list[np.ndarray], attributes: Mapping[str, Any]) -> Dense:
    weight = constants[0] if attributes.get("transB", 0) else constants[0].T
    bias = constants[1].ravel() if len(constants) > 1 else np.zeros(weight.shape[0])
    alpha, beta = float(attributes.get("alpha", 1.0)), float(attributes.get("beta", 1.0))
    return Dense(alpha * weight, beta * np.broadcast_to(bias, weight.shape[0]))


def _folded(layers: list[Layer]) -> list[Layer]:
    """Additions of a constant folded into the `Dense` layer before them, or after them."""
    found: list[Layer] = []
    for layer in layers:
        last = found[-1] if found else None
        if isinstance(layer, Dense) and isinstance(last, Dense) and _is_shift(layer):
            found[-1] = Dense(last.weight, last.bias + layer.bias)
        elif isinstance(layer, Dense) and isinstance(last, Dense) and _is_shift(last):
            found[-1] = Dense(layer.weight, layer.bias + layer.weight @ last.bias)
        else:
            found.append(layer)
    return found


def _is_shift(layer: Dense) -> bool:
    """Whether it is an addition of a constant, as `_shift` makes it."""
    weight = layer.weight
    return not isinstance(weight, np.ndarray) and weight.nnz == weight.shape[0] and bool((weight.diagonal() == 1).all())


def _shift(node: Any, value: str, constant: np.ndarray, shape: tuple[int, ...] | None) -> Dense:
    """The addition of a constant, or a subtraction, as a diagonal layer."""
    from scipy.sparse import diags_array

    own = shape if shape is not None and all(shape) else constant.shape[-1:]
    entries = constant[0] if constant.ndim == len(own) + 1 and constant.shape[0] == 1 else constant
    try:
        offset = np.ravel(np.broadcast_to(entries, own))
    except ValueError:
        raise ProblemError(
            "network", f"{_name(node)} adds shape {constant.shape} to {own}", "shapes that fit"
        ) from None
    sign, shift = 1.0, 1.0
    if node.op_type == "Sub":
        sign, shift = (1.0, -1.0) if value == node.input[0] else (-1.0, 1.0)
    return Dense(diags_array(np.full(offset.size, sign), format="csr"), shift * offset)


def _convolution(
    node: Any, constants: list[np.ndarray], attributes: Mapping[str, Any], shape: tuple[int, ...] | None
) -> Conv2d:
    if shape is None or len(shape) != 3 or not all(shape):
        raise ProblemError(
            "network", f"{_name(node)} has an input of shape {shape}", "a known (channels, height, width)"
        )
    pads = list(attributes.get("pads", (0, 0, 0, 0)))
    if pads[:2] != pads[2:] or attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        words = f"{_name(node)} pads by {pads} ({attributes.get('auto_pad', b'')!r})"
        raise ProblemError("network", words, "the same padding on opposite sides, given by numbers")
    kernel = spread_kernel(constants[0], int(attributes.get("group", 1)), attributes.get("dilations", (1, 1)))
    bias = constants[1] if len(constants) > 1 else None
    return Conv2d(kernel, bias, list(attributes.get("strides", (1, 1))), pads[:2], input_shape=shape)
