"""Restorations by scikit-image: known optima, the library called directly, and the choice of parameters."""

import numpy as np
import pytest
from skimage.restoration import denoise_tv_chambolle, richardson_lucy

import solvary
from solvary import NotAccepted, OptionError, Status
from solvary_inverse import LinearInverse

RNG = np.random.default_rng(0)


def images(operator, shape=(8, 8), noise=0.05, count=3, training=6, **given):
    """Images with two flat parts."""
    rng = np.random.default_rng(0)
    flat = np.zeros((count + training, *shape))
    for image, row, column in zip(flat, *rng.integers(2, 6, (2, len(flat))), strict=True):
        image[row:, column:] = 1.0
    flat = flat.reshape(len(flat), -1)
    blank = LinearInverse(
        operator=operator, shape=shape, truth=np.zeros(flat.shape[1]), data=given.pop("empty"), noise=1
    )
    truth = flat[:count]
    data = blank.A.apply(truth) + noise * rng.standard_normal((count, blank.A.m))
    clean = flat[count:] if training else None
    return LinearInverse(operator=operator, shape=shape, data=data, noise=noise, truth=truth, training=clean, **given)


def masked(**given):
    return images("mask(0.5)", empty=np.zeros(32), **given)


def plain(**given):
    return images("mask(1)", empty=np.zeros(64), **given)


def blurred(**given):
    return images("blur(1)", empty=np.zeros(64), **given)


def test_without_an_operator_it_is_one_denoising_by_the_library():
    problem = plain()
    solution = solvary.solve(problem, "skimage-total-variation", seed=0, weight=0.1, inner=40)
    expected = [denoise_tv_chambolle(y.reshape(8, 8), 0.1, eps=1e-6, max_num_iter=40).ravel() for y in problem.data]
    np.testing.assert_allclose(solution.answer, expected, rtol=1e-12)
    assert solution.status is Status.CONVERGED
    assert solution.steps == 2


@pytest.mark.parametrize("weight", [0.1, 0.4, 3.0])
def test_total_variation_of_two_pixels_by_hand(weight):
    """min |x - y|^2 / 2 + w |x_1 - x_2|: both move by w towards each other, at most to their mean."""
    problem = LinearInverse(operator=np.eye(2), shape=(1, 2), data=[0.0, 1.0], noise=0.1)
    answer = solvary.solve(problem, "skimage-total-variation", seed=0, weight=weight, inner=2000).answer
    move = min(weight, 0.5)
    np.testing.assert_allclose(answer, [move, 1 - move], atol=1e-2)


def test_total_variation_with_an_operator_finds_the_minimum_of_a_grid():
    A, y, weight = np.array([[2.0, 1.0], [0.0, 1.0], [1.0, -1.0]]), np.array([1.0, -1.0, 2.0]), 0.7
    problem = LinearInverse(operator=A, shape=(2, 1), data=y, noise=0.1)
    options = {"weight": weight, "inner": 500, "tolerance": 1e-9, "max_iterations": 2000}
    answer = solvary.solve(problem, "skimage-total-variation", seed=0, **options).answer
    grid = np.stack(np.meshgrid(*[np.linspace(-3, 3, 1201)] * 2), axis=-1).reshape(-1, 2)
    values = 0.5 * ((grid @ A.T - y) ** 2).sum(axis=1) + weight * np.abs(grid[:, 0] - grid[:, 1])
    np.testing.assert_allclose(answer, grid[values.argmin()], atol=0.02)


@pytest.mark.parametrize("weight", [0.05, 0.3])
def test_haar_shrinkage_by_hand(weight):
    """On one block of 2 x 2 pixels the mean stays and three details of the orthonormal basis are shrunk."""
    y = RNG.standard_normal(16).reshape(4, 4)
    problem = LinearInverse(operator="mask(1)", shape=(4, 4), data=y.ravel(), noise=0.1)
    answer = solvary.solve(problem, "skimage-wavelet", seed=0, weight=weight, shifts=0).answer.reshape(4, 4)
    basis = 0.5 * np.array([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]])
    for rows in (slice(0, 2), slice(2, 4)):
        for columns in (slice(0, 2), slice(2, 4)):
            parts = basis @ y[rows, columns].ravel()
            parts[1:] = np.sign(parts[1:]) * np.maximum(np.abs(parts[1:]) - weight, 0)
            np.testing.assert_allclose(answer[rows, columns].ravel(), basis.T @ parts, atol=1e-8)


@pytest.mark.parametrize("solver", ["skimage-total-variation", "skimage-wavelet"])
def test_a_tuned_weight_is_about_the_best(solver):
    problem = masked(training=3)
    tuned = solvary.solve(problem, solver, seed=0, max_iterations=40)
    fixed = [solvary.solve(problem, solver, seed=0, weight=w, max_iterations=40) for w in (1e-4, 0.02, 0.1, 1.0)]
    psnrs = [solution.measures["psnr"] for solution in fixed]
    assert tuned.measures["psnr"] >= max(psnrs) - 1.5
    assert tuned.report["weight"] > 0
    back = problem.measure(problem.A.adjoint(problem.data))  # unseen pixels left at 0
    assert tuned.measures["psnr"] >= back["psnr"] + 3


@pytest.mark.parametrize("solver", ["skimage-total-variation", "skimage-wavelet"])
def test_without_training_images_the_noise_is_explained(solver):
    solution = solvary.solve(plain(training=0), solver, seed=0)
    assert solution.measures["residual"] == pytest.approx(1.0, abs=0.35)


