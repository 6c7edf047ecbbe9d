"""Fields of a problem: converted, checked and described where they are declared.

Each function returns an attrs field. A value that does not fit is refused as `ProblemError` with the
field, what is wrong and what was expected. Arrays become read-only views (nothing is copied unless
the type changes), so that no solver can alter the data that its answer is measured on.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from solvary._references import Function
from solvary.errors import ProblemError

Shape = tuple[str | int, ...]
_ABSENT: Any = attrs.NOTHING


def read_only(array: np.ndarray) -> np.ndarray:
    """A read-only view of `array`."""
    view = array.view()
    view.flags.writeable = False
    return view


def frozen(value: Any) -> Any:
    """`value` with every array in it read-only: an array, a mapping or tuple, a sparse matrix; others as they are."""
    if isinstance(value, np.ndarray):
        return read_only(value)
    if isinstance(value, dict):
        return {name: frozen(part) for name, part in value.items()}
    if type(value) is tuple:
        return tuple(map(frozen, value))
    if is_compressed(value):
        parts = (read_only(value.data), read_only(value.indices), read_only(value.indptr))
        return type(value)(parts, shape=value.shape)
    return value


def is_compressed(value: Any) -> bool:
    """Whether it is a sparse matrix of SciPy in compressed form (asked without importing SciPy)."""
    return hasattr(value, "indptr") and hasattr(value, "nnz")


def _first(mask: np.ndarray) -> str:
    """The first index at which `mask` holds, in brackets."""
    return "[" + ", ".join(str(int(i)) for i in np.argwhere(mask)[0]) + "]"


def _describe(shape: Shape) -> str:
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"


def _check_entries(
    name: str,
    array: np.ndarray,
    finite: bool,
    ge: float | None,
    gt: float | None,
    le: float | None,
    lt: float | None,
) -> None:
    if finite and array.dtype.kind in "fc":
        # A sum is finite only if all entries are: the entries are looked at one by one only when it is not.
        with np.errstate(over="ignore", invalid="ignore"):
            suspicious = not np.isfinite(array.sum())
        if suspicious and not (good := np.isfinite(array)).all():
            at = _first(~good)
            raise ProblemError(name + at, f"is {array[~good][0]}", "finite numbers")
    if array.size == 0 or array.dtype.kind not in "fiub":
        return
    low, high = array.min(), array.max()
    for extreme, bound, relation, outside in (
        (low, ge, ">=", np.less),
        (low, gt, ">", np.less_equal),
        (high, le, "<=", np.greater),
        (high, lt, "<", np.greater_equal),
    ):
        if bound is not None and outside(extreme, bound):
            where = outside(array, bound)
            raise ProblemError(name + _first(where), f"is {array[where][0]}", f"numbers {relation} {bound}")


def array(
    *shape: str | int,
    dtype: str | None = "float64",
    kinds: Sequence[str] | None = None,
    finite: bool = True,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    optional: bool = False,
    sealed: bool = False,
    default: Any = _ABSENT,
) -> Any:
    """An array field.

    Args:
        shape: one entry per axis: a number, or a name ("n"). Axes of one name must agree over all
            fields of the problem. No entry: any shape.
        dtype: the type that it is converted to; None keeps the caller's (see `kinds`).
        kinds: with `dtype=None`, the types that are kept ("float32", "int64"); others are converted
            to the first of them when no value changes.
        finite: refuse NaN and infinities.
        ge, gt, le, lt: bounds for the entries.
        optional: None is allowed, and is the default (type checkers want `default=None` written, too).
        sealed: only `measure`, the oracle and the environment see it, never a solver.
    """

    def convert(value: Any, attribute: attrs.Attribute[Any]) -> Any:
        name = attribute.name
        if value is None:
            if optional:
                return None
            raise ProblemError(name, "is missing", f"an array of shape {_describe(shape)}")
        try:
            given = np.asarray(value)
        except (ValueError, TypeError) as error:
            raise ProblemError(name, f"is not an array ({error})", f"an array of shape {_describe(shape)}") from None
        wanted = dtype or (kinds[0] if kinds and given.dtype.name not in kinds else given.dtype.name)
        real = np.dtype(wanted).kind != "c"
        if given.dtype.kind not in ("biuf" if real else "biufc"):
            raise ProblemError(name, f"has entries of type {given.dtype}", "real numbers" if real else "numbers")
        if shape and given.ndim != len(shape):
            raise ProblemError(name, f"has shape {given.shape}", f"shape {_describe(shape)}")
        if given.dtype.name != wanted:
            converted = given.astype(wanted)
            if np.dtype(wanted).kind in "biu" and not np.array_equal(converted, given):
                raise ProblemError(name, f"has entries that are no {wanted}", f"{wanted} values")
            given = converted
        _check_entries(name, given, finite, ge, gt, le, lt)
        return read_only(given)

    return attrs.field(
        converter=attrs.Converter(convert, takes_field=True),  # type: ignore[misc]
        default=None if optional and default is _ABSENT else default,
        kw_only=True,
        metadata={"shape": shape, "sealed": sealed, "kind": "array"},
    )


def sparse(
    *shape: str | int,
    dense: bool = False,
    finite: bool = True,
    optional: bool = False,
    sealed: bool = False,
    default: Any = _ABSENT,
) -> Any:
    """A matrix field, kept as a read-only `scipy.sparse.csr_array` of float64, sorted and without duplicates.

    It takes any sparse matrix of SciPy, an array, or a mapping with the parts `data`, `indices`, `indptr` and
    `shape`. On a device it stays a SciPy matrix: what form suits there is for the solver to choose.

    Args:
        shape: the two axes, as in `array`.
        dense: an array is kept as a (read-only) array, and moved to devices like one.
        finite: refuse NaN and infinities among the entries.
        optional: None is allowed, and is the default (type checkers want `default=None` written, too).
        sealed: only `measure`, the oracle and the environment see it, never a solver.
    """
    expected = f"a sparse matrix or an array of shape {_describe(shape or ('m', 'n'))}"

    def convert(given: Any, attribute: attrs.Attribute[Any]) -> Any:
        name = attribute.name
        if given is None:
            if optional:
                return None
            raise ProblemError(name, "is missing", expected)
        if isinstance(given, np.ndarray | list | tuple):
            entries = _matrix(name, given, finite, expected)
            return read_only(entries) if dense else _compressed(name, entries, finite, expected)
        return _compressed(name, given, finite, expected)

    return attrs.field(
        converter=attrs.Converter(convert, takes_field=True),  # type: ignore[misc]
        default=None if optional and default is _ABSENT else default,
        kw_only=True,
        metadata={"shape": shape, "sealed": sealed, "kind": "sparse"},
    )


def _matrix(name: str, given: Any, finite: bool, expected: str) -> np.ndarray:
    """A dense matrix of float64, checked."""
    try:
        entries = np.asarray(given)
    except (ValueError, TypeError) as error:
        raise ProblemError(name, f"is not an array ({error})", expected) from None
    if entries.dtype.kind not in "biuf" or entries.ndim != 2:
        raise ProblemError(name, f"is an array of {entries.dtype} of shape {entries.shape}", expected)
    entries = entries.astype(np.float64, copy=False)
    _check_entries(name, entries, finite, None, None, None, None)
    return entries


def _compressed(name: str, given: Any, finite: bool, expected: str) -> Any:
    """A read-only CSR matrix of float64 with sorted indices and no duplicates; the caller's is left as it is."""
    from scipy.sparse import csr_array

    parts = {"data", "indices", "indptr", "shape"}
    try:
        if isinstance(given, Mapping):
            if set(given) != parts:
                raise ProblemError(name, f"has the parts {sorted(given)}", f"{sorted(parts)}")
            triple = tuple(np.asarray(given[part]) for part in ("data", "indices", "indptr"))
            matrix = csr_array(triple, shape=tuple(int(length) for length in given["shape"]))
            matrix.check_format(full_check=True)
        elif hasattr(given, "nnz") or isinstance(given, np.ndarray):
            matrix = csr_array(given)
        else:
            raise ProblemError(name, f"is a {type(given).__name__}", expected)
        if matrix.dtype.kind not in "biuf" or matrix.ndim != 2:
            raise ProblemError(name, f"has entries of type {matrix.dtype}", f"real numbers in {expected}")
        matrix = matrix.astype(np.float64, copy=False)
        if not matrix.has_canonical_format:
            matrix = matrix.copy()
            matrix.sum_duplicates()
    except ProblemError:
        raise
    except (ValueError, TypeError, IndexError) as error:
        raise ProblemError(name, f"is no sparse matrix ({error})", expected) from None
    if finite and not (good := np.isfinite(matrix.data)).all():
        raise ProblemError(name, f"has the entry {matrix.data[~good][0]}", "finite numbers")
    return frozen(matrix)


