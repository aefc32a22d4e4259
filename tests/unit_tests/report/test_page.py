"""The page holds counts, and nothing that anybody wrote."""

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
from tests.unit_tests.builders.talks import PEOPLE, TITLES, talks, texts_of


@pytest.fixture(scope="module")
def loader() -> ExportLoader:
    return talks(length=60)


@pytest.fixture(scope="module")
def page(loader: ExportLoader) -> str:
    return render_report(build_report(loader))


@pytest.fixture(scope="module")
def anonymous(loader: ExportLoader) -> ExportReport:
    return build_report(loader, anonymous=True)


def test_no_word_of_a_message_is_in_page_or_figures(
    loader: ExportLoader, page: str
) -> None:
    words = {w for text in texts_of(loader) for w in re.findall(r"w\d+x\d+\w+", text)}
    assert len(words) > 500
    shown = html_module.unescape(page) + build_report(loader).model_dump_json()
    assert not words & set(re.findall(r"\w+", shown))
    for private in ("pond.example", "555 010", "ask Ottoline", "again"):
        assert any(private in text for text in texts_of(loader))
        assert private not in shown


def test_no_title_or_id_of_a_thread_is_in_the_page(page: str) -> None:
    for title in TITLES:
        for word in title.split():
            assert word not in page
    assert "thread-" not in page


def test_names_are_in_the_page_unless_it_is_anonymous(
    page: str, anonymous: ExportReport
) -> None:
    hidden = render_report(anonymous) + anonymous.model_dump_json()
    for name in PEOPLE:
        assert name in html_module.unescape(page)
        for word in name.split():
            assert word.casefold() not in hidden.casefold()
    assert "fenwick" in page
    assert "fenwick" not in hidden


def test_an_app_without_a_name_of_ours_is_named_by_its_loader(page: str) -> None:
    assert "<td>races</td>" in page


def test_the_page_loads_nothing(page: str) -> None:
    assert not re.search(r"<script|<link|<img|<iframe|@import|//|\son\w+=", page)


def test_a_name_is_no_markup() -> None:
    name = "<script>alert('x')</script> \x00 & Co"
    loader = ExportLoader([talk(f"{name}: hello", "Tortoise: hi")], owner="Tortoise")
    page = render_report(build_report(loader))
    assert "<script" not in page
    assert "\x00" not in page


def test_every_chart_has_its_figures_as_text(page: str, loader: ExportLoader) -> None:
    report = build_report(loader)
    for person in report.people:
        assert f'<td class="number">{person.messages:,}</td>' in page
    assert page.count("<svg") == page.count("<summary>Figures</summary>") == 5


def test_one_message_has_a_page() -> None:
    page = render_report(build_report(ExportLoader([talk("Hare: once")])))
    assert "1 message by 1 person" in page
    assert "Name a person with --ai" in page
    assert "no pauses between known times" in page


@pytest.mark.parametrize("sessions", [[], [{"messages": []}]])
def test_an_empty_export_has_a_page_that_says_so(sessions: list[ChatSession]) -> None:
    page = render_report(build_report(ExportLoader(sessions)))
    assert "There are no messages." in page
    assert "No examples: there are no messages." in page
    assert "not known to not known" not in page


def test_figures_are_json_that_reads_back(anonymous: ExportReport) -> None:
    text = anonymous.model_dump_json()
    assert type(anonymous).model_validate_json(text) == anonymous
    assert json.loads(text)["anonymous"] is True


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permission bits")
def test_the_file_is_its_owners_only(anonymous: ExportReport, tmp_path: Path) -> None:
    write_report(anonymous, tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_mode & 0o777 == 0o600
