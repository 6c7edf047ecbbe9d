"""Ready inputs of `sequence.attention`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from solvary_sequence.attention import AttentionOutput


def random_uniform(
    n: int = 48, d: int = 4, e: int = 8, bound: float = 1.0, order: int = 3, seed: int = 0
) -> AttentionOutput:
    """All entries uniform on [-bound, bound], the values too; scale d, so that scores stay below `bound^order`."""
    rng = np.random.default_rng(seed)
    factors = [rng.uniform(-bound, bound, (n, d)) for _ in range(order)]
    values = [rng.uniform(-bound, bound, (n, e)) for _ in range(order - 1)]
    return AttentionOutput(query=factors[0], keys=factors[1:], values=values, scale=float(d))


def gaussian(n: int = 64, d: int = 8, causal: bool = True, seed: int = 0) -> AttentionOutput:
    """Ordinary softmax attention of standard normal queries, keys and values, scale sqrt(d)."""
    query, key, value = np.random.default_rng(seed).standard_normal((3, n, d))
    return AttentionOutput(query=query, keys=[key], values=[value], scale=math.sqrt(d), causal=causal)


def gaussian_powers(
    n: int = 64,
    d: int = 8,
    power: int = 4,
    causal: bool = True,
    floor: float = 1e-3,
    polynomial: bool = False,
    seed: int = 0,
) -> AttentionOutput:
    """The same arrays with even powers as weights; `polynomial` asks for a program."""
    query, key, value = np.random.default_rng(seed).standard_normal((3, n, d))
    return AttentionOutput(
        query=query,
        keys=[key],
        values=[value],
        scale=math.sqrt(d),
        weights="power",
        power=power,
        causal=causal,
        floor=floor,
        arithmetic="polynomial" if polynomial else "real",
    )


def digits(n: int = 200, bound: float = 1.0, order: int = 3) -> AttentionOutput:
    """Scanned digits as tokens: the mean ink of the four quadrants, centred and scaled to a maximum of `bound`.

    Values are the labels as indicators (10 columns), so that the answer is a vote of pairs of images of one label.
    """
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    quadrants = images[:n].reshape(-1, 2, 4, 2, 4).mean(axis=(2, 4)).reshape(-1, 4)
    tokens = quadrants - quadrants.mean(axis=0)
    tokens *= bound / np.abs(tokens).max()
    indicators = np.eye(10)[labels[:n]]
    return AttentionOutput(query=tokens, keys=[tokens] * (order - 1), values=[indicators] * (order - 1), scale=4.0)


def planted_triple(n: int = 60, d: int = 512, e: int = 8, bound: float = 4.0, seed: int = 0) -> AttentionOutput:
    """Random signs times `bound`, and one triple (i, j, k) with `q_i = k_j * k'_k` up to scale; see `planted_rows`.

    The inner product of the planted triple over d is 1 (times `bound^3`), that of all others below 0.3 with a
    probability of more than `1 - n^3 exp(-0.045 d)`. Values are random signs: where the weight of one pair dominates,
    the row of the answer has the largest norm.
    """
    rng = np.random.default_rng(seed)
    i, j, k = rng.integers(n, size=3)
    query, key, other = rng.choice([-1.0, 1.0], (3, n, d))
    other[k] = query[i] * key[j]
    values = rng.choice([-1.0, 1.0], (2, n, e))
    return AttentionOutput(query=bound * query, keys=[bound * key, bound * other], values=list(values), scale=float(d))


def planted_rows(n: int = 60, seed: int = 0) -> tuple[int, int, int]:
    """The rows (i, j, k) that `planted_triple` plants for this n and seed."""
    i, j, k = np.random.default_rng(seed).integers(n, size=3)
    return int(i), int(j), int(k)


def hard(n: int = 64, constant: float = 1.0, e: int = 4, seed: int = 0) -> AttentionOutput:
    """Triples of `4 log2 n` signs with a planted inner product, entries `(constant log n)^(1/3)`, scale d.

    This is the side of the threshold on which no method takes less than `n^(3 - o(1))` time, under the strong
    exponential time hypothesis: a relative error below 1 of the weights would tell whether some triple has a large
    inner product. Polynomials need a degree and a dimension of order log n each: more than n monomials.
    """
    rng = np.random.default_rng(seed)
    d = 4 * math.ceil(math.log2(max(n, 2)))
    i, j, k = rng.integers(n, size=3)
    query, key, other = rng.choice([-1.0, 1.0], (3, n, d))
    other[k] = query[i] * key[j]
    entry = (constant * math.log(max(n, 2))) ** (1.0 / 3.0)
    values: Any = rng.uniform(-1.0, 1.0, (2, n, e))
    return AttentionOutput(query=entry * query, keys=[entry * key, entry * other], values=list(values), scale=float(d))
