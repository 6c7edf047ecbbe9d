"""The largest Jacobian norm of a network that can be found on a domain: samples, ascents, activation patterns."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import numpy as np

from solvary_robustness.network import Conv2d, Dense, Layer, Network, Norm, Residual

Domain = tuple[np.ndarray, np.ndarray] | None
SAMPLES, ASCENTS, STEPS = 4096, 64, 120
#: operations that the samples, and the ascents, may cost; large networks get fewer for it (a sparse one counts more)
_WORK, _SPARSE = 2e10, 10
#: numbers that one block of Jacobians may hold
_BLOCK = 4_000_000
#: a coordinate of the domain that is a single number is left by this much, relative: Clarke's set at a kink
_AROUND = 1e-9
#: how far from the domain's faces points stay, as a part of its width
_INSIDE = 1e-6


@attrs.frozen(eq=False)
class JacobianSearch:
    """`value`: the largest norm found; `exact`: whether none is larger; entrywise extremes (o, d) of what was found."""

    value: float
    exact: bool
    smallest: np.ndarray
    largest: np.ndarray


def search(network: Network, norm: Norm, domain: Domain, seed: int = 0) -> JacobianSearch:
    """The largest Jacobian norm found on the relative interior of the domain (None: everywhere).

    4096 random points, 64 ascents from the best of them (fewer for large networks), and for networks of ReLU and
    leaky ReLU with at most 16 undecided units all activation patterns, which makes the value exact but for cells
    thinner than 1e-6 of the domain. It is seeded and has no time in it: the same network has the same value.
    """
    from solvary_robustness.patterns import largest_over_patterns, typical_length

    rng = np.random.default_rng(seed)
    record = _Record(network, norm)
    count = _affordable(network, 1, ASCENTS, SAMPLES)
    points = _sampled(rng, count, network.input_size, domain, typical_length(network))
    norms = record.take(points)
    found = largest_over_patterns(network, norm, domain)
    if found.point is not None:
        record.take(found.point[None])
    if not found.exhaustive:
        ascents = _affordable(network, STEPS, 8, ASCENTS)
        best = points[np.argsort(-norms, kind="stable")[: ascents // 2]]
        _ascend(record, domain, np.concatenate([best, points[: ascents - len(best)]]), rng)
    value = max(record.value, found.value)
    exact = found.exhaustive and value <= found.value * (1.0 + 1e-9)
    return JacobianSearch(value, exact, record.smallest, record.largest)


def jacobian_norms(jacobians: np.ndarray, norm: Norm) -> np.ndarray:
    """Operator norms (B,) of matrices (B, o, d): largest singular values, or largest absolute row sums."""
    if norm == "linf":
        rows: np.ndarray = np.abs(jacobians).sum(axis=-1).max(axis=-1)
        return rows
    scale = np.abs(jacobians).max(axis=(-2, -1), initial=0.0)
    scaled = jacobians / np.where(scale > 0, scale, 1.0)[:, None, None]
    short = scaled if scaled.shape[-2] <= scaled.shape[-1] else np.swapaxes(scaled, -1, -2)
    squared = np.linalg.eigvalsh(short @ np.swapaxes(short, -1, -2))[..., -1]
    norms: np.ndarray = scale * np.sqrt(np.maximum(squared, 0.0))
    return norms


class _Record:
    """The largest norm and the entrywise extremes of all Jacobians taken."""

    def __init__(self, network: Network, norm: Norm) -> None:
        self.network, self.norm, self.value = network, norm, 0.0
        self.smallest = np.full((network.output_size, network.input_size), np.inf)
        self.largest = -self.smallest

    def take(self, points: np.ndarray) -> np.ndarray:
        """The norms (B,) at points (B, d)."""
        return np.concatenate([self.jacobians(block)[1] for block in _blocks(self.network, points)])

    def jacobians(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The Jacobians (B, o, d) at points, and their norms."""
        jacobians = self.network.jacobian(points)
        norms = jacobian_norms(jacobians, self.norm)
        np.minimum(self.smallest, jacobians.min(axis=0), out=self.smallest)
        np.maximum(self.largest, jacobians.max(axis=0), out=self.largest)
        self.value = max(self.value, float(norms.max()))
        return jacobians, norms


