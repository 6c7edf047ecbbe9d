"""Networks trained on demand, once, and kept in the user's cache."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from solvary import OptionError, cached_arrays
from solvary_robustness.data import Data, digits, mnist_5k
from solvary_robustness.network import Network


def digits_mlp_network(epochs: int = 40, seed: int = 0, widths: tuple[int, ...] = (128, 64)) -> Network:
    """The digits classifier 64 - 128 - 64 - 10, trained with Adam."""
    arrays = cached_arrays("robustness-digits-mlp-1", _mlp, epochs=epochs, seed=seed, widths=list(widths))
    return Network.from_arrays(arrays)


def digits_cnn_network(epochs: int = 10, seed: int = 0) -> Network:
    """A digits classifier with two convolutions of 8 and 16 channels and two dense layers, trained with Adam."""
    return Network.from_arrays(cached_arrays("robustness-digits-cnn-1", _cnn, data="digits", epochs=epochs, seed=seed))


def mnist_cnn_network(epochs: int = 2, seed: int = 0) -> Network:
    """A classifier of MNIST images with three convolutions of 8, 16 and 16 channels and one dense layer."""
    return Network.from_arrays(cached_arrays("robustness-mnist-cnn-2", _cnn, data="mnist-5k", epochs=epochs, seed=seed))


def _mlp(epochs: int, seed: int, widths: list[int]) -> Mapping[str, Any]:
    from solvary_robustness.training import make_mlp

    data = digits()
    module = make_mlp((data.train.shape[1], *widths, data.classes), seed)
    return _trained(module, data, epochs, seed)


def _cnn(data: str, epochs: int, seed: int) -> Mapping[str, Any]:
    import numpy as np
    from torch import nn

    from solvary_robustness.training import initialise

    if data == "digits":
        images = digits()
        layers: list[nn.Module] = [
            nn.Unflatten(1, (1, 8, 8)),
            nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(),
            nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ReLU(),
            nn.Flatten(), nn.Linear(256, 32), nn.ReLU(), nn.Linear(32, 10),
        ]  # fmt: skip
    elif data == "mnist-5k":
        images = mnist_5k()
        layers = [
            nn.Unflatten(1, (1, 28, 28)),
            nn.Conv2d(1, 8, 4, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(8, 16, 4, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(16, 16, 3, stride=2, padding=1), nn.ReLU(),
            nn.Flatten(), nn.Linear(256, 10),
        ]  # fmt: skip
    else:
        raise OptionError("data", f"is {data!r}", "'digits' or 'mnist-5k'")
    module = nn.Sequential(*layers)
    initialise(module, np.random.default_rng(seed))
    return _trained(module, images, epochs, seed, 1e-3 if data == "digits" else 3e-3)


def _trained(module: Any, data: Data, epochs: int, seed: int, learning_rate: float = 1e-3) -> Mapping[str, Any]:
    import torch

    from solvary_robustness.training import train

    # One thread: the same network whatever the number of threads, and faster for networks this small.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        train(module, data.train, data.train_labels, epochs=epochs, seed=seed, learning_rate=learning_rate)
    finally:
        torch.set_num_threads(threads)
    return Network.from_torch(module).to_arrays()
