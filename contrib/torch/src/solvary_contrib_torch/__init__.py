"""torch for the problems of several families, one module each. This module only declares."""

from __future__ import annotations

from solvary import Solver, hookimpl

SGD = Solver(
    id="torch-sgd",
    solves="optimization.training",
    summary="stochastic gradient descent of torch, with momentum and a schedule",
    implementations=dict.fromkeys(("cpu", "cuda"), "solvary_contrib_torch.training:sgd"),
    traits={"anytime", "baseline"},
)

ADAM = Solver(
    id="torch-adam",
    solves="optimization.training",
    summary="Adam and AdamW of torch, with a schedule",
    implementations=dict.fromkeys(("cpu", "cuda"), "solvary_contrib_torch.training:adam"),
    traits={"anytime", "baseline"},
)

ADAPTER_GRADIENT = Solver(
    id="torch-autograd",
    solves="sequence.adapter-gradient",
    summary="gradients of attention's adapters by automatic differentiation of torch",
    implementations=dict.fromkeys(("cpu", "cuda"), "solvary_contrib_torch.adapter_gradient:solve"),
    traits={"one-shot", "deterministic", "baseline"},
)


ATTENTION = Solver(
    id="torch-scaled-dot-product-attention",
    solves="sequence.attention",
    summary="scaled_dot_product_attention of torch: softmax attention of order 2, causal or not",
    implementations=dict.fromkeys(("cpu", "cuda"), "solvary_contrib_torch.attention:solve"),
    accepts="solvary_contrib_torch.attention:accepts",
    traits={"one-shot", "deterministic", "baseline"},
)


@hookimpl
def solvary_solvers() -> list[Solver]:
    """The adapters of this package."""
    return [SGD, ADAM, ADAPTER_GRADIENT, ATTENTION]
