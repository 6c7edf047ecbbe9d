"""Exact attention of any order, blocked: nothing of size n^2 is ever held.

Order k has a query and k - 1 keys; the score of row i with the keys j, j', ... is `sum_l q_il k_jl k'_j'l ... / scale`.
Order k is order k - 1 with the query `q_i * k_j`, once for each j, so that one recursion serves all orders. NumPy
arrays and torch tensors alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from threadpoolctl import threadpool_limits

from solvary_sequence.arrays import blocks, empty

Weights = Literal["exp", "power"]

# Scores up to this size are exponentiated as they are: sums over more than 10^40 of them stay below the largest double.
SAFE_SCORE = 600.0


@dataclass(frozen=True)
class Rule:
    """How scores become weights: `exp(s)` or `s^power`, the floor of the denominator, and what is visible.

    `unshifted` says that no score exceeds `SAFE_SCORE` in size, so that no running maximum is needed for `exp`.
    """

    weights: Weights = "exp"
    power: int = 2
    floor: float = 0.0
    causal: bool = False
    unshifted: bool = False


def exact_attention(
    query: Any,
    keys: Sequence[Any],
    values: Sequence[Any],
    *,
    scale: float,
    rule: Rule | None = None,
    rows: Any = None,
    tile: int = 1 << 16,
    workers: int = 1,
) -> Any:
    """The attention of the rows of `query`, `(m, e)`, in the type of the arrays.

    Args:
        query: `(n, d)`.
        keys: k - 1 arrays `(n, d)`.
        values: as many arrays `(n, e)`; the value of a tuple of keys is the product of theirs.
        scale: divides the scores.
        rule: how scores become weights; the plain softmax by default.
        rows: indices of the rows that are wanted; all of them by default.
        tile: number of weights held at once.
        workers: threads that share the rows; with more than one, BLAS gets one thread for each (NumPy only).

    A row whose weights are all 0 (powers of zero scores) is 0 with a floor, and NaN without.
    """
    rule = rule or Rule()
    if rule.floor > 0:  # counts in units of the largest weight, which must be known then
        rule = replace(rule, unshifted=False)
    positions = np.arange(query.shape[0]) if rows is None else np.asarray(rows)
    wanted = query if rows is None else query[rows]
    extended = [_with_ones(part) for part in values]
    out = empty(wanted, (positions.size, values[0].shape[1]))
    # A block of rows needs a whole block of combined queries, `rows x keys x d`, when the order is 3 or more.
    height = max(1, min(256, int(tile**0.5) // (1 if len(keys) == 1 else 8)))

    def fill(block: slice) -> None:
        # All tiles of these rows are written to the same memory, which stays in the cache.
        scratch = empty(wanted, (tile,))
        state = _states(wanted[block] / scale, keys, extended, rule, positions[block], scratch)
        out[block] = _divide(*state, rule)

    parts = list(blocks(positions.size, height))
    if workers > 1 and len(parts) > 1:
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(workers) as pool:
            list(pool.map(fill, parts))
    else:
        for part in parts:
            fill(part)
    return out


def _states(
    query: Any, keys: Sequence[Any], values: Sequence[Any], rule: Rule, positions: Any, scratch: Any
) -> tuple[Any, Any]:
    """The largest score `(m,)` and the sums `(m, e + 1)` of weights times values, the last column of the weights alone.

    The sums are relative to the largest score: `exp(s - top)`, or `(s / top)^power` with its size. With
    `rule.unshifted` it is 0 throughout.
    """
    n, m, tile = keys[0].shape[0], query.shape[0], scratch.shape[0]
    top, sums = None, None
    width = max(1, tile // m) if len(keys) == 1 else max(1, min(n, 512, tile // (64 * m)))
    for block in blocks(n, width):
        if rule.causal and block.start > positions[-1]:
            break
        key, value = keys[0][block], values[0][block]
        if len(keys) == 1:
            new_top, new_sums = _tile(_products(query, key, scratch), value, rule, positions, block)
        else:
            joint = (query[:, None, :] * key[None, :, :]).reshape(-1, query.shape[1])
            tops, parts = _states(joint, keys[1:], values[1:], rule, positions, scratch)
            new_top, new_sums = _merge_keys(tops, parts.reshape(m, -1, parts.shape[1]), value, rule)
        if sums is None:
            top, sums = new_top, new_sums
        else:
            top, sums = _merge(top, sums, new_top, new_sums, rule)
    return top, sums


def _tile(scores: Any, value: Any, rule: Rule, positions: Any, block: slice) -> tuple[Any, Any]:
    """One tile of weights, reduced to its largest score and its sums."""
    if rule.causal and block.stop - 1 > positions[0]:
        hidden = np.arange(block.start, block.stop)[None, :] > positions[:, None]
        scores[_like(hidden, scores)] = -np.inf if rule.weights == "exp" else 0.0
    if rule.weights == "power":
        scores = abs(scores)
        top = _largest(scores)
        scores /= _nonzero(top)[:, None]
        return top, _power(scores, rule.power) @ value
    if rule.unshifted:
        return scores[:, 0] * 0.0, _exp(scores) @ value
    top = _largest(scores)
    scores -= _finite(top)[:, None]
    return top, _exp(scores) @ value


def _merge(top: Any, sums: Any, new_top: Any, new_sums: Any, rule: Rule) -> tuple[Any, Any]:
    """The state of two sets of keys together."""
    if rule.unshifted and rule.weights == "exp":
        sums += new_sums
        return top, sums
    both = _maximum(top, new_top)
    old, new = _ratio(top, both, rule), _ratio(new_top, both, rule)
    return both, sums * old[:, None] + new_sums * new[:, None]


def _merge_keys(tops: Any, parts: Any, value: Any, rule: Rule) -> tuple[Any, Any]:
    """The states `(m, keys)` and `(m, keys, e + 1)` of the combined queries, summed over the keys with their values."""
    m, keys = parts.shape[0], parts.shape[1]
    if rule.unshifted:
        return tops.reshape(m, keys)[:, 0], (parts * value[None, :, :]).sum(1)
    tops = tops.reshape(m, keys)
    top = _largest(tops)
    ratios = _exp(tops - top[:, None])
    return top, (parts * (ratios[:, :, None] * value[None, :, :])).sum(1)


def _divide(top: Any, sums: Any, rule: Rule) -> Any:
    """Numerators over denominators; the floor counts in units of the largest weight of the row."""
    denominator = sums[:, -1]
    if rule.floor == 0:
        if isinstance(denominator, np.ndarray):
            with np.errstate(invalid="ignore", divide="ignore"):
                return sums[:, :-1] / denominator[:, None]
        return sums[:, :-1] / denominator[:, None]
    return sums[:, :-1] / (denominator + rule.floor)[:, None]


def _ratio(top: Any, both: Any, rule: Rule) -> Any:
    """By how much the weights relative to `top` exceed those relative to `both`."""
    if rule.weights == "power":
        return _power(top / _nonzero(both), rule.power)
    return _exp(top - _finite(both))


def _power(x: Any, power: int) -> Any:
    """`x^power` by repeated squaring."""
    result, square = None, x
    while power:
        if power & 1:
            result = square if result is None else result * square
        power >>= 1
        if power:
            square = square * square
    return result


# What NumPy and torch say differently.


def _products(query: Any, key: Any, scratch: Any) -> Any:
    """`query @ key.T`, in the memory of `scratch` where that is large enough."""
    m, width = query.shape[0], key.shape[0]
    if m * width > scratch.shape[0]:
        return query @ key.T
    out = scratch[: m * width].reshape(m, width)
    if isinstance(query, np.ndarray):
        return np.matmul(query, key.T, out=out)
    import torch

    return torch.matmul(query, key.T, out=out)


def _with_ones(value: Any) -> Any:
    """`value` with a column of ones, whose sum is the denominator."""
    if isinstance(value, np.ndarray):
        return np.concatenate((value, np.ones_like(value[:, :1])), axis=1)
    import torch

    return torch.cat((value, torch.ones_like(value[:, :1])), dim=1)


def _like(mask: np.ndarray, array: Any) -> Any:
    if isinstance(array, np.ndarray):
        return mask
    import torch

    return torch.from_numpy(mask).to(array.device)


def _exp(x: Any) -> Any:
    return np.exp(x, out=x) if isinstance(x, np.ndarray) else x.exp_()


def _largest(x: Any) -> Any:
    return x.max(axis=1) if isinstance(x, np.ndarray) else x.amax(1)


def _maximum(x: Any, y: Any) -> Any:
    return np.maximum(x, y) if isinstance(x, np.ndarray) else x.maximum(y)


def _nonzero(x: Any) -> Any:
    """1 in the place of 0, as a divisor of what is 0 as well."""
    return x + (x == 0)


def _finite(x: Any) -> Any:
    """0 in the place of -inf (nothing is visible), so that the weights become exp(-inf) = 0."""
    if isinstance(x, np.ndarray):
        return np.where(np.isneginf(x), 0.0, x)
    return x.masked_fill(x.isneginf(), 0.0)