def arrays(
    *,
    finite: bool = True,
    optional: bool = False,
    sealed: bool = False,
    default: Any = _ABSENT,
) -> Any:
    """A mapping of names to arrays of numbers (the state of a network, say), kept as a dict of read-only arrays."""
    expected = "a mapping of names to arrays of numbers"

    def convert(given: Any, attribute: attrs.Attribute[Any]) -> Any:
        name = attribute.name
        if given is None and optional:
            return None
        if not isinstance(given, Mapping) or not given:
            raise ProblemError(name, "is empty" if given == {} else f"is a {type(given).__name__}", expected)
        return {key: _part(f"{name}[{key!r}]", key, entry) for key, entry in given.items()}

    def _part(label: str, key: Any, entry: Any) -> np.ndarray:
        if not isinstance(key, str):
            raise ProblemError(label, f"has a name of type {type(key).__name__}", "names that are text")
        part = np.asarray(entry)
        if part.dtype.kind not in "biufc":
            raise ProblemError(label, f"has entries of type {part.dtype}", "numbers")
        _check_entries(label, part, finite, None, None, None, None)
        return read_only(part)

    return attrs.field(
        converter=attrs.Converter(convert, takes_field=True),  # type: ignore[misc]
        default=None if optional and default is _ABSENT else default,
        kw_only=True,
        metadata={"sealed": sealed, "kind": "arrays"},
    )


