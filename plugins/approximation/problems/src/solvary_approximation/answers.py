"""What replaces a function: a straight-line program, a cubic spline, or a shallow network; all callable and fixed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
import numpy as np

from solvary.errors import AnswerError

#: operation -> number of operands
OPERATIONS: dict[str, int] = {"add": 2, "sub": 2, "mul": 2, "div": 2, "fma": 3}
Instruction = tuple[str, int, int] | tuple[str, int, int, int]

#: name -> phi of a ridge network
ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "cos": np.cos,
    "sin": np.sin,
    "tanh": np.tanh,
    "relu": lambda t: np.maximum(t, 0.0),
    "step": lambda t: (t >= 0.0).astype(t.dtype),
    "gaussian": lambda t: np.exp(-0.5 * t * t),
    "softplus": lambda t: np.logaddexp(0.0, t),
}
#: entries of the feature matrix of a ridge network that exist at one time
_BLOCK = 1 << 22


def _reals(value: Any, name: str, ndim: int) -> np.ndarray:
    """A fixed float64 array of the dimension, or an `AnswerError`."""
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise AnswerError(name, f"is no array of real numbers ({error})", f"{ndim} axes") from None
    if array.ndim != ndim or not np.isfinite(array).all():
        raise AnswerError(name, f"has shape {array.shape} or entries that are not finite", f"{ndim} axes, finite")
    array.flags.writeable = False
    return array


def _vector(value: Any, field: attrs.Attribute[Any]) -> np.ndarray:
    return _reals(value, field.name, 1)


def _table(value: Any, field: attrs.Attribute[Any]) -> np.ndarray:
    return _reals(value, field.name, 2)


def _code(value: Any) -> tuple[Instruction, ...]:
    return tuple((str(line[0]), *map(int, line[1:])) for line in value)  # type: ignore[misc]


@attrs.frozen(eq=False)
class Program:
    """A straight-line program of one input.

    Value 0 is x, values 1..c are the constants, value c + 1 + i is the result of instruction i; the last value is
    the output. `Program((("mul", 0, 0), ("add", 2, 1)), [1.0])` is x^2 + 1.
    """

    code: tuple[Instruction, ...] = attrs.field(converter=_code)
    constants: np.ndarray = attrs.field(
        default=(),
        converter=attrs.Converter(_vector, takes_field=True),  # type: ignore[misc]
    )

    def __attrs_post_init__(self) -> None:
        for i, (name, *sources) in enumerate(self.code):
            if name not in OPERATIONS:
                raise AnswerError(f"code[{i}]", f"is {name!r}", f"one of {sorted(OPERATIONS)}")
            known = 1 + self.constants.size + i
            if len(sources) != OPERATIONS[name] or not all(0 <= source < known for source in sources):
                raise AnswerError(f"code[{i}]", f"reads {sources}", f"{OPERATIONS[name]} values below {known}")

    @property
    def operations(self) -> int:
        """Instructions as written; `simplify.cost` counts what is needed."""
        return len(self.code)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """The values at x (N,), in the precision of x: float32 in, every step in float32."""
        x = np.asarray(x)
        kind = x.dtype if x.dtype == np.float32 else np.dtype(np.float64)
        values: list[Any] = [x.astype(kind), *self.constants.astype(kind)]
        with np.errstate(all="ignore"):
            for name, *sources in self.code:
                values.append(apply(name, *(values[source] for source in sources)))
        return np.broadcast_to(values[-1], x.shape).astype(kind)


def apply(name: str, *operands: Any) -> Any:
    """One operation on numbers, arrays or anything with arithmetic (mpmath's numbers, say).

    fma is a b + c; in float32 it is rounded once, as the instruction is (the product is exact in float64).
    """
    first, second = operands[0], operands[1]
    if name == "add":
        return first + second
    if name == "sub":
        return first - second
    if name == "mul":
        return first * second
    if name == "div":
        return first / second
    if getattr(first, "dtype", None) == np.float32:
        return (np.float64(first) * second + operands[2]).astype(np.float32)
    return first * second + operands[2]


@attrs.frozen(eq=False)
class Spline:
    """A piecewise cubic: on [t_k, t_k+1] sum_m coefficients[m, k] (x - t_k)^(3 - m), as `scipy.interpolate.PPoly`."""

    knots: np.ndarray = attrs.field(converter=attrs.Converter(_vector, takes_field=True))  # type: ignore[misc]
    coefficients: np.ndarray = attrs.field(converter=attrs.Converter(_table, takes_field=True))  # type: ignore[misc]

    def __attrs_post_init__(self) -> None:
        if self.knots.size < 2 or not (np.diff(self.knots) > 0).all():
            raise AnswerError("knots", f"are {self.knots.size} or do not increase", "at least two increasing numbers")
        if self.coefficients.shape != (4, self.knots.size - 1):
            expected = f"shape (4, {self.knots.size - 1})"
            raise AnswerError("coefficients", f"have shape {self.coefficients.shape}", expected)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """The values at x (N,); the end pieces go on outside the knots."""
        x = np.asarray(x, dtype=np.float64)
        piece = np.clip(np.searchsorted(self.knots, x, side="right") - 1, 0, self.knots.size - 2)
        t = x - self.knots[piece]
        a, b, c, d = (row[piece] for row in self.coefficients)
        return np.asarray(((a * t + b) * t + c) * t + d)


def not_a_knot(x: np.ndarray, y: np.ndarray) -> Spline:
    """The cubic not-a-knot spline through (x, y), both (K,), in O(K) (SciPy's banded solve)."""
    from scipy.interpolate import CubicSpline

    return Spline(x, CubicSpline(x, y, bc_type="not-a-knot").c)


@attrs.frozen(eq=False)
class RidgeNetwork:
    """x -> sum_i c_i phi(a_i . x - b_i) with a (n, dimension), b and c (n,)."""

    a: np.ndarray = attrs.field(converter=attrs.Converter(_table, takes_field=True))  # type: ignore[misc]
    b: np.ndarray = attrs.field(converter=attrs.Converter(_vector, takes_field=True))  # type: ignore[misc]
    c: np.ndarray = attrs.field(converter=attrs.Converter(_vector, takes_field=True))  # type: ignore[misc]
    activation: str = attrs.field(default="cos")

    def __attrs_post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
            raise AnswerError("activation", f"is {self.activation!r}", f"one of {sorted(ACTIVATIONS)}")
        for name in ("b", "c"):
            if getattr(self, name).size != len(self.a):
                raise AnswerError(name, f"has {getattr(self, name).size} entries", f"{len(self.a)}, as a has rows")

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """The values (N,) at x, (N, dimension) or (N,) in one dimension; features exist in blocks."""
        points = np.asarray(x, dtype=np.float64)
        points = points[:, None] if points.ndim == 1 else points
        phi, step = ACTIVATIONS[self.activation], max(1, _BLOCK // max(1, self.c.size))
        blocks = (points[at : at + step] for at in range(0, len(points), step))
        return np.concatenate([phi(block @ self.a.T - self.b) @ self.c for block in blocks] or [np.zeros(0)])


Answer = Program | Spline | RidgeNetwork


def to_arrays(answer: Answer) -> dict[str, Any]:
    """An answer as plain arrays; the inverse of `from_arrays`."""
    if isinstance(answer, Program):
        names = list(OPERATIONS)
        code = [[names.index(name), *sources, *([-1] * (3 - len(sources)))] for name, *sources in answer.code]
        return {"code": np.array(code, dtype=np.int64).reshape(-1, 4), "constants": answer.constants}
    if isinstance(answer, Spline):
        return {"knots": answer.knots, "coefficients": answer.coefficients}
    if isinstance(answer, RidgeNetwork):
        return {"a": answer.a, "b": answer.b, "c": answer.c, "activation": answer.activation}
    raise AnswerError("answer", f"is a {type(answer).__name__}", "a Program, a Spline or a RidgeNetwork")


def from_arrays(stored: Mapping[str, Any]) -> Answer:
    """The answer that `to_arrays` wrote."""
    if "code" in stored:
        names = list(OPERATIONS)
        lines = np.asarray(stored["code"], dtype=np.int64).reshape(-1, 4).tolist()
        code = tuple((names[line[0]], *line[1 : 1 + OPERATIONS[names[line[0]]]]) for line in lines)
        return Program(code, np.asarray(stored["constants"]))
    if "knots" in stored:
        return Spline(stored["knots"], stored["coefficients"])
    return RidgeNetwork(stored["a"], stored["b"], stored["c"], str(stored["activation"]))
