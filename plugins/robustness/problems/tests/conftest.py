import numpy as np
import pytest

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


def _random_network(seed: int) -> Network:
    """Every kind of layer once, in a random order of the inner ones."""
    rng = np.random.default_rng(seed)
    shape = (2, 4, 3)
    conv = Conv2d(
        rng.standard_normal((3, 2, 3, 2)), rng.standard_normal(3), (1, 2), (1, 0), input_shape=shape
    )  # fmt: skip
    width = conv.width(24)
    vectors = rng.standard_normal((4, 3))
    inner = [
        Activation("relu"),
        Activation("leaky", 0.3),
        MaxMin(),
        GroupSort(3),
        Householder(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)),
        Residual([Dense(rng.standard_normal((6, 12)), rng.standard_normal(6)), GroupSort(3), _dense(rng, 12, 6)]),
        Activation("identity"),
    ]
    rng.shuffle(inner)
    return Network([conv, Activation("relu"), Flatten(), _dense(rng, 12, width), *inner, _dense(rng, 5, 12)])


def _dense(rng: np.random.Generator, out: int, fan_in: int) -> Dense:
    return Dense(rng.standard_normal((out, fan_in)) / np.sqrt(fan_in), rng.standard_normal(out))


@pytest.fixture(scope="session")
def random_network():
    """A network of every kind of layer, from a seed."""
    return _random_network
