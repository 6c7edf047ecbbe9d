import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from solvary import ProblemError
from solvary_robustness import (
    Activation,
    Conv2d,
    Dense,
    Flatten,
    GroupSort,
    Householder,
    MaxMin,
    Network,
    Residual,
)


def test_forward_by_hand():
    network = Network([Dense([[1, -1], [2, 0]], [0, 1]), Activation("relu"), Dense([[1, 1]])])
    np.testing.assert_array_equal(network.forward([[1.0, 2.0], [3.0, 1.0]]), [[3.0], [9.0]])
    np.testing.assert_array_equal(network([3.0, 1.0]), [9.0])
    assert (network.input_size, network.output_size, network.classes) == (2, 1, 1)
    np.testing.assert_array_equal(network.features([[3.0, 1.0]]), [[2.0, 7.0]])


def test_groupsort_sorts_descending_in_groups():
    layer = Network([Dense(np.eye(6)), GroupSort(3)])
    np.testing.assert_array_equal(layer([1.0, 3.0, 2.0, -1.0, 5.0, 0.0]), [3, 2, 1, 5, 0, -1])
    assert MaxMin().size == 2


def test_householder_reflects_the_negative_side_only():
    v = np.array([[0.6, 0.8]])
    network = Network([Householder(v)])
    np.testing.assert_allclose(network([1.0, 1.0]), [1.0, 1.0])
    np.testing.assert_allclose(network([-0.6, -0.8]), [0.6, 0.8])
    np.testing.assert_allclose(network([0.8, -0.6]), [0.8, -0.6], atol=1e-15)  # orthogonal to v: fixed


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_jacobian_is_the_limit_of_differences(random_network, seed):
    network = random_network(seed)
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(24)
    step = 1e-7
    differences = [(network(x + step * e) - network(x - step * e)) / (2 * step) for e in np.eye(24)]
    jacobian = network.jacobian(x)
    assert jacobian.shape == (5, 24)
    np.testing.assert_allclose(jacobian, np.array(differences).T, atol=2e-5 * (1 + np.abs(jacobian).max()))
    c = rng.standard_normal(5)
    np.testing.assert_allclose(network.backward(x[None], c[None])[0], jacobian.T @ c, atol=1e-12)
    batch = rng.standard_normal((3, 24))
    np.testing.assert_allclose(network.jacobian(batch)[1], network.jacobian(batch[1]), atol=1e-12)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_arrays_and_pickle_round_trip(random_network, seed):
    network = random_network(seed)
    x = np.random.default_rng(seed).standard_normal((4, 24))
    for again in (
        Network.from_arrays(network.to_arrays()),
        pickle.loads(pickle.dumps(network)),
        copy.deepcopy(network),
        network.lowered(),
        network.lowered(dense=True),
    ):
        np.testing.assert_allclose(again.forward(x), network.forward(x), atol=1e-12)
        assert repr(again.layers[-1].weight.flags.writeable) == "False"
    assert not any(isinstance(layer, Conv2d | Flatten) for layer in network.lowered().layers)


def test_sparse_weights_stay_sparse_and_travel():
    matrix = csr_array(np.array([[1.0, 0.0, 2.0], [0.0, 0.0, 0.0]]))
    network = pickle.loads(pickle.dumps(Network([Dense(matrix, [1.0, 2.0])])))
    assert network.layers[0].weight.nnz == 2
    np.testing.assert_array_equal(network([1.0, 1.0, 1.0]), [4.0, 2.0])
    np.testing.assert_array_equal(network.jacobian(np.zeros(3)), matrix.toarray())
    assert network.product_bound("l2") == pytest.approx(np.sqrt(5))
    assert network.product_bound("linf") == 3.0


def test_a_network_is_a_value():
    weight = np.ones((2, 3), dtype=np.float32)
    network = Network([Dense(weight)])
    weight[:] = 7
    np.testing.assert_array_equal(network([1.0, 1.0, 1.0]), [3.0, 3.0])
    assert network.layers[0].weight.dtype == np.float64
    with pytest.raises(ValueError):
        network.layers[0].weight[0, 0] = 1.0
    with pytest.raises(AttributeError):
        network.layers = ()


def test_inputs_of_any_form():
    network = Network([Dense(np.arange(6.0).reshape(2, 3)), Activation("leaky", 0.1)])
    wide = np.arange(24, dtype=np.float32).reshape(4, 6) - 10
    np.testing.assert_allclose(network.forward(wide[:, ::2]), network.forward(np.array(wide[:, ::2], dtype=float)))
    with pytest.raises(ProblemError, match=r"x: has shape \(4, 6\)"):
        network.forward(wide)


@pytest.mark.parametrize("stride", [1, 2, (2, 1)])
@pytest.mark.parametrize("padding", [0, 1, (0, 2)])
def test_convolution_by_direct_sums(stride, padding):
    rng = np.random.default_rng(0)
    conv = Conv2d(rng.standard_normal((3, 2, 2, 3)), rng.standard_normal(3), stride, padding, input_shape=(2, 5, 4))
    x = rng.standard_normal(40)
    out, rows, columns = conv.output_shape
    padded = np.pad(x.reshape(2, 5, 4), [(0, 0), *((p, p) for p in conv.padding)])
    expected = np.zeros((out, rows, columns))
    for o, r, c in np.ndindex(out, rows, columns):
        window = padded[:, r * conv.stride[0] :, c * conv.stride[1] :][:, :2, :3]
        expected[o, r, c] = (window * conv.weight[o]).sum() + conv.bias[o]
    np.testing.assert_allclose(Network([conv])(x), expected.ravel(), atol=1e-12)


