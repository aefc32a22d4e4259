"""An empty export, which each test fills."""

import pytest

from tests.unit_tests.builders.messenger import Export


@pytest.fixture
def export() -> Export:
    return Export()
