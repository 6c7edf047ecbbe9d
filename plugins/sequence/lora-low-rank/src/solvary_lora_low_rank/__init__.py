"""Adapter gradients of attention in almost linear time (arXiv:2406.03136). This module only declares."""

from __future__ import annotations

from solvary import Claim, Implementation, Paper, Solver, hookimpl

_RUN = "solvary_lora_low_rank.solver:solve"

SOLVER = Solver(
    id="lora-low-rank",
    solves="sequence.adapter-gradient",
    summary="gradients of LoRA factors in time linear in the sequence length where the attention scores are bounded",
    paper=Paper(
        "Computational Limits of Low-Rank Adaptation (LoRA) for Transformer-Based Models",
        arxiv="2406.03136",
        year=2024,
        authors="Jerry Yao-Chieh Hu, Maojiang Su, En-Jui Kuo, Zhao Song, Han Liu",
    ),
    implementations={
        "cpu": _RUN,
        "cuda": Implementation(_RUN, worthwhile="solvary_lora_low_rank.solver:worthwhile_on_gpu"),
    },
    traits={"one-shot", "deterministic"},
    claims=(
        Claim(
            "accuracy",
            "n = 300, d = 4: relative error at most 1e-6 where scores are bounded, between 1e-4 and 0.1 beyond; "
            "at most ten times the tolerance that is asked for",
            run="solvary_lora_low_rank.claims:accuracy",
        ),
        Claim(
            "linear-time",
            "d = 4, degree 4: time grows by 1.6 to 2.6 from n = 20000 to 40000 and is at most 1/20 of the exact "
            "blocked gradient's; at most 400 MB at n = 10^6",
            run="solvary_lora_low_rank.claims:linear_time",
            sizes=("full",),
        ),
        Claim(
            "descent",
            "ten gradient steps with low-rank gradients of degree 4 and 6 end within 1e-4 of the exact trajectory",
            run="solvary_lora_low_rank.claims:descent",
        ),
        Claim(
            "phase-transition",
            "scores that grow like log n: the features that a fixed accuracy takes outgrow n, bounded scores do not",
            run="solvary_lora_low_rank.claims:phase_transition",
        ),
    ),
)


@hookimpl
def solvary_solvers() -> list[Solver]:
    """The one solver of this plugin."""
    return [SOLVER]
