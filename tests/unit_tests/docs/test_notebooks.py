"""The tutorial notebooks have the same code in all languages, and stored outputs."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.integration_tests.tutorials.page import read_blocks
from tests.unit_tests.builders.pages import DOCS, read_page

NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))
SECTIONS = {"imessage": "iMessage", "facebook_messenger": "Facebook Messenger"}

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)


def is_translated(path: Path) -> bool:
    return path.name.count(".") == 2


def read_cells(path: Path, kind: str) -> list[dict[str, Any]]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == kind]


def sources(path: Path, kind: str) -> list[str]:
    return ["".join(cell["source"]) for cell in read_cells(path, kind)]


class _TextRemover(ast.NodeTransformer):
    """Removes the text in calls of `print`."""

    def visit_Call(self, node: ast.Call) -> ast.Call:
        if isinstance(node.func, ast.Name) and node.func.id == "print":
            for text in node.args:
                if isinstance(text, ast.JoinedStr):
                    kept = [v for v in text.values if not isinstance(v, ast.Constant)]
                    text.values = kept
        return node


def remove_text(code: str) -> str:
    """Return a block without comments and printed text, which are translated."""
    return ast.dump(_TextRemover().visit(ast.parse(code)))


@each_notebook
def test_notebook_code_matches_the_page(path: Path) -> None:
    """If this fails: `python scripts/sync_notebooks.py --run`."""
    (set_up,) = read_page("tutorials.md", kinds=("python no-run",))
    blocks = read_blocks(SECTIONS[path.name.partition(".")[0]])
    page = [code.rstrip("\n") for code in (set_up.code, *(b.code for b in blocks))]
    code = sources(path, "code")
    if is_translated(path):
        page, code = ([*map(remove_text, cells)] for cells in (page, code))
    assert code == page


@each_notebook
def test_stored_outputs_have_no_errors_or_local_paths(path: Path) -> None:
    outputs = [
        output for cell in read_cells(path, "code") for output in cell["outputs"]
    ]
    assert {output["output_type"] for output in outputs} <= {"stream", "execute_result"}
    assert not re.search(r"(?<![\w.])/(tmp|home|root|work|Users)/", json.dumps(outputs))


@pytest.mark.parametrize(
    "path", [*filter(is_translated, NOTEBOOKS)], ids=lambda path: path.name
)
def test_each_english_text_is_translated(path: Path) -> None:
    texts = sources(path, "markdown")
    english = sources(path.with_name(f"{path.name.split('.')[0]}.ipynb"), "markdown")
    assert len(texts) == len(english)
    assert not set(texts) & set(english)
