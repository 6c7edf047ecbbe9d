"""`sequence.attention`: compute attention of any order, exactly or as a program of additions and multiplications."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np

import solvary
from solvary import AnswerError, ProblemError, fields
from solvary_sequence.exact import SAFE_SCORE, Rule, exact_attention
from solvary_sequence.scores import score_bound
from solvary_sequence.tracing import NotArithmetic, Program, Traced

# The most weights that `measure` computes by itself: about a second of one core.
REFERENCE_WEIGHTS = 2 * 10**8
# The least number of rows that are compared where an error is asked for by name.
SAMPLED_ROWS = 4
# The most scores that are looked at when the problem is made, for rows without any weight.
_CHECKED_SCORES = 10**7

_FLOATS = ("float64", "float32")


def _floats(name: str, given: Any, axes: str) -> np.ndarray:
    """A finite matrix of float64 or float32, read-only."""
    array = np.asarray(given)
    if array.dtype.kind not in "biuf":
        raise ProblemError(name, f"has entries of type {array.dtype}", f"an array {axes} of real numbers")
    if array.ndim != 2 or 0 in array.shape:
        raise ProblemError(name, f"has shape {array.shape}", f"an array {axes} with n, d, e >= 1")
    if array.dtype.name not in _FLOATS:
        array = array.astype(np.float64)
    bad = ~np.isfinite(array)
    if bad.any():
        at = ", ".join(map(str, np.argwhere(bad)[0]))
        raise ProblemError(f"{name}[{at}]", f"is {array[bad][0]}", "finite numbers")
    return fields.read_only(array)


def _matrix(given: Any, attribute: attrs.Attribute[Any]) -> np.ndarray:
    return _floats(attribute.name, given, "(n, d)")


def _matrices(given: Any, attribute: attrs.Attribute[Any]) -> tuple[np.ndarray, ...]:
    """A tuple of matrices, from a sequence, an array with one more axis, or the mapping that an NPZ file holds."""
    name, axes = attribute.name, "(n, d)" if attribute.name == "keys" else "(n, e)"
    if isinstance(given, Mapping):
        if set(given) != {str(place) for place in range(len(given))}:
            raise ProblemError(name, f"has the parts {sorted(given)}", "'0', '1', ...")
        given = [given[str(place)] for place in range(len(given))]
    if isinstance(given, np.ndarray) and given.ndim == 2:
        given = (given,)
    if not isinstance(given, Sequence | np.ndarray) or isinstance(given, str) or len(given) == 0:
        what = "is empty" if isinstance(given, Sequence) else f"is a {type(given).__name__}"
        raise ProblemError(name, what, f"one or more arrays {axes}")
    return tuple(_floats(f"{name}[{place}]", part, axes) for place, part in enumerate(given))


def _columns(problem: Any) -> float:
    return float(problem.query.shape[1])


@solvary.problem
class AttentionOutput(solvary.Problem):
    """Attention of order k: a query, k - 1 keys and as many values, all of n rows.

    The score of row i with the rows j, j', ... of the keys is `s = sum_l q_il k_jl k'_j'l ... / scale`, its weight
    `exp(s)` or `s^power`, its value `v_j * v'_j' * ...` (entrywise), and row i of the answer is the sum of weights
    times values over `sum of weights + floor * largest weight`. Ordinary attention is order 2.

    Attributes:
        query: `(n, d)`, float32 or float64.
        keys: one or more arrays `(n, d)`.
        values: as many arrays `(n, e)`.
        weights: `"exp"` (softmax) or `"power"` (order 2 only).
        power: the even power, where `weights` is `"power"`.
        scale: divides the scores; d by default.
        floor: keeps the denominator away from 0, in units of the row's largest weight.
        causal: whether row i sees only rows up to i (order 2 only).
        arithmetic: `"real"` asks for the array `(n, e)`; `"polynomial"` for a `Program` of additions and
            multiplications that computes it.
    """

    problem_id = "sequence.attention"

    query: np.ndarray = attrs.field(
        converter=attrs.Converter(_matrix, takes_field=True),  # type: ignore[misc]
        metadata={"kind": "array"},
    )
    keys: Sequence[np.ndarray] = attrs.field(
        converter=attrs.Converter(_matrices, takes_field=True),  # type: ignore[misc]
        metadata={"kind": "arrays"},
    )
    values: Sequence[np.ndarray] = attrs.field(
        converter=attrs.Converter(_matrices, takes_field=True),  # type: ignore[misc]
        metadata={"kind": "arrays"},
    )
    weights: str = fields.choice("exp", "power", default="exp")
    power: int | None = fields.integer(ge=1, optional=True, default=None)
    scale: float = fields.number(gt=0, default=attrs.Factory(_columns, takes_self=True))
    floor: float = fields.number(ge=0, default=0.0)
    causal: bool = fields.flag(default=False)
    arithmetic: str = fields.choice("real", "polynomial", default="real")

    @property
    def order(self) -> int:
        """k: the number of factors of a score."""
        return len(self.keys) + 1

    def check(self) -> None:
        """Shapes agree; powers and masks are there where they mean something."""
        n, d = self.query.shape
        if len(self.keys) != len(self.values):
            raise ProblemError("values", f"has {len(self.values)} arrays", f"as many as keys, {len(self.keys)}")
        shapes = (("keys", self.keys, (n, d)), ("values", self.values, (n, self.values[0].shape[1])))
        for name, arrays, wanted in shapes:
            for place, array in enumerate(arrays):
                if array.shape != wanted:
                    raise ProblemError(f"{name}[{place}]", f"has shape {array.shape}", f"shape {wanted}")
        if self.weights == "power":
            if self.power is None or self.power % 2:
                raise ProblemError("power", f"got {self.power!r}", "an even integer >= 2 for weights = 'power'")
            if self.order > 2:
                raise ProblemError("weights", f"is 'power' with {len(self.keys)} keys", "'exp' for orders above 2")
            if self.floor == 0:
                self._check_denominators()
        elif self.power is not None:
            raise ProblemError("power", f"got {self.power} with weights = 'exp'", "no power, or weights = 'power'")
        if self.causal and self.order > 2:
            raise ProblemError("causal", f"is True with {len(self.keys)} keys", "False for orders above 2")

    def _check_denominators(self) -> None:
        """Without a floor every row needs a score that is not 0 (all rows of a small problem are checked here)."""
        n = self.query.shape[0]
        rows = range(0, n, 256) if n * n <= _CHECKED_SCORES else ()
        empty = np.asarray(~self.query.any(axis=1))
        for start in rows:
            scores = self.query[start : start + 256] @ self.keys[0].T
            if self.causal:
                scores = np.tril(scores, start)
            empty[start : start + 256] |= ~scores.any(axis=1)
        if empty.any():
            row = int(np.argmax(empty))
            raise ProblemError(f"query[{row}]", "has only scores of 0 that it sees", "a floor > 0, or another row")

    def rule(self, unshifted: bool = False) -> Rule:
        """How scores become weights, for `exact_attention`."""
        return Rule(self.weights, self.power or 2, self.floor, self.causal, unshifted)  # type: ignore[arg-type]

    @functools.cached_property
    def bound(self) -> float:
        """A bound of all scores, from the largest entries and norms of the factors."""
        return score_bound([self.query, *self.keys], self.scale)[0]

    def reference(self, rows: np.ndarray | None = None, workers: int | None = None) -> np.ndarray:
        """The exact answer of some rows (of all by default), in float64; each thread holds one tile of weights."""
        double = [np.asarray(part, dtype=np.float64) for part in (self.query, *self.keys, *self.values)]
        k = self.order
        result: np.ndarray = exact_attention(
            double[0],
            double[1:k],
            double[k:],
            scale=self.scale,
            rule=self.rule(unshifted=self.bound <= SAFE_SCORE),
            rows=rows,
            workers=workers or os.cpu_count() or 1,
        )
        return result

    def _rows(self, least: int) -> np.ndarray | None:
        """The rows that fit in the budget of weights, but at least `least`: None for all, else a seeded sample."""
        n = self.query.shape[0]
        number = max(least, REFERENCE_WEIGHTS // n ** (self.order - 1))
        if number >= n:
            return None
        return np.sort(np.random.default_rng(0).permutation(n)[:number])

    @functools.cached_property
    def _references(self) -> dict[int, np.ndarray]:
        """What was computed before, by the number of rows."""
        return {}

    def _compared(self, include: Sequence[str]) -> tuple[np.ndarray | None, np.ndarray]:
        """The rows that are compared (None for all) and their exact values."""
        n = self.query.shape[0]
        if "all_rows" in include:
            rows = None
        else:
            rows = self._rows(SAMPLED_ROWS if {"max_abs_error", "rel_fro_error"} & set(include) else 0)
        number = n if rows is None else len(rows)
        if number not in self._references:
            self._references[number] = self.reference(rows)
        return rows, self._references[number]

    def measure(self, answer: Any, include: Sequence[str] = ()) -> dict[str, Any]:
        """Errors against the exact reference, and for programs what they do.

        Up to `REFERENCE_WEIGHTS` weights, every row is compared; beyond, as many seeded rows as that allows, and where
        not even one row does (order 3 above 14 142 rows), no errors are given. `rows_measured` says how many it were.
        Naming an error in `include` compares at least `SAMPLED_ROWS` rows, `include=("all_rows",)` all of them,
        whatever that costs. References are kept.
        """
        figures: dict[str, Any] = {}
        if self.arithmetic == "polynomial":
            answer, figures = self._run(answer)
        array, feasible = self._array(answer)
        figures["feasible"] = feasible
        rows, exact = self._compared(include)
        figures["rows_measured"] = len(exact)
        if len(exact):
            with np.errstate(invalid="ignore", over="ignore"):
                error = np.asarray(array if rows is None else array[rows], dtype=np.float64) - exact
            figures["max_abs_error"] = float(np.abs(error).max())
            figures["rel_fro_error"] = _ratio(np.linalg.norm(error), np.linalg.norm(exact))
        return figures

    def glance(self, answer: Any) -> dict[str, Any]:
        """Only whether the answer is finite."""
        if self.arithmetic == "polynomial":
            return {}
        return {"feasible": self._array(answer)[1]}

    def _run(self, answer: Any) -> tuple[np.ndarray, dict[str, Any]]:
        """What a program computes on traced arrays, and the counts."""
        if not isinstance(answer, Program):
            raise AnswerError("answer", f"is a {type(answer).__name__}", "a Program for arithmetic = 'polynomial'")
        try:
            result, counts = answer.trace(self.query, self.keys, self.values)
        except NotArithmetic as error:
            raise AnswerError("answer", str(error), "additions and multiplications only") from error
        if not isinstance(result, Traced):
            raise AnswerError("answer", f"computes a {type(result).__name__}", "something made from its arguments")
        return result.data, {
            "depth": result.depth,
            "multiplications": counts.multiplications,
            "range_violations": counts.range_violations,
        }

    def _array(self, answer: Any) -> tuple[np.ndarray, bool]:
        """The answer as an array of the right shape, and whether it is finite."""
        wanted = (self.query.shape[0], self.values[0].shape[1])
        if not isinstance(answer, np.ndarray) or answer.dtype.kind not in "biuf":
            kind = answer.dtype if isinstance(answer, np.ndarray) else type(answer).__name__
            raise AnswerError("answer", f"is a {kind}", f"an array {wanted} of real numbers")
        if answer.shape != wanted:
            raise AnswerError("answer", f"has shape {answer.shape}", f"shape {wanted}")
        return answer, bool(np.isfinite(answer).all())

    def write_answer(self, answer: Any) -> dict[str, Any]:
        """An array, or the parts of a program."""
        return answer.to_arrays() if isinstance(answer, Program) else super().write_answer(answer)

    def read_answer(self, stored: Mapping[str, Any]) -> Any:
        """The inverse of `write_answer`."""
        return Program.from_arrays(stored) if "factory" in stored else super().read_answer(stored)


def _ratio(error: Any, size: Any) -> float:
    """The relative error; 0 where both are 0."""
    return float(error / size) if size > 0 else (0.0 if error == 0 else float("inf"))


def solve_exactly(problem: AttentionOutput, context: solvary.Context) -> Any:
    """The blocked computation in float64: every weight once, in memory for a block. The baseline of the family."""
    return problem.reference(workers=context.threads)


def accepts_real(problem: AttentionOutput) -> str | None:
    """None, or why there is no array to compute."""
    return None if problem.arithmetic == "real" else "arithmetic = 'polynomial' asks for a program"
