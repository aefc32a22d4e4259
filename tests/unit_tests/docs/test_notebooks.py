"""The tutorials' notebooks: one code in all languages, outputs that a run stored."""

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


def cells_of(path: Path, kind: str) -> list[dict[str, Any]]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == kind]


def sources(path: Path, kind: str) -> list[str]:
    return ["".join(cell["source"]) for cell in cells_of(path, kind)]


class _WithoutWords(ast.NodeTransformer):
    """Take the texts out of calls of `print`, which show words or nothing."""

    def visit_Call(self, node: ast.Call) -> ast.Call:
        if isinstance(node.func, ast.Name) and node.func.id == "print":
            for text in node.args:
                if isinstance(text, ast.JoinedStr):
                    kept = [v for v in text.values if not isinstance(v, ast.Constant)]
                    text.values = kept
        return node


def without_words(code: str) -> str:
    """Return a block without comments and printed words, which are translated."""
    return ast.dump(_WithoutWords().visit(ast.parse(code)))


@each_notebook
def test_code_is_the_pages_but_for_translated_words(path: Path) -> None:
    """If not: `python scripts/sync_notebooks.py --run`."""
    (set_up,) = read_page("tutorials.md", kinds=("python no-run",))
    blocks = read_blocks(SECTIONS[path.name.partition(".")[0]])
    page = [code.rstrip("\n") for code in (set_up.code, *(b.code for b in blocks))]
    code = sources(path, "code")
    if is_translated(path):
        page, code = ([*map(without_words, cells)] for cells in (page, code))
    assert code == page


@each_notebook
def test_stored_outputs_hold_no_error_and_no_place_on_a_machine(path: Path) -> None:
    outputs = [output for cell in cells_of(path, "code") for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} <= {"stream", "execute_result"}
    assert not re.search(r"(?<![\w.])/(tmp|home|root|work|Users)/", json.dumps(outputs))


@pytest.mark.parametrize(
    "path", [*filter(is_translated, NOTEBOOKS)], ids=lambda path: path.name
)
def test_translations_have_a_text_for_each_english_one(path: Path) -> None:
    texts = sources(path, "markdown")
    english = sources(path.with_name(f"{path.name.split('.')[0]}.ipynb"), "markdown")
    assert len(texts) == len(english)
    assert not set(texts) & set(english)
