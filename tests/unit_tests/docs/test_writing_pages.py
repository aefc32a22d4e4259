"""Loaders and steps written by following the docs pass the standard tests."""

from pathlib import Path

import pytest

from tests.unit_tests.builders.page_tests import passed_tests


@pytest.mark.parametrize(
    ("page", "at_least"), [("standard_tests.md", 45), ("writing_a_loader.md", 25)]
)
def test_code_blocks_are_passing_tests(
    page: str, at_least: int, tmp_path: Path
) -> None:
    assert passed_tests(page, tmp_path) >= at_least
