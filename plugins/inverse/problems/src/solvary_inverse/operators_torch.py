"""The maps of `solvary_inverse.operators` on torch tensors: batched, differentiable, on any device."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import attrs
import torch

from solvary_inverse.operators import LinearMap, Matrix, Selection, Separable

Function = Callable[[torch.Tensor], torch.Tensor]


@attrs.frozen(eq=False)
class TorchMap:
    """A x for x (..., d) and A'y for y (..., m); gradients flow through both."""

    m: int
    d: int
    apply: Function
    adjoint: Function


def to_torch(A: LinearMap, *, device: Any = "cpu", dtype: torch.dtype = torch.float64) -> TorchMap:
    """A map on tensors of one device and type. An `External` one runs on the host in float64."""

    def tensor(array: Any) -> torch.Tensor:
        return torch.tensor(array, device=device, dtype=dtype)

    if isinstance(A, Selection):
        return _selection(A, torch.as_tensor(A.kept, device=device))
    if isinstance(A, Separable):
        factors = [tensor(factor) for factor in A.factors]
        transposed = [factor.T for factor in factors]
        return TorchMap(
            A.m, A.d, lambda x: _along_axes(factors, x, A.shape), lambda y: _along_axes(transposed, y, A.image)
        )
    if isinstance(A, Matrix) and hasattr(A.entries, "indptr"):
        forward, back = (_compressed(matrix, tensor, device) for matrix in (A.entries, A.entries.T.tocsr()))
        return TorchMap(A.m, A.d, lambda x: _sparse(forward, x), lambda y: _sparse(back, y))
    if isinstance(A, Matrix):
        matrix = tensor(A.entries)
        return TorchMap(A.m, A.d, lambda x: x @ matrix.T, lambda y: y @ matrix)
    return TorchMap(A.m, A.d, lambda x: _OnHost.apply(x, A.apply, A.adjoint), _host_adjoint(A))


def _selection(A: Selection, kept: torch.Tensor) -> TorchMap:
    def adjoint(y: torch.Tensor) -> torch.Tensor:
        return torch.zeros(*y.shape[:-1], A.d, dtype=y.dtype, device=y.device).index_copy(-1, kept, y)

    return TorchMap(A.m, A.d, lambda x: x[..., kept], adjoint)


def _along_axes(factors: list[torch.Tensor], x: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    images = x.reshape(-1, *shape)
    for axis, factor in enumerate(factors, start=1):
        images = torch.movedim(torch.tensordot(images, factor, dims=([axis], [1])), -1, axis)
    return images.reshape(*x.shape[:-1], -1)


def _compressed(matrix: Any, tensor: Function, device: Any) -> torch.Tensor:
    parts = [torch.as_tensor(part.astype("int64"), device=device) for part in (matrix.indptr, matrix.indices)]
    with warnings.catch_warnings():  # that compressed tensors are in beta, and their invariants not checked
        warnings.simplefilter("ignore", UserWarning)
        return torch.sparse_csr_tensor(parts[0], parts[1], tensor(matrix.data), size=matrix.shape)


def _sparse(matrix: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return (matrix @ x.reshape(-1, x.shape[-1]).T).T.reshape(*x.shape[:-1], -1)


def _host_adjoint(A: LinearMap) -> Function:
    return lambda y: _OnHost.apply(y, A.adjoint, A.apply)


class _OnHost(torch.autograd.Function):
    """A map of NumPy arrays in a graph of tensors: its gradient is its adjoint."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, there: Any, back: Any) -> torch.Tensor:
        ctx.there, ctx.back = there, back
        return torch.as_tensor(there(x.detach().cpu().double().numpy())).to(x)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        return _OnHost.apply(gradients[0], ctx.back, ctx.there), None, None
