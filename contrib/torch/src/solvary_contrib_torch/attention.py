"""`torch.nn.functional.scaled_dot_product_attention` as a solver of sequence.attention."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from solvary import Context
from solvary_sequence import AttentionOutput


def solve(problem: AttentionOutput, context: Context) -> Any:
    """The attention `(n, e)` in one call, in float32 where all arrays have it, else in float64."""
    parts = [_tensor(part) for part in (problem.query, problem.keys[0], problem.values[0])]
    kind = torch.float32 if all(part.dtype == torch.float32 for part in parts) else torch.float64
    # One batch of one head.
    query, key, value = (part.to(kind)[None, None] for part in parts)
    answer = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, is_causal=problem.causal, scale=1.0 / problem.scale
    )[0, 0]
    return answer.numpy() if isinstance(problem.query, np.ndarray) else answer


def accepts(problem: AttentionOutput) -> str | None:
    """None, or why not: torch has the softmax of products of two."""
    if problem.arithmetic != "real":
        return "arithmetic = 'polynomial' asks for a program"
    if problem.order > 2:
        return f"order {problem.order}; torch has attention with one key"
    if problem.weights != "exp":
        return "weights = 'power'; torch has softmax attention"
    if problem.floor > 0:
        return "floor > 0; torch's denominators have none"
    return None


def _tensor(part: Any) -> torch.Tensor:
    """A tensor of its own memory: the arrays of a problem are read-only."""
    return torch.tensor(part) if isinstance(part, np.ndarray) else part
