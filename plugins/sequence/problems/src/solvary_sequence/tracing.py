"""Arithmetic circuits: programs of additions and multiplications, and an array that counts what they do.

A `Program` is run on `Traced` arrays, which stand for encrypted ones. These know `+`, `-`, `*`, `@`, sums, and moves of
data (indexing, reshaping, transposing); anything else (a division, a power, a comparison, a maximum, `exp`, conversion
to NumPy) raises `NotArithmetic`. Depth and multiplications count products of two traced arrays; those with plain
numbers, which cost no level in the usual sense, do not count.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from solvary import Function, fields


class NotArithmetic(TypeError):
    """A program did something that is neither an addition nor a multiplication."""


class Counts:
    """What the traced arrays of one run have done together."""

    def __init__(self) -> None:
        self.multiplications = 0
        self.range_violations = 0
        self.ranges: dict[str, tuple[float, float]] = {}


class Traced:
    """An array that counts: `depth` is the longest chain of multiplications behind it."""

    __slots__ = ("counts", "data", "depth")
    __array_ufunc__ = None  # `array * traced` comes to `__rmul__`

    def __init__(self, data: np.ndarray, counts: Counts, depth: int = 0) -> None:
        self.data, self.counts, self.depth = data, counts, depth

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape, which is public."""
        return self.data.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.data.ndim

    @property
    def T(self) -> Traced:
        """The transposed array."""
        return self._moved(self.data.T)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: Any) -> Traced:
        return self._moved(self.data[index])

    def reshape(self, *shape: Any) -> Traced:
        """The entries in another shape."""
        return self._moved(self.data.reshape(*shape))

    def transpose(self, *axes: int) -> Traced:
        """The axes in another order."""
        return self._moved(self.data.transpose(*axes))

    def sum(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Traced:
        """Sums along axes."""
        return self._moved(np.asarray(self.data.sum(axis=axis, keepdims=keepdims)))

    def __add__(self, other: Any) -> Traced:
        return self._linear(other, np.add)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Traced:
        return self._linear(other, np.subtract)

    def __rsub__(self, other: Any) -> Traced:
        return (-self)._linear(other, np.add)

    def __neg__(self) -> Traced:
        return self._moved(-self.data)

    def __mul__(self, other: Any) -> Traced:
        plain, depth = self._operand(other)
        product = self.data * plain
        return self._product(product, other, depth, product.size)

    __rmul__ = __mul__

    def __matmul__(self, other: Any) -> Traced:
        plain, depth = self._operand(other)
        product = np.asarray(self.data @ plain)
        return self._product(product, other, depth, product.size * self.data.shape[-1])

    def __rmatmul__(self, other: Any) -> Traced:
        plain, _ = self._operand(other)
        return self._moved(np.asarray(plain @ self.data))

    def _operand(self, other: Any) -> tuple[Any, int]:
        if isinstance(other, Traced):
            return other.data, other.depth
        if isinstance(other, np.ndarray | np.generic | int | float):
            return other, 0
        raise NotArithmetic(f"a {type(other).__name__} is neither a number nor an array")

    def _linear(self, other: Any, operation: Callable[[Any, Any], Any]) -> Traced:
        plain, depth = self._operand(other)
        return Traced(np.asarray(operation(self.data, plain)), self.counts, max(self.depth, depth))

    def _product(self, product: np.ndarray, other: Any, depth: int, count: int) -> Traced:
        if not isinstance(other, Traced):
            return self._moved(product)
        self.counts.multiplications += count
        return Traced(product, self.counts, max(self.depth, depth) + 1)

    def _moved(self, data: np.ndarray) -> Traced:
        return Traced(data, self.counts, self.depth)

    def _refuse(self, what: str) -> NoReturn:
        raise NotArithmetic(f"uses {what}; a program has only + - * @ and sums")

    def __truediv__(self, other: Any) -> NoReturn:
        self._refuse("a division")

    __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __truediv__

    def __pow__(self, other: Any) -> NoReturn:
        self._refuse("a power (write products)")

    __rpow__ = __pow__

    def __abs__(self) -> NoReturn:
        self._refuse("an absolute value")

    def __bool__(self) -> NoReturn:
        self._refuse("a decision that depends on data")

    def __lt__(self, other: Any) -> NoReturn:
        self._refuse("a comparison")

    __le__ = __gt__ = __ge__ = __lt__

    def __eq__(self, other: object) -> NoReturn:
        self._refuse("a comparison")

    __ne__ = __eq__
    __hash__ = None  # type: ignore[assignment]

    def __float__(self) -> NoReturn:
        self._refuse("a conversion to a number")

    __int__ = __index__ = __complex__ = __float__

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        self._refuse("a conversion to a NumPy array")

    def __array_function__(self, function: Any, *args: Any, **kwargs: Any) -> NoReturn:
        self._refuse(f"numpy.{getattr(function, '__name__', function)}")

    def __getattr__(self, name: str) -> NoReturn:
        raise NotArithmetic(f"uses .{name}; a program has only + - * @ and sums")


def within(x: Any, low: float, high: float, name: str = "") -> Any:
    """`x` as it is; on a traced array, entries outside `[low, high]` are counted as range violations.

    A program says with it what range the polynomial that comes next was fitted on.
    """
    if isinstance(x, Traced):
        counts, data = x.counts, x.data
        counts.range_violations += int(data.size - np.count_nonzero((data >= low) & (data <= high)))
        if name and data.size:
            seen = counts.ranges.get(name, (math.inf, -math.inf))
            counts.ranges[name] = (min(seen[0], float(data.min())), max(seen[1], float(data.max())))
    return x


class Program:
    """A computation by additions and multiplications: `program(query, keys, values)` gives `(n, e)`.

    Args:
        factory: `"package.module:factory"` (the form that can be written to a file), or a live one. Called with the
            constants by name, it gives the function `(query, keys, values) -> (n, e)`.
        constants: numbers and arrays that are known when the program is made: ranges, coefficients, masks.
    """

    def __init__(self, factory: str | Callable[..., Any], constants: Mapping[str, Any] | None = None) -> None:
        self.constants = {name: fields.frozen(part) for name, part in (constants or {}).items()}
        self.factory = factory
        self._function: Callable[..., Any] | None = None
        if not callable(factory):
            self._made = Function(factory, self.constants, field="factory")

    def __call__(self, query: Any, keys: Sequence[Any], values: Sequence[Any]) -> Any:
        """Run it, on arrays or on traced ones."""
        if self._function is None:
            self._function = self.factory(**self.constants) if callable(self.factory) else self._made.live
        return self._function(query, keys, values)

    def __deepcopy__(self, memo: Any) -> Program:
        return self  # nothing in it changes

    def __reduce__(self) -> tuple[object, ...]:
        return Program, (self.factory, self.constants)

    def __repr__(self) -> str:
        return f"Program({self.factory!r}, constants={sorted(self.constants)})"

    def trace(self, query: np.ndarray, keys: Sequence[np.ndarray], values: Sequence[np.ndarray]) -> tuple[Any, Counts]:
        """The result, a `Traced` array, and what was counted. Raises `NotArithmetic`."""
        counts = Counts()

        def traced(array: np.ndarray) -> Traced:
            return Traced(np.asarray(array, dtype=np.float64), counts)

        result = self(traced(query), tuple(map(traced, keys)), tuple(map(traced, values)))
        return result, counts

    def to_arrays(self) -> dict[str, Any]:
        """The program in plain arrays and values, for a file. Raises TypeError where the factory is a live one."""
        if callable(self.factory):
            raise TypeError(f"{self.factory!r} is a live callable; only 'package.module:factory' can be written")
        return {"factory": self.factory, **{f"constant.{name}": part for name, part in self.constants.items()}}

    @classmethod
    def from_arrays(cls, stored: Mapping[str, Any]) -> Program:
        """The inverse of `to_arrays`."""
        prefix = "constant."
        constants = {name.removeprefix(prefix): part for name, part in stored.items() if name.startswith(prefix)}
        return cls(str(stored["factory"]), constants)
