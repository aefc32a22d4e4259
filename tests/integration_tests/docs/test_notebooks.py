"""The English notebooks run from top to bottom in a kernel, against the local server.

The server is the tests' own, with a base of random weights, in place of the one that
the first cell starts; the tutorials' tests train the real one.
"""

from __future__ import annotations

import os
from textwrap import indent
from typing import TYPE_CHECKING

import nbformat
import pytest
from nbclient import NotebookClient

from langchain_chatexports import LocalServer
from tests.unit_tests.builders.pages import DOCS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.training

MAX_CELL_SECONDS = 1_200


@pytest.fixture(scope="module")
def server(
    tiny_base: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalServer]:
    data_dir = tmp_path_factory.mktemp("data")
    aliases = {"gpt-3.5-turbo": "tiny"}
    with LocalServer(
        tiny_base, data_dir=data_dir, aliases=aliases, threads=1
    ) as running:
        yield running


@pytest.mark.parametrize(
    "tutorial",
    # The tutorials' tests run the longer one's code, too.
    ["imessage", pytest.param("facebook_messenger", marks=pytest.mark.release)],
)
# Jupyter's own client keeps loops and sockets to itself.
@pytest.mark.filterwarnings("ignore")
def test_notebook_ends_with_streamed_text(
    tutorial: str,
    server: LocalServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", server.api_key)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("PYTHONPATH", os.fspath(DOCS.parent))
    notebook = nbformat.read(DOCS / "notebooks" / f"{tutorial}.ipynb", as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert "server.start()" in code[0].source
    code[0].source = "pass"
    # Random weights may end an answer before its first word: not each of ten.
    code[-1].source = f"for _ in range(10):\n{indent(code[-1].source, '    ')}"
    NotebookClient(
        notebook,
        timeout=MAX_CELL_SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute()
    assert "".join(output.text for output in code[-1].outputs).strip()