def test_product_bound_of_known_layers():
    rng = np.random.default_rng(0)
    a, b, c = rng.standard_normal((6, 4)), rng.standard_normal((6, 6)), rng.standard_normal((3, 6))
    network = Network([Dense(a), Activation("leaky", -2.0), Residual([Dense(b), GroupSort(3)]), Dense(c)])
    for norm, order in (("l2", 2), ("linf", np.inf)):
        na, nb, nc = (np.linalg.norm(matrix, order) for matrix in (a, b, c))
        assert network.product_bound(norm) == pytest.approx(na * 2.0 * (1.0 + nb) * nc, rel=1e-12)
    v = np.array([[0.6, 0.8]])
    assert Network([Householder(v)]).product_bound("l2") == 1.0
    assert Network([Householder(v)]).product_bound("linf") == pytest.approx(abs(1 - 2 * 0.36) + 2 * 0.48)
    conv = Conv2d(rng.standard_normal((3, 2, 3, 3)), None, 1, 1, input_shape=(2, 5, 5))
    dense = conv.lowered().weight.toarray()
    assert Network([conv]).product_bound("l2") == pytest.approx(np.linalg.norm(dense, 2), rel=1e-10)
    assert Network([conv]).product_bound("linf") == pytest.approx(np.linalg.norm(dense, np.inf), rel=1e-12)


def test_norms_of_extreme_scales():
    for scale in (1e-200, 1e200):
        network = Network([Dense(scale * np.diag([1.0, 2.0]))])
        assert network.product_bound("l2") == pytest.approx(2 * scale, rel=1e-12)
    assert Network([Dense(np.zeros((2, 3)))]).product_bound("l2") == 0.0


W = np.ones((4, 3))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Network([Dense(W), Dense(W)]), r"layer 1 \(Dense\): takes width 3; expected width 4"),
        (
            lambda: Network([Dense(W), GroupSort(3)]),
            r"layer 1 \(GroupSort\): the group size 3 does not divide the width 4",
        ),
        (lambda: Network([GroupSort(2), Dense(W)]), r"layer 0 \(GroupSort\)"),
        (
            lambda: Network([Dense(W), Residual([Dense(np.ones((3, 4)))])]),
            r"layer 1 \(Residual\): its layers map width 4 to 3",
        ),
        (
            lambda: Network([Dense(W), Residual([Dense(W)])]),
            r"layer 1 \(Residual\): layer 0|layer 1 \(Residual\): takes",
        ),
        (lambda: Network([Dense(W), Householder(np.eye(3)[:1])]), r"layer 1 \(Householder\): takes width 3"),
        (lambda: Network([Dense(W), "relu"]), "layer 1 is a str"),
        (lambda: Network([Activation("relu")]), "no layer that fixes the input size"),
        (lambda: Network([]), "no layer that fixes the input size"),
        (lambda: Network(3), "sequence of layers"),
        (lambda: Dense([[np.nan, 1.0]]), "Dense.weight has entries that are not finite"),
        (lambda: Dense(np.ones((2, 0))), "width 0"),
        (lambda: Dense(np.ones(3)), r"Dense.weight is an array of float64 of shape \(3,\)"),
        (lambda: Dense(W, np.ones(3)), "Dense.bias has 3 entries"),
        (lambda: Dense([[1j]]), "complex"),
        (lambda: Dense([[1.0], [1.0, 2.0]]), "Dense.weight is not an array"),
        (lambda: Dense(csr_array(np.array([[np.inf]]))), "not finite"),
        (lambda: Householder([[1.0, 1e-4]]), r"Householder.vectors\[0\] has norm"),
        (lambda: Activation("gelu"), "Activation.kind is 'gelu'"),
        (lambda: Activation("leaky", np.nan), "Activation.slope"),
        (lambda: GroupSort(0), "GroupSort.size is 0"),
        (lambda: GroupSort(2.5), "GroupSort.size is 2.5"),
        (lambda: Residual([]), "Residual has no layers"),
        (lambda: Conv2d(np.ones((1, 2, 1, 1)), input_shape=(1, 2, 2)), "one number of channels"),
        (lambda: Conv2d(np.ones((1, 1, 3, 3)), input_shape=(1, 2, 2)), "does not fit"),
        (lambda: Conv2d(np.ones((1, 1, 1, 1)), stride=0, input_shape=(1, 2, 2)), "Conv2d.stride"),
        (lambda: Network.from_arrays({"W0": W, "W2": W}), "without a gap"),
        (lambda: Network.from_arrays({"weight": W}), "an array named 'weight'"),
        (lambda: Network.from_arrays({"0.Dense.bias": np.ones(2)}), "Dense layer"),
    ],
)
def test_what_is_wrong_is_named(make, words):
    with pytest.raises(ProblemError, match=words) as caught:
        make()
    assert caught.value.field == "network"


def test_head_must_be_dense():
    with pytest.raises(ProblemError, match="ends with a Activation"):
        _ = Network([Dense(W), Activation("relu")]).head
