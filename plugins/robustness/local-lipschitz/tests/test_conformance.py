import pytest

from solvary.testing import checks
from solvary_backend_cuda.testing import emulation


@pytest.mark.parametrize("check", checks("solvary-local-lipschitz"), ids=str)
def test_conformance(check):
    with emulation():  # torch on the CPU stands in for a GPU
        check()
