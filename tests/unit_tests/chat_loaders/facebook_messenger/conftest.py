"""An empty export for each test to fill."""

import pytest

from tests.unit_tests.builders.messenger import Export


@pytest.fixture
def export() -> Export:
    return Export()
