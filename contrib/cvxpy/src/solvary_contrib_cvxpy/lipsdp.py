"""LipSDP for Lipschitz bounds as a program of CVXPY, with the multipliers as the papers have them."""

from __future__ import annotations

import warnings
from typing import Annotated, Any, Literal

import attrs
import cvxpy
import numpy as np

from solvary import Context, Outcome, Range, Status
from solvary_robustness import lmi
from solvary_robustness.lifting import liftings, together, vanishing
from solvary_robustness.lipschitz import Bound, LipschitzBound
from solvary_robustness.network import Activation, Householder

#: CVXPY has no complete types
cp: Any = cvxpy
#: matrices of a higher order take a conic solver hours
LARGEST = 400

Conic = Literal["clarabel", "scs"]


@attrs.frozen(eq=False)
class Found:
    """Multipliers of one inequality, whether the conic solver reached its tolerance, and its own word for it."""

    multipliers: dict[str, np.ndarray]
    solved: bool
    status: str


def accepts_all(problem: LipschitzBound) -> str | None:
    """None, or that there is nothing to bound, or too much."""
    order = lmi.increments(problem.network).size
    return f"a matrix of order {order}: more than {LARGEST} takes a conic solver hours" if order > LARGEST else None


def accepts_slopes(problem: LipschitzBound) -> str | None:
    """None, or which activation has no slopes."""
    for k, increment in enumerate(lmi.increments(problem.network).activations):
        if not increment.entrywise:
            return f"activation {k} is a {type(increment.layer).__name__}, whose slopes are not restricted"
    return accepts_all(problem)


def solve(
    problem: LipschitzBound,
    context: Context,
    *,
    conic: Conic = "clarabel",
    tolerance: Annotated[float, Range(gt=0, lt=1)] = 1e-8,
    gamma: bool = False,
) -> Bound | Outcome:
    """One conic program (for "linf" one for every output), and a certificate repaired until it holds in float64.

    The bound is global: a region or a box is not used.

    Args:
        problem: the network and the norm.
        context: receives CVXPY's status of every program.
        conic: which conic solver. SCS is a first-order method: fewer digits, less memory.
        tolerance: the conic solver's own tolerances.
        gamma: keep the multipliers gam, which nu and tau already span.
    """
    network, norm = problem.network, problem.norm
    zero = vanishing(network, norm)  # type: ignore[arg-type]
    if zero is not None:
        return zero
    proofs, words = [], []
    for lifting in liftings(network, norm, gamma):  # type: ignore[arg-type]
        found = minimise(
            lifting.forms, lifting.norm, row=lifting.row, gamma=gamma, tolerance=tolerance, conic=conic,
            unit=lifting.scaled.output,
        )  # fmt: skip
        proofs.append(lifting.prove(*lifting.weights(found.multipliers)))
        words.append(found.status)
    context.report["status"] = words
    bound = together(proofs, norm)  # type: ignore[arg-type]
    if all(word == cp.OPTIMAL for word in words):
        return bound
    return Outcome(bound, Status.LIMIT_ITERATIONS, f"a proved bound, with the statuses {sorted(set(words))} of CVXPY")


