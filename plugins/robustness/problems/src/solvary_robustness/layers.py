"""The layers of a network: what each computes, its derivative, its norm, and what widths it takes.

Layers are values: their arrays are read-only copies in float64. All of them act on the last axis of an array,
so one call serves a vector, a batch, or a batch of several cotangents a point. Images are flat vectors in
the order channel, row, column.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import attrs
import numpy as np
from scipy.sparse import csr_array

from solvary import ProblemError, fields

Norm = Literal["l2", "linf"]
#: largest deviation of a Householder vector's norm from one
UNIT = 1e-9
#: a sparse matrix with at most this many rows or columns gets its spectral norm from its dense Gram matrix
_GRAM = 2000


def _refuse(wrong: str, expected: str = "") -> ProblemError:
    return ProblemError("network", wrong, expected)


def _constant(name: str, value: Any, axes: int) -> np.ndarray:
    """A read-only copy in float64, checked."""
    try:
        given = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise _refuse(f"{name} is not an array ({error})", f"an array with {axes} axes") from None
    if given.dtype.kind not in "biuf" or given.ndim != axes:
        raise _refuse(f"{name} is an array of {given.dtype} of shape {given.shape}", f"real numbers with {axes} axes")
    if given.size == 0:
        raise _refuse(f"{name} has shape {given.shape}: a layer of width 0", "at least one row and one column")
    if not np.isfinite(given).all():
        raise _refuse(f"{name} has entries that are not finite", "finite numbers")
    return fields.read_only(np.array(given, dtype=np.float64, order="C"))


def _weight(value: Any) -> Any:
    """A dense matrix, or a sparse one, which stays sparse."""
    if not fields.is_compressed(value):
        return _constant("Dense.weight", value, 2)
    matrix = csr_array(value, dtype=np.float64, copy=True)
    if 0 in matrix.shape:
        raise _refuse(f"Dense.weight has shape {matrix.shape}: a layer of width 0", "at least one row and one column")
    if not np.isfinite(matrix.data).all():
        raise _refuse("Dense.weight has entries that are not finite", "finite numbers")
    matrix.sum_duplicates()
    return fields.frozen(matrix)


def _bias(value: Any) -> Any:
    """A vector; None is kept, and stands for zeros."""
    return None if value is None else _constant("bias", value, 1)


def _vectors(value: Any) -> np.ndarray:
    return _constant("Householder.vectors", value, 2)


def _kernel(value: Any) -> np.ndarray:
    return _constant("Conv2d.weight", value, 4)


def _number(value: Any) -> float:
    entry = np.asarray(value)
    if entry.size != 1 or entry.dtype.kind not in "iuf" or not np.isfinite(entry).all():
        raise _refuse(f"Activation.slope is {value!r}", "a finite number")
    return float(entry.item())


def _size(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer | np.ndarray) or np.size(value) != 1:
        raise _refuse(f"GroupSort.size is {value!r}", "an integer of at least 1")
    number = int(np.asarray(value).item())
    if number < 1 or number != np.asarray(value).item():
        raise _refuse(f"GroupSort.size is {value!r}", "an integer of at least 1")
    return number


def operator_norm(matrix: Any, norm: Norm) -> float:
    """Largest singular value ("l2") or largest absolute row sum ("linf") of a dense or sparse matrix."""
    if norm == "linf":
        return float(np.asarray(abs(matrix).sum(axis=1)).max())
    if not fields.is_compressed(matrix):
        scale = float(np.abs(matrix).max())
        return scale * float(np.linalg.norm(matrix / scale, 2)) if scale > 0 else 0.0
    if matrix.nnz == 0 or not np.any(matrix.data):
        return 0.0
    rows, columns = matrix.shape
    if min(rows, columns) <= _GRAM:
        gram = (matrix @ matrix.T if rows <= columns else matrix.T @ matrix).toarray()
        return float(np.sqrt(max(np.linalg.eigvalsh(gram)[-1], 0.0)))
    from scipy.sparse.linalg import svds

    start = np.random.default_rng(0).standard_normal(min(rows, columns))
    return float(svds(matrix, k=1, v0=start, tol=0, return_singular_vectors=False)[0])


@attrs.frozen(eq=False)
class Dense:
    """`W x + b` with `weight` (o, i), dense or a SciPy sparse matrix, and `bias` (o,), zero when not given."""

    weight: Any = attrs.field(converter=_weight)
    bias: np.ndarray = attrs.field(default=None, converter=_bias)

    def __attrs_post_init__(self) -> None:
        rows = self.weight.shape[0]
        bias = _bias(np.zeros(rows)) if self.bias is None else self.bias
        if len(bias) != rows:
            raise _refuse(f"Dense.bias has {len(bias)} entries", f"one for each of the {rows} rows of the weight")
        object.__setattr__(self, "bias", bias)

    @property
    def expects(self) -> int | None:
        """The width that the layer takes; None for any."""
        return int(self.weight.shape[1])

    def width(self, given: int) -> int:
        """Width of the output."""
        return int(self.weight.shape[0])

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Values (..., o) at inputs (..., i)."""
        values: np.ndarray = self._times(x, self.weight.T) + self.bias
        return values

    def backward(self, x: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
        """`J^T cotangent`, (..., i), at the inputs `x` (..., i)."""
        return self._times(cotangent, self.weight)

    def _times(self, rows: np.ndarray, matrix: Any) -> np.ndarray:
        flat = rows.reshape(-1, rows.shape[-1])
        return np.asarray(flat @ matrix).reshape(*rows.shape[:-1], matrix.shape[1])

    def lipschitz(self, norm: Norm) -> float:
        """The Lipschitz constant in this norm."""
        return operator_norm(self.weight, norm)


def _kind(value: Any) -> str:
    word = str(np.asarray(value))
    if word not in ("relu", "leaky", "identity"):
        raise _refuse(f"Activation.kind is {word!r}", "one of 'relu', 'leaky', 'identity'")
    return word


@attrs.frozen(eq=False)
class Activation:
    """An entrywise activation: `x` where `x > 0`, else `slope x` ("leaky"), 0 ("relu") or `x` ("identity")."""

    kind: str = attrs.field(converter=_kind)
    slope: float = attrs.field(default=0.01, converter=_number)

    @property
    def expects(self) -> int | None:
        """The width that the layer takes; None for any."""
        return None

    @property
    def negative_slope(self) -> float:
        """The derivative left of zero."""
        return {"relu": 0.0, "leaky": self.slope, "identity": 1.0}[self.kind]

    def width(self, given: int) -> int:
        """Width of the output."""
        return given

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Values (..., i) at inputs (..., i)."""
        return np.where(x > 0, x, self.negative_slope * x)

    def backward(self, x: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
        """`J^T cotangent`, (..., i), at the inputs `x` (..., i); at zero the derivative from the left."""
        pulled: np.ndarray = np.where(x > 0, 1.0, self.negative_slope) * cotangent
        return pulled

    def lipschitz(self, norm: Norm) -> float:
        """The Lipschitz constant in this norm."""
        return max(1.0, abs(self.negative_slope))


@attrs.frozen(eq=False)
class GroupSort:
    """Sorts each group of `size` neighbouring entries in descending order."""

    size: int = attrs.field(converter=_size)

    @property
    def expects(self) -> int | None:
        """The width that the layer takes; None for any that the group size divides."""
        return None

    def width(self, given: int) -> int:
        """Width of the output; refuses one that the group size does not divide."""
        if given % self.size:
            raise _refuse(f"the group size {self.size} does not divide the width {given}", "whole groups")
        return given

    def order(self, x: np.ndarray) -> np.ndarray:
        """Which entry of each group comes first, second, ...: (..., groups, size); of equal ones the earlier first."""
        return np.argsort(-self._grouped(x), axis=-1, kind="stable")

    def _grouped(self, x: np.ndarray) -> np.ndarray:
        return x.reshape(*x.shape[:-1], -1, self.size)

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Values (..., i) at inputs (..., i)."""
        return np.sort(self._grouped(x), axis=-1)[..., ::-1].reshape(x.shape)

    def backward(self, x: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
        """`J^T cotangent`, (..., i), at the inputs `x` (..., i): the inverse permutation."""
        inverse = np.argsort(self.order(x), axis=-1)
        return np.take_along_axis(self._grouped(cotangent), inverse, axis=-1).reshape(cotangent.shape)

    def lipschitz(self, norm: Norm) -> float:
        """The Lipschitz constant in this norm: order statistics are 1-Lipschitz."""
        return 1.0


def MaxMin() -> GroupSort:
    """Larger and smaller entry of each pair: `GroupSort(2)`."""
    return GroupSort(2)


@attrs.frozen(eq=False)
class Householder:
    """Reflects each group `x` of entries with `v^T x <= 0`: `x - 2 v v^T x`, else `x`.

    `vectors` (groups, size) are unit. Source: Singla, Singla and Feizi, "Improved deterministic l2 robustness on
    CIFAR-10 and CIFAR-100" (2022), Definition 1.
    """

    vectors: np.ndarray = attrs.field(converter=_vectors)

    def __attrs_post_init__(self) -> None:
        norms = np.linalg.norm(self.vectors, axis=1)
        worst = int(np.argmax(np.abs(norms - 1.0)))
        if abs(norms[worst] - 1.0) > UNIT:
            raise _refuse(f"Householder.vectors[{worst}] has norm {norms[worst]}", f"unit vectors (to {UNIT})")

    @property
    def expects(self) -> int | None:
        """The width that the layer takes."""
        return int(self.vectors.size)

    def width(self, given: int) -> int:
        """Width of the output."""
        return given

    def _reflected(self, groups: np.ndarray, mask: np.ndarray) -> np.ndarray:
        along = np.einsum("...gs,gs->...g", groups, self.vectors)
        reflected: np.ndarray = groups - 2.0 * (mask * along)[..., None] * self.vectors
        return reflected

    def _grouped(self, x: np.ndarray) -> np.ndarray:
        return x.reshape(*x.shape[:-1], *self.vectors.shape)

    def reflects(self, x: np.ndarray) -> np.ndarray:
        """Which groups are reflected, (..., groups)."""
        mask: np.ndarray = np.einsum("...gs,gs->...g", self._grouped(x), self.vectors) <= 0
        return mask

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Values (..., i) at inputs (..., i)."""
        return self._reflected(self._grouped(x), self.reflects(x)).reshape(x.shape)

    def backward(self, x: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
        """`J^T cotangent`, (..., i), at the inputs `x` (..., i); reflections are symmetric."""
        return self._reflected(self._grouped(cotangent), self.reflects(x)).reshape(cotangent.shape)

    def lipschitz(self, norm: Norm) -> float:
        """The Lipschitz constant in this norm."""
        if norm == "l2":
            return 1.0
        outer = self.vectors[:, :, None] * self.vectors[:, None, :]
        rows = np.abs(np.eye(self.vectors.shape[1]) - 2.0 * outer).sum(axis=2)
        return max(1.0, float(rows.max()))


@attrs.frozen(eq=False)
class Flatten:
    """Marks where an image becomes a vector; networks here act on vectors throughout, so nothing changes."""

    @property
    def expects(self) -> int | None:
        """The width that the layer takes; None for any."""
        return None

    def width(self, given: int) -> int:
        """Width of the output."""
        return given

    def forward(self, x: np.ndarray) -> np.ndarray:
        """The input."""
        return x

    def backward(self, x: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
        """The cotangent."""
        return cotangent

    def lipschitz(self, norm: Norm) -> float:
        """The Lipschitz constant in this norm."""
        return 1.0


def _pair(name: str, value: Any, least: int) -> tuple[int, int]:
    entries = np.asarray(value)
    pair = np.broadcast_to(entries, 2) if entries.ndim == 0 else entries
    if pair.shape != (2,) or pair.dtype.kind not in "iu" or (pair < least).any():
        raise _refuse(f"{name} is {value!r}", f"an integer of at least {least}, or two of them")
    return int(pair[0]), int(pair[1])


def _stride(value: Any) -> tuple[int, int]:
    return _pair("Conv2d.stride", value, 1)


def _padding(value: Any) -> tuple[int, int]:
    return _pair("Conv2d.padding", value, 0)


def _shape(value: Any) -> tuple[int, int, int]:
    entries = np.asarray(value)
    if entries.shape != (3,) or entries.dtype.kind not in "iu" or (entries < 1).any():
        raise _refuse(f"Conv2d.input_shape is {value!r}", "(channels, height, width)")
    return int(entries[0]), int(entries[1]), int(entries[2])


@attrs.frozen(eq=False)
class Conv2d:
    """A convolution (cross-correlation, as in torch) of flat images of `input_shape` (channels, height, width).

    `weight` (out, in, kernel height, kernel width), `bias` (out,); `stride` and zero `padding` are pairs or
    one integer.
    """

    weight: np.ndarray = attrs.field(converter=_kernel)
    bias: np.ndarray = attrs.field(default=None, converter=_bias)
    stride: tuple[int, int] = attrs.field(default=(1, 1), converter=_stride)
    padding: tuple[int, int] = attrs.field(default=(0, 0), converter=_padding)
    input_shape: tuple[int, int, int] = attrs.field(kw_only=True, converter=_shape)
    _dense: Dense = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        out, channels, *kernel = self.weight.shape
        bias = _bias(np.zeros(out)) if self.bias is None else self.bias
        if len(bias) != out:
            raise _refuse(f"Conv2d.bias has {len(bias)} entries", f"one for each of the {out} output channels")
        if self.input_shape[0] != channels:
            raise _refuse(
                f"Conv2d.weight takes {channels} channels and input_shape is {self.input_shape}",
                "one number of channels",
            )
        object.__setattr__(self, "bias", bias)
        if min(self.output_shape) < 1:
            raise _refuse(
                f"a kernel of {tuple(kernel)} does not fit into {self.input_shape} padded by {self.padding}",
                "an output of at least 1 x 1",
            )
        object.__setattr__(self, "_dense", self._lower())

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the output."""
        height, width = (
            (length + 2 * pad - kernel) // step + 1
            for length, pad, kernel, step in zip(
                self.input_shape[1:], self.padding, self.weight.shape[2:], self.stride, strict=True
            )
        )
        return self.weight.shape[0], height, width

    @property
    def expects(self) -> int | None:
        """The width that the layer takes."""
        return int(np.prod(self.input_shape))

    def width(self, given: int) -> int:
        """Width of the output."""
        return int(np.prod(self.output_shape))

    def lowered(self) -> Dense:
        """The same map of flat images as a `Dense` layer with a sparse weight."""
        return self._dense

    def _lower(self) -> Dense:
        channels, height, width = self.input_shape
        out, rows, columns = self.output_shape
        # One array axis for each of: output channel, row, column; input channel, kernel row, kernel column.
        o, r, c, i, p, q = np.ogrid[:out, :rows, :columns, :channels, : self.weight.shape[2], : self.weight.shape[3]]
        y = r * self.stride[0] + p - self.padding[0]
        x = c * self.stride[1] + q - self.padding[1]
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        shape = np.broadcast_shapes(o.shape, r.shape, c.shape, i.shape, p.shape, q.shape)
        keep = np.broadcast_to(inside, shape)
        row = np.broadcast_to((o * rows + r) * columns + c, shape)[keep]
        column = np.broadcast_to((i * height + y) * width + x, shape)[keep]
        entries = np.broadcast_to(self.weight[:, None, None], shape)[keep]
        matrix = csr_array((entries, (row, column)), shape=(out * rows * columns, channels * height * width))
        return Dense(matrix, np.repeat(self.bias, rows * columns))

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Values (..., o) at inputs (..., i)."""
        return self._dense.forward(x)

    def backward(self, x: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
        """`J^T cotangent`, (..., i), at the inputs `x` (..., i)."""
        return self._dense.backward(x, cotangent)

    def lipschitz(self, norm: Norm) -> float:
        """The Lipschitz constant in this norm."""
        return self._dense.lipschitz(norm)


def spread_kernel(weight: np.ndarray, groups: int, dilation: Sequence[int]) -> np.ndarray:
    """The kernel of a plain convolution that does the same: zeros between groups of channels and dilated entries."""
    out, channels, height, width = weight.shape
    full = np.zeros((out, channels * groups, (height - 1) * dilation[0] + 1, (width - 1) * dilation[1] + 1))
    each = out // groups
    for group in range(groups):
        rows, columns = slice(group * each, (group + 1) * each), slice(group * channels, (group + 1) * channels)
        full[rows, columns, :: dilation[0], :: dilation[1]] = weight[rows]
    return full


def as_layers(value: Iterable[Any]) -> tuple[Any, ...]:
    """Layers as a tuple."""
    try:
        return tuple(value)
    except TypeError:
        raise _refuse(f"has a {type(value).__name__} for its layers", "a sequence of layers") from None


@attrs.frozen(eq=False)
class Residual:
    """`x + layers(x)`: the layers end with the width that they begin with."""

    layers: tuple[Any, ...] = attrs.field(converter=as_layers)

    def __attrs_post_init__(self) -> None:
        if not self.layers:
            raise _refuse("Residual has no layers", "at least one layer")
        reject_strangers(self.layers)

    @property
    def expects(self) -> int | None:
        """The width that the layer takes; None for any."""
        return first_width(self.layers)

    def width(self, given: int) -> int:
        """Width of the output; refuses layers that do not come back to the width given."""
        found = chained(self.layers, given)
        if found != given:
            raise _refuse(f"its layers map width {given} to {found}", "layers that end with the width they begin with")
        return given

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Values (..., i) at inputs (..., i)."""
        y = x
        for layer in self.layers:
            y = layer.forward(y)
        values: np.ndarray = x + y
        return values

    def backward(self, x: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
        """`J^T cotangent`, (..., i), at the inputs `x` (..., i)."""
        through: np.ndarray = cotangent + pulled(self.layers, inputs_of(self.layers, x), cotangent)
        return through

    def lipschitz(self, norm: Norm) -> float:
        """A bound of the Lipschitz constant in this norm: one and the product over the layers."""
        return 1.0 + float(np.prod([layer.lipschitz(norm) for layer in self.layers]))


Layer = Dense | Activation | GroupSort | Householder | Flatten | Conv2d | Residual
KINDS: tuple[type, ...] = (Dense, Activation, GroupSort, Householder, Flatten, Conv2d, Residual)


def reject_strangers(layers: tuple[Any, ...]) -> None:
    """Refuses anything that is not a layer, by position and class."""
    for position, layer in enumerate(layers):
        if not isinstance(layer, KINDS):
            known = ", ".join(kind.__name__ for kind in KINDS)
            raise _refuse(f"layer {position} is a {type(layer).__name__}", f"one of {known}")


def first_width(layers: tuple[Layer, ...]) -> int | None:
    """The input width that the first layer with a width of its own fixes (those before it keep widths)."""
    return next((layer.expects for layer in layers if layer.expects is not None), None)


def chained(layers: tuple[Layer, ...], width: int) -> int:
    """The width after all layers; refuses, by position and class, a layer that does not fit."""
    for position, layer in enumerate(layers):
        try:
            if layer.expects not in (None, width):
                raise _refuse(f"takes width {layer.expects}", f"width {width}, which comes out before it")
            width = layer.width(width)
        except ProblemError as error:
            words = f"layer {position} ({type(layer).__name__}): {error.problem}"
            raise _refuse(words, error.expected) from None
    return width


def inputs_of(layers: tuple[Layer, ...], x: np.ndarray) -> list[np.ndarray]:
    """What goes into each layer, and last what comes out."""
    found = [x]
    for layer in layers:
        found.append(layer.forward(found[-1]))
    return found


def pulled(layers: tuple[Layer, ...], inputs: list[np.ndarray], cotangent: np.ndarray) -> np.ndarray:
    """The cotangent pulled back through all layers, with the `inputs_of` them."""
    for layer, x in zip(reversed(layers), reversed(inputs[:-1]), strict=True):
        cotangent = layer.backward(x, cotangent)
    return cotangent
