"""Networks to try: generated with random weights, and trained on digit images."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from solvary import ProblemError
from solvary_robustness.data import Data, digits, mnist_5k
from solvary_robustness.lipschitz import LipschitzBound
from solvary_robustness.network import (
    Activation,
    Conv2d,
    Dense,
    Flatten,
    GroupSort,
    Householder,
    Layer,
    Network,
    Residual,
)
from solvary_robustness.trained import digits_cnn_network, digits_mlp_network, mnist_cnn_network


def _dense(rng: np.random.Generator, fan_in: int, out: int, gain: float = 1.0, bias: float = 0.1) -> Dense:
    """Weights N(0, gain / fan-in), biases `bias` N(0, 1)."""
    weight = rng.standard_normal((out, fan_in)) * np.sqrt(gain / fan_in)
    return Dense(weight, bias * rng.standard_normal(out))


def gaussian(dims: Sequence[int] = (8, 8, 3), seed: int = 0) -> Network:
    """A ReLU network with He-normal weights (variance 2 / fan-in) and biases 0.1 N(0, 1)."""
    if len(dims) < 2:
        raise ProblemError("dims", f"is {tuple(dims)}", "at least an input and an output width")
    rng = np.random.default_rng(seed)
    layers: list[Layer] = []
    for fan_in, out in itertools.pairwise(dims):
        layers += [_dense(rng, fan_in, out, 2.0), Activation("relu")]
    return Network(layers[:-1])


def groupsort(dims: Sequence[int] = (10, 16, 1), size: int = 2, seed: int = 0) -> Network:
    """GroupSort between layers of weights N(0, 1 / fan-in)."""
    rng = np.random.default_rng(seed)
    layers: list[Layer] = []
    for fan_in, out in itertools.pairwise(dims):
        layers += [_dense(rng, fan_in, out), GroupSort(size)]
    return Network(layers[:-1])


def gaussian_net(
    dims: Sequence[int] = (64, 64, 64, 64, 10), eps: float | None = 0.02, norm: str = "linf", seed: int = 0
) -> LipschitzBound:
    """A Gaussian ReLU network on the linf ball of radius `eps` around a centre N(0, I); everywhere with None."""
    center = np.random.default_rng([seed, 1]).standard_normal(dims[0])
    return LipschitzBound(network=gaussian(dims, seed), norm=norm, region=None if eps is None else (center, eps))


def tiny(norm: str = "l2", seed: int = 0) -> LipschitzBound:
    """Three inputs, four ReLU units, two outputs."""
    return gaussian_net((3, 4, 2), eps=0.1, norm=norm, seed=seed)


def maxmin_net(
    d: int = 10, n: int = 16, out: int = 1, hidden: int = 1, norm: str = "l2", seed: int = 0
) -> LipschitzBound:
    """MaxMin network d - n - ... - out with `hidden` layers, everywhere."""
    return LipschitzBound(network=groupsort((d, *[n] * hidden, out), 2, seed), norm=norm)


def groupsort_net(
    d: int = 10, n: int = 30, out: int = 1, size: int = 5, hidden: int = 1, norm: str = "l2", seed: int = 0
) -> LipschitzBound:
    """GroupSort network d - n - ... - out with `hidden` layers, everywhere."""
    return LipschitzBound(network=groupsort((d, *[n] * hidden, out), size, seed), norm=norm)


def householder_net(
    d: int = 10, n: int = 16, out: int = 1, size: int = 2, hidden: int = 1, norm: str = "l2", seed: int = 0
) -> LipschitzBound:
    """Householder network d - n - ... - out with random unit vectors, everywhere."""
    rng = np.random.default_rng(seed)
    dims = (d, *[n] * hidden, out)
    layers: list[Layer] = []
    for fan_in, width in itertools.pairwise(dims):
        layers.append(_dense(rng, fan_in, width))
        if len(layers) < 2 * hidden:
            vectors = rng.standard_normal((width // size, size))
            layers.append(Householder(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)))
    return LipschitzBound(network=Network(layers), norm=norm)


def residual_maxmin_net(
    d: int = 10, n: int = 16, out: int = 5, blocks: int = 3, norm: str = "l2", seed: int = 0
) -> LipschitzBound:
    """`blocks` residual blocks x + G MaxMin(W x) of inner width n on d inputs, then a last layer, everywhere."""
    rng = np.random.default_rng(seed)
    layers: list[Layer] = [
        Residual((_dense(rng, d, n), GroupSort(2), _dense(rng, n, d, bias=0.0))) for _ in range(blocks)
    ]
    return LipschitzBound(network=Network([*layers, _dense(rng, d, out)]), norm=norm)


def conv_net(eps: float | None = 0.05, norm: str = "linf", seed: int = 0) -> LipschitzBound:
    """Two random convolutions on images 2 x 6 x 6, then a dense layer to 3 outputs, on a ball of radius `eps`."""
    rng = np.random.default_rng(seed)
    first = Conv2d(rng.standard_normal((4, 2, 3, 3)) / 3.0, None, 2, 1, input_shape=(2, 6, 6))
    second = Conv2d(rng.standard_normal((4, 4, 2, 2)) / np.sqrt(8.0), None, 1, 0, input_shape=first.output_shape)
    relu = Activation("relu")
    network = Network([first, relu, second, relu, Flatten(), _dense(rng, second.width(0), 3, 2.0)])
    center = np.random.default_rng([seed, 1]).standard_normal(72)
    return LipschitzBound(network=network, norm=norm, region=None if eps is None else (center, eps))


def _on_image(network: Network, data: Data, index: int, eps: float | None, norm: str) -> LipschitzBound:
    if eps is None:
        return LipschitzBound(network=network, norm=norm)
    if not 0 <= index < len(data.test):
        raise ProblemError("index", f"is {index}", f"a test input from 0 to {len(data.test) - 1}")
    return LipschitzBound(network=network, norm=norm, region=(data.test[index], eps), box=(0.0, 1.0))


def digits_mlp(
    eps: float | None = 0.01, index: int = 0, norm: str = "linf", epochs: int = 40, seed: int = 0
) -> LipschitzBound:
    """The digits classifier 64-128-64-10 on a ball around a test image, cut with [0, 1]; everywhere with eps None."""
    return _on_image(digits_mlp_network(epochs, seed), digits(), index, eps, norm)


def digits_cnn(
    eps: float | None = 0.01, index: int = 0, norm: str = "linf", epochs: int = 10, seed: int = 0
) -> LipschitzBound:
    """A convolutional digits classifier on a ball around a test image, cut with [0, 1]; everywhere with eps None."""
    return _on_image(digits_cnn_network(epochs, seed), digits(), index, eps, norm)


def mnist_cnn(
    eps: float | None = 1 / 255, index: int = 0, norm: str = "linf", epochs: int = 2, seed: int = 0
) -> LipschitzBound:
    """A classifier of MNIST images with three convolutions on a ball around a test image, cut with [0, 1]."""
    return _on_image(mnist_cnn_network(epochs, seed), mnist_5k(), index, eps, norm)
