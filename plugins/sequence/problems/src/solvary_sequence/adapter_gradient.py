"""The problem `sequence.adapter-gradient`: gradients of low-rank adapters of one attention layer."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

import solvary
from solvary import AnswerError, OptionError, ProblemError, fields
from solvary_sequence.arrays import blocks

#: the factors of the adapters (B, A), in the order of an answer
ADAPTERS = (("bq", "aq"), ("bk", "ak"), ("bv", "av"))
#: up to this many rows `measure` computes the exact gradient unasked
CHEAP_ROWS = 1 << 14
#: entries of a block of rows of the attention matrix in the exact reference
_BLOCK_ENTRIES = 1 << 19
#: an error below this part of the largest possible gradient is rounding of float64 sums
_ROUNDING = 1e-14


@solvary.problem
class AdapterGradient(solvary.Problem):
    """Gradients of the adapter factors of L = 1/2 |softmax(x Wq Wk^T x^T / scale) x Wv - target|_F^2.

    Wq = wq + (alpha / r) bq aq with r the rank of this adapter; so Wk and Wv where their adapters are given (both
    factors or neither). The softmax is over each row. The answer is a dict with an array for each factor that is
    given, of its shape.

    Attributes:
        x: tokens (n, d).
        wq, wk, wv: the frozen weights (d, d); rows of x are multiplied from the right.
        bq, aq: adapter of the query (d, r) and (r, d).
        bk, ak: adapter of the key, or None.
        bv, av: adapter of the value, or None.
        alpha: factor of the adapters, divided by their rank.
        target: (n, d).
        scale: > 0; divides the scores.
    """

    problem_id = "sequence.adapter-gradient"

    x: np.ndarray = fields.array("n", "d")
    wq: np.ndarray = fields.array("d", "d")
    wk: np.ndarray = fields.array("d", "d")
    wv: np.ndarray = fields.array("d", "d")
    bq: np.ndarray = fields.array("d", "rank of the query adapter")
    aq: np.ndarray = fields.array("rank of the query adapter", "d")
    bk: np.ndarray | None = fields.array("d", "rank of the key adapter", optional=True, default=None)
    ak: np.ndarray | None = fields.array("rank of the key adapter", "d", optional=True, default=None)
    bv: np.ndarray | None = fields.array("d", "rank of the value adapter", optional=True, default=None)
    av: np.ndarray | None = fields.array("rank of the value adapter", "d", optional=True, default=None)
    alpha: float = fields.number()
    target: np.ndarray = fields.array("n", "d")
    scale: float = fields.number(gt=0)

    def check(self) -> None:
        """Both factors or neither, ranks of at least 1, and numbers whose products float64 can hold."""
        if 0 in self.x.shape:
            raise ProblemError("x", f"has shape {self.x.shape}", "at least one row and one column")
        for b, a in ADAPTERS:
            given = [getattr(self, name) is not None for name in (b, a)]
            if given[0] != given[1]:
                missing, there = (a, b) if given[0] else (b, a)
                raise ProblemError(missing, f"is missing while {there} is given", f"both {b} and {a}, or neither")
            if given[0] and getattr(self, b).shape[1] == 0:
                raise ProblemError(b, f"has shape {getattr(self, b).shape}", "an adapter of rank 1 or more")
        if not all(np.isfinite(list(self._sizes.values()))):
            raise ProblemError("x", "is so large that scores or gradients overflow", "products within float64")

    @property
    def factors(self) -> tuple[str, ...]:
        """The names of the factors whose gradients are asked for."""
        return factors_of(self)

    @cached_property
    def reference(self) -> dict[str, np.ndarray]:
        """The exact gradients: O(n^2 d) time, O(n) memory per row of a block."""
        wq, wk, wv = weights_of(self)
        exact = exact_weight_gradients(self.x, wq, wk, self.x @ wv, self.target, self.scale, values=self.bv is not None)
        return factor_gradients(self, exact)

    def measure(self, answer: Any, include: Collection[str] = ()) -> dict[str, Any]:
        """Errors against the exact gradient in float64, and `feasible`: every entry is finite.

        The exact gradient takes O(n^2 d) time once per problem. Above 16384 rows it is computed only when "rel_error"
        is in `include`. Errors are relative in the Frobenius norm; where a gradient vanishes up to rounding, they are
        relative to the rounding of the sums it is made of.

        Raises:
            AnswerError: a gradient is missing or has another shape than its factor.
            OptionError: an unknown name in `include`.
        """
        for name in include:
            if name != "rel_error":
                raise OptionError("include", f"names {name!r}", "'rel_error'")
        given = self._gradients(answer)
        finite = all(np.isfinite(part).all() for part in given.values())
        figures: dict[str, Any] = {"feasible": bool(finite)}
        if not finite or ("rel_error" not in include and len(self.x) > CHEAP_ROWS):
            return figures
        errors = {name: given[name] - exact for name, exact in self.reference.items()}
        relative = {name: self._relative(name, error) for name, error in errors.items()}
        figures["rel_error"] = max(relative.values())
        figures["max_abs_error"] = max(float(np.abs(error).max()) for error in errors.values())
        return figures | {f"rel_error.{name}": error for name, error in relative.items()}

    def glance(self, answer: Any) -> dict[str, Any]:
        """Whether every entry is finite."""
        return {"feasible": all(bool(np.isfinite(part).all()) for part in self._gradients(answer).values())}

    def loss(self) -> float:
        """L at the given adapters: O(n^2 d) time, blocked."""
        wq, wk, wv = weights_of(self)
        q, k, h = self.x @ wq / self.scale, self.x @ wk, self.x @ wv
        total = 0.0
        for rows in _blocks(len(self.x)):
            total += float(np.square(_softmax(q[rows] @ k.T) @ h - self.target[rows]).sum())
        return total / 2

    def _gradients(self, answer: Any) -> dict[str, np.ndarray]:
        names = self.factors
        if not isinstance(answer, Mapping) or set(answer) != set(names):
            words = (
                f"has the parts {sorted(answer)}" if isinstance(answer, Mapping) else f"is a {type(answer).__name__}"
            )
            raise AnswerError("answer", words, f"a dict with the gradients {', '.join(names)}")
        parts = {}
        for name in names:
            part, shape = np.asarray(answer[name]), getattr(self, name).shape
            if part.shape != shape or part.dtype.kind not in "fiu":
                raise AnswerError(name, f"has shape {part.shape} and type {part.dtype}", f"real numbers {shape}")
            parts[name] = part.astype(np.float64, copy=False)
        return parts

    def _relative(self, name: str, error: np.ndarray) -> float:
        size = max(_norm(self.reference[name]), _ROUNDING * self._sizes[name])
        return _norm(error) / size if size > 0 else (0.0 if not error.any() else float("inf"))

    @cached_property
    def _sizes(self) -> dict[str, float]:
        """For each factor the largest norm that its gradient could have if no term cancelled."""
        with np.errstate(over="ignore", invalid="ignore"):
            wq, wk, wv = weights_of(self)
            x, q, k, h, y = (_row_norms(rows) for rows in (self.x, self.x @ wq, self.x @ wk, self.x @ wv, self.target))
            residuals = float((h.max() + y).sum())
            scores = q.max() * k.max() / self.scale
            # |x^T P x W| with sum_j |P_ij| <= 2 |c_i| max|h_j|, |c_i| <= max|h_j| + |y_i|
            common = 2 * x.max() * residuals * h.max() / self.scale
            weight = {"q": common * k.max(), "k": common * q.max(), "v": x.max() * residuals}
            sizes = {"scores": float(scores)}
            for b, a in ADAPTERS:
                if getattr(self, b) is not None:
                    factor = abs(self.alpha) / getattr(self, b).shape[1]
                    sizes[b] = float(factor * weight[b[1]] * _norm(getattr(self, a)))
                    sizes[a] = float(factor * weight[b[1]] * _norm(getattr(self, b)))
        return sizes


class WeightGradients(NamedTuple):
    """Gradients by the adapted weights Wq, Wk and (where asked for) Wv, each (d, d)."""

    q: Any
    k: Any
    v: Any = None


def factors_of(problem: Any) -> tuple[str, ...]:
    """The names of the factors that a problem (or a solver's view of one) has."""
    return tuple(name for pair in ADAPTERS for name in pair if getattr(problem, pair[0]) is not None)


def weights_of(problem: Any) -> tuple[Any, Any, Any]:
    """The adapted weights Wq, Wk, Wv; arrays or tensors, as the problem's fields are."""
    weights = []
    for (b, a), frozen in zip(ADAPTERS, (problem.wq, problem.wk, problem.wv), strict=True):
        left, right = getattr(problem, b), getattr(problem, a)
        weights.append(frozen if left is None else frozen + (problem.alpha / left.shape[1]) * (left @ right))
    return weights[0], weights[1], weights[2]


def factor_gradients(problem: Any, gradients: WeightGradients) -> dict[str, Any]:
    """dL/dB = (alpha / r) dL/dW A^T and dL/dA = (alpha / r) B^T dL/dW for each adapter that is given."""
    found = {}
    for (b, a), gradient in zip(ADAPTERS, gradients, strict=True):
        left, right = getattr(problem, b), getattr(problem, a)
        if left is not None:
            factor = problem.alpha / left.shape[1]
            found[b], found[a] = factor * (gradient @ right.T), factor * (left.T @ gradient)
    return found


def exact_weight_gradients(
    x: np.ndarray, wq: np.ndarray, wk: np.ndarray, h: np.ndarray, target: np.ndarray, scale: float, *, values: bool
) -> WeightGradients:
    """The gradients as they are written down, row block by row block, in float64.

    With f = softmax(x Wq (x Wk)^T / scale), c = f h - Y and P = f * (c h^T) - diag(rho) f, where
    rho_i = sum_j f_ij (c h^T)_ij: dL/dWq = x^T P x Wk / scale, dL/dWk = x^T P^T x Wq / scale, dL/dWv = x^T f^T c.

    Args:
        x: (n, d).
        wq: adapted weight of the query (d, d).
        wk: adapted weight of the key (d, d).
        h: values x Wv (n, d).
        target: Y (n, d).
        scale: of the scores.
        values: whether dL/dWv is wanted.
    """
    d = x.shape[1]
    q, k = x @ wq / scale, x @ wk
    product, gradient_v = np.zeros((d, d)), np.zeros((d, d)) if values else None
    for rows in _blocks(len(x)):
        f = _softmax(q[rows] @ k.T)
        c = f @ h - target[rows]
        p = c @ h.T
        p -= np.einsum("ij,ij->i", f, p)[:, None]
        p *= f
        product += x[rows].T @ (p @ x)
        if gradient_v is not None:
            gradient_v += (f @ x).T @ c
    return WeightGradients(product @ wk / scale, product.T @ wq / scale, gradient_v)


def _softmax(scores: np.ndarray) -> np.ndarray:
    """Of each row, in place."""
    scores -= scores.max(axis=1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=1, keepdims=True)
    return scores


def _blocks(n: int) -> Iterator[slice]:
    """Blocks of rows of the attention matrix that a cache holds."""
    return blocks(n, max(1, _BLOCK_ENTRIES // n))


def _row_norms(rows: np.ndarray) -> np.ndarray:
    largest = float(np.abs(rows).max())
    if not 0 < largest < np.inf:
        return np.full(len(rows), largest)
    scaled = rows / largest
    norms: np.ndarray = largest * np.sqrt(np.einsum("ij,ij->i", scaled, scaled))
    return norms


def _norm(matrix: np.ndarray) -> float:
    largest = float(np.abs(matrix).max())
    return largest * float(np.linalg.norm(matrix / largest)) if 0 < largest < np.inf else largest
