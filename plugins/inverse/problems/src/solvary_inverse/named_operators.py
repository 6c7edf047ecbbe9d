"""Operators by name: "mask", "mask(0.5)", "blur(1)", "downsample(2)", "radon(30)", "gaussian(20)"."""

from __future__ import annotations

import math
import re

import numpy as np

from solvary import ProblemError
from solvary_inverse import operators
from solvary_inverse.operators import LinearMap

_NAMED = re.compile(r"\s*(mask|blur|downsample|radon|gaussian)\s*(?:\((.*)\))?\s*")
EXPECTED = (
    'a matrix (m, d), a LinearOperator, "mask" (with the field mask), "mask(fraction[, seed])", "blur(width)", '
    '"downsample(factor)", "radon(angles)" or "gaussian(m[, seed])"'
)


def parse(name: str) -> tuple[str, list[float]]:
    """The word and the numbers of a name such as "blur(1.5)". Raises `ProblemError` for the field `operator`."""
    found = _NAMED.fullmatch(name)
    if not found:
        raise ProblemError("operator", f"got {name!r}", EXPECTED)
    try:
        numbers = [float(part) for part in found[2].split(",")] if found[2] and found[2].strip() else []
    except ValueError:
        raise ProblemError("operator", f"got {name!r}", EXPECTED) from None
    word = found[1]
    most = {"mask": (0, 2), "gaussian": (1, 2)}.get(word, (1, 1))
    if not most[0] <= len(numbers) <= most[1] or not all(map(math.isfinite, numbers)):
        raise ProblemError("operator", f"got {name!r}", EXPECTED)
    return word, numbers


def build(name: str, shape: tuple[int, ...], mask: np.ndarray | None) -> LinearMap:
    """The operator on images of `shape`. Raises `ProblemError` naming the field that does not fit."""
    word, numbers = parse(name)
    d = int(np.prod(shape))
    if word == "mask":
        return _mask(name, d, numbers, mask)
    if word == "gaussian":
        seed = _whole(name, numbers[1], 0) if len(numbers) > 1 else 0
        return operators.gaussian(d, _whole(name, numbers[0], 1), seed)
    if word == "blur":
        if numbers[0] < 0:
            raise ProblemError("operator", f"got {name!r}", "a width >= 0")
        return operators.blur(shape, numbers[0])
    count = _whole(name, numbers[0], 1)
    if word == "downsample":
        return operators.downsample(shape, count)
    if len(shape) != 2:
        raise ProblemError("shape", f"is {shape}", "a height and a width, for an operator radon")
    return operators.radon((shape[0], shape[1]), count)


def needs_image(name: str) -> bool:
    """Whether the operator looks at neighbouring pixels, so that the shape of the image matters."""
    return parse(name)[0] in ("blur", "downsample", "radon")


def _mask(name: str, d: int, numbers: list[float], mask: np.ndarray | None) -> LinearMap:
    if not numbers:
        if mask is None:
            raise ProblemError("mask", "is missing", 'which entries are seen, or an operator "mask(fraction)"')
        return operators.selection(mask)
    if not 0 < numbers[0] <= 1:
        raise ProblemError("operator", f"got {name!r}", "a fraction > 0 and <= 1 of entries that are seen")
    return operators.random_selection(d, numbers[0], _whole(name, numbers[1], 0) if len(numbers) > 1 else 0)


def _whole(name: str, number: float, least: int) -> int:
    if number != int(number) or number < least:
        raise ProblemError("operator", f"got {name!r}", f"an integer >= {least} in place of {number:g}")
    return int(number)
