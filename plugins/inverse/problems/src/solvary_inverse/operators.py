"""Linear measurement operators with exact adjoints, on single vectors and on batches.

Every map A: R^d -> R^m has `m`, `d`, `apply(x)` for x (..., d) and `adjoint(y)` for y (..., m), in NumPy float64.
`to_torch` of `solvary_inverse.operators_torch` gives the same maps on tensors.
"""

from __future__ import annotations

import functools
from typing import Any, Protocol

import attrs
import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.linalg import LinearOperator, svds

from solvary import ProblemError

#: largest number of entries of a matrix whose norm is taken from a full decomposition
_SMALL = 1 << 18


class LinearMap(Protocol):
    """What every measurement operator offers."""

    @property
    def m(self) -> int:
        """Number of measurements."""

    @property
    def d(self) -> int:
        """Number of unknowns."""

    def apply(self, x: np.ndarray) -> np.ndarray:
        """A x for each x of (..., d)."""

    def adjoint(self, y: np.ndarray) -> np.ndarray:
        """A'y for each y of (..., m)."""


@attrs.frozen(eq=False)
class Matrix:
    """A matrix (m, d), dense or in compressed rows."""

    entries: Any

    @property
    def m(self) -> int:
        """Number of measurements."""
        return int(self.entries.shape[0])

    @property
    def d(self) -> int:
        """Number of unknowns."""
        return int(self.entries.shape[1])

    def apply(self, x: np.ndarray) -> np.ndarray:
        """A x for each x of (..., d)."""
        return _by_columns(self.entries, x)

    def adjoint(self, y: np.ndarray) -> np.ndarray:
        """A'y for each y of (..., m)."""
        return _by_columns(self.entries.T, y)


@attrs.frozen(eq=False)
class Selection:
    """The entries of x at some places (a mask)."""

    kept: np.ndarray
    d: int

    @property
    def m(self) -> int:
        """Number of measurements."""
        return int(self.kept.size)

    def apply(self, x: np.ndarray) -> np.ndarray:
        """The kept entries of each x of (..., d)."""
        return np.asarray(x[..., self.kept])

    def adjoint(self, y: np.ndarray) -> np.ndarray:
        """Each y of (..., m) at its places, and 0 elsewhere."""
        x = np.zeros((*y.shape[:-1], self.d))
        x[..., self.kept] = y
        return x


@attrs.frozen(eq=False)
class Separable:
    """One matrix per leading axis of an image, A = F_1 x F_2; further axes (channels) are left as they are."""

    factors: tuple[np.ndarray, ...]
    shape: tuple[int, ...]

    @property
    def image(self) -> tuple[int, ...]:
        """The shape of a measurement."""
        return tuple(len(factor) for factor in self.factors) + self.shape[len(self.factors) :]

    @property
    def m(self) -> int:
        """Number of measurements."""
        return int(np.prod(self.image))

    @property
    def d(self) -> int:
        """Number of unknowns."""
        return int(np.prod(self.shape))

    def apply(self, x: np.ndarray) -> np.ndarray:
        """A x for each x of (..., d)."""
        return _along_axes(self.factors, x, self.shape)

    def adjoint(self, y: np.ndarray) -> np.ndarray:
        """A'y for each y of (..., m)."""
        return _along_axes(tuple(factor.T for factor in self.factors), y, self.image)


@attrs.frozen(eq=False)
class External:
    """A `scipy.sparse.linalg.LinearOperator` that has an adjoint."""

    operator: LinearOperator

    @property
    def m(self) -> int:
        """Number of measurements."""
        return int(self.operator.shape[0])

    @property
    def d(self) -> int:
        """Number of unknowns."""
        return int(self.operator.shape[1])

    def apply(self, x: np.ndarray) -> np.ndarray:
        """A x for each x of (..., d)."""
        return _by_columns(self.operator, x)

    def adjoint(self, y: np.ndarray) -> np.ndarray:
        """A'y for each y of (..., m)."""
        return _by_columns(self.operator.H, y)


def _by_columns(matrix: Any, x: np.ndarray) -> np.ndarray:
    """`matrix` times each row of x (..., d)."""
    if x.ndim == 1:
        return np.asarray(matrix @ x)
    columns = x.reshape(-1, x.shape[-1]).T
    return np.ascontiguousarray((matrix @ columns).T).reshape(*x.shape[:-1], -1)


