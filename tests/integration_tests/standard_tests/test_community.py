"""langchain-community's loaders under the suite; what they fail is marked, with why.

The table in docs/standard_tests.md is made of the marks here. After a change:
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

# Python 3.13 warns when it finds the connections that the iMessage loader left open.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def fails(reason: str) -> pytest.MarkDecorator:
    """Expect a failure; a repair in langchain-community would be noticed."""
    return pytest.mark.xfail(strict=True, reason=reason)


class TestIMessage(ChatLoaderUnitTests):
    @pytest.fixture(autouse=True)
    def _connections_are_collected(self) -> Iterator[None]:
        yield
        gc.collect()

    @property
    def chat_loader_class(self) -> Any:
        return community.IMessageChatLoader

    @property
    def time_key(self) -> Any:
        return "message_time"

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        return exports.write_imessage(tmp_path / "export", 3, 6)

    @fails("message_time_as_datetime is a datetime, which `loads` refuses")
    def test_sessions_survive_serialization(self, loader: Any) -> None:
        super().test_sessions_survive_serialization(loader)

    @fails("times are local, and an hour off in summer")
    def test_sessions_do_not_depend_on_the_time_zone(
        self, loader: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        super().test_sessions_do_not_depend_on_the_time_zone(loader, monkeypatch)

    @pytest.mark.parametrize("read", ["partial", "failed"])
    @fails("the connection stays open until the garbage collector finds it")
    def test_source_is_closed(self, source: Any, read: str) -> None:
        super().test_source_is_closed(source, read)


class TestFolderFacebookMessenger(ChatLoaderUnitTests):
    @property
    def chat_loader_class(self) -> Any:
        return community.FolderFacebookMessengerChatLoader

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        return exports.write_messenger(tmp_path / "export", 3, 6)


class TestSingleFileFacebookMessenger(ChatLoaderUnitTests):
    @property
    def chat_loader_class(self) -> Any:
        return community.SingleFileFacebookMessengerChatLoader

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        folder = exports.write_messenger(tmp_path / "export", 1, 6)
        return folder / "inbox" / "race_000" / "message_1.json"


class TestWhatsApp(ChatLoaderUnitTests):
    @property
    def chat_loader_class(self) -> Any:
        return community.WhatsAppChatLoader

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        return exports.write_whatsapp(tmp_path / "export", 6)

    @fails("`role` is no field of a message, and does not come back")
    def test_sessions_survive_serialization(self, loader: Any) -> None:
        super().test_sessions_survive_serialization(loader)


class TestTelegram(ChatLoaderUnitTests):
    @property
    def chat_loader_class(self) -> Any:
        return community.TelegramChatLoader

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        return exports.write_telegram(tmp_path / "export", 3, 6)

    @fails("a path that is not there gives no sessions and no error")
    def test_missing_source_is_an_error_that_names_it(self, tmp_path: Path) -> None:
        super().test_missing_source_is_an_error_that_names_it(tmp_path)


class TestSlack(ChatLoaderUnitTests):
    @property
    def chat_loader_class(self) -> Any:
        return community.SlackChatLoader

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        return exports.write_slack(tmp_path / "export", 3, 6)

    @fails("`role` is no field of a message, and does not come back")
    def test_sessions_survive_serialization(self, loader: Any) -> None:
        super().test_sessions_survive_serialization(loader)


PAGE = Path(__file__).resolve().parents[3] / "docs" / "standard_tests.md"
TABLE = re.compile(r"(<!-- community: .*? -->\n\n)(?:\|.*\n)*")


def table() -> str:
    """List the failures that the marks of this module expect."""
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


def test_page_shows_the_table_of_these_failures() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert TABLE.sub(lambda found: found[1] + table(), text) == text
    assert table() in text


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(TABLE.sub(lambda found: found[1] + table(), text), encoding="utf-8")