def minimise(
    forms: lmi.Increments,
    norm: lmi.Norm,
    *,
    row: int = 0,
    gamma: bool = False,
    tolerance: float = 1e-8,
    conic: Conic = "clarabel",
    unit: float = 1.0,
) -> Found:
    """The inequality of `solvary_robustness.lmi` with the smallest bound; the solver sees outputs divided by `unit`."""
    output = forms.output / unit
    rho = cp.Variable(nonneg=True)
    variables: dict[str, Any] = {}
    matrix: Any = 0
    for k, increment in enumerate(forms.activations):
        names = ("lam",) if increment.entrywise else ("lam", "nu", "tau", *(("gam",) if gamma else ()))
        parts = {name: cp.Variable(increment.groups, nonneg=name == "lam") for name in names}
        matrix = matrix + _constraint(forms, increment, parts)
        variables |= {f"{name}.{k}": part for name, part in parts.items()}
    first = np.eye(forms.inputs, forms.size)
    if norm == "l2":
        objective: Any = rho
        matrix = matrix - rho * (first.T @ first) + output.T @ output
    else:
        variables["mu"] = cp.Variable(forms.inputs, nonneg=True)
        objective = 0.5 * (rho + cp.sum(variables["mu"]))
        y = output[row][:, None]
        head = matrix - first.T @ cp.diag(variables["mu"]) @ first
        matrix = cp.bmat([[head, y], [y.T, -cp.reshape(rho, (1, 1), order="C")]])
    program = cp.Problem(cp.Minimize(objective), [0.5 * (matrix + matrix.T) << 0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # inaccurate solutions are in the status
        try:
            program.solve(solver=conic.upper(), **_tolerances(conic, tolerance))
        except cp.SolverError:
            return Found(_zeros(forms, norm), False, "solver_error")
    if rho.value is None:
        return Found(_zeros(forms, norm), False, str(program.status))
    variables["rho"] = rho
    factor = unit**2 if norm == "l2" else unit
    return Found(
        {name: np.asarray(part.value) * factor for name, part in variables.items()},
        program.status == cp.OPTIMAL,
        str(program.status),
    )


def _constraint(forms: lmi.Increments, increment: lmi.Increment, parts: dict[str, Any]) -> Any:
    """The constraint of one activation as an affine expression (z, z)."""
    a = increment.before
    b = np.zeros((increment.width, forms.size))
    b[:, increment.after] = np.eye(increment.width)

    def weighed(weights: Any, left: np.ndarray, right: np.ndarray) -> Any:
        return left.T @ cp.diag(weights) @ right

    if isinstance(increment.layer, Activation):
        low, high = sorted((increment.layer.negative_slope, 1.0))
        cross = weighed(parts["lam"], a, b)
        return (
            (low + high) * (cross + cross.T)
            - 2 * low * high * weighed(parts["lam"], a, a)
            - 2 * weighed(parts["lam"], b, b)
        )
    vectors = lmi.group_vectors(increment.layer, increment.width)
    groups, size = vectors.shape
    spread = np.kron(np.eye(groups), np.ones((size, 1)))  # one multiplier a group -> one an entry
    inner = np.zeros((groups, increment.width))
    for group in range(groups):
        inner[group, group * size : (group + 1) * size] = vectors[group]

    def kernel(weights: Any, left: np.ndarray, right: np.ndarray) -> Any:
        """`left^T (diag(weights) (x) K) right`."""
        outer = weighed(weights, inner @ left, inner @ right)
        return weighed(spread @ weights, left, right) - outer if isinstance(increment.layer, Householder) else outer

    lam, nu, tau = (spread @ parts["lam"]), parts["nu"], parts["tau"]
    cross = kernel(nu + tau, a, b)
    total = weighed(lam, a, a) - weighed(lam, b, b) - 2 * kernel(tau, a, a) - 2 * kernel(nu, b, b) + cross + cross.T
    if "gam" in parts:
        total = total + kernel(parts["gam"], a, a) - kernel(parts["gam"], b, b)
    return total


def _zeros(forms: lmi.Increments, norm: lmi.Norm) -> dict[str, np.ndarray]:
    """Multipliers that prove nothing: the repair replaces them."""
    zero = {"rho": np.zeros(())} | {f"lam.{k}": np.zeros(each.groups) for k, each in enumerate(forms.activations)}
    return zero | ({"mu": np.zeros(forms.inputs)} if norm == "linf" else {})


def _tolerances(conic: Conic, tolerance: float) -> dict[str, float]:
    if conic == "clarabel":
        return {"tol_gap_abs": tolerance, "tol_gap_rel": tolerance, "tol_feas": tolerance}
    return {"eps_abs": tolerance, "eps_rel": tolerance}
