"""What a changed row does to the counts of a workload, without looking at the other rows.

Everything here is about a synthetic table and targets that are already private. The loss is

    sum_q (count_q - target_q)^2,   kept as residuals count_q - target_q in units of 1 / UNIT,

so that all changes are exact integers, whatever the order in which they are added up.

A changed column touches only the marginal tables that hold it, the prefixes whose threshold lies between its old
and its new value (they are sorted), and by one rank-one term the scores of the halfspaces.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from solvary_privacy.domain import Categorical
from solvary_privacy.workload import Queries

#: residuals are in units of 1 / UNIT of a row
UNIT = 1 << 20

# A call with this many arrays costs more than the few sums that it makes.
_inlined = njit(cache=True, forceinline=True, error_model="numpy")


class Tables(NamedTuple):
    """Marginal tables: for every column its views, and the tables that use them.

    Attributes:
        bins: (V,) as `Queries.view_bins`.
        views: own[views[j] : views[j + 1]] are the views of column j.
        own: (V,).
        starts: uses[starts[j] : starts[j + 1]] are those of column j.
        uses: (U, 2 K + 1), K the largest order: a view, its stride, where the table begins, and (view, stride) of the
            table's other views; stride 0 fills up.
    """

    bins: np.ndarray
    views: np.ndarray
    own: np.ndarray
    starts: np.ndarray
    uses: np.ndarray


class Conditions(NamedTuple):
    """Prefixes: for every column its conditions of each kind, by their values, and what else the prefix asks for.

    Attributes:
        starts: (2, d + 1), for x <= value and x = value.
        values, prefixes: (C,) of both kinds, one behind the other.
        others: (2, C) the columns of the prefix's other conditions: it holds where each lies in its range.
        low, high: (2, C) these ranges; all numbers where there is no such condition.
    """

    starts: np.ndarray
    values: np.ndarray
    prefixes: np.ndarray
    others: np.ndarray
    low: np.ndarray
    high: np.ndarray


class Halves(NamedTuple):
    """Halfspaces: theta (W, H), thresholds (H,), and how columns are encoded: (d,) each."""

    theta: np.ndarray
    threshold: np.ndarray
    encoded: np.ndarray
    one_hot: np.ndarray
    origin: np.ndarray
    span: np.ndarray


class Index(NamedTuple):
    """Where a column is used: plain arrays for compiled code.

    `first` (2,) says where prefixes and halfspaces begin among the answers.
    """

    tables: Tables
    conditions: Conditions
    halves: Halves
    first: np.ndarray


class State(NamedTuple):
    """A synthetic table and what is known of it; changed in place.

    Attributes:
        table: (m, d) float64.
        codes: (m, V) int32.
        scores: (m, H) float64.
        residual: (Q,) int64, (count - target) UNIT.
    """

    table: np.ndarray
    codes: np.ndarray
    scores: np.ndarray
    residual: np.ndarray


def indexed(queries: Queries) -> Index:
    """The index of compiled queries."""
    return Index(
        _tables(queries),
        _conditions(queries),
        Halves(
            _plain(queries.theta, np.float64),
            _plain(queries.threshold, np.float64),
            _plain(queries.encoded, np.int64),
            np.array([isinstance(column, Categorical) for column in queries.domain]),
            _plain(queries.origin, np.float64),
            _plain(queries.span, np.float64),
        ),
        np.array([queries.cells, queries.cells + queries.prefixes], np.int64),
    )


def _plain(array: np.ndarray, dtype: Any) -> np.ndarray:
    """A contiguous copy: one type for every workload, so that compiled code is compiled once."""
    return np.array(array, dtype=dtype, order="C")


def _tables(queries: Queries) -> Tables:
    order = max((len(table) for table in queries.tables), default=1)
    uses: list[list[list[int]]] = [[] for _ in queries.domain]
    for g, table in enumerate(queries.tables):
        for view in table:
            use = [view, int(queries.strides[view, g]), int(queries.offsets[g])]
            for other in table:
                if other != view:
                    use += [other, int(queries.strides[other, g])]
            uses[queries.view_column[view]].append(use + [0] * (2 * order + 1 - len(use)))
    return Tables(
        _plain(queries.view_bins, np.int64),
        np.searchsorted(np.sort(queries.view_column), np.arange(len(queries.domain) + 1)).astype(np.int64),
        np.argsort(queries.view_column, kind="stable").astype(np.int64),
        np.cumsum([0, *map(len, uses)]).astype(np.int64),
        np.array([use for part in uses for use in part], np.int64).reshape(-1, 2 * order + 1),
    )


def _conditions(queries: Queries) -> Conditions:
    d = len(queries.domain)
    starts, entries, begin = [], [], 0
    for equal in (False, True):
        prefix, part = np.nonzero((queries.condition_column >= 0) & (queries.condition_equal == equal))
        column, value = queries.condition_column[prefix, part], queries.condition_value[prefix, part]
        order = np.lexsort((value, column))
        starts.append(begin + np.searchsorted(column[order], np.arange(d + 1)))
        entries.append(np.stack([prefix[order], part[order]]))
        begin += len(order)
    prefix, part = np.hstack(entries)
    others = np.stack([(part + 1) % 3, (part + 2) % 3])
    column, value = queries.condition_column[prefix, others], queries.condition_value[prefix, others]
    asked = column >= 0
    return Conditions(
        np.array(starts, np.int64),
        _plain(queries.condition_value[prefix, part], np.float64),
        _plain(prefix, np.int64),
        np.maximum(column, 0).astype(np.int64),
        np.where(asked & queries.condition_equal[prefix, others], value, -np.inf),
        np.where(asked, value, np.inf),
    )


def state_of(queries: Queries, table: np.ndarray, targets: np.ndarray) -> State:
    """The state of a table (m, d), copied, for answers (Q,) that it should have."""
    own = np.array(table, dtype=np.float64, order="C")
    wanted = np.rint(targets * (len(own) * UNIT)).astype(np.int64)
    return State(own, queries.codes(own), queries.scores(own), queries.counts(own) * UNIT - wanted)


def loss(state: State) -> float:
    """sum (q(S) - a)^2 over the shares."""
    return float(np.square(state.residual / (UNIT * len(state.table))).sum())


@_inlined
def code(value: float, bins: int, origin: float, span: float) -> int:
    """The code of a value in a view."""
    if bins == 0:
        return int(value)
    return min(int(np.floor((value - origin) / span * bins)), bins - 1)


@_inlined
def tables_change(
    codes: Any, row: int, now: Any, column: int, value: float, residual: Any, bins: Any, views: Any,
    own: Any, starts: Any, uses: Any, origin: Any, span: Any,
) -> int:  # fmt: skip
    """UNIT times the change of the loss (in counts) of the tables when a row gets a value in a column.

    Args:
        now: (V,) the codes of the row, with those of a column that has changed before; gets the new ones. A cell
            that the row entered by that change and leaves by this one was dearer by one row.
    """
    for v in range(views[column], views[column + 1]):
        now[own[v]] = code(value, bins[own[v]], origin[column], span[column])
    total = 0
    for u in range(starts[column], starts[column + 1]):
        view, stride = uses[u, 0], uses[u, 1]
        step = now[view] - codes[row, view]
        if step == 0:
            continue
        old = entered = uses[u, 2] + stride * codes[row, view]
        for k in range(3, uses.shape[1], 2):
            old += uses[u, k + 1] * codes[row, uses[u, k]]
            entered += uses[u, k + 1] * now[uses[u, k]]
        total += 2 * (residual[entered + stride * step] - residual[entered]) + (2 * UNIT if entered == old else 0)
    return total


@_inlined
def tables_exchange(codes: Any, row: int, other: int, column: int, residual: Any, starts: Any, uses: Any) -> int:
    """The same when two rows exchange their codes in a column."""
    total = 0
    for u in range(starts[column], starts[column + 1]):
        view, stride = uses[u, 0], uses[u, 1]
        step = stride * (codes[other, view] - codes[row, view])
        if step == 0:
            continue
        a, b = uses[u, 2] + stride * codes[row, view], uses[u, 2] + stride * codes[other, view]
        for k in range(3, uses.shape[1], 2):
            a += uses[u, k + 1] * codes[row, uses[u, k]]
            b += uses[u, k + 1] * codes[other, uses[u, k]]
        if a + step != b:  # else the rows exchange their cells, and nothing changes
            total += 2 * (residual[a + step] - residual[a] + residual[b - step] - residual[b]) + 4 * UNIT
    return total


@_inlined
def _find(values: Any, start: int, stop: int, value: float) -> int:
    """The first place in the sorted values[start:stop] that holds at least `value`."""
    while start < stop:
        middle = (start + stop) // 2
        if values[middle] < value:
            start = middle + 1
        else:
            stop = middle
    return start


@_inlined
def _touched(kind: int, column: int, old: float, new: float, starts: Any, values: Any) -> Any:
    """(start, stop, sign): the conditions of a column that a change of its value makes true (sign 1) or untrue (-1).

    Of the kinds, x <= value changes between the two values (0), x = value at the old (1) and the new one (2).
    """
    start, stop = starts[min(kind, 1), column], starts[min(kind, 1), column + 1]
    low = min(old, new) if kind == 0 else (old if kind == 1 else new)
    high = max(old, new) if kind == 0 else low + 0.5
    start = _find(values, start, stop, low)
    return start, _find(values, start, stop, high), 1 if kind == 2 or (kind == 0 and new < old) else -1


@_inlined
def _holds(x: Any, entry: int, others: Any, low: Any, high: Any) -> Any:
    """1 where all other conditions of a prefix hold in a row, else 0."""
    a, b = x[others[0, entry]], x[others[1, entry]]
    return np.int64((low[0, entry] <= a) & (a <= high[0, entry]) & (low[1, entry] <= b) & (b <= high[1, entry]))


@_inlined
def prefixes_change(
    x: Any, now: Any, column: int, value: float, second: bool, residual: Any, begin: int, starts: Any, values: Any,
    prefixes: Any, others: Any, low: Any, high: Any,
) -> int:  # fmt: skip
    """UNIT times the change of the loss (in counts) of the prefixes when a row x (d,) gets a value in a column.

    Args:
        now: the row, with the value of a column that has changed before.
        second: whether such a column is there. A prefix that came to hold by the first change and no longer does
            after the second one was dearer by one row.
        begin: where prefixes begin among the answers.
    """
    total = 0
    for kind in range(3):
        start, stop, sign = _touched(kind, column, x[column], value, starts, values)
        if second and sign < 0:
            for i in range(start, stop):
                holds = _holds(now, i, others, low, high)
                undone = 1 - _holds(x, i, others, low, high)
                total += holds * (UNIT - 2 * residual[begin + prefixes[i]] - 2 * UNIT * undone)
        else:
            for i in range(start, stop):
                total += _holds(now, i, others, low, high) * (UNIT + 2 * sign * residual[begin + prefixes[i]])
    return total


@_inlined
def prefixes_exchange(
    x: Any, y: Any, column: int, residual: Any, begin: int, starts: Any, values: Any, prefixes: Any, others: Any,
    low: Any, high: Any,
) -> int:  # fmt: skip
    """The same when two rows x and y exchange their values in a column."""
    total = 0
    for kind in range(3):
        start, stop, sign = _touched(kind, column, x[column], y[column], starts, values)
        for i in range(start, stop):
            step = sign * (_holds(x, i, others, low, high) - _holds(y, i, others, low, high))
            total += 2 * step * residual[begin + prefixes[i]] + step * step * UNIT
    return total


@njit(cache=True)
def term(column: int, new: float, old: float, encoded: Any, one_hot: Any, origin: Any, span: Any) -> Any:
    """What a changed column adds to scores: x theta[a] - y theta[b], as (a, x, b, y)."""
    start = encoded[column]
    if one_hot[column]:
        return start + int(new), 1.0, start + int(old), 1.0
    return start, (new - origin[column]) / span[column], start, (old - origin[column]) / span[column]


@njit(cache=True)
def halfspaces_change(
    scores: Any, row: int, threshold: Any, residual: Any, begin: int, theta: Any, a: int, x: float, b: int, y: float
) -> int:
    """UNIT times the change of the loss (in counts) when a row's scores move by x theta_a - y theta_b."""
    total = 0
    for h in range(threshold.shape[0]):
        s = scores[row, h]
        before = s > threshold[h]
        after = s + (x * theta[a, h] - y * theta[b, h]) > threshold[h]
        r = 2 * residual[begin + h]
        total += (UNIT + (r if after else -r)) if before != after else 0
    return total


