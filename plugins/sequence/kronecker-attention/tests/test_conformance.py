import pytest

from solvary.testing import checks


@pytest.mark.parametrize("check", checks("kronecker-attention"), ids=str)
def test_conformance(check):
    check()