def _scalar(
    convert: Callable[[Any, str], Any], optional: bool, sealed: bool, default: Any, kind: str, description: str
) -> Any:
    def converter(value: Any, attribute: attrs.Attribute[Any]) -> Any:
        if value is None and optional:
            return None
        return convert(value, attribute.name)

    return attrs.field(
        converter=attrs.Converter(converter, takes_field=True),  # type: ignore[misc]
        default=None if optional and default is _ABSENT else default,
        kw_only=True,
        metadata={"sealed": sealed, "kind": kind, "expected": description},
    )


def _bounds(ge: float | None, gt: float | None, le: float | None, lt: float | None) -> str:
    parts = [f"{sign} {bound}" for sign, bound in ((">=", ge), (">", gt), ("<=", le), ("<", lt)) if bound is not None]
    return " and ".join(parts)


def number(
    *,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    infinite: bool = False,
    optional: bool = False,
    sealed: bool = False,
    default: Any = _ABSENT,
) -> Any:
    """A real number, kept as a Python float; finite unless `infinite`."""
    expected = ("a number " + _bounds(ge, gt, le, lt)).strip()

    def convert(value: Any, name: str) -> float:
        item = value.item() if isinstance(value, np.ndarray) and value.size == 1 else value
        if isinstance(item, bool) or not isinstance(item, numbers.Real):
            raise ProblemError(name, f"got {value!r}", expected)
        real = float(item)
        inside = (ge is None or real >= ge) and (gt is None or real > gt)
        inside = inside and (le is None or real <= le) and (lt is None or real < lt)
        if math.isnan(real) or (math.isinf(real) and not infinite) or not inside:
            raise ProblemError(name, f"got {value!r}", expected)
        return real

    return _scalar(convert, optional, sealed, default, "number", expected)


def integer(
    *,
    ge: int | None = None,
    le: int | None = None,
    optional: bool = False,
    sealed: bool = False,
    default: Any = _ABSENT,
) -> Any:
    """An integer, kept as a Python int."""
    expected = ("an integer " + _bounds(ge, None, le, None)).strip()

    def convert(value: Any, name: str) -> int:
        item = value.item() if isinstance(value, np.ndarray) and value.size == 1 else value
        if isinstance(item, bool) or not isinstance(item, numbers.Integral):
            raise ProblemError(name, f"got {value!r}", expected)
        whole = int(item)
        if (ge is not None and whole < ge) or (le is not None and whole > le):
            raise ProblemError(name, f"got {value!r}", expected)
        return whole

    return _scalar(convert, optional, sealed, default, "integer", expected)


def choice(*values: str, optional: bool = False, sealed: bool = False, default: Any = _ABSENT) -> Any:
    """One of some words."""
    expected = "one of " + ", ".join(map(repr, values))

    def convert(value: Any, name: str) -> str:
        word = value.item() if isinstance(value, np.ndarray) and value.size == 1 else value
        if word not in values:
            raise ProblemError(name, f"got {value!r}", expected)
        return str(word)

    return _scalar(convert, optional, sealed, default, "choice", expected)


def flag(*, sealed: bool = False, default: Any = _ABSENT) -> Any:
    """True or False."""

    def convert(value: Any, name: str) -> bool:
        item = value.item() if isinstance(value, np.ndarray) and value.size == 1 else value
        if not isinstance(item, bool | np.bool_):
            raise ProblemError(name, f"got {value!r}", "True or False")
        return bool(item)

    return _scalar(convert, False, sealed, default, "flag", "True or False")


def function(
    *,
    options: Mapping[str, Any] | None = None,
    optional: bool = False,
    sealed: bool = False,
    default: Any = _ABSENT,
) -> Any:
    """A callable, or "package.module:factory" (the form that travels); kept as a `solvary.Function`."""

    def convert(value: Any, name: str) -> Function:
        if isinstance(value, Function):
            value.field = name
            return value
        return Function(value, options, field=name)

    return _scalar(convert, optional, sealed, default, "function", 'a callable or "package.module:factory"')


def value(
    check: Callable[[Any], str | None] | None = None,
    *,
    expected: str = "",
    optional: bool = False,
    sealed: bool = False,
    default: Any = _ABSENT,
) -> Any:
    """Anything else; `check` returns None, or what is wrong with the value."""

    def convert(given: Any, name: str) -> Any:
        wrong = check(given) if check else None
        if wrong:
            raise ProblemError(name, wrong, expected)
        return given

    return _scalar(convert, optional, sealed, default, "value", expected)
