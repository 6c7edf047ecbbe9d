"""The matrix inequality that proves a global Lipschitz bound, rebuilt from the multipliers of a certificate.

Increments. For two inputs of the network let `x` be the difference of the inputs, `b^k` that of the outputs of the
k-th activation layer (k = 0, 1, ... in the order of evaluation; an identity is no activation; layers inside a
`Residual` count where they stand). Then `z = (x, b^0, ..., b^{K-1})` determines everything: what goes into activation
k is `a^k = A_k z` and the output is `y = Y z` with matrices made of the affine layers and the residual additions alone.
So feed-forward and residual networks of any depth are one case (the paper's stacked inequality is this one, with
`x^{k+1}` for `b^k`).

Certificate: a mapping of names to arrays.

    rho      number
    mu       (d,) >= 0, only for norm "linf"
    lam.k    (N_k,) >= 0 for N_k groups of activation layer k; (n_k,) >= 0 for an entrywise activation (relu, leaky)
    gam.k    (N_k,), nu.k (N_k,), tau.k (N_k,): of any sign; each may be left out, which means zeros;
             entrywise activations have none

With norm "linf" every array has a leading axis of rows, one for each output: rho (o,), mu (o, d), lam.k (o, N_k). For a
scalar output this axis may be left out.

Constraint of activation k, for every pair of inputs (the paper's Lemmas on GroupSort and Householder):

    [a; b]^T [[T - 2S, P + S], [P + S, -T - 2P]] [a; b] >= 0,
    T = diag(lam) (x) I + diag(gam) (x) K,   P = diag(nu) (x) K,   S = diag(tau) (x) K,

where K = 11^T for GroupSort and K_i = I - v_i v_i^T for Householder. An entrywise activation with slopes in [s, t] has
`[[-2 s t L, (s + t) L], [(s + t) L, -2 L]]` with L = diag(lam) (Fazlyab et al., LipSDP, Lemma 1).

Inequality. With C the sum of the constraints as a form in z:

    l2:    M = C - rho |x|^2 + Y^T Y                       <= 0,   the bound is sqrt(rho);
    linf:  M = [[C - diag(mu) on x, Y^T], [Y, -rho]]       <= 0,   the bound is (rho + 1^T mu) / 2, row by row.

Source: "Novel Quadratic Constraints for Extending LipSDP beyond Slope-Restricted Activations" (2024).
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import numpy as np

from solvary import AnswerError, ProblemError
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
from solvary_robustness.network import Norm as Norm

Nonlinear = Activation | GroupSort | Householder
#: the multipliers of a grouped activation that may be left out, which means zeros
FREE = ("gam", "nu", "tau")
#: most that is put down to rounding, as a residual
_ALLOWED = 1e-9


@attrs.frozen(eq=False)
class Increment:
    """One activation: `before` (n, z) with `a = before z`, and where `b` stands in z."""

    layer: Nonlinear
    before: np.ndarray
    start: int
    #: a Lipschitz constant (l2) of `b` in `x`
    growth: float

    @property
    def width(self) -> int:
        """Entries of a and of b."""
        return int(self.before.shape[0])

    @property
    def groups(self) -> int:
        """How many multipliers of each kind it has."""
        return len(group_vectors(self.layer, self.width))

    @property
    def entrywise(self) -> bool:
        """Whether it is an entrywise activation, which has `lam` alone."""
        return isinstance(self.layer, Activation)

    @property
    def after(self) -> slice:
        """Where `b` stands in z."""
        return slice(self.start, self.start + self.width)


@attrs.frozen(eq=False)
class Increments:
    """A network as linear forms in z = (x, b^0, ...): the activations, and `output` (o, z) with y = output z."""

    inputs: int
    size: int
    activations: tuple[Increment, ...]
    output: np.ndarray


@attrs.frozen
class Proof:
    """What a certificate proves: the bound, and how far the inequality is violated relative to its scale."""

    value: float
    residual: float


def increments(network: Network) -> Increments:
    """The linear forms of a network; raises `ProblemError` on a layer that has none."""
    size = network.input_size + sum(_activation_widths(network.layers, network.input_size))
    signal = np.zeros((network.input_size, size))
    np.fill_diagonal(signal, 1.0)
    found: list[Increment] = []
    output, _ = _walk(network.layers, signal, 1.0, found, network.input_size)
    return Increments(network.input_size, size, tuple(found), output)


def _is_linear(layer: Layer) -> bool:
    return isinstance(layer, Flatten) or (isinstance(layer, Activation) and layer.negative_slope == 1.0)


def _activation_widths(layers: tuple[Layer, ...], width: int) -> list[int]:
    widths: list[int] = []
    for layer in layers:
        if isinstance(layer, Residual):
            widths += _activation_widths(layer.layers, width)
        elif isinstance(layer, Activation | GroupSort | Householder) and not _is_linear(layer):
            widths.append(width)
        width = layer.width(width)
    return widths


def _walk(
    layers: tuple[Layer, ...], signal: np.ndarray, growth: float, found: list[Increment], first: int
) -> tuple[np.ndarray, float]:
    """The form of what comes out and its Lipschitz constant, for what goes in; activations are added to `found`."""
    for layer in layers:
        if isinstance(layer, Residual):
            inner, inner_growth = _walk(layer.layers, signal, growth, found, first)
            signal, growth = signal + inner, growth + inner_growth
        elif isinstance(layer, Dense | Conv2d):
            dense = layer.lowered() if isinstance(layer, Conv2d) else layer
            signal, growth = np.asarray(dense.weight @ signal), growth * layer.lipschitz("l2")
        elif not _is_linear(layer):
            assert isinstance(layer, Activation | GroupSort | Householder)
            growth *= layer.lipschitz("l2")
            start = found[-1].after.stop if found else first
            found.append(Increment(layer, signal, start, growth))
            signal = np.zeros_like(signal)
            signal[np.arange(found[-1].width), np.arange(start, start + found[-1].width)] = 1.0
    return signal, growth


def group_vectors(layer: Nonlinear, width: int) -> np.ndarray:
    """One row a group, (groups, size), from which K is made: ones for GroupSort, the unit vectors for Householder.

    Entrywise activations have groups of one entry.
    """
    if isinstance(layer, Householder):
        return layer.vectors
    size = layer.size if isinstance(layer, GroupSort) else 1
    return np.ones((width // size, size))


def kernels(layer: Nonlinear, width: int) -> np.ndarray:
    """The matrices K of all groups, (groups, size, size)."""
    vectors = group_vectors(layer, width)
    outer = vectors[:, :, None] * vectors[:, None, :]
    found: np.ndarray = np.eye(vectors.shape[1]) - outer if isinstance(layer, Householder) else outer
    return found


def constraint_blocks(
    increment: Increment, lam: np.ndarray, gam: np.ndarray, nu: np.ndarray, tau: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The blocks on (a, a), (a, b) and (b, b) of the constraint, group by group: three arrays (groups, size, size)."""
    layer = increment.layer
    if isinstance(layer, Activation):
        low, high = sorted((layer.negative_slope, 1.0))
        diagonal = lam[:, None, None]
        return -2.0 * low * high * diagonal, (low + high) * diagonal, -2.0 * diagonal
    kernel = kernels(layer, increment.width)
    identity = np.eye(kernel.shape[1])
    t = lam[:, None, None] * identity + gam[:, None, None] * kernel
    p, s = nu[:, None, None] * kernel, tau[:, None, None] * kernel
    return t - 2.0 * s, p + s, -t - 2.0 * p


