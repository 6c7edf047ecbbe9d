"""Upper bounds of the Lipschitz constant of a network: the problem type `robustness.lipschitz`."""

from __future__ import annotations

import functools
import numbers
from collections.abc import Mapping
from typing import Any, ClassVar

import attrs
import numpy as np

import solvary
from solvary import AnswerError, ProblemError, fields
from solvary_robustness import lmi
from solvary_robustness.fields import to_box, to_network, to_region
from solvary_robustness.jacobians import JacobianSearch, search
from solvary_robustness.network import Network

#: how far below the largest Jacobian norm found a bound may be, relative, before it counts as unsound
SLACK = 1e-9
#: largest `lmi_residual` of a certificate that counts
LMI_TOLERANCE = 1e-7


def _certificate(value: Any) -> dict[str, np.ndarray] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise AnswerError("answer", f"has a {type(value).__name__} as certificate", "a mapping of names to arrays")
    try:
        return {str(name): np.asarray(part, dtype=np.float64) for name, part in value.items()}
    except (TypeError, ValueError) as error:
        raise AnswerError("answer", f"has a certificate that is no numbers ({error})", "arrays of numbers") from None


@attrs.frozen(eq=False)
class Bound:
    """An upper bound of a Lipschitz constant, and what proves it.

    `certificate` is None, or a mapping of named arrays of one of two kinds (or both), which the problem checks:

    - multipliers of the matrix inequality of `solvary_robustness.lmi` (its docstring defines all names): `rho`, with
      norm "linf" `mu`, and for the k-th activation layer `lam.k`, `gam.k`, `nu.k`, `tau.k`;
    - bounds of the entries of the Jacobian on the region: `jacobian_lower` and `jacobian_upper` (o, d).
    """

    value: float
    certificate: dict[str, np.ndarray] | None = attrs.field(default=None, converter=_certificate)


