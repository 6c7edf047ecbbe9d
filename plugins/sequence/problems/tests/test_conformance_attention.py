import pytest

from solvary.testing import checks


@pytest.mark.parametrize("check", [*checks("sequence.attention"), *checks("exact-attention")], ids=str)
def test_conformance(check):
    check()
