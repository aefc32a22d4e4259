"""The page of a report has counts and no message text."""

import html as html_module
import json
import os
import re
from pathlib import Path

import pytest
from langchain_core.chat_sessions import ChatSession

from langchain_chatexports.report import (
    ExportReport,
    build_report,
    render_report,
    write_report,
)
from tests.unit_tests.builders.sessions import ExportLoader, talk
from tests.unit_tests.builders.talks import PEOPLE, TITLES, all_texts, talks


@pytest.fixture(scope="module")
def loader() -> ExportLoader:
    return talks(length=60)


@pytest.fixture(scope="module")
def page(loader: ExportLoader) -> str:
    return render_report(build_report(loader))


@pytest.fixture(scope="module")
def anonymous(loader: ExportLoader) -> ExportReport:
    return build_report(loader, anonymous=True)


def test_page_and_figures_have_no_message_text(loader: ExportLoader, page: str) -> None:
    words = {w for text in all_texts(loader) for w in re.findall(r"w\d+x\d+\w+", text)}
    assert len(words) > 500
    shown = html_module.unescape(page) + build_report(loader).model_dump_json()
    assert not words & set(re.findall(r"\w+", shown))
    for private in ("pond.example", "555 010", "ask Ottoline", "again"):
        assert any(private in text for text in all_texts(loader))
        assert private not in shown


def test_page_has_no_chat_titles_or_ids(page: str) -> None:
    for title in TITLES:
        for word in title.split():
            assert word not in page
    assert "thread-" not in page


def test_anonymous_page_has_no_names(page: str, anonymous: ExportReport) -> None:
    hidden = render_report(anonymous) + anonymous.model_dump_json()
    for name in PEOPLE:
        assert name in html_module.unescape(page)
        for word in name.split():
            assert word.casefold() not in hidden.casefold()
    assert "fenwick" in page
    assert "fenwick" not in hidden


def test_unknown_platform_is_named_by_loader(page: str) -> None:
    assert "<td>races</td>" in page


def test_page_loads_nothing(page: str) -> None:
    assert not re.search(r"<script|<link|<img|<iframe|@import|//|\son\w+=", page)


def test_names_are_escaped() -> None:
    name = "<script>alert('x')</script> \x00 & Co"
    loader = ExportLoader([talk(f"{name}: hello", "Tortoise: hi")], owner="Tortoise")
    page = render_report(build_report(loader))
    assert "<script" not in page
    assert "\x00" not in page


def test_charts_have_figures_as_text(page: str, loader: ExportLoader) -> None:
    report = build_report(loader)
    for person in report.people:
        assert f'<td class="number">{person.messages:,}</td>' in page
    assert page.count("<svg") == page.count("<summary>Figures</summary>") == 4


def test_page_can_show_one_message() -> None:
    page = render_report(build_report(ExportLoader([talk("Hare: once")])))
    assert "1 message by 1 person" in page
    assert "Choose a person with --ai" in page
    assert "Chats are not split into dialogues." in page


@pytest.mark.parametrize("sessions", [[], [{"messages": []}]])
def test_page_can_show_an_empty_export(sessions: list[ChatSession]) -> None:
    page = render_report(build_report(ExportLoader(sessions)))
    assert "No messages." in page
    assert "No examples: there are no messages." in page
    assert "unknown to unknown" not in page


def test_figures_round_trip_as_json(anonymous: ExportReport) -> None:
    text = anonymous.model_dump_json()
    assert type(anonymous).model_validate_json(text) == anonymous
    assert json.loads(text)["anonymous"] is True


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permission bits")
def test_file_is_readable_by_owner_only(
    anonymous: ExportReport, tmp_path: Path
) -> None:
    write_report(anonymous, tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_mode & 0o777 == 0o600
