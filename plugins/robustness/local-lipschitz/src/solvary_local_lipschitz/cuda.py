"""The same code with all tensors on the GPU: the driver names the device."""

from __future__ import annotations

from solvary_local_lipschitz.solver import solve as solve
