"""Fields that this family's problems share: networks, regions and boxes, converted and checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from solvary import ProblemError
from solvary.fields import read_only
from solvary_robustness.network import Network


def _is_module(value: Any) -> bool:
    """Whether it is a torch module (asked without importing torch)."""
    return hasattr(value, "named_modules") and hasattr(value, "state_dict")


def to_network(value: Any) -> Network:
    """A `Network` from one, from a torch module, or from named arrays."""
    if isinstance(value, Network):
        return value
    if isinstance(value, Mapping):
        return Network.from_arrays(value)
    if _is_module(value):
        return Network.from_torch(value)
    expected = "a Network, a torch module of its layers, or the arrays of a network"
    raise ProblemError("network", f"is a {type(value).__name__}", expected)


def _vector(name: str, value: Any, expected: str) -> np.ndarray:
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise ProblemError(name, f"is not an array ({error})", expected) from None
    if array.dtype.kind not in "biuf":
        raise ProblemError(name, f"has entries of type {array.dtype}", expected)
    array = np.array(array, dtype=np.float64)
    if np.isnan(array).any():
        raise ProblemError(name, "has NaN entries", expected)
    return read_only(array)


def _two(name: str, value: Any, expected: str) -> tuple[Any, Any]:
    """The two parts of a pair, or of a mapping of "0" and "1" (the form in files)."""
    if isinstance(value, Mapping):
        if set(value) != {"0", "1"}:
            raise ProblemError(name, f"has the parts {sorted(map(str, value))}", expected)
        return value["0"], value["1"]
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise ProblemError(name, f"is {type(value).__name__}", expected)
    return value[0], value[1]


def to_region(value: Any) -> tuple[np.ndarray, float] | None:
    """None, or (center (d,), eps >= 0), both finite."""
    if value is None:
        return None
    expected = "None or (center, eps) with a finite vector and eps >= 0"
    center, eps = _two("region", value, expected)
    center, radius = _vector("region", center, expected), _vector("region", eps, expected)
    if center.ndim != 1 or not np.isfinite(center).all():
        raise ProblemError("region", f"has a center of shape {center.shape} with {center}", expected)
    if radius.size != 1 or not np.isfinite(radius).all() or radius.item() < 0:
        raise ProblemError("region", f"has eps = {eps!r}", expected)
    return center, float(radius.item())


def to_box(value: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """None, or (lo, hi) with lo <= hi, numbers or vectors; ends may be infinite."""
    if value is None:
        return None
    expected = "None or (lo, hi) with lo <= hi, numbers or vectors"
    lo, hi = _two("box", value, expected)
    lower, upper = _vector("box", lo, expected), _vector("box", hi, expected)
    if max(lower.ndim, upper.ndim) > 1 or (lower.ndim and upper.ndim and lower.shape != upper.shape):
        raise ProblemError("box", f"has ends of shapes {lower.shape} and {upper.shape}", expected)
    if (lower > upper).any() or np.isposinf(lower).any() or np.isneginf(upper).any():
        raise ProblemError("box", "is empty: a lower end is above the upper end", expected)
    return lower, upper
