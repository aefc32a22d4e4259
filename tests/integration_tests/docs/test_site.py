"""The site builds strictly, and has every public name, link, picture and page."""

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
    """Build a copy, beside which no cache and no site stays."""
    place = tmp_path_factory.mktemp("checkout")
    shutil.copy(ROOT / "zensical.toml", place)
    compiled = shutil.ignore_patterns("__pycache__")
    for folder in ("docs", "langchain_chatexports"):
        shutil.copytree(ROOT / folder, place / folder, ignore=compiled)
    program = "from zensical.main import cli; cli()"
    done = subprocess.run(  # noqa: S603 - our own code, our own interpreter
        [sys.executable, "-c", program, "build", "--clean", "--strict"],
        cwd=place,
        capture_output=True,
        check=False,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return place / "site"


def test_site_is_whole(built: Path) -> None:
    script = ROOT / "scripts" / "check_docs.py"
    done = subprocess.run(  # noqa: S603 - our own code, our own interpreter
        [sys.executable, str(script), str(built)],
        capture_output=True,
        check=False,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_search_finds_pages_and_the_reference(built: Path) -> None:
    index = (built / "search.json").read_text(encoding="utf-8")
    assert "Slow and steady" in index
    assert "TransformedChatLoader" in index
