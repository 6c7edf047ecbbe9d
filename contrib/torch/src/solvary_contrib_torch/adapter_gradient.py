"""Automatic differentiation of torch as a solver of sequence.adapter-gradient."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch

from solvary import Context
from solvary_sequence import AdapterGradient
from solvary_sequence.adapter_gradient import factors_of, weights_of

#: fields of the problem that are tensors on the device
_TENSORS = ("x", "wq", "wk", "wv", "target")


def solve(
    problem: AdapterGradient,
    context: Context,
    *,
    attention: Literal["fused", "plain"] = "fused",
    dtype: Literal["float64", "float32"] = "float64",
) -> dict[str, Any]:
    """The gradients of the factors by one backward pass.

    Args:
        problem: the problem.
        context: its device.
        attention: `torch.nn.functional.scaled_dot_product_attention`, or a softmax of the whole (n, n) matrix, which
            keeps a few such matrices.
        dtype: of the computation.
    """
    kind = getattr(torch, dtype)

    def tensor(name: str) -> torch.Tensor:
        # The arrays of a problem are read-only, which torch does not know: a copy is safe.
        return torch.as_tensor(_writeable(getattr(problem, name)), device=context.device).to(kind)

    names = factors_of(problem)
    given: dict[str, Any] = {name: tensor(name) for name in _TENSORS}
    factors = {name: tensor(name).detach().requires_grad_() for name in names}
    absent = dict.fromkeys({"bk", "ak", "bv", "av"} - set(names))
    wq, wk, wv = weights_of(_Fields(alpha=problem.alpha, **given, **factors, **absent))
    q, k, h = (given["x"] @ weight for weight in (wq, wk, wv))
    if attention == "fused":
        output = _fused(q, k, h, problem.scale)
    else:
        output = torch.softmax(q @ k.T / problem.scale, dim=1) @ h
    loss = (output - given["target"]).square().sum() / 2
    found = torch.autograd.grad(loss, tuple(factors.values()))
    return {name: part.cpu().numpy() for name, part in zip(names, found, strict=True)}


def _fused(q: torch.Tensor, k: torch.Tensor, h: torch.Tensor, scale: float) -> torch.Tensor:
    """One head of one sequence; the scale is put into the queries, which every version of torch takes."""
    queries = q * (math.sqrt(q.shape[1]) / scale)
    attend = torch.nn.functional.scaled_dot_product_attention
    return attend(queries[None, None], k[None, None], h[None, None])[0, 0]


class _Fields:
    """The fields that `weights_of` reads, as tensors."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)


def _writeable(part: Any) -> Any:
    return part if isinstance(part, torch.Tensor) else part.copy()
