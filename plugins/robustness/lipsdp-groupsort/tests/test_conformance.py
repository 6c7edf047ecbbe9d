import pytest

from solvary.testing import checks


@pytest.mark.filterwarnings("ignore:region is ignored")
@pytest.mark.parametrize("check", checks("lipsdp-groupsort"), ids=str)
def test_conformance(check):
    check()
