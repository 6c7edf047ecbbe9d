"""The learned proximal network as plain arrays, and what is built from them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor

from solvary import OptionError
from solvary.files import read_arrays
from solvary_inverse.convex_layers import ConvexNetwork, InputConvexConvolutional, InputConvexDense
from solvary_inverse.prior import ProximalModel

_BUILDER = "solvary_learned_proximal.network:build"
_EXPECTED = "a file (.npz, .safetensors) of a learned proximal network"


@attrs.frozen(kw_only=True)
class Architecture:
    """What the weights belong to: d coordinates, or images (channels, rows, columns), and the layers."""

    shape: tuple[int, ...]
    hidden: int
    layers: int
    beta: float
    strong_convexity: float
    convolutional: bool

    @property
    def width(self) -> int:
        """d."""
        return int(np.prod(self.shape))

    def network(self) -> ConvexNetwork:
        """A network with weights of no meaning yet."""
        given: dict[str, Any] = {"hidden": self.hidden, "layers": self.layers}
        given |= {"beta": self.beta, "strong_convexity": self.strong_convexity}
        if self.convolutional:
            channels, rows, columns = self.shape
            return InputConvexConvolutional((channels, rows, columns), **given)
        return InputConvexDense(self.width, **given)


@attrs.frozen(eq=False, slots=False)
class LearnedProximal:
    """f(y) = m + s grad phi((y - m) / s) = grad psi(y), with psi(y) = s^2 phi((y - m) / s) + <m, y>.

    phi is the input-convex network, m and s the centre and the unit of the data: f is the gradient of a convex
    function whatever they are.
    """

    architecture: Architecture
    network: ConvexNetwork
    location: Tensor
    scale: float

    def evaluate_tensors(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """psi(y) of shape (n,) and f(y) of shape (n, d), of the tensor's type and on its device."""
        phi, gradient = self.network.evaluate((y - self.location) / self.scale)
        return self.scale**2 * phi + y @ self.location, self.location + self.scale * gradient

    def prox(self, y: Tensor) -> Tensor:
        """f(y), shape (n, d)."""
        return self.evaluate_tensors(y)[1]

    def evaluate(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same in NumPy."""
        psi, f = self.evaluate_tensors(torch.as_tensor(np.array(y)).to(self.location))
        return psi.cpu().numpy(), f.cpu().numpy()


def pack(architecture: Architecture, network: ConvexNetwork, location: Tensor, scale: float) -> dict[str, np.ndarray]:
    """All that `unpack` needs, as named arrays of numbers."""
    arrays = {f"weight.{name}": part.detach().cpu().numpy().copy() for name, part in network.state_dict().items()}
    arrays |= {f"option.{name}": np.asarray(value) for name, value in attrs.asdict(architecture).items()}
    return {**arrays, "location": location.detach().cpu().double().numpy().copy(), "scale": np.asarray(scale)}


def unpack(arrays: Mapping[str, Any], device: str = "cpu", dtype: torch.dtype = torch.float64) -> LearnedProximal:
    """The network of named arrays.

    Raises:
        OptionError: names `weights`: a part is missing or misshapen, or a weight between layers is negative.
    """
    try:
        found = {name.removeprefix("option."): arrays[name] for name in arrays if name.startswith("option.")}
        plain = {name: np.asarray(value).tolist() for name, value in found.items()}
        architecture = Architecture(**{**plain, "shape": tuple(plain["shape"])})
        network = architecture.network().to(dtype)
        weights = {name.removeprefix("weight."): arrays[name] for name in arrays if name.startswith("weight.")}
        network.load_state_dict({name: torch.as_tensor(np.array(part)) for name, part in weights.items()})
        location = torch.as_tensor(np.array(arrays["location"])).reshape(architecture.width)
        scale = float(np.asarray(arrays["scale"]))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise OptionError("weights", f"does not fit ({type(error).__name__}: {reason})", _EXPECTED) from error
    verify(network)
    return LearnedProximal(architecture, network.to(device), location.to(device, dtype), scale)


def verify(network: ConvexNetwork) -> None:
    """Refuse, as `OptionError`, a network whose weights between layers are not all >= 0: its f need be no prox."""
    for name, weight in network.constrained():
        smallest = float(weight.detach().min())
        if not smallest >= 0:
            wrong = f"{name} has the entry {smallest:.6g}"
            raise OptionError("weights", wrong, "weights between layers >= 0, else psi need not be convex")


def build(arrays: Mapping[str, np.ndarray], options: Mapping[str, Any]) -> LearnedProximal:
    """The builder of a `ProximalModel`: float64 on the host."""
    return unpack(arrays)


def model(arrays: Mapping[str, np.ndarray]) -> ProximalModel:
    """The answer of `inverse.prior` that these arrays are."""
    return ProximalModel(_BUILDER, dict(arrays))


def load(source: str | Path) -> dict[str, np.ndarray]:
    """Named arrays from a file: a solution of `inverse.prior`, or an artifact.

    Raises:
        OptionError: names `weights`: the file cannot be read.
    """
    path = Path(source)
    try:
        if path.suffix == ".safetensors":
            from solvary import Artifact

            arrays = Artifact.load(path).arrays
        else:
            arrays = read_arrays(path)
    except Exception as error:
        raise OptionError("weights", f"cannot read {path.name!r} ({error})", _EXPECTED) from error
    return {name.removeprefix("arrays."): part for name, part in arrays.items()}
