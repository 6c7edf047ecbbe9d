"""torch's attention through the registry, against all weights at once."""

from __future__ import annotations

import numpy as np
import pytest

import solvary
from solvary import NotAccepted
from solvary_sequence import AttentionOutput

SOLVER = "torch-scaled-dot-product-attention"


def made(n=11, order=2, **more):
    rng = np.random.default_rng(0)
    query, *keys = rng.standard_normal((order, n, 3))
    values = list(rng.standard_normal((order - 1, n, 5)))
    return AttentionOutput(**{"query": query, "keys": keys, "values": values, "scale": 0.7, **more})


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_is_softmax_attention(causal, dtype):
    plain = made()
    parts = {"query": plain.query, "keys": plain.keys[0], "values": plain.values[0]}
    problem = AttentionOutput(**{name: part.astype(dtype) for name, part in parts.items()}, scale=0.7, causal=causal)
    solution = solvary.solve(problem, SOLVER, threads=1)
    scores = plain.query @ plain.keys[0].T / 0.7
    weights = np.exp(np.where(np.tril(np.ones_like(scores)) if causal else True, scores, -np.inf))
    expected = weights @ plain.values[0] / weights.sum(1, keepdims=True)
    assert solution.answer.dtype == dtype
    np.testing.assert_allclose(solution.answer, expected, atol=1e-5 if dtype == "float32" else 1e-12)
    assert solution.measures["max_abs_error"] <= (1e-5 if dtype == "float32" else 1e-12)


def test_the_device_code_agrees(emulated_cuda):
    one, two = (solvary.solve(made(causal=True), SOLVER, backend=backend, threads=1) for backend in ("cpu", "cuda"))
    assert two.provenance.backend == "cuda"
    np.testing.assert_allclose(one.answer, two.answer, rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"order": 3}, "order 3"),
        ({"weights": "power", "power": 2}, "power"),
        ({"floor": 0.1}, "floor"),
        ({"arithmetic": "polynomial"}, "polynomial"),
    ],
)
def test_what_torch_does_not_have_is_said(change, words):
    with pytest.raises(NotAccepted, match=words):
        solvary.solve(made(**change), SOLVER)
