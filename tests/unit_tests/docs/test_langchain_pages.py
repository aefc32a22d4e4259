"""The pages for LangChain's documentation: up to date, in its form, and they run.

Those on loaders are made by `python scripts/langchain_pages.py`.
"""

from __future__ import annotations

import importlib.util
import re
from typing import TYPE_CHECKING, Any

import pytest
from langchain import agents
from langchain.agents import create_agent
from langchain_core.messages import AIMessage

from tests.unit_tests.builders.agents import ScriptedModel, calls
from tests.unit_tests.builders.pages import (
    AT_OPENAI,
    DOCS,
    TRAINED,
    WITH_AGENT,
    read_page,
)

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = DOCS / "langchain"
PAGES = sorted(path.stem for path in FOLDER.glob("*.mdx"))
# The usual sections of LangChain's pages on loaders, in their order.
SECTIONS = [
    *("## Overview", "### Integration details", "### Loader features", "## Setup"),
    *("### Credentials", "### Get your export", "### Installation"),
    *("## Instantiation", "## Load", "## Lazy load", "## Prepare for fine-tuning"),
    "## API reference",
]
FRONT_MATTER = re.compile(r'---\ntitle: "[^"\n]+"\ndescription: "[^"\n]+"\n---\n\n\w')
FENCED = re.compile(r"^```.*\n(?:.*\n)*?^```$|`[^`\n]+`", re.MULTILINE)
# What MDX takes for JSX or JavaScript outside of code, but for two of Mintlify's.
NOT_TEXT = re.compile(r"<(?!/?(?:CodeGroup|Note|Warning)>)|[{}]|<!--")
LINK = re.compile(r"\]\(([^)]*)\)")


def load_script() -> Any:
    path = DOCS.parent / "scripts" / "langchain_pages.py"
    spec = importlib.util.spec_from_file_location("langchain_pages", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SCRIPT = load_script()
MADE = {page.target: page for page in SCRIPT.PAGES}


def text_of(page: str) -> str:
    return (FOLDER / f"{page}.mdx").read_text(encoding="utf-8")


def test_two_pages_are_made_and_two_are_written() -> None:
    guides = {"ask_your_chats", "fine_tune_on_your_chats"}
    assert {*PAGES} == {*MADE} | guides == {"facebook", "imessage"} | guides


@pytest.mark.parametrize("page", sorted(MADE))
def test_pages_on_loaders_are_up_to_date(page: str) -> None:
    """If not: `python scripts/langchain_pages.py`."""
    assert text_of(page) == MADE[page].text()


@pytest.mark.parametrize("page", sorted(MADE))
def test_pages_on_loaders_have_the_usual_sections(page: str) -> None:
    headings = re.findall(r"^#.*$", FENCED.sub("", text_of(page)), re.MULTILINE)
    assert headings == SECTIONS


@pytest.mark.parametrize("page", PAGES)
def test_pages_have_front_matter_and_are_valid_mdx(page: str) -> None:
    text = text_of(page)
    assert FRONT_MATTER.match(text)
    assert not NOT_TEXT.findall(FENCED.sub("", text))


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere_from_langchains_site(page: str) -> None:
    site = SCRIPT.SITE
    guides = {f"{SCRIPT.GUIDES}/{name}" for name in PAGES}
    for link in LINK.findall(FENCED.sub("", text_of(page))):
        assert link.startswith(("https://", "/langsmith/", "/oss/"))
        if link.startswith(SCRIPT.GUIDES):
            assert link in guides
        elif link.startswith(site):
            page_of_ours = link.removeprefix(site).split("#")[0].strip("/")
            assert (DOCS / f"{page_of_ours or 'index'}.md").is_file(), link


@pytest.mark.parametrize("page", PAGES)
def test_nothing_is_of_langchain_community(page: str) -> None:
    assert "langchain_community" not in text_of(page)


@pytest.mark.parametrize("page", PAGES)
def test_blocks_print_what_the_page_says(
    page: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Those with a title train a model, or need an export: see below."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    blocks = read_page(f"langchain/{page}.mdx", output="text")
    assert len(blocks) >= 2
    for block in blocks:
        exec(compile(block.code, page, "exec"), names)  # noqa: S102 - our own page
        assert capsys.readouterr().out == (block.output or "")


@pytest.mark.parametrize("page", sorted(MADE))
def test_blocks_for_ones_own_export_are_those_of_our_page(page: str) -> None:
    """`test_pages.py` runs these."""
    own = f"python {SCRIPT.OWN_EXPORT}"
    marks = set(re.findall(r"^```(python.*)$", text_of(page), re.MULTILINE))
    assert marks <= {"python", own}
    ours = read_page(f"{MADE[page].source}.md", kinds=("python no-run",))
    assert read_page(f"langchain/{page}.mdx", kinds=(own,)) == ours


def test_agent_of_the_guide_calls_the_tool_and_answers(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """All but the provider's model, in whose place a script stands."""
    page = "langchain/ask_your_chats.mdx"
    monkeypatch.chdir(tmp_path)

    def quote(messages: list[Any]) -> AIMessage:
        return AIMessage(f"Found: {messages[-1].text.splitlines()[2]}")

    def scripted(model: str, **options: Any) -> Any:
        assert model.startswith("openai:")
        script = [calls("search_chats", query="motto", person="Tortoise"), quote]
        return create_agent(ScriptedModel(script=script), **options)

    monkeypatch.setattr(agents, "create_agent", scripted)
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in read_page(page, kinds=("python", WITH_AGENT)):
        exec(compile(block.code, page, "exec"), names)  # noqa: S102 - our own page
    assert re.search(r"Found: \[.+\] 2023-08-28.+, Tortoise", capsys.readouterr().out)


def test_titled_blocks_are_those_that_other_tests_run() -> None:
    marks = {
        mark
        for page in set(PAGES) - set(MADE)
        for mark in re.findall(r"^```(python .*)$", text_of(page), re.MULTILINE)
    }
    assert marks == {*TRAINED, AT_OPENAI, WITH_AGENT}
