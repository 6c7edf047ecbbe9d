"""Attention, recurrences and adapters: problem types, exact references and building blocks for sequence models.

This module only declares; the classes are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

from solvary import Instance, ProblemType, Solver, hookimpl

if TYPE_CHECKING:
    from solvary_sequence.adapter_gradient import AdapterGradient as AdapterGradient
    from solvary_sequence.attention import AttentionOutput as AttentionOutput
    from solvary_sequence.tracing import Program as Program

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "attention": ["AttentionOutput"],
        "tracing": ["Program"],
        "adapter_gradient": ["AdapterGradient"],
    },
)

_ATTENTION = "solvary_sequence.attention_instances:"

ATTENTION = ProblemType(
    id="sequence.attention",
    cls="solvary_sequence.attention:AttentionOutput",
    summary="attention of order k (softmax or even powers): its values, or a program of additions and multiplications",
    answer="an array (n, e), or for arithmetic = 'polynomial' a Program that computes it",
    objective="max_abs_error",
    measures={
        "max_abs_error": "largest error of an entry against a blocked float64 reference, over the rows measured "
        "(more when asked for by name, all with include=('all_rows',))",
        "rel_fro_error": "relative error in the Frobenius norm over these rows",
        "rows_measured": "rows compared: all up to 2e8 weights, a sample beyond, 0 where one row has more weights",
        "depth": "programs: longest chain of multiplications",
        "multiplications": "programs: number of multiplications of data by data",
        "range_violations": "programs: inputs of approximated steps outside the range that these were fitted on",
    },
    instances=(
        Instance(
            "random-uniform",
            build=_ATTENTION + "random_uniform",
            summary="entries uniform on [-bound, bound], any order, n, d and e",
        ),
        Instance(
            "digits",
            build=_ATTENTION + "digits",
            summary="scanned digits as tokens of four quadrants, labels as values (scikit-learn)",
            real=True,
        ),
        Instance(
            "gaussian",
            build=_ATTENTION + "gaussian",
            summary="ordinary softmax attention of normal queries, keys and values, causal",
        ),
        Instance(
            "gaussian-powers",
            build=_ATTENTION + "gaussian_powers",
            summary="the same with even powers as weights, or as a program of additions and multiplications",
        ),
        Instance(
            "planted-triple",
            build=_ATTENTION + "planted_triple",
            summary="one triple of rows with inner product 1 among random signs",
        ),
        Instance(
            "hard",
            build=_ATTENTION + "hard",
            summary="entries of order (log n)^(1/3): the side of the threshold without fast methods",
        ),
    ),
)

EXACT = Solver(
    id="exact-attention",
    solves="sequence.attention",
    summary="every weight once, in blocks, in float64: n^k for order k",
    implementations={"cpu": "solvary_sequence.attention:solve_exactly"},
    accepts="solvary_sequence.attention:accepts_real",
    traits={"one-shot", "deterministic", "exact", "baseline"},
)

ADAPTER_GRADIENT = ProblemType(
    id="sequence.adapter-gradient",
    cls="solvary_sequence.adapter_gradient:AdapterGradient",
    summary="gradients of the low-rank adapters of one attention layer under a squared loss",
    answer="a dict with an array for each adapter factor that the problem has (bq, aq; bk, ak; bv, av), of its shape",
    objective="rel_error",
    measures={
        "rel_error": "largest relative error of a factor, Frobenius norm (above 16384 rows only on demand)",
        "max_abs_error": "largest error of an entry (with rel_error)",
        "rel_error.bq": "relative error of one factor; so for the others (with rel_error)",
    },
    instances=(
        Instance(
            "gaussian",
            build="solvary_sequence.adapter_instances:gaussian",
            summary="Gaussian tokens, weights and adapters; spread sets how large the scores are",
        ),
        Instance(
            "digits-rows",
            build="solvary_sequence.adapter_instances:digits_rows",
            summary="rows of scikit-learn's digits, each to be mapped to the next",
            real=True,
        ),
        Instance(
            "hard",
            build="solvary_sequence.adapter_instances:hard",
            summary="adapters so large that scores reach a multiple of log n, where no subquadratic method exists",
        ),
    ),
)


@hookimpl
def solvary_problems() -> list[ProblemType]:
    """The problem types of this family."""
    return [ATTENTION, ADAPTER_GRADIENT]


@hookimpl
def solvary_solvers() -> list[Solver]:
    """The baselines of this family."""
    return [EXACT]
