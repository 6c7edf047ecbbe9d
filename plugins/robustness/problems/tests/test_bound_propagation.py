"""Intervals and linear bounds of pre-activations: they hold at every input, and are exact where that can be known."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from solvary import ProblemError
from solvary_robustness import Activation, Conv2d, Dense, Flatten, GroupSort, Network, Residual
from solvary_robustness.bounds.crown import crown
from solvary_robustness.bounds.graph import Graph
from solvary_robustness.bounds.ibp import ibp


def random_network(rng, kind, slope):
    def dense(i, o):
        return Dense(rng.standard_normal((o, i)), rng.standard_normal(o))

    act = Activation("relu") if slope == 0.0 else Activation("leaky", slope)
    if kind == "residual":
        inner = Residual([act, dense(6, 6)])
        return Network(
            [dense(4, 6), Residual([act, dense(6, 5), Residual([act]), dense(5, 6), inner]), act, dense(6, 3)]
        )
    if kind == "convolution":
        first = Conv2d(rng.standard_normal((3, 2, 2, 3)), rng.standard_normal(3), (2, 1), (1, 0), input_shape=(2, 4, 5))
        second = Conv2d(rng.standard_normal((2, 3, 2, 2)), input_shape=first.output_shape)
        return Network([first, act, second, act, Flatten(), dense(second.width(0), 3)])
    return Network([dense(4, 7), act, dense(7, 6), act, dense(6, 3)])


def activation_inputs(network, points):
    """The inputs of all activations, in order, by the network's own forward pass."""
    found = []

    def run(layers, x):
        for layer in layers:
            if isinstance(layer, Residual):
                x = x + run(layer.layers, x)
                continue
            if isinstance(layer, Activation):
                found.append(x)
            x = layer.forward(x)
        return x

    output = run(network.layers, points)
    return [*found, output]


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    kind=st.sampled_from(["dense", "residual", "convolution"]),
    slope=st.sampled_from([0.0, 0.2, -0.5, 1.5]),
    eps=st.sampled_from([0.0, 0.05, 1.0]),
    dtype=st.sampled_from([torch.float64, torch.float32]),
    options=st.sampled_from([{}, {"alpha_steps": 3}, {"everywhere": False}, {"block": 512}]),
)
def test_bounds_hold_at_samples_and_linear_ones_are_inside(seed, kind, slope, eps, dtype, options):
    rng = np.random.default_rng(seed)
    network = random_network(rng, kind, slope)
    graph = Graph.of(network, dtype=dtype)
    center = rng.standard_normal(network.input_size)
    ends = graph.domain(center - eps, center + eps)
    corners = center + eps * rng.choice([-1.0, 1.0], (200, len(center)))
    points = np.concatenate([corners, center + eps * rng.uniform(-1.0, 1.0, (200, len(center)))])
    values = activation_inputs(network, points)
    wide, wide_output = ibp(graph, *ends)
    tight, tight_output = crown(graph, *ends, **options)
    assert len(wide) == len(tight) == len(values) - 1
    for value, outer, inner in zip(values, [*wide, wide_output], [*tight, tight_output], strict=True):
        assert (inner.lower >= outer.lower).all()
        assert (inner.upper <= outer.upper).all()
        assert (value >= inner.lower.double().numpy()).all()
        assert (value <= inner.upper.double().numpy()).all()


def test_linear_bounds_are_exact_behind_units_of_one_sign():
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((5, 3)), rng.standard_normal((2, 5))
    network = Network([Dense(first, np.array([9.0, 9.0, -9.0, 9.0, -9.0])), Activation("relu"), Dense(second)])
    graph = Graph.of(network)
    found, output = crown(graph, *graph.domain(-np.full(3, 0.1), np.full(3, 0.1)))
    on = np.array([1.0, 1.0, 0.0, 1.0, 0.0])
    matrix, offset = second @ (on[:, None] * first), second @ (on * np.array([9.0, 9.0, 0.0, 9.0, 0.0]))
    radius = 0.1 * np.abs(matrix).sum(axis=1)
    assert np.allclose(output.lower[0], offset - radius, rtol=1e-12)
    assert np.allclose(output.upper[0], offset + radius, rtol=1e-12)
    assert np.allclose(found[0].upper[0] - found[0].lower[0], 0.2 * np.abs(first).sum(axis=1), rtol=1e-12)
    _, wide = ibp(graph, *graph.domain(-np.full(3, 0.1), np.full(3, 0.1)))
    assert (wide.upper > output.upper).any()


