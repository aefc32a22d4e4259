"""The promises that every chat loader makes."""

from pathlib import Path

import pytest
from langchain_core.chat_loaders import BaseChatLoader

from langchain_chatexports import IMessageChatLoader
from langchain_chatexports.standard_tests import ChatLoaderUnitTests
from tests.unit_tests.builders.chat_db import ChatDb
from tests.unit_tests.builders.typedstream import attributed_body


class TestIMessageChatLoader(ChatLoaderUnitTests):
    @property
    def chat_loader_class(self) -> type[BaseChatLoader]:
        return IMessageChatLoader

    @property
    def time_key(self) -> str:
        return "message_time"

    @property
    def expected(self) -> list[tuple[str, str]]:
        return [
            ("tortoise@pond.example", "Slow and steady."),
            ("Me", "We start at the mill."),
            ("Me", "Are you asleep under that oak again?"),
            ("+15550000001", "Resting. Champions rest."),
        ]

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        path = tmp_path / "export" / "chat.db"
        path.parent.mkdir()
        with ChatDb(path) as db:
            hare = db.chat("+15550000001")
            hare.message("Are you asleep under that oak again?", mine=True)
            hare.message(body=attributed_body("Resting. Champions rest."))
            race = db.chat("+15550000001", "tortoise@pond.example", name="The race")
            race.message("Slow and steady.", sender="tortoise@pond.example")
            race.message("We start at the mill.", mine=True)
            race.message("Loved it", associated_message_type=2000)
        return path

    @pytest.fixture
    def many_sessions_source(self, tmp_path: Path) -> Path:
        path = tmp_path / "many" / "chat.db"
        path.parent.mkdir()
        with ChatDb(path) as db:
            for number in range(120):
                chat = db.chat(f"walker{number}@pond.example")
                for line in range(30):
                    chat.message(f"Line {line} of the long walk {number}. " * 3)
        return path


class TestIMessageChatLoaderWithLog(TestIMessageChatLoader):
    """The same with everything still in the write-ahead log."""

    @property
    def expected(self) -> list[tuple[str, str]]:
        return [
            ("tortoise@pond.example", "Slow and steady."),
            ("Me", "Are you asleep under that oak again?"),
            ("+15550000001", "Resting. Champions rest."),
        ]

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        path = tmp_path / "export" / "chat.db"
        path.parent.mkdir()
        live = tmp_path / "live"
        live.mkdir()
        with ChatDb(live / "chat.db", wal=True) as db:
            chat = db.chat("+15550000001")
            chat.message("Are you asleep under that oak again?", mine=True)
            chat.message("Resting. Champions rest.")
            db.chat("tortoise@pond.example").message("Slow and steady.")
            for file in live.iterdir():
                (path.parent / file.name).write_bytes(file.read_bytes())
        return path
