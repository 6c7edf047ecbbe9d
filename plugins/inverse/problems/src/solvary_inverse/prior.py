"""Learning a proximal operator and its regulariser from samples: the problem, its answer, its measures."""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

import attrs
import numpy as np

import solvary
from solvary import AnswerError, ProblemError, fields
from solvary_inverse import exact_proxes
from solvary_inverse.inversion import invert

#: points at which the Jacobian is taken; fewer where each costs hundreds of evaluations
_POINTS, _FEW_POINTS, _MANY_COORDINATES = 64, 8, 128
#: perturbations per point of the Moreau check
_PERTURBATIONS = 256
#: finite difference step, in units of the point; with two steps (Richardson) the error is about 1e-11
_STEP = 3e-5
#: asymmetry and negative eigenvalue that a proximal operator may show in float64
_SLACK = 1e-6
#: rows that are evaluated together
_ROWS = 8192
_GRID, _SHORT_GRID = 401, 101


@attrs.frozen(eq=False, slots=False)
class ProximalModel:
    """A proximal operator f = grad psi as plain data, so that a problem can judge it and a file can hold it.

    `builder` names a function of `(arrays, options)`. It returns an object with
    `evaluate(y) -> (psi (n,), f (n, d))`, in float64, for y of shape (n, d), and, where the regulariser is
    known in closed form, `regulariser(x) -> (n,)`. A live object of this kind can stand in its place; such a model
    cannot be written to a file.

    The regulariser is that of f by Legendre's identity, R(f(y)) = <f(y), y> - |f(y)|^2 / 2 - psi(y), unique
    up to a constant (Gribonval and Nikolova, 2020); it is infinite outside the range of f.

    Attributes:
        builder: "package.module:function", or the live object.
        arrays: the parameters by name.
        options: the other arguments of the builder, plain values.
    """

    builder: Any
    arrays: dict[str, np.ndarray] = attrs.field(factory=dict, repr=lambda arrays: f"<{len(arrays)} arrays>")
    options: dict[str, Any] = attrs.field(factory=dict)

    @classmethod
    def of(
        cls,
        prox: Callable[[np.ndarray], np.ndarray],
        potential: Callable[[np.ndarray], np.ndarray] | None = None,
        regulariser: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> ProximalModel:
        """A model of live functions of rows: prox (n, d) -> (n, d), potential and regulariser (n, d) -> (n,)."""
        return cls(exact_proxes.Functions(prox, potential, regulariser))

    @functools.cached_property
    def built(self) -> Any:
        """What the builder makes of the arrays."""
        if not isinstance(self.builder, str):
            return self.builder
        module, _, name = self.builder.partition(":")
        return getattr(importlib.import_module(module), name)(self.arrays, self.options)

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: self.__dict__[field.name] for field in attrs.fields(type(self))}

    def evaluate(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """psi(y) of shape (n,) and f(y) of shape (n, d), for y of shape (n, d)."""
        y = np.asarray(y, dtype=np.float64)
        psi, f = np.empty(len(y)), np.empty_like(y)
        for start in range(0, len(y), _ROWS):
            part = slice(start, start + _ROWS)
            psi[part], values = self.built.evaluate(y[part])
            if values.shape != y[part].shape:
                raise ValueError(f"values have shape {values.shape} at points of shape {y[part].shape}")
            f[part] = values
        return psi, f

    def prox(self, y: np.ndarray) -> np.ndarray:
        """f(y), shape (n, d)."""
        return self.evaluate(y)[1]

    def potential(self, y: np.ndarray) -> np.ndarray:
        """psi(y), shape (n,): the convex function whose gradient is f."""
        return self.evaluate(y)[0]

    def invert(
        self, x: np.ndarray, tolerance: float = 1e-9, max_iterations: int = 1000
    ) -> tuple[np.ndarray, np.ndarray]:
        """y (n, d) with f(y) = x, and the residuals |f(y) - x| / (1 + |x|) (n,)."""
        return invert(self.evaluate, x, tolerance=tolerance, max_iterations=max_iterations)

    def regulariser(self, x: np.ndarray, tolerance: float = 1e-5, max_iterations: int = 1000) -> np.ndarray:
        """R(x), shape (n,), up to a constant; infinite where f(y) = x is not solved to `tolerance` (see `invert`)."""
        x = np.asarray(x, dtype=np.float64)
        known = getattr(self.built, "regulariser", None)
        if known is not None:
            return np.asarray(known(x), dtype=np.float64)
        y, residual = self.invert(x, tolerance=1e-3 * tolerance, max_iterations=max_iterations)
        psi, f = self.evaluate(y)
        return np.where(residual <= tolerance, legendre(psi, f, y), np.inf)


def legendre(psi: Any, f: Any, y: Any) -> Any:
    """R(f(y)) = <f(y), y> - |f(y)|^2 / 2 - psi(y), shape (n,), for arrays or tensors."""
    return (f * (y - 0.5 * f)).sum(axis=1) - psi


@solvary.problem
class PriorLearning(solvary.Problem):
    """Learn, from clean samples x, an operator that denoises y = x + noise and is the prox of some regulariser R.

    The aim is the posterior mode, that is the prox of -noise^2 log p, whose regulariser is -noise^2 log p. Where
    the samples come from a known density, `closed_form` names it (sealed: only the measures see it).

    Args:
        samples: (N, d) clean samples.
        noise: standard deviation of the Gaussian noise.
        shape: the samples are images of this shape, (rows, columns) or (channels, rows, columns); or None.
        closed_form: "laplace" or "gaussian": independent coordinates of this density.
        location, scale: of that density (scale: the b of exp(-|x|/b), the standard deviation); the maximum
            likelihood estimates where they are left out.

    Raises:
        ProblemError: names the field, what is wrong with it and what was expected.
    """

    problem_id = "inverse.prior"

    samples: np.ndarray = fields.array("N", "d")
    noise: float = fields.number(gt=0)
    shape: np.ndarray | None = fields.array("axes", dtype="int64", ge=1, optional=True, default=None)
    closed_form: str | None = fields.choice("laplace", "gaussian", optional=True, sealed=True, default=None)
    location: float | None = fields.number(optional=True, sealed=True, default=None)
    scale: float | None = fields.number(gt=0, optional=True, sealed=True, default=None)

    def check(self) -> None:
        """At least one sample; the shape is that of an image and holds d numbers."""
        count, d = self.samples.shape
        if not count or not d:
            raise ProblemError("samples", f"has shape {self.samples.shape}", "at least one sample and one coordinate")
        if self.shape is not None and (len(self.shape) not in (2, 3) or math.prod(self.shape.tolist()) != d):
            wrong = f"is {tuple(self.shape.tolist())}"
            raise ProblemError("shape", wrong, f"(rows, columns) or (channels, rows, columns) of product d = {d}")

    @functools.cached_property
    def exact(self) -> ProximalModel | None:
        """The model of the closed form, or None."""
        if self.closed_form is None:
            return None
        location, scale = exact_proxes.estimate(self.closed_form, self.samples, self.location, self.scale)
        options = {"kind": self.closed_form, "location": location, "scale": scale, "noise": self.noise}
        return ProximalModel("solvary_inverse.exact_proxes:build", {}, options)

    def measure(self, answer: Any, include: Collection[str] = ()) -> dict[str, Any]:
        """Whether f is a proximal operator, whether R is its regulariser, and the distance to the closed form.

        `include=("moreau_by_inversion",)` adds the check of R by inverting f at every perturbed point.

        Raises:
            AnswerError: the answer is no model that gives finite values of the right shape.
        """
        measures = self.glance(answer)
        y = self._noisy(_POINTS if self.samples.shape[1] <= _MANY_COORDINATES else _FEW_POINTS)
        measures["asymmetry"], measures["min_eigenvalue"] = jacobian_figures(answer.prox, y)
        measures["moreau_error"] = self._moreau_error(answer, self._noisy(_POINTS), by_inversion=False)
        if "moreau_by_inversion" in include:
            measures["moreau_by_inversion"] = self._moreau_error(answer, self._noisy(8), by_inversion=True)
        if self.exact is not None:
            measures |= self._closed_form_errors(answer, self.exact)
        is_prox = measures["asymmetry"] <= _SLACK and measures["min_eigenvalue"] >= -_SLACK
        measures["feasible"] = bool(is_prox and np.isfinite(measures["denoising_error"]))
        return measures

    def glance(self, answer: Any) -> dict[str, Any]:
        """The root mean square denoising error on at most 512 of the samples, noise of a fixed seed."""
        if not isinstance(answer, ProximalModel):
            raise AnswerError("answer", f"is a {type(answer).__name__}", "a ProximalModel")
        clean = self._subset(512)
        f = self._values(answer, self._noisy(512))
        error = float(np.sqrt(((f - clean) ** 2).mean()))
        return {"denoising_error": error, "feasible": bool(np.isfinite(error))}

    def write_answer(self, answer: Any) -> dict[str, Any]:
        """The arrays by name, the builder's name and its options."""
        if not isinstance(answer.builder, str):
            raise AnswerError("answer", "is a model of live functions", 'a builder "package.module:function"')
        stored = {f"arrays.{name}": np.asarray(array) for name, array in answer.arrays.items()}
        return {**stored, "builder": answer.builder, "options": dict(answer.options)}

    def read_answer(self, stored: Mapping[str, Any]) -> ProximalModel:
        """The inverse of `write_answer`."""
        arrays = {name.removeprefix("arrays."): part for name, part in stored.items() if name.startswith("arrays.")}
        return ProximalModel(str(stored["builder"]), arrays, dict(stored["options"]))

    def _subset(self, count: int) -> np.ndarray:
        """At most `count` samples, evenly spaced."""
        rows = np.linspace(0, len(self.samples) - 1, min(count, len(self.samples))).astype(np.int64)
        return self.samples[rows]

    def _noisy(self, count: int) -> np.ndarray:
        clean = self._subset(count)
        return clean + self.noise * np.random.default_rng(0).standard_normal(clean.shape)

    def _values(self, model: ProximalModel, y: np.ndarray) -> np.ndarray:
        try:
            f = np.asarray(model.prox(y), dtype=np.float64)
        except Exception as error:
            found = f"raised {type(error).__name__}: {error}"
            raise AnswerError("answer", found, f"a model of points with {y.shape[1]} coordinates") from error
        return f

    def _moreau_error(self, model: ProximalModel, y: np.ndarray, *, by_inversion: bool) -> float:
        """How far |p' - y|^2 / 2 + R(p') falls below its value at p = f(y), over perturbations p', relative to it.

        A model whose R is Legendre's is perturbed within the range of f (elsewhere R is infinite), where p' = f(y')
        needs no inversion.
        """
        rng = np.random.default_rng(1)
        count = _PERTURBATIONS if not by_inversion else 32
        spread = self.noise * 10 ** rng.uniform(-3, 0.5, (len(y), count, 1))
        steps = spread * rng.standard_normal((len(y), count, y.shape[1]))
        psi, p = model.evaluate(y)
        known = getattr(model.built, "regulariser", None)
        if known is None and not by_inversion:
            flat = (y[:, None] + steps).reshape(-1, y.shape[1])
            there, f = model.evaluate(flat)
            values, moved = legendre(there, f, flat), f
            at_p = legendre(psi, p, y)
        else:
            moved = (p[:, None] + steps).reshape(-1, y.shape[1])
            values, at_p = model.regulariser(moved), model.regulariser(p)
        distance = ((moved.reshape(steps.shape) - y[:, None]) ** 2).sum(axis=2) / 2
        perturbed = distance + values.reshape(distance.shape)
        least = ((p - y) ** 2).sum(axis=1) / 2 + at_p
        size = 1 + np.abs(at_p) + (y**2).sum(axis=1)
        return float(max(0.0, ((least[:, None] - perturbed) / size[:, None]).max()))

    def _closed_form_errors(self, model: ProximalModel, exact: ProximalModel) -> dict[str, float]:
        """Errors of f on +-4 scales and of R on +-2 scales around the location, along the first coordinates."""
        location, scale = exact.options["location"], exact.options["scale"]
        d = self.samples.shape[1]
        grid = np.linspace(-4, 4, _GRID) * scale
        errors, of_r = [], []
        for axis in range(min(d, 8)):
            y = np.full((_GRID, d), location)
            y[:, axis] += grid
            errors.append(np.abs(model.prox(y) - exact.prox(y)).max(axis=1))
            x = np.full((_SHORT_GRID, d), location)
            x[:, axis] += np.linspace(-2, 2, _SHORT_GRID) * scale
            difference = model.regulariser(x) - exact.regulariser(x)
            # R is known up to a constant: the one that makes the largest difference smallest
            of_r.append((difference.max() - difference.min()) / 2 if np.isfinite(difference).all() else np.inf)
        return {
            "prox_error_max": float(np.max(errors)),
            "prox_error_mean": float(np.mean(errors)),
            "regulariser_error": float(np.max(of_r)),
        }


def jacobian_figures(prox: Callable[[np.ndarray], np.ndarray], y: np.ndarray) -> tuple[float, float]:
    """Largest |J - J'| / |J| (Frobenius; |J| at least 1e-3) and smallest eigenvalue of (J + J') / 2, over points.

    Central differences of two steps, extrapolated: the error is of fourth order in a step of 3e-5 (1 + |y|).
    """
    asymmetry, smallest = 0.0, math.inf
    d = y.shape[1]
    basis = np.eye(d)
    for point in y:
        steps = _STEP * (np.abs(point).max() + np.abs(y).mean() + np.finfo(float).tiny) * basis
        stencil = np.concatenate([point + factor * steps for factor in (1, -1, 2, -2)])
        ahead, behind, far_ahead, far_behind = prox(stencil).reshape(4, d, d)
        length = np.diag(steps)[:, None]
        near, far = (ahead - behind) / (2 * length), (far_ahead - far_behind) / (4 * length)
        jacobian = (4 * near - far) / 3
        norm = max(float(np.linalg.norm(jacobian)), 1e-3)
        asymmetry = max(asymmetry, float(np.linalg.norm(jacobian - jacobian.T)) / norm)
        smallest = min(smallest, float(np.linalg.eigvalsh((jacobian + jacobian.T) / 2)[0]))
    return asymmetry, smallest