@njit(cache=True)
def halfspaces_both(
    scores: Any, row: int, other: int, threshold: Any, residual: Any, begin: int, theta: Any, a: int, x: float, b: int,
    y: float, c: int, v: float, e: int, w: float,
) -> int:  # fmt: skip
    """The same for two changed columns of a row (`other` < 0), or for two rows that exchange their values."""
    total = 0
    for h in range(threshold.shape[0]):
        s, bound = scores[row, h], threshold[h]
        move = x * theta[a, h] - y * theta[b, h]
        if other < 0:
            step = int((s + move) + (v * theta[c, h] - w * theta[e, h]) > bound) - int(s > bound)
        else:
            t = scores[other, h]
            step = int(s + move > bound) - int(s > bound)
            step += int(t + (y * theta[b, h] - x * theta[a, h]) > bound) - int(t > bound)
        total += 2 * step * residual[begin + h] + step * step * UNIT
    return total


def flat(index: Index) -> tuple[Any, ...]:
    """All arrays of an index, one behind the other."""
    return (*index.tables, *index.conditions, *index.halves, index.first)


@njit(cache=True)
def assign(
    table: Any, codes: Any, scores: Any, residual: Any, row: int, column: int, value: float,
    bins: Any, views: Any, own: Any, table_starts: Any, uses: Any,
    starts: Any, values: Any, prefixes: Any, others: Any, low: Any, high: Any,
    theta: Any, threshold: Any, encoded: Any, one_hot: Any, origin: Any, span: Any, first: Any,
) -> None:  # fmt: skip
    """Write a value into the table, and bring the state up to date; the arrays of `State`, then those of `flat`."""
    old = table[row, column]
    for u in range(table_starts[column], table_starts[column + 1]):
        view, stride, cell = uses[u, 0], uses[u, 1], uses[u, 2]
        for k in range(3, uses.shape[1], 2):
            cell += uses[u, k + 1] * codes[row, uses[u, k]]
        residual[cell + stride * codes[row, view]] -= UNIT
        residual[cell + stride * code(value, bins[view], origin[column], span[column])] += UNIT
    for v in range(views[column], views[column + 1]):
        codes[row, own[v]] = code(value, bins[own[v]], origin[column], span[column])
    for kind in range(3):
        start, stop, sign = _touched(kind, column, old, value, starts, values)
        for i in range(start, stop):
            residual[first[0] + prefixes[i]] += sign * UNIT * _holds(table[row], i, others, low, high)
    if threshold.shape[0] > 0:
        a, x, b, y = term(column, value, old, encoded, one_hot, origin, span)
        for h in range(threshold.shape[0]):
            s = scores[row, h]
            moved = s + (x * theta[a, h] - y * theta[b, h])
            residual[first[1] + h] += UNIT * (int(moved > threshold[h]) - int(s > threshold[h]))
            scores[row, h] = moved
    table[row, column] = value
