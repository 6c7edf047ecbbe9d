"""Plug-and-play iterations against minimisers that are known in closed form."""

import itertools

import numpy as np
import pytest
import torch

from solvary_inverse.operators import Matrix, selection
from solvary_inverse.operators_torch import to_torch
from solvary_inverse.pnp import admm, data_term, patched, pgd, solve_regularised


@pytest.fixture
def least_squares():
    rng = np.random.default_rng(0)
    entries = rng.standard_normal((4, 6)) / 3
    return entries, to_torch(Matrix(entries)), torch.as_tensor(rng.standard_normal((3, 4)))


def last(iterates, count):
    return next(itertools.islice(iterates, count - 1, None))


@pytest.mark.parametrize("algorithm", ["admm", "pgd"])
def test_a_quadratic_prior_gives_ridge_regression(least_squares, algorithm):
    entries, A, y = least_squares
    start = torch.zeros(3, 6, dtype=torch.float64)
    parameter = 2.0 if algorithm == "admm" else 0.5 / np.linalg.norm(entries, 2) ** 2
    method = admm if algorithm == "admm" else pgd
    found = last(method(A, y, lambda v: v / 1.5, parameter, start), 3000).x  # the prox of |x|^2 / 4
    weight = parameter if algorithm == "admm" else 1 / parameter
    gram = entries.T @ entries + weight * 0.5 * np.eye(6)
    expected = np.linalg.solve(gram, entries.T @ y.numpy().T).T
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-8)


def test_proximal_gradients_never_raise_the_lasso_objective(least_squares):
    entries, A, y = least_squares
    step = 0.99 / np.linalg.norm(entries, 2) ** 2
    soft = torch.nn.Softshrink(0.1)
    states = itertools.islice(pgd(A, y, soft, step, A.adjoint(y)), 200)
    values = [float((data_term(A, y, s.x) + 0.1 / step * s.x.abs().sum(dim=1)).sum()) for s in states]
    assert np.max(np.diff(values)) <= 1e-12


def test_without_measurements_admm_ends_at_a_fixed_point_of_f():
    A = to_torch(Matrix(np.zeros((2, 3))))
    y = torch.ones(1, 2, dtype=torch.float64)
    state = last(admm(A, y, lambda v: 0.5 * v + 1, 1.0, torch.zeros(1, 3, dtype=torch.float64)), 200)
    np.testing.assert_allclose(state.x.numpy(), 2.0, atol=1e-9)


def test_conjugate_gradients_solve_every_row(least_squares):
    entries, A, _ = least_squares
    right = torch.as_tensor(np.random.default_rng(1).standard_normal((5, 6)))
    right[0] = 0
    found = solve_regularised(A, right, 1e-3, torch.zeros_like(right))
    expected = np.linalg.solve(entries.T @ entries + 1e-3 * np.eye(6), right.numpy().T).T
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6, atol=1e-9)


def test_patches_cover_the_image_and_average():
    image = torch.arange(35, dtype=torch.float64).reshape(1, 35)
    for stride in (1, 2, 3):
        torch.testing.assert_close(patched(lambda v: v, (5, 7), (3, 3), stride)(image), image)
    # A patch's mean over 1 x 3 patches with stride 1 is the moving average of moving averages.
    mean = patched(lambda v: v.mean(dim=1, keepdim=True).expand_as(v), (1, 4), (1, 3), 1)
    found = mean(torch.tensor([[0.0, 3.0, 6.0, 9.0]]))
    torch.testing.assert_close(found, torch.tensor([[3.0, 4.5, 4.5, 6.0]]))


def test_a_mask_of_nothing_but_one_pixel():
    A = to_torch(selection(np.array([True, False])))
    y = torch.tensor([[3.0]], dtype=torch.float64)
    state = last(pgd(A, y, lambda v: v, 0.5, torch.zeros(1, 2, dtype=torch.float64)), 100)
    np.testing.assert_allclose(state.x.numpy(), [[3.0, 0.0]], atol=1e-9)
