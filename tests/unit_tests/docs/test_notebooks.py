"""The tutorials' notebooks: one code in all languages, outputs that a run stored."""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration_tests.tutorials.page import read_blocks
from tests.unit_tests.builders.pages import DOCS, read_page

if TYPE_CHECKING:
    from pathlib import Path


NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))
ENGLISH = [path for path in NOTEBOOKS if path.name.count(".") == 1]
TRANSLATED = [path for path in NOTEBOOKS if path not in ENGLISH]
SECTIONS = {"imessage": "iMessage", "facebook_messenger": "Facebook Messenger"}
WRITTEN_IN = {
    "es": "[áéíóúñ¿]",
    "hi": "[\u0900-\u097f]",
    "ko": "[\uac00-\ud7a3]",
    "zh": "[\u4e00-\u9fff]",
}


def cells_of(path: Path, kind: str) -> list[dict[str, Any]]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == kind]


def sources(path: Path, kind: str) -> list[str]:
    return ["".join(cell["source"]) for cell in cells_of(path, kind)]


def name_of(path: Path) -> str:
    return path.name


def test_languages_are_those_of_the_tutorials() -> None:
    assert [path.name.removesuffix(".ipynb") for path in NOTEBOOKS] == [
        "facebook_messenger.es",
        "facebook_messenger",
        "facebook_messenger.zh",
        "imessage.es",
        "imessage.hi",
        "imessage",
        "imessage.ko",
    ]


def code_of_the_page(path: Path) -> list[str]:
    (set_up,) = read_page("tutorials.md", kinds=("python no-run",))
    blocks = read_blocks(SECTIONS[path.name.partition(".")[0]])
    return [code.rstrip("\n") for code in (set_up.code, *(b.code for b in blocks))]


@pytest.mark.parametrize("path", ENGLISH, ids=name_of)
def test_code_is_the_pages(path: Path) -> None:
    """If not: `python scripts/sync_notebooks.py --run`."""
    assert sources(path, "code") == code_of_the_page(path)


@pytest.mark.parametrize("path", TRANSLATED, ids=name_of)
def test_code_is_the_pages_but_for_comments_and_prints(path: Path) -> None:
    """If not: `python scripts/sync_notebooks.py --run`."""
    pages = list(map(without_words, code_of_the_page(path)))
    assert list(map(without_words, sources(path, "code"))) == pages


@pytest.mark.parametrize("path", TRANSLATED, ids=name_of)
def test_comments_and_prints_are_in_the_notebooks_language(path: Path) -> None:
    language = path.name.split(".")[1]
    english = [words for code in code_of_the_page(path) for words in words_in(code)]
    translated = [w for code in sources(path, "code") for w in words_in(code)]
    assert len(translated) == len(english) > 5
    assert not set(english) & set(translated)
    if language != "es":  # Which needs no accent in a short line.
        assert all(re.search(WRITTEN_IN[language], words) for words in translated)


class _Prints(ast.NodeTransformer):
    """Take the texts out of calls of `print`, which show words or nothing."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def visit_Call(self, node: ast.Call) -> ast.Call:
        if isinstance(node.func, ast.Name) and node.func.id == "print":
            for text in node.args:
                if isinstance(text, ast.JoinedStr):
                    self._take(text)
        return node

    def _take(self, text: ast.JoinedStr) -> None:
        words = [each for each in text.values if isinstance(each, ast.Constant)]
        self.words.append("".join(str(each.value) for each in words))
        text.values = [each for each in text.values if each not in words]


def without_words(code: str) -> str:
    return ast.dump(_Prints().visit(ast.parse(code)))


def words_in(code: str) -> list[str]:
    prints = _Prints()
    prints.visit(ast.parse(code))
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    return prints.words + comments


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name_of)
def test_stored_outputs_are_what_the_page_states(path: Path) -> None:
    blocks = read_blocks(SECTIONS[path.name.partition(".")[0]])
    for cell, block in zip(cells_of(path, "code")[1:], blocks, strict=True):
        assert cell["execution_count"]
        if block.output is None:
            continue
        shown = " ".join(_shown(output) for output in cell["outputs"])
        if path in TRANSLATED and 'print(f"' in block.code:
            # What it counts and names is the same, in other words.
            figures = re.findall(r"\d+|\w+[.]db|hogwarts", block.output)
            assert re.findall(r"\d+|\w+[.]db|hogwarts", shown, re.ASCII) == figures
            assert _squeezed(shown) != _squeezed(block.output)
        else:
            assert _squeezed(shown) == _squeezed(block.output)
    (last,) = cells_of(path, "code")[-1]["outputs"]
    assert "".join(last["text"]).strip()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name_of)
def test_stored_outputs_hold_no_error_and_no_place_on_a_machine(path: Path) -> None:
    outputs = [output for cell in cells_of(path, "code") for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} <= {"stream", "execute_result"}
    assert not re.search(r"(?<![\w.])/(tmp|home|root|work|Users)/", json.dumps(outputs))


@pytest.mark.parametrize("path", TRANSLATED, ids=name_of)
def test_translations_have_a_text_for_each_english_one(path: Path) -> None:
    tutorial, language, _ = path.name.split(".")
    english = path.with_name(f"{tutorial}.ipynb")
    texts = sources(path, "markdown")
    assert len(texts) == len(sources(english, "markdown"))
    assert not set(texts) & set(sources(english, "markdown"))
    assert re.search(WRITTEN_IN[language], "".join(texts))


@pytest.mark.parametrize("path", TRANSLATED, ids=name_of)
def test_people_are_called_what_their_language_calls_them(path: Path) -> None:
    """Nobody is the master of an export; who sends a message writes no letter."""
    texts = "".join(sources(path, "markdown"))
    assert not re.search(
        "\u4e3b\u4eba|\u5199\u4fe1|due\u00f1|\uae00\uc4f4\uc774", texts
    )


def _shown(output: dict[str, Any]) -> str:
    return "".join(output.get("text") or output["data"]["text/plain"])


def _squeezed(text: str) -> str:
    # IPython breaks long lists into lines.
    return re.sub(r"\s+", "", text)