def constraints(forms: Increments, multipliers: Mapping[str, np.ndarray]) -> np.ndarray:
    """C: the sum of the constraints of all activations as a symmetric form (z, z)."""
    total = np.zeros((forms.size, forms.size))
    for k, increment in enumerate(forms.activations):
        parts = [multipliers.get(f"{name}.{k}", np.zeros(increment.groups)) for name in ("lam", *FREE)]
        aa, ab, bb = constraint_blocks(increment, *parts)
        a, b = increment.before, increment.after
        total += a.T @ _times(aa, a)
        cross = a.T @ _spread(ab, np.eye(increment.width))
        total[:, b] += cross
        total[b, :] += cross.T
        total[b, b] += _spread(bb, np.eye(increment.width))
    symmetric: np.ndarray = 0.5 * (total + total.T)
    return symmetric


def _times(blocks: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """A block diagonal matrix times `rows` (n, z)."""
    grouped = rows.reshape(blocks.shape[0], blocks.shape[1], -1)
    product: np.ndarray = np.matmul(blocks, grouped).reshape(rows.shape)
    return product


_spread = _times


def inequality(forms: Increments, norm: Norm, multipliers: Mapping[str, np.ndarray], row: int = 0) -> np.ndarray:
    """M, which must be negative semidefinite: (z, z) for norm "l2", (z + 1, z + 1) for output `row` with "linf"."""
    matrix, d = constraints(forms, multipliers), forms.inputs
    rho = float(multipliers["rho"])
    if norm == "l2":
        matrix[np.arange(d), np.arange(d)] -= rho
        found: np.ndarray = matrix + forms.output.T @ forms.output
        return found
    matrix[np.arange(d), np.arange(d)] -= multipliers["mu"]
    y = forms.output[row][:, None]
    return np.block([[matrix, y], [y.T, np.array([[-rho]])]])


def certified_value(norm: Norm, multipliers: Mapping[str, np.ndarray]) -> float:
    """The bound that the multipliers of one inequality prove."""
    rho = float(multipliers["rho"])
    return float(np.sqrt(max(rho, 0.0))) if norm == "l2" else 0.5 * (rho + float(multipliers["mu"].sum()))


def check(network: Network, norm: Norm, certificate: Mapping[str, np.ndarray]) -> Proof:
    """The bound that a certificate proves, and its residual: the largest over the rows.

    M is rebuilt in the coordinates of `preserving`, which is M up to a congruence. There nu and tau stand where no two
    inputs of the network ever lead (e = 0), and however large they are, that part is scaled down to the rest.

    The residual is `t K / r` with t the largest eigenvalue (or the largest negative part of a multiplier that must not
    be negative), the coordinates of activation k in units of growth_k (activations cannot grow more than the layers let
    them). From M <= t I follows then, for |x| <= 1, `|y|^2 <= rho + t K` with K one plus the activations that grow;
    so `t K / rho` is what the violation can cost the squared bound.
    With "linf" |x|^2 <= d, `K = 1 + d` times that and `r = rho + 1^T mu`. Roundings of M are
    allowed for as far as they stay below 1e-9 of that.

    Raises:
        AnswerError: an array is missing, unknown, or has the wrong shape.
    """
    forms = increments(network)
    rows = _rows(forms, norm, certificate)
    coordinates = preserving(forms)
    proofs = [check_row(forms, coordinates, norm, multipliers, row) for row, multipliers in enumerate(rows)]
    return Proof(max(proof.value for proof in proofs), max(proof.residual for proof in proofs))


@attrs.frozen(eq=False)
class Preserving:
    """Coordinates z' = (x, (c, e)^0, (c, e)^1, ...) in which every activation is `b = Pi a + C c + E e`.

    Pi is the projection of a group onto what the activation preserves (its sum, for Householder all but v), E an
    orthonormal basis of that and C of the rest; two inputs of the network always have e = 0. Entrywise activations
    have b itself as coordinates.

    Attributes:
        transform: z = transform z'.
        before: for each activation, (n, z') with a = before z'.
        c, e: for each activation, where its coordinates stand, (groups, dimensions) indices.
        bases: for each activation, C (groups, size, dimensions of c) and E; None for an entrywise one.
    """

    transform: np.ndarray
    before: tuple[np.ndarray, ...]
    c: tuple[np.ndarray, ...]
    e: tuple[np.ndarray, ...]
    bases: tuple[tuple[np.ndarray, np.ndarray] | None, ...]


def preserving(forms: Increments) -> Preserving:
    """The coordinates in which what activations preserve is apart."""
    transform = np.zeros((forms.size, forms.size))
    transform[: forms.inputs, : forms.inputs] = np.eye(forms.inputs)
    before: list[np.ndarray] = []
    at_c: list[np.ndarray] = []
    at_e: list[np.ndarray] = []
    bases: list[tuple[np.ndarray, np.ndarray] | None] = []
    for increment in forms.activations:
        start = increment.start
        a = increment.before[:, :start] @ transform[:start]
        before.append(a)
        places: np.ndarray = np.arange(start, start + increment.width)
        if isinstance(increment.layer, Activation):
            transform[places, places] = 1.0
            at_c.append(places[:, None])
            at_e.append(places[:0, None])
            bases.append(None)
            continue
        C, E = _bases(increment)
        groups, size = C.shape[:2]
        places = places.reshape(groups, size)
        c, e = places[:, : C.shape[2]], places[:, C.shape[2] :]
        grouped = a.reshape(groups, size, -1)
        after = E @ (np.swapaxes(E, 1, 2) @ grouped)
        group = np.arange(groups)[:, None]
        after[group, :, c] += np.swapaxes(C, 1, 2)[group, np.arange(c.shape[1])]
        after[group, :, e] += np.swapaxes(E, 1, 2)[group, np.arange(e.shape[1])]
        transform[increment.after] = after.reshape(increment.width, -1)
        at_c.append(c)
        at_e.append(e)
        bases.append((C, E))
    return Preserving(transform, tuple(before), tuple(at_c), tuple(at_e), tuple(bases))


def _bases(increment: Increment) -> tuple[np.ndarray, np.ndarray]:
    """C and E of each group: the complement of 1 and 1 itself for GroupSort; v and its complement for Householder."""
    vectors = group_vectors(increment.layer, increment.width)
    v = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    # The reflection that takes the first unit vector to -sign(v_1) v; its other columns are orthogonal to v.
    u = v.copy()
    u[:, 0] += np.where(v[:, 0] >= 0, 1.0, -1.0)
    outer = u[:, :, None] * u[:, None, :]
    basis = np.eye(v.shape[1]) - 2.0 * outer / (u * u).sum(axis=1)[:, None, None]
    first, rest = basis[:, :, :1], basis[:, :, 1:]
    return (first, rest) if isinstance(increment.layer, Householder) else (rest, first)


def inequality_preserving(
    forms: Increments, at: Preserving, norm: Norm, multipliers: Mapping[str, np.ndarray], row: int = 0
) -> np.ndarray:
    """M in the coordinates z', summed term by term so that large nu and tau need not cancel.

    With s = E^T a and K = kappa Pi the constraint of a group is
    `lam (|C^T a|^2 - |c|^2) - (lam + kappa (gam + 2 nu)) |e|^2 + 2 (kappa (tau - nu - gam) - lam) s^T e`.
    """
    total = np.zeros((forms.size, forms.size))
    for k, increment in enumerate(forms.activations):
        lam, gam, nu, tau = (multipliers.get(f"{name}.{k}", np.zeros(increment.groups)) for name in ("lam", *FREE))
        a, bases = at.before[k], at.bases[k]
        if bases is None:
            aa, ab, bb = (block[:, 0, 0] for block in constraint_blocks(increment, lam, gam, nu, tau))
            b = at.c[k][:, 0]
            total += a.T @ (aa[:, None] * a)
            total[b] += ab[:, None] * a
            total[:, b] += (ab[:, None] * a).T
            total[b, b] += bb
            continue
        C, E = bases
        kappa = 1.0 if isinstance(increment.layer, Householder) else float(C.shape[1])
        grouped = a.reshape(*C.shape[:2], -1)
        Ca = (np.swapaxes(C, 1, 2) @ grouped).reshape(-1, forms.size)
        s = (np.swapaxes(E, 1, 2) @ grouped).reshape(-1, forms.size)
        c, e = at.c[k].ravel(), at.e[k].ravel()
        lam_c, of_e = np.repeat(lam, C.shape[2]), np.repeat(lam + kappa * (gam + 2.0 * nu), E.shape[2])
        cross = np.repeat(kappa * (tau - nu - gam) - lam, E.shape[2])[:, None] * s
        total += Ca.T @ (lam_c[:, None] * Ca)
        total[c, c] -= lam_c
        total[e, e] -= of_e
        total[e] += cross
        total[:, e] += cross.T
    d, rho, output = forms.inputs, float(multipliers["rho"]), forms.output @ at.transform
    if norm == "l2":
        total[np.arange(d), np.arange(d)] -= rho
        found: np.ndarray = total + output.T @ output
        return found
    total[np.arange(d), np.arange(d)] -= multipliers["mu"]
    y = output[row][:, None]
    return np.block([[total, y], [y.T, np.array([[-rho]])]])


def largest_eigenvalue(matrix: np.ndarray) -> float:
    """The largest eigenvalue of a symmetric matrix (LAPACK, float64)."""
    return float(np.linalg.eigvalsh(matrix)[-1])


def check_row(
    forms: Increments, at: Preserving, norm: Norm, multipliers: Mapping[str, np.ndarray], row: int = 0
) -> Proof:
    """What `check` finds for one row; `at` are the coordinates of `preserving(forms)`. Shapes are not checked."""
    value = certified_value(norm, multipliers)
    if not all(np.isfinite(part).all() for part in multipliers.values()):
        return Proof(value, float("inf"))
    matrix = inequality_preserving(forms, at, norm, multipliers, row)
    # In units of what each activation can grow to: else the scale of a layer decides what a rounding is.
    units, signed = np.ones(len(matrix)), [part for name, part in multipliers.items() if name in ("rho", "mu")]
    for k, increment in enumerate(forms.activations):
        unit = increment.growth or 1.0
        units[increment.after] = unit
        signed.append(multipliers[f"lam.{k}"] * unit * unit)
    matrix = units[:, None] * matrix * units
    # Coordinates e weigh nothing in what the network can do: a large negative diagonal there is scaled to the rest.
    e = np.concatenate([np.zeros(0, dtype=np.int64), *(places.ravel() for places in at.e)])
    rest = max(np.delete(np.abs(np.diagonal(matrix)), e).max(), *(float(np.abs(part).max()) for part in signed))
    scaling = np.ones(len(matrix))
    scaling[e] = np.sqrt(rest / np.maximum(-matrix[e, e], rest)) if rest > 0 else 1.0
    matrix = scaling[:, None] * matrix * scaling
    spread = 1.0 + sum(increment.growth > 0 for increment in forms.activations)
    scale = float(multipliers["rho"])
    if norm == "linf":
        spread, scale = 1.0 + forms.inputs * spread, scale + float(multipliers["mu"].sum())
    rounding = 100.0 * np.finfo(np.float64).eps * float(np.abs(matrix).max())
    # Huge multipliers have huge roundings, which must not hide a violation.
    allowed = min(rounding, _ALLOWED * scale / spread) if scale > 0 else rounding
    negative = max(float(-part.min(initial=0.0)) for part in signed)
    excess = max(largest_eigenvalue(matrix) - allowed, negative, 0.0)
    if excess == 0.0:
        return Proof(value, 0.0)
    return Proof(value, excess * spread / scale if scale > 0 else float("inf"))


def _rows(forms: Increments, norm: Norm, certificate: Mapping[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """The multipliers of each inequality, with their shapes checked."""
    shapes: dict[str, tuple[int, ...]] = {"rho": ()}
    if norm == "linf":
        shapes["mu"] = (forms.inputs,)
    for k, increment in enumerate(forms.activations):
        for name in ("lam",) if increment.entrywise else ("lam", *FREE):
            shapes[f"{name}.{k}"] = (increment.groups,)
    known = {name: part for name, part in certificate.items() if not name.startswith("jacobian_")}
    optional = {name for name in shapes if name.partition(".")[0] in FREE}
    strange, missing = sorted(known.keys() - shapes.keys()), sorted(shapes.keys() - optional - known.keys())
    if strange or missing:
        words = f"lacks {missing}" if missing else f"has the arrays {strange}"
        raise AnswerError("certificate", words, f"the arrays {sorted(shapes)}")
    count = 1 if norm == "l2" else forms.output.shape[0]
    found: list[dict[str, np.ndarray]] = [{} for _ in range(count)]
    for name, part in known.items():
        array, shape = np.asarray(part, dtype=np.float64), shapes[name]
        if norm == "l2" or (count == 1 and array.shape == shape):
            array = array[None]
        if array.shape != (count, *shape) and not (array.size == 1 == count and shape == ()):
            expected = f"shape {shape if norm == 'l2' else (count, *shape)}"
            raise AnswerError(f"certificate {name}", f"has shape {np.shape(part)}", expected)
        for row, entry in enumerate(array.reshape(count, *shape)):
            found[row][name] = entry
    return found


def refuse_entrywise(network: Network) -> None:
    """For solvers of grouped activations alone: refuses an entrywise one by its place among the activations."""
    for k, increment in enumerate(increments(network).activations):
        if increment.entrywise:
            assert isinstance(increment.layer, Activation)
            words = f"activation {k} is {increment.layer.kind!r}"
            raise ProblemError("network", words, "GroupSort, MaxMin or Householder activations")
