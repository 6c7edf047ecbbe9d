"""scikit-image's restorations as solvers of `inverse.linear`. This module only declares."""

from __future__ import annotations

from solvary import Solver, hookimpl

TOTAL_VARIATION = Solver(
    id="skimage-total-variation",
    solves="inverse.linear",
    summary="least squares with total variation: proximal gradients with denoise_tv_chambolle (scikit-image)",
    implementations={"cpu": "solvary_contrib_scikit_image.total_variation:solve"},
    accepts="solvary_contrib_scikit_image.images:accepts",
    traits={"anytime", "baseline"},
)

WAVELET = Solver(
    id="skimage-wavelet",
    solves="inverse.linear",
    summary="plug-and-play proximal gradients with wavelet shrinkage by denoise_wavelet (scikit-image)",
    implementations={"cpu": "solvary_contrib_scikit_image.wavelet:solve"},
    accepts="solvary_contrib_scikit_image.images:accepts",
    traits={"anytime", "baseline"},
)

RICHARDSON_LUCY = Solver(
    id="skimage-richardson-lucy",
    solves="inverse.linear",
    summary="Richardson-Lucy deconvolution of images with a Gaussian blur (scikit-image)",
    implementations={"cpu": "solvary_contrib_scikit_image.richardson_lucy:solve"},
    accepts="solvary_contrib_scikit_image.richardson_lucy:accepts",
    traits={"one-shot", "baseline"},
)

BACK_PROJECTION = Solver(
    id="skimage-back-projection",
    solves="inverse.linear",
    summary="filtered back projection of sinograms by iradon (scikit-image)",
    implementations={"cpu": "solvary_contrib_scikit_image.back_projection:solve"},
    accepts="solvary_contrib_scikit_image.back_projection:accepts",
    traits={"one-shot", "baseline", "deterministic"},
)


@hookimpl
def solvary_solvers() -> list[Solver]:
    """The solvers of this package."""
    return [TOTAL_VARIATION, WAVELET, RICHARDSON_LUCY, BACK_PROJECTION]
