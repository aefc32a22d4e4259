"""Loaders and steps that are written by following the docs pass the suites.

`writing_a_loader.md`, which ends with a training, is run by the integration tests.
"""

from __future__ import annotations

from pathlib import Path

from tests.unit_tests.builders.page_tests import passed_tests


def test_blocks_are_a_module_of_passing_tests(tmp_path: Path) -> None:
    assert passed_tests("standard_tests.md", tmp_path) >= 45
