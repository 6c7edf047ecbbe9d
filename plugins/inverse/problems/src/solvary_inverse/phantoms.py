"""Images made of ellipses, for tomography."""

from __future__ import annotations

import numpy as np

#: the head of Shepp and Logan with the contrast of Toft: value, half axes a and b, centre x0 and y0, angle in degrees
_HEAD = np.array(
    [
        [1.0, 0.69, 0.92, 0.0, 0.0, 0.0],
        [-0.8, 0.6624, 0.874, 0.0, -0.0184, 0.0],
        [-0.2, 0.11, 0.31, 0.22, 0.0, -18.0],
        [-0.2, 0.16, 0.41, -0.22, 0.0, 18.0],
        [0.1, 0.21, 0.25, 0.0, 0.35, 0.0],
        [0.1, 0.046, 0.046, 0.0, 0.1, 0.0],
        [0.1, 0.046, 0.046, 0.0, -0.1, 0.0],
        [0.1, 0.046, 0.023, -0.08, -0.605, 0.0],
        [0.1, 0.023, 0.023, 0.0, -0.605, 0.0],
        [0.1, 0.023, 0.046, 0.06, -0.605, 0.0],
    ]
)


def ellipses(table: np.ndarray, size: int) -> np.ndarray:
    """The sum of ellipses (value, a, b, x0, y0, degrees) on [-1, 1]^2, sampled at pixel centres: (size, size)."""
    axis = (np.arange(size) + 0.5) * 2.0 / size - 1.0
    x, y = axis[None, :], -axis[:, None]
    image = np.zeros((size, size))
    for value, a, b, x0, y0, degrees in table:
        cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
        along, across = (x - x0) * cos + (y - y0) * sin, (y - y0) * cos - (x - x0) * sin
        image += value * ((along / a) ** 2 + (across / b) ** 2 <= 1.0)
    return image


def shepp_logan(size: int) -> np.ndarray:
    """The head phantom of Shepp and Logan with values in [0, 1] (contrast of Toft), (size, size)."""
    return np.asarray(np.clip(ellipses(_HEAD, size), 0.0, 1.0))


def random_phantoms(rng: np.random.Generator, count: int, size: int, parts: int = 8) -> np.ndarray:
    """`count` images (count, size^2) in [0, 1]: a skull and `parts` random ellipses inside it."""
    images = np.empty((count, size * size))
    for i in range(count):
        table = np.column_stack(
            [
                rng.uniform(-0.3, 0.4, parts),
                rng.uniform(0.05, 0.3, (parts, 2)),
                rng.uniform(-0.4, 0.4, (parts, 2)),
                rng.uniform(0.0, 180.0, parts),
            ]
        )
        images[i] = np.clip(ellipses(np.vstack([_HEAD[:2], table]), size), 0.0, 1.0).ravel()
    return images
