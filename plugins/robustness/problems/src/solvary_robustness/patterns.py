"""The largest Jacobian norm of a small ReLU network exactly, over its activation patterns.

On the domain most units are on or off everywhere. Let p (k,) be the pre-activations of the undecided ones and h (k,)
what they put out; all else is affine: `p = A x + B h + a`, with B strictly lower triangular, and the network is
`C x + D h + c`. With slopes s (k,) the Jacobian is `C + D H`, where row j of H is `s_j (A_j + B_j H)`.
A pattern counts when the points of the relative interior of the domain at which p has its signs make an open cell.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import attrs
import numpy as np

from solvary_robustness.network import Activation, Conv2d, Dense, Flatten, Layer, Network, Norm, Residual

Domain = tuple[np.ndarray, np.ndarray] | None
#: most undecided units, and most linear programs solved
UNITS, PROGRAMS = 16, 2000
#: inradius of a cell (rows and domain scaled to one) from which it counts
_THIN = 1e-6
_BLOCK = 4_000_000


@attrs.frozen(eq=False)
class PatternSearch:
    """The largest norm over patterns and a point that has it; `exhaustive`: whether all patterns were judged."""

    value: float
    point: np.ndarray | None
    exhaustive: bool


_NOTHING = PatternSearch(0.0, None, False)


def largest_over_patterns(network: Network, norm: Norm, domain: Domain) -> PatternSearch:
    """The largest Jacobian norm over the activation patterns that occur on the domain.

    Nothing (`exhaustive` False) where an activation is no (leaky) ReLU, or more than 16 units are undecided.
    """
    if not _supported(network.layers):
        return _NOTHING
    states = _unit_states(network, domain)
    undecided = sum(int((state == 0).sum()) for state in states)
    if undecided > UNITS:
        return _NOTHING
    forms = _Forms(network, states)
    return _best_first(forms, norm, _Cells(forms, domain, typical_length(network)))


def _supported(layers: tuple[Layer, ...]) -> bool:
    return all(
        _supported(layer.layers)
        if isinstance(layer, Residual)
        else isinstance(layer, Dense | Conv2d | Activation | Flatten)
        for layer in layers
    )


def _is_bent(layer: Layer) -> bool:
    return isinstance(layer, Activation) and layer.negative_slope != 1.0


def typical_length(network: Network) -> float:
    """How far from the origin the network has its first kinks: the median over units; 1 where that says nothing."""
    for layer in network.layers:
        if isinstance(layer, Dense | Conv2d):
            dense = layer.lowered() if isinstance(layer, Conv2d) else layer
            rows = np.sqrt(np.asarray((dense.weight * dense.weight).sum(axis=1)).ravel())
            apart = (rows > 0) & (dense.bias != 0)
            return float(np.median(np.abs(dense.bias[apart]) / rows[apart])) if apart.any() else 1.0
    return 1.0


# --- which units are decided ---------------------------------------------------------------------------------------


def _unit_states(network: Network, domain: Domain) -> list[np.ndarray]:
    """For each activation layer: 1 on, -1 off, 0 undecided, by linear bounds of the pre-activations."""
    found: list[np.ndarray] = []
    if domain is None or not (np.isfinite(domain[0]).all() and np.isfinite(domain[1]).all()):
        _unbounded(network.layers, network.input_size, found)
    else:
        eye = np.eye(network.input_size)
        zero = np.zeros(network.input_size)
        _linear_bounds(network.layers, (eye, zero, eye, zero), domain, found)
    return found


def _unbounded(layers: tuple[Layer, ...], width: int, found: list[np.ndarray]) -> None:
    for layer in layers:
        if isinstance(layer, Residual):
            _unbounded(layer.layers, width, found)
        elif _is_bent(layer):
            found.append(np.zeros(width, dtype=np.int64))
        width = layer.width(width)


_Lines = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _linear_bounds(
    layers: tuple[Layer, ...], lines: _Lines, domain: tuple[np.ndarray, np.ndarray], found: list[np.ndarray]
) -> _Lines:
    """Lines `L x + l <= signal <= U x + u`, carried forward through the layers; unit states are added to `found`."""
    for layer in layers:
        if isinstance(layer, Residual):
            inner = _linear_bounds(layer.layers, lines, domain, found)
            lines = (lines[0] + inner[0], lines[1] + inner[1], lines[2] + inner[2], lines[3] + inner[3])
        elif isinstance(layer, Dense | Conv2d):
            dense = layer.lowered() if isinstance(layer, Conv2d) else layer
            plus, minus = _parts(dense.weight)
            slope_lo, shift_lo, slope_hi, shift_hi = lines
            lines = (
                plus @ slope_lo + minus @ slope_hi,
                plus @ shift_lo + minus @ shift_hi + dense.bias,
                plus @ slope_hi + minus @ slope_lo,
                plus @ shift_hi + minus @ shift_lo + dense.bias,
            )
        elif isinstance(layer, Activation) and _is_bent(layer):
            lines, state = _relaxed(lines, domain, layer.negative_slope)
            found.append(state)
    return lines


def _parts(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    dense = weight if isinstance(weight, np.ndarray) else weight.toarray()
    return np.maximum(dense, 0.0), np.minimum(dense, 0.0)


def _relaxed(lines: _Lines, domain: tuple[np.ndarray, np.ndarray], slope: float) -> tuple[_Lines, np.ndarray]:
    """The lines after a (leaky) ReLU of this slope, and which units are on, off, undecided."""
    slope_lo, shift_lo, slope_hi, shift_hi = lines
    lo = np.maximum(slope_lo, 0.0) @ domain[0] + np.minimum(slope_lo, 0.0) @ domain[1] + shift_lo
    hi = np.maximum(slope_hi, 0.0) @ domain[1] + np.minimum(slope_hi, 0.0) @ domain[0] + shift_hi
    # Lines are rounded: what is zero to that precision is not decided by its sign.
    rounding = 1e-13 * (
        np.abs(shift_lo) + np.abs(shift_hi) + np.abs(slope_lo).sum(axis=1) + np.abs(slope_hi).sum(axis=1)
    )
    state = np.where((lo >= -rounding) & (hi > rounding), 1, 0) - np.where((hi <= rounding) & (lo < -rounding), 1, 0)
    # A unit that is zero on all of the domain is undecided and has no chord; any line through zero will do.
    width = np.where(hi > lo, hi - lo, 1.0)
    chord = np.where(state == 1, 1.0, np.where(state == -1, slope, np.where(hi > lo, (hi - slope * lo) / width, 1.0)))
    offset = np.where(state == 0, hi - chord * hi, 0.0)
    tangent = np.where(state == 1, 1.0, np.where(state == -1, slope, np.where(hi > -lo, 1.0, slope)))
    below, above = (tangent, 0.0 * offset), (chord, offset)
    if slope > 1.0:  # the chord is then below and the tangents above
        below, above = above, below
    lowest = _through(below, slope_lo, shift_lo, slope_hi, shift_hi)
    highest = _through(above, slope_hi, shift_hi, slope_lo, shift_lo)
    return (*lowest, *highest), state


def _through(
    line: tuple[np.ndarray, np.ndarray],
    near: np.ndarray,
    near_shift: np.ndarray,
    far: np.ndarray,
    far_shift: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """`factor * signal + offset`, with the near line of the signal where the factor is positive, else the far one."""
    factor, offset = line
    positive = factor >= 0
    slope = factor[:, None] * np.where(positive[:, None], near, far)
    return slope, factor * np.where(positive, near_shift, far_shift) + offset


# --- the network in its undecided units ----------------------------------------------------------------------------


class _Forms:
    """A, a, B of the undecided pre-activations and C, D of the output; the slopes of each unit when off."""

    def __init__(self, network: Network, states: list[np.ndarray]) -> None:
        self.inputs = d = network.input_size
        self.units = k = sum(int((state == 0).sum()) for state in states)
        #: columns: x, h, and 1
        self.rows = np.zeros((k, d + k + 1))
        self.off = np.zeros(k)
        self._states, self._count = iter(states), 0
        signal = np.zeros((d, d + k + 1))
        signal[:, :d] = np.eye(d)
        output = self._through(network.layers, signal)
        self.C, self.D = output[:, :d], output[:, d : d + k]

    def _through(self, layers: tuple[Layer, ...], signal: np.ndarray) -> np.ndarray:
        for layer in layers:
            if isinstance(layer, Residual):
                signal = signal + self._through(layer.layers, signal)
            elif isinstance(layer, Dense | Conv2d):
                dense = layer.lowered() if isinstance(layer, Conv2d) else layer
                signal = np.asarray(dense.weight @ signal)
                signal[:, -1] += dense.bias
            elif isinstance(layer, Activation) and _is_bent(layer):
                state = next(self._states)
                after = np.where(state == 1, 1.0, layer.negative_slope)[:, None] * signal
                for unit in np.flatnonzero(state == 0):
                    j = self._count
                    self.rows[j], self.off[j] = signal[unit], layer.negative_slope
                    after[unit] = 0.0
                    after[unit, self.inputs + j] = 1.0
                    self._count += 1
                signal = after
        return signal

    def affine(self, signs: tuple[int, ...]) -> np.ndarray:
        """Rows [gradient, constant] (m, d + 1) of the first m pre-activations, under the signs (1 or 0) before them."""
        d, m = self.inputs, len(signs)
        pre, post = np.zeros((m, d + 1)), np.zeros((m, d + 1))
        for j in range(m):
            pre[j, :d], pre[j, d] = self.rows[j, :d], self.rows[j, -1]
            pre[j] += self.rows[j, d : d + j] @ post[:j]
            post[j] = (1.0 if signs[j] else self.off[j]) * pre[j]
        return pre

    def jacobians(self, signs: np.ndarray) -> np.ndarray:
        """Jacobians (P, o, d) under patterns (P, k)."""
        slopes = np.where(signs, 1.0, self.off)
        # One axis order for all patterns at once, so that each product is one product of matrices.
        h = np.zeros((self.units, len(signs), self.inputs))
        for j in range(self.units):
            before = np.tensordot(self.rows[j, self.inputs : self.inputs + j], h[:j], axes=1)
            h[j] = slopes[:, j, None] * (self.rows[j, : self.inputs] + before)
        found: np.ndarray = self.C + np.swapaxes(np.tensordot(self.D, h, axes=1), 0, 1)
        return found


def _patterns(units: int, start: int, stop: int) -> np.ndarray:
    """Patterns number start to stop, (P, k): the first unit is the highest bit."""
    return (np.arange(start, stop)[:, None] >> np.arange(units - 1, -1, -1)) & 1


def _all_norms(forms: _Forms, norm: Norm) -> np.ndarray:
    """The Jacobian norm of every pattern, feasible or not, (2^k,)."""
    from solvary_robustness.jacobians import jacobian_norms

    total = 1 << forms.units
    rows = max(1, _BLOCK // (max(forms.units, forms.C.shape[0]) * forms.inputs))
    blocks: Iterator[np.ndarray] = (
        jacobian_norms(forms.jacobians(_patterns(forms.units, start, min(start + rows, total))), norm)
        for start in range(0, total, rows)
    )
    return np.concatenate(list(blocks))


# --- which patterns occur ------------------------------------------------------------------------------------------


class _Cells:
    """Judges, by linear programs, whether a pattern of the first units occurs on an open part of the domain."""

    def __init__(self, forms: _Forms, domain: Domain, length: float) -> None:
        self.forms, d = forms, forms.inputs
        lo, hi = domain if domain is not None else (np.full(d, -np.inf), np.full(d, np.inf))
        bounded = np.isfinite(lo) & np.isfinite(hi)
        self.fixed = bounded & (lo == hi)
        # x = start + width * y, with y in [0, 1] where there are two ends, in units of `length` where there are not;
        # a fixed coordinate is left in a direction y.
        self.start = np.where(np.isfinite(lo), lo, np.where(np.isfinite(hi), hi, 0.0))
        width = np.where(bounded, hi, length) - np.where(bounded, lo, 0.0)
        self.width = np.where(self.fixed, 1.0, width)
        self.ends = [
            (-1.0, 1.0) if fixed
            else (0.0, 1.0) if both
            else (0.0 if np.isfinite(a) else None, 0.0 if np.isfinite(b) else None)
            for fixed, both, a, b in zip(self.fixed, bounded, lo, hi, strict=True)
        ]  # fmt: skip
        # Ends of y for a quick refusal; where there is none, one so far that it refuses nothing.
        self.least = np.array([-1e30 if end[0] is None else end[0] for end in self.ends])
        self.most = np.array([1e30 if end[1] is None else end[1] for end in self.ends])
        #: linear programs solved
        self.programs = 0

    def inside(self, signs: tuple[int, ...], hint: np.ndarray | None) -> np.ndarray | None:
        """A point y deep in the cell of these signs, the hint if it is one; None where the cell is empty or thin."""
        from scipy.optimize import linprog

        rows = self.forms.affine(signs)
        gradient, constant = rows[:, :-1] * self.width, rows[:, :-1] @ self.start + rows[:, -1]
        sign = np.where(np.array(signs, dtype=bool), 1.0, -1.0)
        magnitude = np.abs(rows[:, :-1]) @ np.abs(self.start) + np.abs(rows[:, -1]) + np.abs(gradient).sum(axis=1)
        tiny = 1e-13 * magnitude
        moving = np.abs(gradient[:, ~self.fixed]).max(axis=1, initial=0.0) > tiny
        zero = ~moving & (np.abs(constant) <= tiny)
        if (sign[~moving & ~zero] * constant[~moving & ~zero] < 0).any():
            return None
        # A unit that moves is judged at the point; one that is zero on all of the domain by the direction off it.
        turning = zero & (np.abs(gradient[:, self.fixed]).max(axis=1, initial=0.0) > tiny)
        matrix = np.where(moving[:, None] & self.fixed, 0.0, gradient)
        matrix, offset = matrix[moving | turning], np.where(moving, constant, 0.0)[moving | turning]
        kept = sign[moving | turning]
        if len(kept) == 0:
            return np.where([end == (0.0, 1.0) for end in self.ends], 0.5, 0.0)
        length = np.abs(matrix).max(axis=1)
        # maximise t with sign (g y + c) / |g| >= t
        slopes, shift = kept[:, None] * matrix / length[:, None], kept * offset / length
        if hint is not None and (slopes @ hint + shift).min() > _THIN:
            return hint
        if ((np.maximum(slopes, 0.0) @ self.most + np.minimum(slopes, 0.0) @ self.least) + shift <= _THIN).any():
            return None
        goal = np.zeros(slopes.shape[1] + 1)
        goal[-1] = -1.0
        upper = np.column_stack([-slopes, np.ones(len(kept))])
        solved = linprog(goal, upper, shift, bounds=[*self.ends, (None, 1.0)], method="highs")
        self.programs += 1
        return solved.x[:-1] if solved.status == 0 and solved.x[-1] > _THIN else None

    def point(self, y: np.ndarray) -> np.ndarray:
        small = 1e-9 * (1.0 + np.abs(self.start))
        point: np.ndarray = self.start + np.where(self.fixed, small, self.width) * y
        return point


def _best_first(forms: _Forms, norm: Norm, cells: _Cells) -> PatternSearch:
    """Patterns by the largest norm that they can still have; the first whole one that occurs is the answer."""
    norms, k = _all_norms(forms, norm), forms.units
    heap: list[tuple[float, tuple[int, ...], np.ndarray | None]] = [(-float(norms.max()), (), None)]
    while heap and cells.programs < PROGRAMS:
        bound, signs, hint = heapq.heappop(heap)
        y = cells.inside(signs, hint)
        if y is None:
            continue
        if len(signs) == k:
            return PatternSearch(-bound, cells.point(y), True)
        for sign in (0, 1):
            more = (*signs, sign)
            first = int("".join(map(str, more)), 2) << (k - len(more))
            heapq.heappush(heap, (-float(norms[first : first + (1 << (k - len(more)))].max()), more, y))
    return _NOTHING  # too many programs, or no cell is thick enough to be seen
