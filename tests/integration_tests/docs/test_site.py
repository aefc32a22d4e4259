"""The documentation site builds without warnings, and is complete."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit_tests.builders.pages import DOCS

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("mkdocstrings") is None,
    reason="mkdocstrings-python needs Python 3.11",
)

ROOT = DOCS.parent


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site in a copy of the sources, which leaves no files next to them."""
    checkout = tmp_path_factory.mktemp("checkout")
    shutil.copy(ROOT / "zensical.toml", checkout)
    compiled = shutil.ignore_patterns("__pycache__")
    for folder in ("docs", "langchain_chatexports"):
        shutil.copytree(ROOT / folder, checkout / folder, ignore=compiled)
    program = "from zensical.main import cli; cli()"
    done = subprocess.run(  # noqa: S603 - our own code, our own interpreter
        [sys.executable, "-c", program, "build", "--clean", "--strict"],
        cwd=checkout,
        capture_output=True,
        check=False,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return checkout / "site"


def test_site_is_complete(built: Path) -> None:
    script = ROOT / "scripts" / "check_docs.py"
    done = subprocess.run(  # noqa: S603 - our own code, our own interpreter
        [sys.executable, str(script), str(built)],
        capture_output=True,
        check=False,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_search_index_covers_pages_and_reference(built: Path) -> None:
    index = (built / "search.json").read_text(encoding="utf-8")
    assert "Slow and steady" in index
    assert "TransformedChatLoader" in index