@solvary.problem
class LipschitzBound(solvary.Problem):
    """Bound the Lipschitz constant of a network from above, everywhere or on a region.

    The constant is the supremum of the operator norm of the (Clarke) Jacobian over the relative interior of the
    domain: the largest singular value for norm "l2" (l2 to l2), the largest absolute row sum for "linf" (linf to
    linf). A region that is a single point (eps = 0) has the Clarke Jacobian at that point.

    Fields:
        network: a `Network`, a torch module of the layers that `Network` knows, or the arrays of one.
        norm: "l2" or "linf".
        region: None (all inputs), or (center (d,), eps): an linf ball, cut with the box.
        box: None, or (lo, hi), numbers or vectors (d,). Without a region the domain is the box.
    """

    problem_id = "robustness.lipschitz"
    formats: ClassVar[Mapping[str, str]] = {
        ".npz": "solvary_robustness.readers:read_lipschitz_npz",
        ".onnx": "solvary_robustness.readers:read_lipschitz_onnx",
    }

    shared: ClassVar[tuple[str, ...]] = ("product_bound",)

    network: Network = attrs.field(converter=to_network, kw_only=True)
    norm: str = fields.choice("l2", "linf", default="l2")
    region: tuple[np.ndarray, float] | None = attrs.field(default=None, converter=to_region, kw_only=True)
    box: tuple[Any, Any] | None = attrs.field(default=None, converter=to_box, kw_only=True)

    def check(self) -> None:
        """Region and box have the network's input size, and something in common."""
        size = self.network.input_size
        if self.box is not None:
            for side in self.box:
                if side.shape not in ((), (size,)):
                    raise ProblemError("box", f"has shape {side.shape}", f"numbers or vectors of {size} entries")
            self.__dict__["box"] = tuple(fields.read_only(np.array(np.broadcast_to(side, size))) for side in self.box)
        if self.region is not None:
            if self.region[0].shape != (size,):
                raise ProblemError("region", f"has a center of shape {self.region[0].shape}", f"shape ({size},)")
            lo, hi = self.domain or (np.zeros(0), np.zeros(0))
            if (lo > hi).any():
                at = int(np.argmax(lo > hi))
                raise ProblemError("region", f"does not meet the box in coordinate {at}", "a ball that meets the box")

    @property
    def domain(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Lower and upper ends (d,) of the inputs that count (the ball cut with the box); None: all inputs."""
        if self.region is None:
            return self.box
        center, eps = self.region
        lo, hi = center - eps, center + eps
        if self.box is None:
            return lo, hi
        return np.maximum(lo, self.box[0]), np.minimum(hi, self.box[1])

    @functools.cached_property
    def product_bound(self) -> float:
        """The product of the layers' Lipschitz constants."""
        return self.network.product_bound(self.norm)  # type: ignore[arg-type]

    @functools.cached_property
    def searched(self) -> JacobianSearch:
        """The largest Jacobian norm found, exact where the activation patterns can be enumerated. Costly; kept."""
        return search(self.network, self.norm, self.domain)  # type: ignore[arg-type]

    @property
    def lower(self) -> float:
        """A lower bound of the constant."""
        return self.searched.value

    def glance(self, answer: Any) -> dict[str, Any]:
        """The bound and its ratio to the product of layer norms, unchecked."""
        bound = self._bound(answer)
        return {"value": bound.value, "product_ratio": _ratio(bound.value, self.product_bound)}

    def measure(self, answer: Any) -> dict[str, Any]:
        """All figures of a bound; see the declaration of the problem type.

        Raises:
            AnswerError: the answer is no `Bound`, or its certificate has arrays of other names or shapes.
        """
        bound = self._bound(answer)
        lower = self.lower
        sound = bool(bound.value >= lower * (1.0 - SLACK))
        figures: dict[str, Any] = {
            "value": bound.value,
            "lower": lower,
            "ratio": _ratio(bound.value, lower),
            "lower_exact": self.searched.exact,
            "product_bound": self.product_bound,
            "product_ratio": _ratio(bound.value, self.product_bound),
            "violation": max(lower - bound.value, 0.0),
        }
        certificate = bound.certificate or {}
        if "rho" in certificate:
            proof = lmi.check(self.network, self.norm, certificate)  # type: ignore[arg-type]
            figures |= {"lmi_residual": proof.residual, "certified": proof.value}
            sound &= proof.residual <= LMI_TOLERANCE and bound.value >= proof.value * (1.0 - SLACK)
        if "jacobian_lower" in certificate or "jacobian_upper" in certificate:
            outside, scale = self._outside(certificate)
            figures["interval_violation"] = outside
            sound &= outside <= SLACK * scale
        figures["feasible"] = bool(sound and np.isfinite(bound.value))
        return figures

    def write_answer(self, answer: Any) -> dict[str, Any]:
        """The value, and the certificate's arrays as "certificate.name"."""
        bound = self._bound(answer)
        parts = {f"certificate.{name}": part for name, part in (bound.certificate or {}).items()}
        return {"value": bound.value, **parts}

    def read_answer(self, stored: Mapping[str, Any]) -> Bound:
        """The inverse of `write_answer`."""
        start = "certificate."
        parts = {name.removeprefix(start): part for name, part in stored.items() if name.startswith(start)}
        return Bound(float(stored["value"]), parts or None)

    def _bound(self, answer: Any) -> Bound:
        if not isinstance(answer, Bound):
            raise AnswerError("answer", f"is a {type(answer).__name__}", "a Bound(value, certificate)")
        if isinstance(answer.value, bool) or not isinstance(answer.value, numbers.Real):
            raise AnswerError("answer", f"has the value {answer.value!r}", "a number")
        return Bound(float(answer.value), answer.certificate)

    def _outside(self, certificate: Mapping[str, np.ndarray]) -> tuple[float, float]:
        """How far Jacobian entries that were found lie outside the interval certificate, and their scale."""
        smallest, largest = self.searched.smallest, self.searched.largest
        ends = []
        for name in ("jacobian_lower", "jacobian_upper"):
            part = certificate.get(name)
            if part is None or part.shape != smallest.shape:
                found = "is missing" if part is None else f"has shape {part.shape}"
                raise AnswerError(f"certificate {name}", found, f"an array of shape {smallest.shape}")
            ends.append(part)
        outside = max(float((ends[0] - smallest).max()), float((largest - ends[1]).max()), 0.0)
        return outside, float(max(np.abs(smallest).max(), np.abs(largest).max()))


def _ratio(value: float, reference: float) -> float:
    """`value / reference`; 1 where both are zero."""
    if reference == 0.0:
        return 1.0 if value == 0.0 else float("inf")
    return value / reference