def _along_axes(factors: tuple[np.ndarray, ...], x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Each factor along its axis of images, which are the rows of x (..., d)."""
    lead = x.shape[:-1]
    images = x.reshape(-1, *shape)
    for axis, factor in enumerate(factors, start=1):
        images = np.moveaxis(np.tensordot(images, factor, axes=(axis, 1)), -1, axis)
    return images.reshape(*lead, -1)


def to_matrix(A: LinearMap) -> np.ndarray:
    """The matrix (m, d) of a map, written out."""
    if isinstance(A, Matrix):
        return np.asarray(A.entries.toarray() if hasattr(A.entries, "toarray") else A.entries)
    return A.apply(np.eye(A.d)).T


def norm(A: LinearMap) -> float:
    """The largest singular value of A."""
    if isinstance(A, Selection):
        return 1.0 if A.m else 0.0
    if isinstance(A, Separable):
        return float(np.prod([np.linalg.norm(factor, 2) for factor in A.factors]))
    if A.m * A.d <= _SMALL or min(A.m, A.d) == 1:
        return float(np.linalg.norm(to_matrix(A), 2))
    start = np.random.default_rng(0).standard_normal(min(A.m, A.d))
    return float(svds(as_operator(A), k=1, v0=start, return_singular_vectors=False)[0])


def as_operator(A: LinearMap) -> LinearOperator:
    """A map as SciPy's `LinearOperator`, for its iterative methods."""
    return LinearOperator(
        (A.m, A.d),
        matvec=lambda x: A.apply(np.ravel(x)),
        rmatvec=lambda y: A.adjoint(np.ravel(y)),
        matmat=lambda X: A.apply(X.T).T,
        rmatmat=lambda Y: A.adjoint(Y.T).T,
        dtype=np.float64,
    )


def adjoint_defect(A: LinearMap, seed: int = 0, probes: int = 3) -> float:
    """The largest |<A x, y> - <x, A'y>| / (|A x| |y| + |x| |A'y|) over random x and y: 0 for an exact adjoint."""
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((probes, A.d)), rng.standard_normal((probes, A.m))
    forward, back = A.apply(x), A.adjoint(y)
    gap = np.abs(np.sum(forward * y, axis=1) - np.sum(x * back, axis=1))
    size = np.linalg.norm(forward, axis=1) * np.linalg.norm(y, axis=1)
    size += np.linalg.norm(x, axis=1) * np.linalg.norm(back, axis=1)
    return float(np.max(np.divide(gap, size, out=np.zeros_like(gap), where=size > 0)))


def selection(mask: np.ndarray) -> Selection:
    """The entries at which `mask` (any shape, truth values) holds."""
    flat = np.ravel(mask)
    return Selection(np.flatnonzero(flat), flat.size)


def random_selection(d: int, keep: float, seed: int = 0) -> Selection:
    """A fraction `keep` of d entries (at least one), drawn without replacement."""
    count = max(1, round(keep * d))
    return Selection(np.sort(np.random.default_rng(seed).permutation(d)[:count]), d)


def blur(shape: tuple[int, ...], width: float) -> Separable:
    """A Gaussian blur of standard deviation `width` pixels along the first two axes, reflected at the border.

    It is `scipy.ndimage.gaussian_filter` (mode "reflect", truncated at four standard deviations) as a matrix per axis.
    """
    from scipy.ndimage import gaussian_filter1d

    def along(length: int) -> np.ndarray:
        # Below this width SciPy's kernel has the radius int(4 width + 0.5) = 0.
        return np.eye(length) if width < 0.125 else np.asarray(gaussian_filter1d(np.eye(length), width, axis=0))

    return Separable(tuple(along(length) for length in shape[:2]), shape)


def downsample(shape: tuple[int, ...], factor: int) -> Separable:
    """Means of blocks of `factor` pixels along the first two axes."""
    for length in shape[:2]:
        if length % factor:
            raise ProblemError("operator", f"downsamples an axis of {length} by {factor}", f"a divisor of {length}")
    means = tuple(np.kron(np.eye(length // factor), np.full((1, factor), 1.0 / factor)) for length in shape[:2])
    return Separable(means, shape)


def gaussian(d: int, m: int, seed: int = 0) -> Matrix:
    """A matrix (m, d) of independent N(0, 1/d) entries."""
    return Matrix(np.random.default_rng(seed).standard_normal((m, d)) / np.sqrt(d))


@functools.lru_cache(maxsize=8)
def radon(shape: tuple[int, int], angles: int) -> Matrix:
    """Line integrals of an image at `angles` directions, equally spaced over 180 degrees.

    The rays are those of `skimage.transform.radon(circle=False)`: at each angle the image is turned (bilinear
    interpolation) and its columns are summed. `y.reshape(-1, angles)` is the sinogram, one column per angle.
    """
    height, width = shape
    # A square that holds the image at every angle, and where the image lies in it.
    side = max(length + int(np.ceil(np.sqrt(2) * max(shape) - length)) for length in shape)
    centre = side // 2
    top, left = (centre - length // 2 for length in shape)
    y, x = np.mgrid[:side, :side].reshape(2, -1)
    parts = []
    for i, angle in enumerate(np.deg2rad(np.arange(angles) * 180.0 / angles)):
        cos, sin = np.cos(angle), np.sin(angle)
        u = cos * (x - centre) + sin * (y - centre) + centre - left
        v = -sin * (x - centre) + cos * (y - centre) + centre - top
        parts += [(x * angles + i, *corner) for corner in _bilinear(u, v)]
    rows, weights, columns, lines = (np.concatenate(part) for part in zip(*parts, strict=True))
    inside = (columns >= 0) & (columns < width) & (lines >= 0) & (lines < height) & (weights != 0)
    pixels = lines[inside] * width + columns[inside]
    return Matrix(csr_array((weights[inside], (rows[inside], pixels)), shape=(side * angles, height * width)))


def _bilinear(u: np.ndarray, v: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """For points (u, v) the four (weight, column, line) of bilinear interpolation."""
    # What rounding has put a hair beside a pixel is on it.
    u, v = np.round(u, 10), np.round(v, 10)
    column, line = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
    a, b = u - column, v - line
    return [
        ((1 - a) * (1 - b), column, line),
        (a * (1 - b), column + 1, line),
        ((1 - a) * b, column, line + 1),
        (a * b, column + 1, line + 1),
    ]
