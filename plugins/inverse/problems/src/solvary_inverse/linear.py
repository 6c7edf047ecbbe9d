"""The problem `inverse.linear`: what was measured, y = A x + n, and what x may have been."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import attrs
import numpy as np
from scipy.sparse import csr_array, issparse
from scipy.sparse.linalg import LinearOperator

import solvary
from solvary import AnswerError, Function, ProblemError, fields
from solvary_inverse import linear_measures as figures
from solvary_inverse import named_operators
from solvary_inverse.denoisers import DenoiserOracle
from solvary_inverse.mixture import GaussianMixture
from solvary_inverse.mixture_posterior import MixturePosterior
from solvary_inverse.operators import External, LinearMap, Matrix, adjoint_defect, to_matrix

#: how exactly <A x, y> = <x, A'y> must hold
_ADJOINT = 1e-8


def _take_operator(given: Any) -> Any:
    """A name, a read-only matrix (dense or compressed), or a `LinearOperator`."""
    if isinstance(given, np.ndarray) and given.ndim == 0:
        given = given.item()
    if isinstance(given, str):
        named_operators.parse(given)
        return given
    if isinstance(given, LinearOperator):
        return given
    try:
        if isinstance(given, dict):
            parts = (np.asarray(given[part]) for part in ("data", "indices", "indptr"))
            given = csr_array(tuple(parts), shape=tuple(int(length) for length in given["shape"]))
        if issparse(given):
            matrix = csr_array(given).astype(np.float64)
            entries = matrix.data
        else:
            matrix = entries = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError, KeyError):
        raise ProblemError("operator", f"is a {type(given).__name__}", named_operators.EXPECTED) from None
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ProblemError("operator", f"has shape {matrix.shape}", "a matrix (m, d) with m, d >= 1")
    if not np.isfinite(entries).all():
        raise ProblemError("operator", "has entries that are not finite", "finite numbers")
    return fields.frozen(matrix)


def _take_shape(given: Any) -> tuple[int, ...] | None:
    if given is None:
        return None
    if isinstance(given, Mapping):  # as a file has it
        given = tuple(given[str(axis)] for axis in range(len(given)))
    lengths = np.atleast_1d(np.asarray(given))
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or lengths.size == 0 or lengths.min() < 1:
        raise ProblemError("shape", f"got {given!r}", "a tuple of lengths >= 1")
    return tuple(int(length) for length in lengths)


@solvary.problem
class LinearInverse(solvary.Problem):
    """Recover x (d,) from y = A x + n, n ~ N(0, noise^2 I): one x, or a batch of B that share A and the prior.

    With data (m,) there is one x: an estimate is (d,), posterior samples are (S, d). With data (B, m) there are B of
    them, measured independently: estimates are (B, d), posterior samples (B, S, d), and figures are means over all.
    Images are flattened in C order. `A` is the operator as a map with `apply` and `adjoint`, on (..., d) and (..., m).

    Attributes:
        operator: a matrix (m, d), dense or sparse; a SciPy `LinearOperator` with an adjoint; or a name: "mask" (the
            entries where the field `mask` holds), "mask(fraction[, seed])", "blur(width)" (Gaussian, in pixels),
            "downsample(factor)" (means of blocks), "radon(angles)", "gaussian(m[, seed])".
        data: y, (m,) or (B, m).
        noise: standard deviation of each measurement, > 0.
        shape: the shape of the image, whose product is d; None: no image.
        mask: for the operator "mask": which entries are seen, of shape `shape` or (d,).
        training: clean samples (N, d), or None.
        mixture: the exact prior, where it is known.
        denoiser: a callable (points (N, d), level) -> E[x | x + level e = point], or "package.module:factory".
        task: "estimate" asks for one x, "posterior" for `samples` draws from x | y.
        samples: S, for the task "posterior".
        peak: the largest possible value of a pixel, for psnr.
        truth: x, of the form of an estimate; no solver sees it.
    """

    problem_id = "inverse.linear"
    shared: ClassVar[tuple[str, ...]] = ("A",)
    formats: ClassVar[Mapping[str, str]] = dict.fromkeys(
        (".npy", ".png", ".pgm"), "solvary_inverse.linear_readers:read_image"
    )

    operator: Any = attrs.field(converter=_take_operator, kw_only=True, metadata={"kind": "value"})
    data: np.ndarray = fields.array()
    noise: float = fields.number(gt=0)
    shape: tuple[int, ...] | None = attrs.field(
        default=None, converter=_take_shape, kw_only=True, metadata={"kind": "value"}
    )
    mask: np.ndarray | None = fields.array(dtype="bool", optional=True, default=None)
    training: np.ndarray | None = fields.array("N", "d", optional=True, default=None)
    mixture: GaussianMixture | None = attrs.field(
        default=None, converter=GaussianMixture.of, kw_only=True, metadata={"kind": "value"}
    )
    denoiser: Function | None = fields.function(optional=True, default=None)
    task: str = fields.choice("estimate", "posterior", default="estimate")
    samples: int = fields.integer(ge=1, default=100)
    peak: float = fields.number(gt=0, default=1.0)
    truth: np.ndarray | None = fields.array(optional=True, sealed=True, default=None)

    @functools.cached_property
    def A(self) -> LinearMap:
        """The operator as a map with `m`, `d`, `apply` and `adjoint`, on the host."""
        if isinstance(self.operator, LinearOperator):
            return External(self.operator)
        if not isinstance(self.operator, str):
            return Matrix(self.operator)
        return named_operators.build(self.operator, self._image(self.operator), self.mask)

    @property
    def batch(self) -> int | None:
        """B, or None where there is one x."""
        return int(self.data.shape[0]) if self.data.ndim == 2 else None

    def check(self) -> None:
        """Lengths that agree, and an adjoint that is one."""
        if self.data.ndim not in (1, 2) or 0 in self.data.shape:
            raise ProblemError("data", f"has shape {self.data.shape}", "(m,), or (B, m) for a batch")
        named = isinstance(self.operator, str) and named_operators.parse(self.operator) == ("mask", [])
        if self.mask is not None and not named:
            raise ProblemError("mask", "is given", 'None, unless the operator is "mask"')
        A = self.A
        if self.data.shape[-1] != A.m:
            raise ProblemError("data", f"has {self.data.shape[-1]} measurements", f"{A.m}, as the operator gives")
        for name, length in self._lengths().items():
            if length != A.d:
                raise ProblemError(name, f"has {length} unknowns", f"{A.d}, as the operator takes")
        if self.truth is not None and self.truth.shape != (*self.data.shape[:-1], A.d):
            expected = f"shape {(*self.data.shape[:-1], A.d)}, one x for each y"
            raise ProblemError("truth", f"has shape {self.truth.shape}", expected)
        self._check_external()

    def _check_external(self) -> None:
        if not isinstance(self.operator, LinearOperator):
            return
        try:
            defect = adjoint_defect(self.A)
        except Exception as error:
            words = f"cannot be applied with its adjoint ({type(error).__name__}: {error})"
            raise ProblemError("operator", words, "a LinearOperator with matvec and rmatvec") from error
        if not defect <= _ADJOINT:
            words = f"has no exact adjoint: <A x, y> and <x, A'y> differ by {defect:.2g}, relatively"
            raise ProblemError("operator", words, f"at most {_ADJOINT:g}")

    def _lengths(self) -> dict[str, int]:
        """d as each of the given fields has it."""
        lengths = {} if self.shape is None else {"shape": int(np.prod(self.shape))}
        if self.mask is not None:
            lengths["mask"] = self.mask.size
        if self.training is not None:
            lengths["training"] = int(self.training.shape[1])
        if self.mixture is not None:
            lengths["mixture"] = self.mixture.d
        return lengths

    def _image(self, name: str) -> tuple[int, ...]:
        """The shape that a named operator works on."""
        if self.shape is not None:
            return self.shape
        lengths = list(self._lengths().values())
        if getattr(self, "truth", None) is not None:
            lengths.append(self.truth.shape[-1])  # type: ignore[union-attr]
        if named_operators.needs_image(name) or not lengths:
            raise ProblemError("shape", "is missing", f"the shape of the images, for the operator {name!r}")
        return (lengths[0],)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        _ = self.A  # made before any view, which shares it

    def oracle(self, rng: np.random.Generator) -> DenoiserOracle:
        """Counted access to the denoiser (or to the exact one of the mixture); `counted` counts a solver's own."""
        return DenoiserOracle(self.denoiser, self.mixture)

    @functools.cached_property
    def posterior(self) -> MixturePosterior:
        """x | y in closed form, where the mixture is known: `problem.posterior.at(y)` is a `GaussianMixture`."""
        if self.mixture is None:
            raise ProblemError("mixture", "is missing", "the exact prior, for an exact posterior")
        return MixturePosterior(self.mixture, to_matrix(self.A), self.noise)

    @functools.cached_property
    def exact(self) -> tuple[GaussianMixture, ...]:
        """The exact posterior of each y of the batch (one without a batch)."""
        return tuple(self.posterior.at(y) for y in np.atleast_2d(self.data))

    def glance(self, answer: Any) -> dict[str, Any]:
        """The figures that need no posterior."""
        return self._cheap(self._rows(answer))

    def measure(self, answer: Any, include: Iterable[str] = ()) -> dict[str, Any]:
        """Fit, error against the truth, and distances from the exact posterior where it is known, in float64.

        Raises:
            AnswerError: the answer is no real array of shape (d,) or (B, d), with task "posterior" (S, d) or (B, S, d).
        """
        rows = self._rows(answer)
        measures = self._cheap(rows)
        if self.mixture is not None and measures["feasible"]:
            judge = figures.of_samples if self.task == "posterior" else figures.of_estimate
            judged = [judge(x, exact) for x, exact in zip(rows, self.exact, strict=True)]
            measures |= {name: float(np.mean([part[name] for part in judged])) for name in judged[0]}
        return measures

    def _cheap(self, rows: np.ndarray) -> dict[str, Any]:
        found: dict[str, Any] = {"feasible": bool(np.isfinite(rows).all())}
        with np.errstate(over="ignore", invalid="ignore"):
            found["residual"] = figures.residual(self.A, np.atleast_2d(self.data), self.noise, rows)
            if self.truth is not None:
                found |= figures.errors(rows, np.atleast_2d(self.truth), self.peak)
        return found

    def _rows(self, answer: Any) -> np.ndarray:
        """The answer as (B, S, d), with S = 1 for estimates and B = 1 without a batch."""
        try:
            x = np.asarray(answer)
        except (TypeError, ValueError):
            x = np.array(None)
        draws = (self.samples,) if self.task == "posterior" else ()
        wanted = (*self.data.shape[:-1], *draws, self.A.d)
        if x.shape != wanted or x.dtype.kind not in "fiu":
            raise AnswerError("answer", f"has shape {x.shape} and type {x.dtype}", f"real numbers of shape {wanted}")
        return x.astype(np.float64).reshape(self.batch or 1, -1, self.A.d)