def test_the_relaxation_of_one_unit_is_the_triangle():
    network = Network([Dense([[1.0]]), Activation("relu"), Dense([[1.0], [-1.0]])])
    graph = Graph.of(network)
    _, output = crown(graph, *graph.domain(np.array([-1.0]), np.array([3.0])))
    # Above: the chord, 3 at most; below: the line of slope 1, intersected with the interval's 0.
    assert output.upper[0].numpy() == pytest.approx([3.0, 0.0], abs=1e-12)
    assert output.lower[0].numpy() == pytest.approx([0.0, -3.0], abs=1e-12)


def test_optimised_slopes_are_never_worse():
    rng = np.random.default_rng(2)
    network = random_network(rng, "dense", 0.0)
    graph = Graph.of(network)
    ends = graph.domain(-np.ones(4), np.ones(4))
    _, plain = crown(graph, *ends)
    _, better = crown(graph, *ends, alpha_steps=20)
    assert (better.upper <= plain.upper + 1e-12).all()
    assert (better.upper - better.lower).sum() < 0.99 * (plain.upper - plain.lower).sum()


def test_several_domains_are_bounded_at_once_and_known_intervals_are_used():
    rng = np.random.default_rng(3)
    network = random_network(rng, "residual", 0.0)
    graph = Graph.of(network)
    lo = torch.tensor(rng.standard_normal((3, 4)))
    hi = lo + torch.tensor([[0.0], [0.1], [1.0]])
    together, output = crown(graph, lo, hi)
    for row in range(3):
        alone, single = crown(graph, lo[row : row + 1], hi[row : row + 1])
        assert torch.allclose(output.upper[row], single.upper[0], rtol=1e-12)
        assert torch.allclose(together[2].lower[row], alone[2].lower[0], rtol=1e-12)
    same, again = crown(graph, lo, hi, known=together)
    assert (again.upper <= output.upper).all()
    assert all((part.lower >= first.lower).all() for part, first in zip(same, together, strict=True))


def test_sparse_weights_and_transposed_convolutions():
    from scipy.sparse import csr_array

    rng = np.random.default_rng(4)
    network = random_network(rng, "convolution", 0.0)
    ends = -np.full(40, 0.3), np.full(40, 0.3)
    graph, lowered = Graph.of(network), Graph.of(network.lowered())
    for first, second in zip(
        crown(graph, *graph.domain(*ends))[0], crown(lowered, *lowered.domain(*ends))[0], strict=True
    ):
        assert torch.allclose(first.lower, second.lower, rtol=1e-10, atol=1e-12)
        assert torch.allclose(first.upper, second.upper, rtol=1e-10, atol=1e-12)
    wide = csr_array((np.ones(3), (np.arange(3), np.array([0, 2_000_000, 3_999_999]))), shape=(3, 4_000_000))
    sparse = Graph.of(Network([Dense(wide), Activation("relu"), Dense(np.ones((1, 3)))]))
    assert sparse.nodes[1].map.weight.is_sparse
    _, output = crown(sparse, *sparse.domain(np.full(4_000_000, -1.0), np.full(4_000_000, 1.0)), everywhere=False)
    assert float(output.upper) == pytest.approx(3.0, rel=1e-6)


def test_other_layers_are_refused_by_position():
    network = Network([Dense(np.eye(2)), Residual([Dense(np.eye(2)), GroupSort(2)])])
    with pytest.raises(ProblemError, match=r"layer 1\.1 \(GroupSort\)"):
        Graph.of(network)
