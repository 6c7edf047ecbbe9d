"""Networks as loops, against the networks themselves; certificates from weights, against the problem's own check."""

from __future__ import annotations

import numpy as np
import pytest

from solvary_robustness import lmi
from solvary_robustness.lifting import liftings, reduced, vanishing
from solvary_robustness.loop_scaling import scale, spectral
from solvary_robustness.loops import alive, close, helmert, slopes
from solvary_robustness.network import Activation, Dense, GroupSort, Householder, Network, Residual


def unit(rng, groups, size):
    vectors = rng.standard_normal((groups, size))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def plain(seed=0):
    rng = np.random.default_rng(seed)
    return Network(
        [
            Dense(rng.standard_normal((6, 4)), rng.standard_normal(6)),
            GroupSort(3),
            Dense(rng.standard_normal((6, 6))),
            Householder(unit(rng, 2, 3)),
            Activation("leaky", -0.3),
            GroupSort(1),
            Dense(rng.standard_normal((2, 6))),
        ]
    )


def rests(layer, a, b):
    """c from what goes into an activation and what comes out."""
    if isinstance(layer, GroupSort):
        return (b.reshape(-1, layer.size) @ helmert(layer.size)).ravel()
    if isinstance(layer, Householder):
        return (layer.vectors * b.reshape(layer.vectors.shape)).sum(axis=1)
    low, high = slopes(layer)
    return (b - 0.5 * (low + high) * a) / (0.5 * (high - low))


@pytest.mark.parametrize("seed", range(5))
def test_increments_of_the_network_obey_the_loop(seed):
    network = plain()
    rng = np.random.default_rng(seed)
    one, two = (network.inputs(scale * rng.standard_normal(4)) for scale in (1.0, 2.0))
    steps = [second - first for first, second in zip(one, two, strict=True)]
    c = [
        rests(layer, steps[k], steps[k + 1])
        for k, layer in enumerate(network.layers)
        if isinstance(layer, GroupSort | Householder | Activation)
    ]
    z = np.concatenate([steps[0], *c])
    loop = close(network.layers, 4)
    np.testing.assert_allclose(loop.C @ z, steps[-1], atol=1e-12)
    before = np.add.reduceat((loop.P @ z) ** 2, loop.starts)
    after = np.add.reduceat(z[4:] ** 2, loop.starts)
    assert (after <= before + 1e-12).all()


def test_the_columns_of_helmert_are_an_orthonormal_basis_of_the_deviations():
    for size in (1, 2, 5):
        basis = helmert(size)
        assert basis.shape == (size, size - 1)
        np.testing.assert_allclose(basis.T @ basis, np.eye(size - 1), atol=1e-15)
        np.testing.assert_allclose(basis.sum(axis=0), 0.0, atol=1e-15)


def test_a_residual_block_adds_its_input():
    weight = np.random.default_rng(0).standard_normal((4, 4))
    loop = close([Residual((Dense(weight),))], 4)
    np.testing.assert_allclose(loop.C, np.eye(4) + weight)
    assert len(loop.P) == 0


@pytest.mark.parametrize("factor", [1e-30, 1.0, 1e30])
def test_the_start_is_strictly_feasible_at_every_scale(factor):
    network = plain()
    layers = [Dense(factor * network.layers[0].weight), *network.layers[1:], Residual((Dense(np.eye(2)), GroupSort(2)))]
    scaled = scale(close(layers, 4))
    loop, lam = scaled.loop, np.repeat(scaled.lam, scaled.loop.sizes)
    S = np.diag(np.concatenate([np.full(4, scaled.rho), lam])) - (loop.P.T * lam) @ loop.P - loop.C.T @ loop.C
    assert np.linalg.eigvalsh(S)[0] > 0


def test_the_spectral_norm_does_not_overflow():
    matrix = np.random.default_rng(0).standard_normal((3, 5))
    assert spectral(1e200 * matrix) == pytest.approx(1e200 * np.linalg.norm(matrix, 2))
    assert spectral(np.zeros((2, 0))) == 0.0


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("keep_gamma", [False, True])
def test_the_start_lifts_to_a_certificate(norm, keep_gamma):
    network = plain()
    for lifting in liftings(network, norm, keep_gamma):
        scaled = lifting.scaled
        w = np.full(1 if norm == "l2" else network.input_size, scaled.rho)
        proved = lifting.prove(w, scaled.lam)
        assert proved.holds
        matrix = lmi.inequality(lifting.forms, norm, proved.multipliers, lifting.row)
        assert np.linalg.eigvalsh(matrix)[-1] <= 1e-12 * np.abs(matrix).max()
        back_w, back_lam = lifting.weights(proved.multipliers)
        np.testing.assert_allclose(back_w, w, rtol=1e-9)
        np.testing.assert_allclose(back_lam, scaled.lam, rtol=1e-9)


@pytest.mark.parametrize("shrink", [0.5, 1e-3, 0.0])
def test_weights_that_prove_nothing_are_repaired(shrink):
    network = plain()
    (lifting,) = liftings(network, "l2")
    wrong = np.array([shrink * lifting.scaled.rho])
    assert not lifting.prove(wrong, lifting.scaled.lam * shrink, repair=False).holds
    proved = lifting.prove(wrong, lifting.scaled.lam * shrink)
    assert proved.holds
    assert lmi.check(network, "l2", proved.multipliers).residual <= 1e-9


def test_inputs_that_a_first_layer_does_not_see_are_left_out():
    rng = np.random.default_rng(0)
    network = Network([Dense(rng.standard_normal((3, 9))), Activation("relu")])
    layers, basis = reduced(network, "l2")
    np.testing.assert_allclose(layers[0].weight @ basis.T, network.layers[0].weight, atol=1e-13)
    assert reduced(network, "linf")[1].shape == (9, 9)


def test_constant_networks_are_recognised():
    zero, eye = Dense(np.zeros((4, 4))), Dense(np.eye(4))
    assert vanishing(Network([eye, GroupSort(2), zero]), "l2").certificate["lam.0"].tolist() == [0.0, 0.0]
    assert vanishing(Network([eye, GroupSort(2), zero]), "linf").certificate["mu"].shape == (4, 4)
    assert vanishing(Network([zero, GroupSort(2), eye, Activation("relu"), eye]), "l2").certificate is None
    assert vanishing(Network([eye, GroupSort(2), eye]), "l2") is None
    assert not alive(close([zero, GroupSort(2), eye], 4)).C.any()
