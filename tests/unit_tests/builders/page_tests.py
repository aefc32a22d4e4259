"""Run the code blocks of a page as a test module, outside this project."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.unit_tests.builders.pages import DOCS, read_page


def passed_tests(page: str, folder: Path) -> int:
    """Run a page's tests; return the number of passed ones, or fail with a report."""
    code = "\n\n".join(block.code for block in read_page(page))
    (folder / "test_page.py").write_text(code, encoding="utf-8")
    (folder / "pytest.ini").write_text(
        "[pytest]\nfilterwarnings = error\n"
        "asyncio_default_fixture_loop_scope = function\n"
        "addopts = --import-mode=importlib --strict-markers -p no:cacheprovider\n",
        encoding="utf-8",
    )
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(DOCS.parent)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return int(re.findall(r"(\d+) passed", run.stdout)[0])