@pytest.mark.parametrize("solver", ["skimage-total-variation", "skimage-wavelet"])
def test_a_batch_is_its_images_one_by_one(solver):
    problem = blurred(training=0)
    together = solvary.solve(problem, solver, seed=0, weight=0.02, tolerance=0, max_iterations=20)
    assert together.status is Status.LIMIT_ITERATIONS
    for y, expected in zip(problem.data, together.answer, strict=True):
        one = LinearInverse(operator="blur(1)", shape=(8, 8), data=y, noise=0.05)
        found = solvary.solve(one, solver, seed=0, weight=0.02, tolerance=0, max_iterations=20).answer
        np.testing.assert_allclose(found, expected, atol=1e-9)


def test_the_objective_goes_down():
    problem, weight = blurred(count=1), 0.02

    def objective(x):
        u = x.reshape(8, 8)
        down, right = np.diff(u, axis=0, append=u[-1:]), np.diff(u, axis=1, append=u[:, -1:])
        fit = 0.5 * np.sum((problem.A.apply(x) - problem.data[0]) ** 2)
        return fit + weight * np.sqrt(down**2 + right**2).sum()

    run = solvary.iterate(problem, "skimage-total-variation", seed=0, weight=weight, inner=300)
    values = [objective(np.array(iterate.answer).ravel()) for iterate in run]
    assert values[-1] <= min(values) * (1 + 1e-3)
    assert values[-1] < 0.5 * values[0]


def test_richardson_lucy_is_that_of_the_library():
    problem = blurred(count=1)
    solution = solvary.solve(problem, "skimage-richardson-lucy", seed=0, steps=7)
    radius = 4
    profile = np.exp(-0.5 * np.arange(-radius, radius + 1) ** 2)
    padded = np.maximum(np.pad(problem.data[0].reshape(8, 8), radius, mode="symmetric"), 1e-6)
    expected = richardson_lucy(padded, np.outer(profile, profile) / profile.sum() ** 2, num_iter=7, clip=False)
    np.testing.assert_allclose(solution.answer[0].reshape(8, 8), expected[4:12, 4:12], rtol=1e-10)


def test_richardson_lucy_sharpens():
    problem = blurred()
    solution = solvary.solve(problem, "skimage-richardson-lucy", seed=0)
    assert solution.report["steps"] > 1
    assert solution.measures["psnr"] > problem.measure(problem.data)["psnr"] + 1
    assert (solution.answer >= 0).all()


def test_without_a_blur_there_is_nothing_to_sharpen():
    y = RNG.random(12)
    problem = LinearInverse(operator="blur(0)", shape=(3, 4), data=y, noise=0.01)
    answer = solvary.solve(problem, "skimage-richardson-lucy", seed=0, steps=3).answer
    np.testing.assert_allclose(answer, y, rtol=1e-9)


@pytest.mark.parametrize("size", [24, 33])
def test_back_projection_of_a_smooth_image(size):
    """Two bumps of different heights, off the centre, come out where they were."""
    row, column = np.mgrid[:size, :size]
    bumps = [np.exp(-((row - a) ** 2 + (column - b) ** 2) / 8.0) for a, b in ((6, 9), (15, 17))]
    truth = np.ravel(bumps[0] + 0.5 * bumps[1])
    psnrs = []
    for angles in (90, 6):
        operator = f"radon({angles})"
        length = int(np.ceil(np.sqrt(2) * size)) * angles
        blank = LinearInverse(operator=operator, shape=(size, size), data=np.zeros(length), noise=1e-3)
        data = blank.A.apply(truth[None])
        problem = LinearInverse(operator=operator, shape=(size, size), data=data, noise=1e-3, truth=truth[None])
        psnrs.append(solvary.solve(problem, "skimage-back-projection", filter="ramp").measures["psnr"])
    assert psnrs[0] > 35
    assert psnrs[0] > psnrs[1] + 6


@pytest.mark.parametrize("solver", ["skimage-total-variation", "skimage-wavelet"])
def test_degenerate_images(solver):
    nothing = LinearInverse(operator=np.zeros((2, 4)), shape=(2, 2), data=[1.0, 2.0], noise=0.1)
    assert solvary.solve(nothing, solver, seed=0, weight=0.1).answer.tolist() == [0, 0, 0, 0]
    pixel = LinearInverse(operator=[[2.0]], shape=(1, 1), data=[3.0], noise=0.1)
    assert solvary.solve(pixel, solver, seed=0).answer == pytest.approx([1.5])
    line = LinearInverse(operator="mask(1)", shape=(1, 5), data=np.ones((1, 5)), noise=0.1)
    np.testing.assert_allclose(solvary.solve(line, solver, seed=0).answer, 1.0, atol=0.2)
    large = LinearInverse(operator="mask(1)", shape=(2, 2), data=np.full(4, 1e8), noise=1e3)
    np.testing.assert_allclose(solvary.solve(large, solver, seed=0).answer, 1e8, rtol=1e-3)


def test_what_is_refused():
    sampling = LinearInverse(operator=np.eye(4), shape=(2, 2), data=np.ones(4), noise=1, task="posterior")
    line = LinearInverse(operator=np.eye(4), data=np.ones(4), noise=1)
    for solver in ("skimage-total-variation", "skimage-wavelet"):
        with pytest.raises(NotAccepted, match="posterior samples"):
            solvary.solve(sampling, solver)
        with pytest.raises(NotAccepted, match="height and a width"):
            solvary.solve(line, solver)
        with pytest.raises(OptionError, match="weight"):
            solvary.solve(plain(), solver, weight=-1.0)
    with pytest.raises(NotAccepted, match="blur"):
        solvary.solve(plain(), "skimage-richardson-lucy")
    with pytest.raises(NotAccepted, match="radon"):
        solvary.solve(plain(), "skimage-back-projection")
    with pytest.raises(OptionError, match=r"wavelet.*PyWavelets"):
        solvary.solve(plain(), "skimage-wavelet", wavelet="square")
