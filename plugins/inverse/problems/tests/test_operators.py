"""Measurement operators: adjoints, the libraries that they follow, the same maps on tensors."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from scipy.sparse import random_array
from scipy.sparse.linalg import aslinearoperator

from solvary import ProblemError
from solvary_inverse import operators
from solvary_inverse.named_operators import build
from solvary_inverse.operators_torch import to_torch

SHAPE = (6, 4)


def maps():
    rng = np.random.default_rng(0)
    yield from (
        build(name, SHAPE, None) for name in ("mask(0.5)", "blur(0.8)", "downsample(2)", "radon(5)", "gaussian(7)")
    )
    yield operators.Matrix(rng.standard_normal((3, 24)))
    yield operators.Matrix(random_array((5, 24), density=0.3, rng=rng, format="csr"))
    yield operators.External(aslinearoperator(rng.standard_normal((5, 24))))


@pytest.mark.parametrize("A", list(maps()), ids=lambda A: type(A).__name__)
def test_every_map_is_its_matrix_and_its_adjoint_the_transpose(A):
    matrix = operators.to_matrix(A)
    assert matrix.shape == (A.m, A.d)
    rng = np.random.default_rng(1)
    for lead in ((), (3,), (2, 3)):
        x, y = rng.standard_normal((*lead, A.d)), rng.standard_normal((*lead, A.m))
        np.testing.assert_allclose(A.apply(x), x @ matrix.T, atol=1e-12)
        np.testing.assert_allclose(A.adjoint(y), y @ matrix, atol=1e-12)
    assert operators.adjoint_defect(A) < 1e-14
    assert operators.norm(A) == pytest.approx(np.linalg.norm(matrix, 2))
    np.testing.assert_allclose(operators.as_operator(A).H @ np.eye(A.m), matrix.T, atol=1e-12)


@pytest.mark.parametrize("A", list(maps()), ids=lambda A: type(A).__name__)
def test_tensors_give_the_same_with_gradients(A):
    there = to_torch(A)
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((2, 3, A.d)), rng.standard_normal((2, 3, A.m))
    np.testing.assert_allclose(there.apply(torch.tensor(x)).numpy(), A.apply(x), atol=1e-12)
    np.testing.assert_allclose(there.adjoint(torch.tensor(y)).numpy(), A.adjoint(y), atol=1e-12)
    np.testing.assert_allclose(there.apply(torch.tensor(x[0, 0])).numpy(), A.apply(x[0, 0]), atol=1e-12)
    point = torch.tensor(x[0], requires_grad=True)
    (0.5 * (there.apply(point) - torch.tensor(y[0])) ** 2).sum().backward()
    np.testing.assert_allclose(point.grad.numpy(), A.adjoint(A.apply(x[0]) - y[0]), atol=1e-12)
    back = torch.tensor(y[0], requires_grad=True)
    (there.adjoint(back) * torch.tensor(x[0])).sum().backward()
    np.testing.assert_allclose(back.grad.numpy(), A.apply(x[0]), atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([0.0, 1e-9, 0.1, 0.13, 0.5, 1.0, 3.0]))
def test_blur_is_the_filter_of_scipy(height, width, sigma):
    image = np.random.default_rng(0).standard_normal((height, width))
    expected = gaussian_filter(image, sigma, mode="reflect") if sigma >= 0.1 else image
    found = operators.blur((height, width), sigma).apply(image.ravel())
    np.testing.assert_allclose(found.reshape(height, width), expected, atol=1e-12)


def test_channels_are_blurred_one_by_one():
    image = np.random.default_rng(0).standard_normal((5, 6, 3))
    found = operators.blur(image.shape, 1.0).apply(image.ravel()).reshape(image.shape)
    np.testing.assert_allclose(found[..., 1], gaussian_filter(image[..., 1], 1.0), atol=1e-12)


def test_downsampling_by_hand():
    image = np.array([[1.0, 3.0, 0.0, 0.0], [5.0, 7.0, 0.0, 8.0]])
    assert operators.downsample((2, 4), 2).apply(image.ravel()).tolist() == [4.0, 2.0]
    with pytest.raises(ProblemError, match=r"operator.*divisor of 3"):
        operators.downsample((4, 3), 2)


@pytest.mark.parametrize(("shape", "angles"), [((8, 8), 6), ((7, 12), 5), ((1, 1), 2), ((16, 3), 1)])
def test_projections_at_right_angles_are_sums(shape, angles):
    """At 0 degrees the rays are the columns of the image (and at 90 its rows), so that they sum to all of it."""
    image = np.random.default_rng(0).random(shape)
    sinogram = operators.radon(shape, angles).apply(image.ravel()).reshape(-1, angles)
    columns = sinogram[:, 0][sinogram[:, 0] != 0]
    np.testing.assert_allclose(columns, image.sum(axis=0), rtol=1e-12)
    if angles % 2 == 0:
        rows = sinogram[:, angles // 2]
        np.testing.assert_allclose(np.sort(rows[rows != 0]), np.sort(image.sum(axis=1)), rtol=1e-9)


@pytest.mark.parametrize("shape", [(8, 8), (9, 13), (6, 5)])
def test_radon_is_that_of_scikit_image(shape):
    transform = pytest.importorskip("skimage.transform")
    image = np.random.default_rng(0).random(shape)
    expected = transform.radon(image, np.arange(7) * 180.0 / 7, circle=False)
    found = operators.radon(shape, 7).apply(image.ravel()).reshape(-1, 7)
    np.testing.assert_allclose(found, expected, atol=1e-8)


def test_masks_see_what_they_say():
    image = np.arange(6.0)
    A = build("mask", (2, 3), np.array([[True, False, False], [False, True, True]]))
    assert A.apply(image).tolist() == [0.0, 4.0, 5.0]
    assert A.adjoint(np.ones(3)).tolist() == [1, 0, 0, 0, 1, 1]
    assert build("mask(0.5, 3)", (10, 10), None).m == 50
    assert build("mask(0.001)", (3,), None).m == 1
    assert build("mask(0.5,1)", (10,), None).kept.tolist() != build("mask(0.5,2)", (10,), None).kept.tolist()


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("median(3)", SHAPE), ("blur", SHAPE), ("blur(-1)", SHAPE), ("blur(nan)", SHAPE), ("blur(1,2)", SHAPE),
        ("mask(0)", SHAPE), ("mask(1.5)", SHAPE), ("gaussian(0)", SHAPE), ("gaussian(2.5)", SHAPE), ("radon(x)", SHAPE),
        ("downsample(0)", SHAPE),
    ],
)  # fmt: skip
def test_names_that_mean_nothing_are_refused(name, shape):
    with pytest.raises(ProblemError, match="operator"):
        build(name, shape, None)


def test_operators_that_need_more_say_what():
    with pytest.raises(ProblemError, match=r"mask.*missing"):
        build("mask", SHAPE, None)
    with pytest.raises(ProblemError, match=r"shape.*a height and a width"):
        build("radon(3)", (5,), None)


def test_the_norm_of_a_large_map(monkeypatch):
    monkeypatch.setattr(operators, "_SMALL", 0)
    A = operators.Matrix(operators.radon((28, 28), 12).entries)
    assert operators.norm(A) == pytest.approx(np.linalg.norm(operators.to_matrix(A), 2), rel=1e-6)
