"""langchain-community's loaders under the suite; failures are marked with the reason.

The table in docs/standard_tests.md is generated from these marks. After a change:
`python -m tests.integration_tests.standard_tests.test_community`.
"""

import gc
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports.standard_tests import ChatLoaderUnitTests
from tests.integration_tests import community
from tests.integration_tests.standard_tests import exports

# Python 3.13 warns about the connections that the iMessage loader leaves open.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def fails(reason: str) -> pytest.MarkDecorator:
    """Expect a failure; strict, so that a fix in langchain-community is noticed."""
    return pytest.mark.xfail(strict=True, reason=reason)


class TestIMessage(ChatLoaderUnitTests):
    chat_loader_class: Any = community.IMessageChatLoader
    time_key = "message_time"

    @pytest.fixture(autouse=True)
    def _collect_connections(self) -> Iterator[None]:
        yield
        gc.collect()

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        return exports.write_imessage(tmp_path / "export", 3, 6)

    @fails("`loads` refuses the datetime in message_time_as_datetime")
    def test_sessions_survive_serialization(self, loader: Any) -> None:
        super().test_sessions_survive_serialization(loader)

    @fails("times are local, and wrong by an hour in summer")
    def test_sessions_do_not_depend_on_the_time_zone(
        self, loader: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        super().test_sessions_do_not_depend_on_the_time_zone(loader, monkeypatch)

    @pytest.mark.parametrize("read", ["partial", "failed"])
    @fails("the connection stays open until it is garbage collected")
    def test_source_is_closed(self, source: Any, read: str) -> None:
        super().test_source_is_closed(source, read)


class TestFolderFacebookMessenger(ChatLoaderUnitTests):
    chat_loader_class: Any = community.FolderFacebookMessengerChatLoader

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        return exports.write_messenger(tmp_path / "export", 3, 6)


class TestSingleFileFacebookMessenger(ChatLoaderUnitTests):
    chat_loader_class: Any = community.SingleFileFacebookMessengerChatLoader

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        folder = exports.write_messenger(tmp_path / "export", 1, 6)
        return folder / "inbox" / "race_000" / "message_1.json"


class TestWhatsApp(ChatLoaderUnitTests):
    chat_loader_class: Any = community.WhatsAppChatLoader

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        return exports.write_whatsapp(tmp_path / "export", 6)

    @fails("`role` is not a field of messages, and is lost")
    def test_sessions_survive_serialization(self, loader: Any) -> None:
        super().test_sessions_survive_serialization(loader)


class TestTelegram(ChatLoaderUnitTests):
    chat_loader_class: Any = community.TelegramChatLoader

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        return exports.write_telegram(tmp_path / "export", 3, 6)

    @fails("a missing path is not an error")
    def test_missing_source_raises_error_with_path(self, tmp_path: Path) -> None:
        super().test_missing_source_raises_error_with_path(tmp_path)


class TestSlack(ChatLoaderUnitTests):
    chat_loader_class: Any = community.SlackChatLoader

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        return exports.write_slack(tmp_path / "export", 3, 6)

    @fails("`role` is not a field of messages, and is lost")
    def test_sessions_survive_serialization(self, loader: Any) -> None:
        super().test_sessions_survive_serialization(loader)


PAGE = Path(__file__).resolve().parents[3] / "docs" / "standard_tests.md"
TABLE = re.compile(r"(<!-- community: .*? -->\n\n)(?:\|.*\n)*")


def table() -> str:
    """Generate the table of failures from the marks."""
    rows = ["| Loader | Check that fails | Why |", "|---|---|---|"]
    for suite in ChatLoaderUnitTests.__subclasses__():
        if suite.__module__ != __name__:
            continue
        name = f"`{suite().chat_loader_class.__name__}`"
        failures = [
            f"| {name} | `{check}` | {mark.kwargs['reason']} |"
            for check, test in vars(suite).items()
            for mark in getattr(test, "pytestmark", ())
            if mark.name == "xfail"
        ]
        rows += failures or [f"| {name} | none | |"]
    return "\n".join(rows) + "\n"


def test_page_shows_table_of_failures() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert TABLE.sub(lambda found: found[1] + table(), text) == text
    assert table() in text


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(TABLE.sub(lambda found: found[1] + table(), text), encoding="utf-8")