def _blocks(network: Network, points: np.ndarray) -> Iterator[np.ndarray]:
    widest = max(_widths(network.layers, network.input_size))
    rows = max(1, _BLOCK // (network.output_size * widest))
    for start in range(0, len(points), rows):
        yield points[start : start + rows]


def _widths(layers: tuple[Layer, ...], width: int) -> list[int]:
    found = [width]
    for layer in layers:
        if isinstance(layer, Residual):
            found += _widths(layer.layers, width)
        width = layer.width(width)
        found.append(width)
    return found


def _multiplications(layers: tuple[Layer, ...]) -> float:
    total = 0.0
    for layer in layers:
        if isinstance(layer, Residual):
            total += _multiplications(layer.layers)
        elif isinstance(layer, Conv2d):
            total += _SPARSE * layer.lowered().weight.nnz
        elif isinstance(layer, Dense):
            total += layer.weight.size if isinstance(layer.weight, np.ndarray) else _SPARSE * layer.weight.nnz
    return total


def _affordable(network: Network, jacobians: int, least: int, most: int) -> int:
    """How many times that many Jacobians may be taken."""
    cost = 2.0 * network.output_size * max(_multiplications(network.layers), 1.0)
    return int(np.clip(_WORK / (cost * jacobians), least, most))


def _sampled(rng: np.random.Generator, count: int, size: int, domain: Domain, length: float) -> np.ndarray:
    """Points (count, d) inside the domain: half uniform, half near its corners; far and near where it has no end."""
    lo, hi = domain if domain is not None else (np.full(size, -np.inf), np.full(size, np.inf))
    scales = length * 10.0 ** rng.uniform(-2, 2, (count, 1))
    free = scales * rng.standard_normal((count, size))
    with np.errstate(invalid="ignore"):
        share = rng.random((count, size))
        corner = rng.random((count, 1)) < 0.5
        share = np.where(corner, np.where(share < 0.5, _INSIDE, 1.0 - _INSIDE) * np.ones(size), share)
        bounded = lo + (hi - lo) * share
    above, below = np.where(np.isfinite(lo), lo, 0.0) + np.abs(free), np.where(np.isfinite(hi), hi, 0.0) - np.abs(free)
    points = np.where(np.isfinite(lo), above, np.where(np.isfinite(hi), below, free))
    points = np.where(np.isfinite(lo) & np.isfinite(hi), bounded, points)
    return _kept_inside(points, rng, domain)


def _kept_inside(points: np.ndarray, rng: np.random.Generator, domain: Domain) -> np.ndarray:
    """Points moved into the relative interior of the domain; coordinates of no width are left a little, both ways."""
    if domain is None:
        return points
    lo, hi = domain
    width = hi - lo
    margin = np.where(np.isfinite(width), _INSIDE * width, 0.0)
    inside = np.clip(points, lo + margin, hi - margin)
    around = np.where(np.isfinite(lo), lo, 0.0)
    around = around + _AROUND * (1.0 + np.abs(around)) * rng.standard_normal(points.shape)
    return np.where(width == 0, around, inside)


def _ascend(record: _Record, domain: Domain, x: np.ndarray, rng: np.random.Generator) -> None:
    """Climbs the Jacobian norm from points (n, d); the record keeps what is found.

    The Jacobian of these networks is constant on pieces, so the norm has no gradient. With u, v its leading pair at x
    (`|J| = u^T J v`) the difference quotient `u^T (f(x + r v) - f(x - r v)) / 2r` has one,
    `(J(x + r v) - J(x - r v))^T u / 2r`. Every other step follows it, with a random reach r; those between try a random
    move. A move is kept where the norm is no smaller, and on half of the ascents the quotient may lose a tenth, to
    cross valleys.
    """
    network, norm = record.network, record.norm
    width = None
    if domain is not None and np.isfinite(domain[0]).all() and np.isfinite(domain[1]).all():
        width = np.full((len(x), 1), 0.5 * float((domain[1] - domain[0]).max()))
    jacobians, norms = record.jacobians(x)
    patience = np.where(np.arange(len(x)) % 2 == 0, 1.0, 0.9)
    for step in range(STEPS):
        reach = np.abs(x).max(axis=1, keepdims=True) if width is None else width
        radius, length = reach * 10.0 ** rng.uniform(-2.5, 0.0, (2, len(x), 1))
        if step % 2:
            move = rng.uniform(-1, 1, x.shape)
        else:
            u, v = _leading(jacobians, norm)
            slope = network.backward(x + radius * v, u) - network.backward(x - radius * v, u)
            size = np.abs(slope).max(axis=1, keepdims=True)
            move = np.sign(slope) if norm == "linf" else slope / np.where(size > 0, size, 1.0)
        tried = _kept_inside(x + length * move, rng, domain)
        other, other_norms = record.jacobians(tried)
        better = other_norms >= norms * (1.0 if step % 2 else patience)
        x, norms = np.where(better[:, None], tried, x), np.where(better, other_norms, norms)
        jacobians = np.where(better[:, None, None], other, jacobians)


def _leading(jacobians: np.ndarray, norm: Norm) -> tuple[np.ndarray, np.ndarray]:
    """u (B, o) and v (B, d), of norm one (dual and primal), with `u^T J v` the operator norm."""
    if norm == "l2":
        left, _, right = np.linalg.svd(jacobians, full_matrices=False)
        return left[:, :, 0], right[:, 0, :]
    row = np.abs(jacobians).sum(axis=-1).argmax(axis=-1)
    u = np.eye(jacobians.shape[1])[row]
    return u, np.sign(np.take_along_axis(jacobians, row[:, None, None], axis=1)[:, 0])
