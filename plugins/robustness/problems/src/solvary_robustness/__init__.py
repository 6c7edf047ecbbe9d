"""Robust and certified classifiers: attacks, Lipschitz bounds, smoothing; problem types, networks and building blocks.

This module only declares; the classes are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

from solvary import Instance, ProblemType, Solver, hookimpl

if TYPE_CHECKING:
    pass

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={})


@hookimpl
def solvary_problems() -> list[ProblemType]:
    """The problem types of this family."""
    return []


@hookimpl
def solvary_solvers() -> list[Solver]:
    """The baselines of this family."""
    return []
