"""The semidefinite program of a loop, by a primal-dual barrier method whose Newton systems come from low-rank factors.

In the weights theta (of the inputs, and one lam for every group) the matrix is

    S(theta) = diag(theta of each coordinate) - P^T diag(lam) P - S0,

with S0 = C^T C; S must be positive semidefinite. So every derivative `F_i` of S has signed rows as its factors: unit
vectors and rows of P. With the dual matrix X, the Newton system of the direction of Helmberg, Rendl, Vanderbei and
Wolkowicz (SIAM J. Optim. 6, 1996) is `H_ij = tr(F_i X F_j S^-1)`: sums over blocks of products of the entries of X and
S^-1, seen through those rows. That is O(s^3) an iteration, and no F_i is ever formed.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import numpy as np
from scipy.linalg import cho_factor, cho_solve, cholesky, eigvalsh, solve_triangular
from scipy.linalg.lapack import dpotri
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh

#: multipliers without a cost (in scaled units) stay below this. It costs about 5e-6 of the bound of networks with
#: groups that nothing feeds, whose multipliers would grow for ever; from 1e5 on rounding shows in their certificates
CEILING = 1e4
#: share of the way to the boundary that a step goes
_SHARE = 0.95
#: from this order on the way to the boundary is measured by Lanczos steps
_LARGE = 250


@attrs.frozen(eq=False)
class Program:
    """Minimise `cost^T theta` subject to `S(theta) >= 0`, theta >= 0.

    Attributes:
        P: (q, s) rows of the constrained coordinates, which are those from `first` to `first + q`.
        constant: S0, (s, s) symmetric.
        first: how many coordinates come before the constrained ones.
        owners: (s,) which weight each coordinate has; non-decreasing, every weight owns a run of coordinates.
        cost: (p,) linear objective.
    """

    P: np.ndarray
    constant: np.ndarray
    first: int
    owners: np.ndarray
    cost: np.ndarray

    @property
    def rows(self) -> slice:
        """The constrained coordinates."""
        return slice(self.first, self.first + len(self.P))

    @property
    def free(self) -> np.ndarray:
        """(p,) which weights cost nothing; they get the ceiling."""
        return np.asarray(self.cost == 0)

    @property
    def starts(self) -> np.ndarray:
        """First coordinate of every weight, (p,)."""
        return np.flatnonzero(np.diff(self.owners, prepend=-1))

    def linear(self, theta: np.ndarray) -> np.ndarray:
        """`sum_i theta_i F_i`, (s, s)."""
        weights = theta[self.owners]
        total = -(self.P.T * weights[self.rows]) @ self.P
        total.flat[:: len(total) + 1] += weights
        return np.asarray(total)

    def matrix(self, theta: np.ndarray) -> np.ndarray:
        """S(theta), (s, s)."""
        S = self.linear(theta) - self.constant
        return np.asarray(0.5 * (S + S.T))

    def adjoint(self, X: np.ndarray) -> np.ndarray:
        """`tr(F_i X)` for all i, (p,)."""
        inner = np.diagonal(X).copy()
        inner[self.rows] -= np.einsum("qs,qs->q", self.P @ X, self.P)
        return np.asarray(np.add.reduceat(inner, self.starts))

    def gram(self, X: np.ndarray, Y: np.ndarray) -> np.ndarray:
        """`tr(F_i X F_j Y)` for all i and j, (p, p), for symmetric X and Y."""
        rows, P = self.rows, self.P
        XP, YP = X @ P.T, Y @ P.T  # (s, q)
        total = X * Y
        mixed = XP * YP
        total[:, rows] -= mixed
        total[rows, :] -= mixed.T
        total[rows, rows] += (P @ XP) * (P @ YP)
        starts = self.starts
        return np.asarray(np.add.reduceat(np.add.reduceat(total, starts, axis=0), starts, axis=1))


@attrs.frozen(eq=False)
class Point:
    """Weights strictly inside, the gap to the optimum (an estimate until the dual point is feasible), both lengths."""

    theta: np.ndarray
    gap: float
    length: float
    dual_length: float


@attrs.define(eq=False)
class _State:
    """theta with S and its factor, and the dual point: X for S >= 0, v for theta >= 0, w for theta <= ceiling."""

    theta: np.ndarray
    S: np.ndarray
    factor: np.ndarray
    X: np.ndarray
    v: np.ndarray
    w: np.ndarray


def follow(program: Program, theta: np.ndarray, tolerance: float) -> Iterator[Point]:
    """Predictor-corrector steps from a strictly feasible start, which keep theta strictly feasible; yields after each.

    Ends when the gap is at most `tolerance` times the objective, or when rounding allows no further step: the last
    gap says which.
    """
    state = _begin(program, theta)
    order = len(program.owners) + len(theta) + int(program.free.sum())
    stuck = 0
    while stuck < 3:
        point = _step(program, state, order)
        yield point
        if point.gap <= tolerance * float(program.cost @ state.theta):
            return
        stuck = stuck + 1 if max(point.length, point.dual_length) < 1e-3 else 0


def _begin(program: Program, theta: np.ndarray) -> _State:
    """A perfectly centred dual point, which its constraint `tr(F_i X) + v_i - w_i = cost_i` need not hold at."""
    S = program.matrix(theta)
    factor = cholesky(S, lower=True, check_finite=False)
    mu = float(program.cost @ theta) / len(program.owners)
    w = np.where(program.free, mu / (CEILING - theta), 0.0)
    return _State(theta, S, factor, mu * _inverse(factor), mu / theta, w)


def _inverse(factor: np.ndarray) -> np.ndarray:
    """The inverse of a symmetric matrix from its lower Cholesky factor."""
    lower, _ = dpotri(factor, lower=1)
    lower = np.tril(lower)
    return np.asarray(lower + np.tril(lower, -1).T)


def _step(program: Program, state: _State, order: int) -> Point:
    """One predictor-corrector step (Mehrotra), in place."""
    theta, S, X, v, w = state.theta, state.S, state.X, state.v, state.w
    free, room = program.free, np.where(program.free, CEILING - state.theta, 1.0)
    inverse = _inverse(state.factor)
    centre = program.adjoint(inverse)
    system = program.gram(X, inverse)
    system.flat[:: len(theta) + 1] += v / theta + w / room
    solve = _solver(0.5 * (system + system.T))
    mu = _complementarity(S, X, theta, v, room, w) / order

    def direction(target: float, X2: np.ndarray | float, v2: np.ndarray | float, w2: np.ndarray | float) -> tuple:
        """The step towards X S = target I, given second-order terms (X2 already multiplied by S^-1)."""
        second = program.adjoint(X2) if isinstance(X2, np.ndarray) else 0.0
        right = target * (centre + 1.0 / theta - free / room) - program.cost - second - v2 / theta + w2 / room
        d = solve(right)
        dS = program.linear(d)
        dX = target * inverse - X - X2 - _symmetric(X @ dS @ inverse)
        dv = (target - v2 - v * d) / theta - v
        dw = np.where(free, (target - w2 + w * d) / room - w, 0.0)
        return d, dS, dX, dv, dw

    def lengths(d: np.ndarray, dS: np.ndarray, dX: np.ndarray, dv: np.ndarray, dw: np.ndarray) -> tuple[float, float]:
        """How far both sides may go, at most to a full step."""
        inside = min(_ray(theta, d), _ray(room[free], -d[free]), _reach(state.factor, dS))
        return min(1.0, _SHARE * inside), min(1.0, _SHARE * min(_ray(v, dv), _ray(w[free], dw[free]), _reach(root, dX)))

    root = cholesky(X, lower=True, check_finite=False)
    d, dS, dX, dv, dw = direction(0.0, 0.0, 0.0, 0.0)
    a, b = lengths(d, dS, dX, dv, dw)
    after = _complementarity(S + a * dS, X + b * dX, theta + a * d, v + b * dv, room - a * d, w + b * dw) / order
    sigma = min(1.0, max(after / mu, 0.0) ** 2) if min(a, b) > 0.1 else 0.5
    second = _symmetric(dX @ dS @ inverse)
    d, dS, dX, dv, dw = direction(max(sigma, 1e-4) * mu, second, dv * d, -dw * d)
    a, b = lengths(d, dS, dX, dv, dw)
    a = _accept(program, state, d, a)
    b = _accept_dual(state, dX, dv, dw, b)
    room = np.where(free, CEILING - state.theta, 1.0)
    missed = program.cost - program.adjoint(state.X) - state.v + state.w
    gap = _complementarity(state.S, state.X, state.theta, state.v, room, state.w) + float(np.abs(missed) @ state.theta)
    return Point(state.theta, gap, a, b)


def _accept(program: Program, state: _State, d: np.ndarray, length: float) -> float:
    """Moves theta as far as S stays positive definite in floating point."""
    while length > 1e-8:
        theta = state.theta + length * d
        S = program.matrix(theta)
        try:
            state.factor = cholesky(S, lower=True, check_finite=False)
        except np.linalg.LinAlgError:
            length *= 0.8
            continue
        state.theta, state.S = theta, S
        return length
    return 0.0


def _accept_dual(state: _State, dX: np.ndarray, dv: np.ndarray, dw: np.ndarray, length: float) -> float:
    """Moves the dual point as far as X stays positive definite in floating point."""
    while length > 1e-8:
        X = state.X + length * dX
        try:
            cholesky(X, lower=True, check_finite=False)
        except np.linalg.LinAlgError:
            length *= 0.8
            continue
        state.X, state.v, state.w = X, state.v + length * dv, state.w + length * dw
        return length
    return 0.0


def _complementarity(
    S: np.ndarray, X: np.ndarray, theta: np.ndarray, v: np.ndarray, room: np.ndarray, w: np.ndarray
) -> float:
    return float(np.vdot(S, X) + theta @ v + room @ w)


def _symmetric(matrix: np.ndarray) -> np.ndarray:
    return np.asarray(0.5 * (matrix + matrix.T))


def _solver(system: np.ndarray):  # type: ignore[no-untyped-def]
    """Solves with a positive definite system, scaled to a unit diagonal; a ridge where rounding made it indefinite."""
    scale = 1.0 / np.sqrt(np.diagonal(system))
    scaled = system * scale[:, None] * scale
    for ridge in (0.0, 1e-14, 1e-12, 1e-10, 1e-8, 1e-6):
        scaled.flat[:: len(scale) + 1] += ridge
        try:
            factor = cho_factor(scaled, check_finite=False)
            break
        except np.linalg.LinAlgError:
            continue

    def solve(right: np.ndarray) -> np.ndarray:
        x = cho_solve(factor, scale * right, check_finite=False)
        x += cho_solve(factor, scale * (right - system @ (scale * x)), check_finite=False)
        return np.asarray(scale * x)

    return solve


def _ray(values: np.ndarray, step: np.ndarray) -> float:
    """The largest length for which `values + length step` is not negative."""
    falling = step < 0
    return float(np.min(-values[falling] / step[falling], initial=np.inf))


def _reach(factor: np.ndarray, step: np.ndarray) -> float:
    """The largest length for which `L L^T + length step >= 0`: from lambda_min of L^-1 step L^-T."""
    if len(factor) < _LARGE:
        half = solve_triangular(factor, step, lower=True, check_finite=False)
        whole = solve_triangular(factor, half.T, lower=True, check_finite=False)
        least = float(eigvalsh(_symmetric(whole), subset_by_index=[0, 0], check_finite=False)[0])
    else:
        least = _lanczos(factor, step)
    return np.inf if least >= 0 else -1.0 / least


def _lanczos(factor: np.ndarray, step: np.ndarray) -> float:
    """The same eigenvalue to a few percent, from a few products; the Cholesky factorisation has the last word."""

    def product(x: np.ndarray) -> np.ndarray:
        inner = step @ solve_triangular(factor, x, lower=True, trans="T", check_finite=False)
        return np.asarray(solve_triangular(factor, inner, lower=True, check_finite=False))

    n = len(factor)
    start = np.cos(np.arange(n) * 0.7 + 0.3)  # a fixed start: the same steps in every run
    operator = LinearOperator((n, n), matvec=product, dtype=np.float64)
    try:
        return float(eigsh(operator, k=1, which="SA", v0=start, tol=1e-2, return_eigenvectors=False)[0])
    except ArpackError:
        return -1.0
