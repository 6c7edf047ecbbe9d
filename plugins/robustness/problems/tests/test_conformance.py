import pytest

from solvary.testing import checks


@pytest.mark.parametrize("check", [*checks("robustness.lipschitz"), *checks("norm-product")], ids=str)
def test_conformance(check):
    check()
