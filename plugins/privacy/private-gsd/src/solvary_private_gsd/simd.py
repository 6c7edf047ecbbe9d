"""The search compiled: many generations in one call, each candidate priced by what its changed cells touch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from solvary_privacy.increments import (
    Index,
    State,
    assign,
    flat,
    halfspaces_both,
    halfspaces_change,
    prefixes_change,
    prefixes_exchange,
    tables_change,
    tables_exchange,
    term,
)  # fmt: skip
from solvary_privacy.workload import Queries
from solvary_private_gsd import population
from solvary_private_gsd.population import (
    CONTINUOUS,
    CROSS,
    DRAWS,
    GAPS,
    MUTATE,
    SWAP,
    Columns,
    Elite,
    no_candidates,
)  # fmt: skip

_inlined = njit(cache=True, forceinline=True, error_model="numpy")
_succeed = njit(cache=True)(population.succeed)


def generations(
    queries: Queries, index: Index, state: State, elite: Elite, columns: Columns, edges: np.ndarray,
    operators: np.ndarray, key: int, start: int, count: int,
) -> tuple[int, np.ndarray]:  # fmt: skip
    """As `reference.generations`."""
    wins = np.zeros(4, np.int64)
    room = no_candidates(len(operators))
    total = search(
        *state, elite, columns, edges, operators, np.uint64(key), start, count, room, wins, *flat(index)
    )  # fmt: skip
    return int(total), wins


@_inlined
def _draw(key: Any, counter: Any) -> Any:
    z = key + (counter + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@_inlined
def _below(drawn: Any, bound: int) -> Any:
    return np.int64(((drawn >> np.uint64(32)) * np.uint64(bound)) >> np.uint64(32))


@_inlined
def _unit(drawn: Any) -> Any:
    return np.float64(drawn >> np.uint64(11)) * 2.0**-53


@_inlined
def _value(
    table: Any, lengths: Any, elite_rows: Any, elite_columns: Any, elite_values: Any, parent: int, row: int, column: int
) -> Any:
    """The value of a cell in an elite table."""
    value = table[row, column]
    for q in range(lengths[parent]):
        if elite_rows[parent, q] == row and elite_columns[parent, q] == column:
            value = elite_values[parent, q]
    return value


@_inlined
def _mutate(table: Any, discrete: Any, sizes: Any, cumulative: Any, row: int, key: Any, counter: Any) -> Any:
    """A column and its new code."""
    u = _unit(_draw(key, counter + np.uint64(1)))
    i = 0
    while i < discrete.shape[0] - 1 and cumulative[i] <= u:
        i += 1
    value = _below(_draw(key, counter + np.uint64(2)), sizes[i] - 1)
    return discrete[i], np.float64(value + (1 if value >= table[row, discrete[i]] else 0))


@_inlined
def _renew(real: Any, edges: Any, key: Any, counter: Any) -> Any:
    """A real column and its new value."""
    i, gap = _below(_draw(key, counter + np.uint64(1)), real.shape[0]), _below(_draw(key, counter + np.uint64(2)), GAPS)
    low, high = edges[i, gap], edges[i, gap + 1]
    return real[i], low + _unit(_draw(key, counter + np.uint64(3))) * (high - low)


@_inlined
def _cross(
    table: Any, lengths: Any, elite_rows: Any, elite_columns: Any, elite_values: Any, movable: Any, key: Any,
    counter: Any,
) -> Any:  # fmt: skip
    """One or two columns and their new values; the second column is -1 when there is one."""
    c = movable.shape[0]
    i, donor = _below(_draw(key, counter + np.uint64(1)), c), _below(_draw(key, counter + np.uint64(2)), table.shape[0])
    parent = _below(_draw(key, counter + np.uint64(3)), lengths.shape[0])
    j = _below(_draw(key, counter + np.uint64(5)), max(c - 1, 1))
    one, two = movable[i], movable[min(j + (1 if j >= i else 0), c - 1)]
    x1 = _value(table, lengths, elite_rows, elite_columns, elite_values, parent, donor, one)
    x2 = _value(table, lengths, elite_rows, elite_columns, elite_values, parent, donor, two)
    both = c > 1 and _draw(key, counter + np.uint64(4)) >> np.uint64(63)
    return one, x1, two if both else np.int64(-1), x2


@njit(cache=True, error_model="numpy")
def search(
    table: Any, codes: Any, scores: Any, residual: Any, elite: Any, columns: Any, edges: Any, operators: Any, key: Any,
    start: int, count: int, found: Any, wins: Any,
    bins: Any, views: Any, own: Any, table_starts: Any, uses: Any,
    starts: Any, values: Any, prefixes: Any, others: Any, low: Any, high: Any,
    theta: Any, threshold: Any, encoded: Any, one_hot: Any, origin: Any, span: Any, first: Any,
) -> int:  # fmt: skip
    """The generations; `found` is room for candidates, `wins` counts improvements by operator."""
    population, size = operators.shape[0], elite.excess.shape[0]
    # Taken out of their tuples once: within the loops that would cost more than the arithmetic.
    excess, lengths, elite_rows, elite_columns, elite_values = elite
    movable, discrete, sizes, cumulative, real = columns
    found_rows, found_columns, found_values = found
    slots, changes = np.zeros(size, np.int64), np.zeros(size, np.int64)
    now_codes, now = np.zeros(codes.shape[1], codes.dtype), np.zeros(table.shape[1])
    total = 0
    for generation in range(start, start + count):
        entering = 0
        for p in range(population):
            counter = np.uint64((generation * population + p) * DRAWS)
            row = other = _below(_draw(key, counter), table.shape[0])
            one = two = np.int64(-1)
            x1 = x2 = 0.0
            if operators[p] == MUTATE:
                one, x1 = _mutate(table, discrete, sizes, cumulative, row, key, counter)
            elif operators[p] == CONTINUOUS:
                one, x1 = _renew(real, edges, key, counter)
            elif operators[p] == CROSS:
                one, x1, two, x2 = _cross(
                    table, lengths, elite_rows, elite_columns, elite_values, movable, key, counter
                )  # fmt: skip
            elif operators[p] == SWAP:
                one = two = movable[_below(_draw(key, counter + np.uint64(1)), movable.shape[0])]
                other = _below(_draw(key, counter + np.uint64(2)), table.shape[0])
                x1, x2 = table[other, one], table[row, one]
            if one >= 0 and table[row, one] == x1:  # a cell that keeps its value is no change
                one = np.int64(-1)
            if two >= 0 and table[other, two] == x2:
                two = np.int64(-1)
            if one < 0 and two >= 0:
                row, one, x1, two = other, two, x2, np.int64(-1)
            if one < 0:
                continue
            rows, cells = (row, other), (one, two)
            if two < 0 or other == row:
                other = np.int64(-1)
            else:
                two = np.int64(-1)
            here = 0
            if uses.shape[0] > 0:
                if other >= 0:
                    here += tables_exchange(codes, row, other, one, residual, table_starts, uses)
                else:
                    now_codes[:] = codes[row]
                    here += tables_change(
                        codes, row, now_codes, one, x1, residual, bins, views, own, table_starts, uses, origin,
                        span,
                    )  # fmt: skip
                    if two >= 0:
                        here += tables_change(
                            codes, row, now_codes, two, x2, residual, bins, views, own, table_starts, uses,
                            origin, span,
                        )  # fmt: skip
            if values.shape[0] > 0:
                x = table[row]
                if other >= 0:
                    here += prefixes_exchange(
                        x, table[other], one, residual, first[0], starts, values, prefixes, others, low, high
                    )
                else:
                    here += prefixes_change(
                        x, x, one, x1, False, residual, first[0], starts, values, prefixes, others, low, high
                    )
                    if two >= 0:
                        now[:] = x
                        now[one] = x1
                        here += prefixes_change(
                            x, now, two, x2, True, residual, first[0], starts, values, prefixes, others, low, high
                        )
            if threshold.shape[0] > 0:
                a, t, b, y = term(one, x1, table[row, one], encoded, one_hot, origin, span)
                if two < 0 and other < 0:
                    here += halfspaces_change(scores, row, threshold, residual, first[1], theta, a, t, b, y)
                else:
                    j = two if two >= 0 else one
                    c, v2, e, w = term(j, x2, table[row, j], encoded, one_hot, origin, span)
                    here += halfspaces_both(
                        scores, row, other, threshold, residual, first[1], theta, a, t, b, y, c, v2, e, w
                    )  # fmt: skip
            if here >= excess[size - 1] or (entering == size and here >= changes[size - 1]):
                continue
            # Insertion into the short list of the best, in the order of change and then of candidate.
            q = entering if entering < size else size - 1
            while q > 0 and changes[q - 1] > here:
                changes[q], slots[q] = changes[q - 1], slots[q - 1]
                q -= 1
            changes[q], slots[q] = here, p
            found_rows[p, 0], found_columns[p, 0], found_values[p, 0] = rows[0], cells[0], x1
            found_rows[p, 1], found_columns[p, 1], found_values[p, 1] = rows[1], cells[1], x2
            entering = min(entering + 1, size)
        if entering and _succeed(table, elite, found, slots[:entering], changes[:entering]):
            best = slots[0]
            total += changes[0]
            wins[operators[best]] += 1
            for k in range(2):
                if found_columns[best, k] >= 0:
                    assign(
                        table, codes, scores, residual, found_rows[best, k], found_columns[best, k],
                        found_values[best, k], bins, views, own, table_starts, uses, starts, values, prefixes, others,
                        low, high, theta, threshold, encoded, one_hot, origin, span, first,
                    )  # fmt: skip
    return total
