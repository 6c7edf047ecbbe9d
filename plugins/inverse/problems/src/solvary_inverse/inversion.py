"""Solving f(y) = x for the gradient f of a convex function, many right-hand sides at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

#: pairs of differences that a row remembers
_MEMORY = 12
_SUFFICIENT = 1e-4
Evaluate = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def invert(
    evaluate: Evaluate,
    x: np.ndarray,
    *,
    tolerance: float = 1e-9,
    max_iterations: int = 1000,
    start: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """y with f(y) = x, row by row, as the minimiser of the convex psi(y) - <x, y>.

    Limited-memory BFGS (Nocedal and Wright, Algorithm 7.4) with a backtracking line search, in float64. Every row
    has its own memory and step; rows that are done are no longer evaluated.

    Args:
        evaluate: (n, d) -> psi (n,) and f (n, d).
        x: (n, d).
        tolerance: a row is done when |f(y) - x| <= tolerance (1 + |x|).
        max_iterations: of a row.
        start: (n, d) first points; None: x.

    Returns:
        y (n, d), and the residuals |f(y) - x| / (1 + |x|) (n,); a large one says that x is not in the range of f, or
        that the row was not solved.
    """
    x = np.array(x, dtype=np.float64)
    y = x.copy() if start is None else np.array(start, dtype=np.float64)
    n, d = x.shape
    scale = 1 + np.linalg.norm(x, axis=1)
    value, gradient = _shifted(evaluate, x, y)
    steps, changes = np.zeros((_MEMORY, n, d)), np.zeros((_MEMORY, n, d))
    curvature = np.zeros((_MEMORY, n))  # 1 / <step, change>, or 0 where nothing is remembered
    active = np.arange(n)
    for iteration in range(max_iterations):
        active = active[np.linalg.norm(gradient[active], axis=1) > tolerance * scale[active]]
        if not active.size:
            break
        order = [(iteration - 1 - back) % _MEMORY for back in range(min(iteration, _MEMORY))]
        direction = _direction(gradient[active], steps[:, active], changes[:, active], curvature[:, active], order)
        direction[(curvature[:, active] == 0).all(axis=0)] = 0  # nothing is remembered: the search starts downhill
        moved, new_value, new_gradient, found = _search(
            evaluate, x[active], y[active], value[active], gradient[active], direction
        )
        slot = iteration % _MEMORY
        step, change = moved - y[active], new_gradient - gradient[active]
        product = (step * change).sum(axis=1)
        keep = found & (product > 1e-14 * np.linalg.norm(step, axis=1) * np.linalg.norm(change, axis=1))
        steps[slot, active], changes[slot, active] = step, change
        curvature[slot, active] = np.where(keep, 1 / np.where(keep, product, 1), 0)
        y[active], value[active], gradient[active] = moved, new_value, new_gradient
        # A row whose line search found nothing tries once more by steepest descent, then it is left.
        stuck = ~found & (curvature[:, active] == 0).all(axis=0)
        curvature[:, active[~found]] = 0
        active = active[~stuck]
    return y, np.linalg.norm(gradient, axis=1) / scale


def _shifted(evaluate: Evaluate, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    psi, f = evaluate(y)
    return psi - (x * y).sum(axis=1), f - x


def _direction(
    gradient: np.ndarray, steps: np.ndarray, changes: np.ndarray, curvature: np.ndarray, order: list[int]
) -> np.ndarray:
    """-H gradient by the two-loop recursion; `order` from the newest pair to the oldest."""
    q = -gradient
    weights = {}
    for slot in order:
        weights[slot] = curvature[slot] * (steps[slot] * q).sum(axis=1)
        q = q - weights[slot][:, None] * changes[slot]
    scale = np.ones(len(q))
    for slot in reversed(order):  # the newest remembered pair sets the scale
        norm = (changes[slot] ** 2).sum(axis=1)
        known = (curvature[slot] > 0) & (norm > 0)
        scale = np.where(known, 1 / np.where(known, curvature[slot] * norm, 1), scale)
    q = q * scale[:, None]
    for slot in reversed(order):
        correction = weights[slot] - curvature[slot] * (changes[slot] * q).sum(axis=1)
        q = q + correction[:, None] * steps[slot]
    return q


def _search(
    evaluate: Evaluate, x: np.ndarray, y: np.ndarray, value: np.ndarray, gradient: np.ndarray, direction: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Halve each row's step until its value falls enough, or its gradient does where rounding hides the value."""
    slope = (gradient * direction).sum(axis=1)
    uphill = ~(slope < 0)
    norm = np.linalg.norm(gradient, axis=1)
    # A first step, of which nothing is known but its direction, goes no further than the point is from 0.
    short = np.minimum(1.0, (1 + np.linalg.norm(y, axis=1)) / norm)
    direction = np.where(uphill[:, None], -gradient * short[:, None], direction)
    slope = np.where(uphill, -short * norm**2, slope)
    length = np.ones(len(y))
    moved, new_value, new_gradient = y.copy(), value.copy(), gradient.copy()
    open_rows = np.arange(len(y))
    for _ in range(40):
        trial = y[open_rows] + length[open_rows, None] * direction[open_rows]
        psi, residual = _shifted(evaluate, x[open_rows], trial)
        fall = psi - value[open_rows]
        enough = fall <= _SUFFICIENT * length[open_rows] * slope[open_rows]
        hidden = np.abs(fall) <= 1e-13 * (1 + np.abs(value[open_rows]))
        enough |= hidden & (np.linalg.norm(residual, axis=1) < norm[open_rows])
        enough &= np.isfinite(residual).all(axis=1)
        taken = open_rows[enough]
        moved[taken], new_value[taken], new_gradient[taken] = trial[enough], psi[enough], residual[enough]
        open_rows = open_rows[~enough]
        if not open_rows.size:
            break
        length[open_rows] *= 0.5
    found = np.ones(len(y), dtype=bool)
    found[open_rows] = False
    return moved, new_value, new_gradient, found
