"""Blocks of rows, and what NumPy arrays and torch tensors say differently, for code that serves both."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np


def blocks(n: int, step: int) -> Iterator[slice]:
    """Slices of at most `step` of n rows."""
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def empty(like: Any, shape: tuple[int, ...]) -> Any:
    """An array of some shape, of the type (and on the device) of another."""
    return np.empty(shape, dtype=like.dtype) if isinstance(like, np.ndarray) else like.new_empty(shape)


def converted(array: Any, dtype: str) -> Any:
    """The array in another type, "float32" or "float64"; as it is where it has that type."""
    if isinstance(array, np.ndarray):
        return array.astype(dtype, copy=False)
    import torch

    return array.to(getattr(torch, dtype))


def contiguous(array: Any) -> Any:
    """The array with its last axis contiguous in memory."""
    return np.ascontiguousarray(array) if isinstance(array, np.ndarray) else array.contiguous()
