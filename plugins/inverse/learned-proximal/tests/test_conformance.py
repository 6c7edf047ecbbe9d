import pytest

from solvary.testing import checks


@pytest.mark.parametrize("check", checks("learned-proximal"), ids=str)
def test_conformance(check):
    check()
