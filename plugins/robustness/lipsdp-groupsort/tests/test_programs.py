"""The pieces of the methods against dense linear algebra."""

from __future__ import annotations

import numpy as np
import pytest

from solvary_lipsdp_groupsort.barrier import _lanczos, _reach, follow
from solvary_lipsdp_groupsort.chain import split
from solvary_lipsdp_groupsort.program import euclidean, maximum
from solvary_robustness.lifting import liftings
from solvary_robustness.network import Activation, Dense, GroupSort, Network, Residual


def network(outputs=1, seed=0):
    rng = np.random.default_rng(seed)

    def dense(o, i):
        return Dense(rng.standard_normal((o, i)) / np.sqrt(i))

    inner = Residual((dense(4, 6), Activation("relu"), dense(6, 4)))
    return Network([dense(6, 4), GroupSort(3), inner, dense(4, 6), GroupSort(2), dense(outputs, 4)])


@pytest.fixture(params=["l2", "linf"])
def lifted(request):
    norm = request.param
    (lifting,) = liftings(network(), norm)
    return lifting, *(euclidean if norm == "l2" else maximum)(lifting.scaled)


def derivatives(program):
    """F_i as dense matrices."""
    unit = np.eye(len(program.cost))
    return [program.linear(row) for row in unit]


def test_the_matrix_is_linear_in_the_weights_and_the_start_is_inside(lifted):
    _, program, start = lifted
    F = derivatives(program)
    S = sum(weight * each for weight, each in zip(start, F, strict=True)) - program.constant
    np.testing.assert_allclose(program.matrix(start), S, atol=1e-12)
    assert np.linalg.eigvalsh(S)[0] > 0


def test_the_newton_system_from_low_rank_rows_is_that_of_dense_matrices(lifted):
    program = lifted[1]
    rng = np.random.default_rng(1)
    X, Y = (half @ half.T for half in rng.standard_normal((2, len(program.owners), len(program.owners))))
    F = derivatives(program)
    np.testing.assert_allclose(program.adjoint(X), [np.vdot(each, X) for each in F], rtol=1e-10)
    dense = [[np.trace(a @ X @ b @ Y) for b in F] for a in F]
    gram = program.gram(X, Y)
    np.testing.assert_allclose(0.5 * (gram + gram.T), 0.5 * (np.array(dense) + np.array(dense).T), rtol=1e-9, atol=1e-8)


def test_the_chain_has_the_log_determinant_of_the_whole_and_its_gradient(lifted):
    lifting, program, start = lifted
    chain = split(lifting, program.owners[: program.first])
    theta = start * np.random.default_rng(2).uniform(1.0, 1.02, len(start))
    value, gradient = chain.value(theta)
    assert value == pytest.approx(np.linalg.slogdet(program.matrix(theta))[1], rel=1e-10)
    np.testing.assert_allclose(gradient, program.adjoint(np.linalg.inv(program.matrix(theta))), rtol=1e-8)
    assert len(chain.stages) == 3
    assert chain.value(0.01 * start) is None


def test_steps_keep_the_weights_strictly_inside_and_the_gap_closes(lifted):
    _, program, start = lifted
    values = []
    for point in follow(program, start, 1e-9):
        assert np.linalg.eigvalsh(program.matrix(point.theta))[0] > 0
        values.append(float(program.cost @ point.theta))
    assert point.gap <= 1e-9 * values[-1]
    assert all(value >= values[-1] * (1 - 1e-9) for value in values)
    assert len(values) <= 25


def test_the_way_to_the_boundary_by_eigenvalues_and_by_lanczos():
    rng = np.random.default_rng(3)
    half, step = rng.standard_normal((2, 40, 40))
    matrix, step = half @ half.T + np.eye(40), step + step.T
    factor = np.linalg.cholesky(matrix)
    length = _reach(factor, step)
    assert np.linalg.eigvalsh(matrix + length * step)[0] == pytest.approx(0.0, abs=1e-9)
    assert _lanczos(factor, step) == pytest.approx(-1.0 / length, rel=0.05)
    assert _reach(factor, np.eye(40)) == np.inf
