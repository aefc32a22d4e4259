"""The tutorials' notebooks: one code in all languages, outputs that a run stored."""

from __future__ import annotations

import json
import re
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


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name_of)
def test_code_is_the_pages(path: Path) -> None:
    """If not: `python scripts/sync_notebooks.py --run`."""
    (set_up,) = read_page("tutorials.md", kinds=("python no-run",))
    blocks = read_blocks(SECTIONS[path.name.partition(".")[0]])
    codes = [set_up.code, *(block.code for block in blocks)]
    assert sources(path, "code") == [code.rstrip("\n") for code in codes]


@pytest.mark.parametrize("path", ENGLISH, ids=name_of)
def test_stored_outputs_are_what_the_page_states(path: Path) -> None:
    blocks = read_blocks(SECTIONS[path.stem])
    for cell, block in zip(cells_of(path, "code")[1:], blocks, strict=True):
        assert cell["execution_count"]
        if block.output is not None:
            shown = " ".join(_shown(output) for output in cell["outputs"])
            assert _squeezed(shown) == _squeezed(block.output)
    (last,) = cells_of(path, "code")[-1]["outputs"]
    assert "".join(last["text"]).strip()


@pytest.mark.parametrize("path", ENGLISH, ids=name_of)
def test_stored_outputs_hold_no_error_and_no_place_on_a_machine(path: Path) -> None:
    outputs = [output for cell in cells_of(path, "code") for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} <= {"stream", "execute_result"}
    assert not re.search(r"(?<![\w.])/(tmp|home|root|work|Users)/", json.dumps(outputs))


@pytest.mark.parametrize("path", TRANSLATED, ids=name_of)
def test_translations_have_a_text_for_each_english_one_and_no_outputs(
    path: Path,
) -> None:
    tutorial, language, _ = path.name.split(".")
    english = path.with_name(f"{tutorial}.ipynb")
    texts = sources(path, "markdown")
    assert len(texts) == len(sources(english, "markdown"))
    assert not set(texts) & set(sources(english, "markdown"))
    assert re.search(WRITTEN_IN[language], "".join(texts))
    assert not any(cell["outputs"] for cell in cells_of(path, "code"))


def _shown(output: dict[str, Any]) -> str:
    return "".join(output.get("text") or output["data"]["text/plain"])


def _squeezed(text: str) -> str:
    # IPython breaks long lists into lines.
    return re.sub(r"\s+", "", text)
