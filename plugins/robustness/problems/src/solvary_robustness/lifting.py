"""From weights of a loop to a certificate of the matrix inequality in `lmi`, repaired until it holds in float64.

A loop has eliminated what GroupSort and Householder activations preserve: `e = K^(1/2) (b - a) = 0`. In the inequality
of all increments e is free again, and the multipliers nu = tau weigh its square. With `gam = -lam` the constraint of a
group becomes that of the loop, and the Schur complement of S says how large nu + tau has to be. For a bound close to
the optimum this can be large: the optimum itself is in general only reached in the limit.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence

import attrs
import numpy as np
from scipy.linalg import cho_solve, cholesky

from solvary_robustness import lmi
from solvary_robustness.lipschitz import Bound
from solvary_robustness.loop_scaling import Scaled, scale
from solvary_robustness.loops import Block, alive, close, helmert, slopes
from solvary_robustness.network import Activation, Dense, GroupSort, Householder, Layer, Network

#: shares of the feasible start that are mixed in, one after the other, until the inequality holds
_MIXES = (0.0, *(10.0**k for k in range(-12, 1)))
#: roundings, times the order of the matrix, that the inequality is kept away from being violated
_ROUNDINGS = 8.0
#: largest residual that a certificate is given away with
_CONFIRMED = 1e-9


@attrs.frozen(eq=False)
class Proved:
    """Multipliers of one inequality, the bound they prove, and whether they were found to hold strictly."""

    multipliers: dict[str, np.ndarray]
    value: float
    holds: bool


@attrs.frozen(eq=False)
class Lifting:
    """What the certificates of one network have in common.

    Attributes:
        network: the network.
        forms: its increments.
        scaled: the loop that is to be solved, scaled; of one output for "linf".
        layers: the layers of that loop.
        basis: (d, r) orthonormal columns: the inputs of the loop in those of the network.
        row: which output, for "linf".
        norm: "l2" or "linf".
        keep_gamma: whether `gam` appears, or is written as half of nu minus half of tau.
    """

    network: Network
    forms: lmi.Increments
    scaled: Scaled
    layers: tuple[Layer, ...]
    basis: np.ndarray
    row: int
    norm: lmi.Norm
    keep_gamma: bool

    def prove(self, w: np.ndarray, lam: np.ndarray, repair: bool = True) -> Proved:
        """The certificate of scaled weights `w` of the inputs ((1,) for l2, (d,) for linf) and `lam` (m,).

        Without `repair` the multipliers are those of the weights given, whether or not they prove anything. The last
        resort of the repair is the start of the loop, which is feasible by a factor.
        """
        start = np.full_like(w, self.scaled.rho)
        proved = None
        for mix in _MIXES:
            mixed_w, mixed_lam = (1 - mix) * w + mix * start, (1 - mix) * lam + mix * self.scaled.lam
            with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
                proved = self._lift(mixed_w, mixed_lam)
            if not repair or (proved.holds and self._confirmed(proved)):
                break
        assert proved is not None
        return proved

    def _confirmed(self, proved: Proved) -> bool:
        """Whether the rounded multipliers themselves hold, too, as whoever checks the certificate rebuilds them."""
        judged = lmi.check_row(self.forms, self._coordinates, self.norm, proved.multipliers, self.row)
        return judged.residual <= _CONFIRMED

    @functools.cached_property
    def _coordinates(self) -> lmi.Preserving:
        return lmi.preserving(self.forms)

    def _lift(self, w: np.ndarray, lam: np.ndarray) -> Proved:
        raw = self._raw(w, lam)
        blocks = self.scaled.loop.blocks
        for k, block in enumerate(blocks):
            if not isinstance(block.layer, Activation):
                raw[f"gam.{k}"] = -raw[f"lam.{k}"] / _ones(block)
        T, extra = self._transform
        S = self._slack(raw, T)
        value = lmi.certified_value(self.norm, raw)
        if not (np.isfinite(S).all() and np.isfinite(value) and float(raw["rho"]) > 0):
            return Proved(raw, value, False)  # extreme weights: out of the range of floats
        penalties = self._penalties(S, extra)
        for k, (block, penalty) in enumerate(zip(blocks, penalties, strict=True)):
            where = extra[k]
            if isinstance(block.layer, Activation):
                continue
            S[where, where] += np.diag(np.repeat(penalty, (where.stop - where.start) // len(penalty)))
            unit = float(self.scaled.units[block.start]) if block.width else 1.0
            half, gam = 0.5 * penalty / (_ones(block) * unit * unit), raw[f"gam.{k}"]
            if self.keep_gamma:
                raw |= {f"nu.{k}": half, f"tau.{k}": half.copy()}
            else:
                raw |= {f"gam.{k}": np.zeros_like(gam), f"nu.{k}": half + 0.5 * gam, f"tau.{k}": half - 0.5 * gam}
        return Proved(raw, value, _positive(S))

    def _raw(self, w: np.ndarray, lam: np.ndarray) -> dict[str, np.ndarray]:
        """Multipliers in the network's own units, `gam = -lam` and no nu, tau yet."""
        output, units = self.scaled.output, self.scaled.units
        factor = output * output
        raw: dict[str, np.ndarray] = {}
        if self.norm == "l2":
            raw["rho"] = np.asarray(float(w[0]) * factor)
        else:
            # [[S, y], [y^T, rho]] >= 0 is S >= y y^T / rho; of all scalings of (mu, lam, 1/rho) that with rho = 1^T mu
            # is the best.
            total = float(np.sqrt(w.sum()))
            raw["rho"], raw["mu"] = np.asarray(total * output), w * output / total
            factor = output / total
        for k, block in enumerate(self.scaled.loop.blocks):
            groups = slice(block.first, block.first + block.groups)
            values = np.zeros(_groups(block))
            if block.groups:
                values = lam[groups] * (factor / units[block.start] ** 2)
            if isinstance(block.layer, Activation):
                low, high = slopes(block.layer)
                values = values * (2.0 / (high - low) ** 2)
            raw[f"lam.{k}"] = values
        return raw

    def weights(self, multipliers: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """The scaled weights (w, lam) in multipliers of the network's own units: the way back from `prove`."""
        output, units = self.scaled.output, self.scaled.units
        rho = float(multipliers["rho"])
        w = np.array([rho]) if self.norm == "l2" else rho * np.asarray(multipliers["mu"])
        factor = 1.0 if self.norm == "l2" else rho
        lam = np.zeros(len(self.scaled.loop.sizes))
        for k, block in enumerate(self.scaled.loop.blocks):
            if block.groups:
                values = np.asarray(multipliers[f"lam.{k}"]) * (factor * (units[block.start] / output) ** 2)
                if isinstance(block.layer, Activation):
                    low, high = slopes(block.layer)
                    values = values * (0.5 * (high - low) ** 2)
                lam[block.first : block.first + block.groups] = np.maximum(values, 0.0)
        return w / output**2, lam

    @functools.cached_property
    def _transform(self) -> tuple[np.ndarray, list[slice]]:
        """z of the network's increments from (z of the loop, e), in scaled units; where e of each block stands."""
        loop, units = self.scaled.loop, self.scaled.units
        s = loop.P.shape[1]
        widths = [_preserved(block) for block in loop.blocks]
        stops = s + np.cumsum([0, *widths])
        extra = [slice(int(a), int(b)) for a, b in itertools.pairwise(stops)]
        T = np.zeros((self.forms.size, int(stops[-1])))
        T[: len(self.basis), : loop.inputs] = self.basis
        for increment, block, where in zip(self.forms.activations, loop.blocks, extra, strict=True):
            a = increment.before[:, : increment.start] @ T[: increment.start]
            unit = float(units[block.start]) if block.width else 1.0
            T[increment.after] = _after(block, a, slice(block.start, block.start + block.width), where, unit)
        return T, extra

    def _slack(self, raw: dict[str, np.ndarray], T: np.ndarray) -> np.ndarray:
        """-M without nu and tau in the coordinates (z of the loop, e): no large numbers that would have to cancel."""
        M = lmi.inequality(self.forms, self.norm, raw, self.row)
        if self.norm == "linf":  # the Schur complement of the border
            M = M[:-1, :-1] + np.outer(M[-1, :-1], M[-1, :-1]) / float(raw["rho"])
        S = -(T.T @ M @ T)
        return np.asarray(0.5 * (S + S.T))

    def _penalties(self, S: np.ndarray, extra: list[slice]) -> list[np.ndarray]:
        """The weight of e in each group of each block, in scaled units."""
        s = self.scaled.loop.P.shape[1]
        if len(S) == s:
            return [np.zeros(0) for _ in extra]
        values = _dominating(_needed(S, s), [where.stop - where.start for where in extra])
        blocks = self.scaled.loop.blocks
        return [
            value.reshape(_groups(block), -1).max(axis=1, initial=0.0)
            for block, value in zip(blocks, values, strict=True)
        ]


def liftings(network: Network, norm: lmi.Norm, keep_gamma: bool = False) -> list[Lifting]:
    """The inequalities of a network: one for l2, one for every output for linf."""
    forms = lmi.increments(network)
    layers, basis = reduced(network, norm)
    loop = close(layers, basis.shape[1])
    loops = [loop] if norm == "l2" else [attrs.evolve(loop, C=loop.C[k : k + 1]) for k in range(len(loop.C))]
    return [Lifting(network, forms, scale(each), layers, basis, k, norm, keep_gamma) for k, each in enumerate(loops)]


def reduced(network: Network, norm: lmi.Norm) -> tuple[tuple[Layer, ...], np.ndarray]:
    """Layers without convolutions, and an orthonormal basis (d, r) of the inputs that they see.

    For l2, a first layer with more inputs than outputs acts on the span of its rows only; else it is the identity.
    """
    layers = network.lowered().layers
    first = layers[0]
    if isinstance(first, Dense) and norm == "l2" and first.weight.shape[1] > first.weight.shape[0]:
        dense = first.weight if isinstance(first.weight, np.ndarray) else first.weight.toarray()
        basis, lower = np.linalg.qr(dense.T)
        return (Dense(lower.T, first.bias), *layers[1:]), basis
    return layers, np.eye(network.input_size)


def vanishing(network: Network, norm: lmi.Norm) -> Bound | None:
    """The bound 0 of a network that is constant because a layer is zero; None for any other.

    With a zero last layer zero multipliers are a certificate; where an earlier layer is zero there is none with rho = 0
    in general.
    """
    loop = close(network.lowered().layers, network.input_size)
    if alive(loop).C.any():
        return None
    if loop.C.any():
        return Bound(0.0)
    rows = () if norm == "l2" else (network.output_size,)
    zero = {"rho": np.zeros(rows)} | ({"mu": np.zeros((*rows, network.input_size))} if norm == "linf" else {})
    activations = lmi.increments(network).activations
    return Bound(0.0, zero | {f"lam.{k}": np.zeros((*rows, each.groups)) for k, each in enumerate(activations)})


def together(proofs: Sequence[Proved], norm: lmi.Norm) -> Bound:
    """The bound of all inequalities: the largest, with the certificates of all."""
    value = max(proof.value for proof in proofs)
    if norm == "l2":
        return Bound(value, proofs[0].multipliers)
    names = proofs[0].multipliers
    return Bound(value, {name: np.stack([proof.multipliers[name] for proof in proofs]) for name in names})


def _ones(block: Block) -> int:
    """`K = 11^T` is this number times a projection; for Householder K is a projection."""
    return block.layer.size if isinstance(block.layer, GroupSort) else 1


def _groups(block: Block) -> int:
    """Groups of the activation, those without a rest included."""
    return block.groups if block.size else block.inputs


def _preserved(block: Block) -> int:
    """Coordinates of e: one per sorted group; for Householder as many as inputs (the part along v has no effect)."""
    if isinstance(block.layer, Householder):
        return block.inputs
    return _groups(block) if isinstance(block.layer, GroupSort) else 0


def _after(block: Block, a: np.ndarray, rest: slice, extra: slice, unit: float) -> np.ndarray:
    """`b = H a + G c + e`, as rows over (z of the loop, e)."""
    layer = block.layer
    index = np.arange(len(a))
    if isinstance(layer, Activation):
        low, high = slopes(layer)
        b = 0.5 * (low + high) * a
        b[index, rest.start + index] += 0.5 * (high - low) * unit
        return b
    if isinstance(layer, GroupSort):
        g = layer.size
        b = np.repeat(a.reshape(-1, g, a.shape[1]).mean(axis=1), g, axis=0)
        b[:, rest] += unit * np.kron(np.eye(len(a) // g), helmert(g))
        b[index, extra.start + index // g] += unit / np.sqrt(g)
        return b
    assert isinstance(layer, Householder)
    v = layer.vectors / np.linalg.norm(layer.vectors, axis=1, keepdims=True)
    groups, g = v.shape
    along = np.einsum("gk,gks->gs", v, a.reshape(groups, g, -1))
    b = a - v.reshape(-1, 1) * np.repeat(along, g, axis=0)
    b[index, rest.start + index // g] += unit * v.ravel()
    projection = np.eye(g) - v[:, :, None] * v[:, None, :]
    for group in range(groups):
        rows = slice(group * g, (group + 1) * g)
        b[rows, extra.start + group * g : extra.start + (group + 1) * g] += unit * projection[group]
    return np.asarray(b)


def _needed(S: np.ndarray, s: int) -> np.ndarray:
    """`S_er S_rr^-1 S_re - S_ee`, which the penalty of e must dominate; a small ridge where S_rr is not definite."""
    head = 0.5 * (S[:s, :s] + S[:s, :s].T)
    diagonal = np.diagonal(head)
    scale = 1.0 / np.sqrt(np.where(diagonal > 1e-30 * max(float(diagonal.max()), 1e-200), diagonal, 1.0))
    unit = head * scale[:, None] * scale
    try:
        factor = cholesky(unit, lower=True, check_finite=False)
    except np.linalg.LinAlgError:  # nothing is proved, but the multipliers have to be some
        ridge = 1e-13 - 2.0 * min(float(np.linalg.eigvalsh(unit)[0]), 0.0)
        factor = cholesky(unit + ridge * np.eye(s), lower=True, check_finite=False)
    cross = scale[:, None] * S[:s, s:]
    return np.asarray(cross.T @ cho_solve((factor, True), cross, check_finite=False) - S[s:, s:])


def _dominating(need: np.ndarray, widths: list[int]) -> list[np.ndarray]:
    """A diagonal above `need`, in its own proportions, one array a block; twice what is enough."""
    diagonal = np.maximum(np.diagonal(need), 0.0)
    diagonal = diagonal + 1e-3 * diagonal.mean() + np.finfo(float).tiny
    root = 1.0 / np.sqrt(diagonal)
    unit = need * root[:, None] * root
    top = max(float(np.linalg.eigvalsh(0.5 * (unit + unit.T))[-1]), 0.0)
    return np.split(2.0 * top * diagonal, np.cumsum(widths)[:-1])


def _positive(S: np.ndarray) -> bool:
    """Whether S is positive definite beyond rounding: by a Cholesky factorisation, scaled to a unit diagonal."""
    diagonal = np.diagonal(S)
    if not np.isfinite(S).all() or (diagonal <= 0).any():
        return False
    scale = 1.0 / np.sqrt(diagonal)
    unit = S * scale[:, None] * scale
    unit.flat[:: len(unit) + 1] -= _ROUNDINGS * len(unit) * np.finfo(np.float64).eps
    try:
        cholesky(unit, lower=True, check_finite=False)
    except np.linalg.LinAlgError:
        return False
    return True
