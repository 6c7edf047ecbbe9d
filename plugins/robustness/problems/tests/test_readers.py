import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import solvary
from solvary import ProblemError
from solvary_robustness import Conv2d, Dense, LipschitzBound, Network, Residual, instances
from solvary_robustness.readers import read_network, read_vnnlib_box, region_and_box, write_network


def _model(nodes, constants, shape, output="y"):
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, *shape])
    out = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "g", [given], [out], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def _agrees(model, path, shape):
    onnx.save(model, path)
    network = read_network(path)
    x = np.random.default_rng(1).standard_normal((1, *shape)).astype(np.float32)
    (expected,) = ReferenceEvaluator(model).run(None, {"x": x})
    np.testing.assert_allclose(network(x.ravel()), expected.ravel(), rtol=1e-4, atol=1e-5)
    return network


def _f32(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def test_onnx_gemm_matmul_and_shifts(tmp_path):
    node = helper.make_node
    nodes = [
        node("Sub", ["x", "mean"], ["0"]),
        node("Flatten", ["0"], ["1"]),
        node("MatMul", ["1", "A"], ["2"]),
        node("Add", ["a", "2"], ["3"]),
        node("Relu", ["3"], ["4"]),
        node("Gemm", ["4", "B", "b"], ["5"], transB=1, alpha=0.5, beta=2.0),
        node("LeakyRelu", ["5"], ["6"], alpha=0.2),
        node("Gemm", ["6", "C"], ["7"]),
        node("Sub", ["c", "7"], ["y"]),
    ]
    constants = {"mean": _f32(1, 1, 4), "A": _f32(4, 5), "a": _f32(5), "B": _f32(3, 5), "b": _f32(3), "C": _f32(3, 2)}
    network = _agrees(_model(nodes, {**constants, "c": _f32(2)}, (1, 4)), tmp_path / "net.onnx", (1, 4))
    assert network.input_size == 4


def test_onnx_convolution_and_residual(tmp_path):
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "K", "k"], ["0"], strides=[2, 1], pads=[1, 0, 1, 0], kernel_shape=[3, 2]),
        node("Relu", ["0"], ["1"]),
        node("Conv", ["1", "L"], ["2"], pads=[1, 1, 1, 1], kernel_shape=[3, 3], group=2),
        node("Relu", ["2"], ["3"]),
        node("Add", ["3", "1"], ["4"]),
        node("Reshape", ["4", "shape"], ["5"]),
        node("Gemm", ["5", "B", "b"], ["6"], transB=1),
        node("MatMul", ["6", "C"], ["7"]),
        node("Add", ["6", "7"], ["y"]),
    ]
    size = 4 * 3 * 4
    constants = {"K": _f32(4, 2, 3, 2), "k": _f32(4), "L": _f32(4, 2, 3, 3), "shape": np.array([1, -1])}
    constants |= {"B": _f32(3, size), "b": _f32(3), "C": _f32(3, 3)}
    network = _agrees(_model(nodes, constants, (2, 6, 5)), tmp_path / "net.onnx", (2, 6, 5))
    assert [type(layer) for layer in network.layers if isinstance(layer, Residual | Conv2d)] == [
        Conv2d,
        Residual,
        Residual,
    ]


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ([("Tanh", ["x"], ["y"])], r"\(Tanh\) is not supported"),
        ([("Mul", ["x", "x"], ["y"])], r"\(Mul\) takes 2 values"),
        ([("Relu", ["x"], ["0"]), ("LeakyRelu", ["x"], ["1"]), ("Add", ["0", "1"], ["y"])], "is of two branches"),
        ([("Relu", ["z"], ["y"])], "does not come from the input"),
    ],
)
def test_other_onnx_graphs_are_refused_by_node(tmp_path, nodes, words):
    made = [helper.make_node(*parts) for parts in nodes]
    (tmp_path / "net.onnx").write_bytes(_model(made, {}, (3,)).SerializeToString())
    with pytest.raises(ProblemError, match=words):
        read_network(tmp_path / "net.onnx")


def test_damaged_files_are_refused(tmp_path):
    for name in ("net.onnx", "net.npz"):
        (tmp_path / name).write_bytes(b"no network")
        with pytest.raises(ProblemError, match="cannot read"):
            read_network(tmp_path / name)
    with pytest.raises(ProblemError, match=r"cannot read 'net\.txt'"):
        read_network(tmp_path / "net.txt")


def test_npz_of_weights(tmp_path):
    rng = np.random.default_rng(0)
    W0, b0, W1 = rng.standard_normal((4, 3)), rng.standard_normal(4), rng.standard_normal((2, 4))
    np.savez(tmp_path / "net.npz", W0=W0, b0=b0, W1=W1)
    x = rng.standard_normal(3)
    expected = W1 @ np.maximum(W0 @ x + b0, 0.0)
    np.testing.assert_allclose(read_network(tmp_path / "net.npz")(x), expected, atol=1e-14)
    problem = LipschitzBound.read(tmp_path / "net.npz", norm="linf", region=(x, 0.1))
    np.testing.assert_allclose(problem.network(x), expected, atol=1e-14)
    assert problem.norm == "linf"


def test_network_and_problem_round_trip(tmp_path):
    problem = instances.residual_maxmin_net()
    write_network(problem.network, tmp_path / "net.npz")
    x = np.random.default_rng(0).standard_normal((2, 10))
    np.testing.assert_array_equal(read_network(tmp_path / "net.npz").forward(x), problem.network.forward(x))
    for made in (problem, LipschitzBound(network=problem.network, norm="linf", region=(x[0], 0.5), box=(-1, 9))):
        made.write(tmp_path / "problem.npz")
        back = LipschitzBound.read(tmp_path / "problem.npz")
        assert back.norm == made.norm
        np.testing.assert_array_equal(back.network.forward(x), made.network.forward(x))
        np.testing.assert_equal(back.domain, made.domain)
    solution = solvary.solve(problem, "norm-product")
    assert back.read_answer(back.write_answer(solution.answer)).value == solution.answer.value


VNNLIB = """
; a box
(declare-const X_0 Real)
(declare-const X_1 Real)
(declare-const Y_0 Real)
(assert (<= X_0 0.5)) (assert (>= X_0 -0.25))
(assert (<= 1.0 X_1))
(assert (>= 1e1 X_1))
(assert (or (and (>= Y_0 1.0))))
"""


def test_vnnlib_box_becomes_the_domain(tmp_path):
    (tmp_path / "box.vnnlib").write_text(VNNLIB)
    lo, hi = read_vnnlib_box(tmp_path / "box.vnnlib")
    np.testing.assert_array_equal([lo, hi], [[-0.25, 1.0], [0.5, 10.0]])
    region, box = region_and_box(lo, hi)
    problem = LipschitzBound(network=Network([Dense(np.eye(2))]), region=region, box=box)
    np.testing.assert_array_equal(problem.domain, [lo, hi])
    (tmp_path / "open.vnnlib").write_text(VNNLIB.replace("(assert (<= X_0 0.5))", ""))
    with pytest.raises(ProblemError, match="two-sided bound of X_0"):
        read_vnnlib_box(tmp_path / "open.vnnlib")
