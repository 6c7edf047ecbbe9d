"""Straight-line programs interpreted in machine code: many programs, many constants, vectorised over the points.

A program is a row of `codes`, (V, 4): the operation (0 add, 1 sub, 2 mul, 3 div, 4 fma) and up to three values, where
value 0 is x, values 1..c are the constants and value c + 1 + i is instruction i, as in `answers.Program`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from solvary_approximation.answers import OPERATIONS, Program

_NUMBER = {name: number for number, name in enumerate(OPERATIONS)}


def encode(program: Program, length: int | None = None) -> np.ndarray:
    """The (V, 4) table of a program, padded with zero rows to a length."""
    table = np.zeros((len(program.code) if length is None else length, 4), dtype=np.int64)
    for row, (name, *sources) in zip(table, program.code, strict=False):
        row[0], row[1 : 1 + len(sources)] = _NUMBER[name], sources
    return table


@njit(cache=True, error_model="numpy", nogil=True)
def run(code, length, constants, count, x, values):  # type: ignore[no-untyped-def]
    """Fill values (1 + count + length, N), in the precision of x, and return the row of the output."""
    n = x.size
    for k in range(n):
        values[0, k] = x[k]
    for c in range(count):
        value = constants[c]
        for k in range(n):
            values[1 + c, k] = value
    for i in range(length):
        operation = code[i, 0]
        out, a, b = values[1 + count + i], values[code[i, 1]], values[code[i, 2]]
        if operation == 0:
            for k in range(n):
                out[k] = a[k] + b[k]
        elif operation == 1:
            for k in range(n):
                out[k] = a[k] - b[k]
        elif operation == 2:
            for k in range(n):
                out[k] = a[k] * b[k]
        elif operation == 3:
            for k in range(n):
                out[k] = a[k] / b[k]
        else:
            c3 = values[code[i, 3]]
            # In float32 rounded once: the product of two is exact in float64, whose sum has bits to spare.
            for k in range(n):
                out[k] = np.float64(a[k]) * np.float64(b[k]) + np.float64(c3[k])
    return count + length


@njit(cache=True, error_model="numpy", nogil=True)
def evaluate(codes, lengths, constants, counts, x):  # type: ignore[no-untyped-def]
    """Programs x points: (P, V, 4), (P,), (P, C), (P,) and (N,) -> values (P, N) in the precision of x."""
    found = np.empty((codes.shape[0], x.size), dtype=x.dtype)
    values = np.empty((1 + constants.shape[1] + codes.shape[1], x.size), dtype=x.dtype)
    for p in range(codes.shape[0]):
        row = run(codes[p], lengths[p], constants[p], counts[p], x, values)
        found[p] = values[row]
    return found
