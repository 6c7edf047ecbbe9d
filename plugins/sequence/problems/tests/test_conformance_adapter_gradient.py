import pytest

from solvary.testing import checks


@pytest.mark.parametrize("check", checks("sequence.adapter-gradient"), ids=str)
def test_conformance(check):
    check()
