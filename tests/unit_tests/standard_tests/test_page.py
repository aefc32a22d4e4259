"""The blocks of docs/standard_tests.md pass as a test module, outside this project."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.unit_tests.builders.pages import DOCS, read_page

if TYPE_CHECKING:
    from pathlib import Path


def test_blocks_are_a_module_of_passing_tests(tmp_path: Path) -> None:
    code = "\n\n".join(block.code for block in read_page("standard_tests.md"))
    (tmp_path / "test_races.py").write_text(code, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nfilterwarnings = error\n"
        "asyncio_default_fixture_loop_scope = function\n"
        "addopts = --import-mode=importlib --strict-markers -p no:cacheprovider\n",
        encoding="utf-8",
    )
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(DOCS.parent)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout
    assert int(re.findall(r"(\d+) passed", run.stdout)[0]) > 60
