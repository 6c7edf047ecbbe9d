"""Autograd as a solver of sequence.adapter-gradient."""

import numpy as np
import pytest

import solvary
from solvary_sequence.adapter_instances import gaussian


@pytest.mark.parametrize("adapted", ["q", "qkv"])
@pytest.mark.parametrize(
    ("options", "bound"),
    [({}, 1e-11), ({"attention": "plain"}, 1e-11), ({"dtype": "float32"}, 1e-4)],
)
def test_it_is_the_exact_gradient(adapted, options, bound):
    problem = gaussian(n=200, adapted=adapted)
    solution = solvary.solve(problem, "torch-autograd", backend="cpu", threads=1, **options)
    assert all(isinstance(part, np.ndarray) for part in solution.answer.values())
    assert set(solution.answer) == set(problem.factors)
    assert solution.measures["rel_error"] <= bound


def test_the_device_code_agrees(emulated_cuda):
    problem = gaussian(n=100, adapted="qk")
    solution = solvary.solve(problem, "torch-autograd", backend="cuda", threads=1)
    assert solution.measures["rel_error"] <= 1e-11
