"""The promises that every chat loader makes."""

from pathlib import Path

import pytest
from langchain_core.chat_loaders import BaseChatLoader

from langchain_chatexports import (
    FolderFacebookMessengerChatLoader,
    SingleFileFacebookMessengerChatLoader,
)
from langchain_chatexports.standard_tests import ChatLoaderUnitTests
from tests.unit_tests.builders.messenger import FACEBOOK, INSTAGRAM, Export

NOON = 1_700_000_000_000


def small_export(root: str = FACEBOOK) -> Export:
    export = Export(root)
    for place, person in enumerate(("Ada Byron", "Alan Türing")):
        chat = export.thread(f"person_{place}", [person, "Grace Hopper"])
        chat.per_file = 4
        for number in range(10):
            sender = (person, "Grace Hopper")[number % 2]
            text = f"Zeile {number} für {person} 😂"
            chat.says(sender, text, NOON + number * 1000)
        chat.says(person, f"{person} sent an attachment.", NOON + 20_000)
    spam = export.thread("spam", section="message_requests")
    spam.says("Eve", "You have won a prize", NOON)
    return export


def lines_with(person: str) -> list[tuple[str, str]]:
    senders = (person, "Grace Hopper")
    return [(senders[n % 2], f"Zeile {n} für {person} 😂") for n in range(10)]


def large_export() -> Export:
    export = Export()
    for place in range(120):
        chat = export.thread(f"walker_{place}", [f"Walker {place}", "Grace Hopper"])
        for number in range(30):
            text = f"Line {number} of the long walk {place}. " * 3
            chat.says(f"Walker {place}", text, NOON + number)
    return export


class TestFolder(ChatLoaderUnitTests):
    @property
    def chat_loader_class(self) -> type[BaseChatLoader]:
        return FolderFacebookMessengerChatLoader

    @property
    def time_key(self) -> str:
        return "message_time"

    @property
    def expected(self) -> list[tuple[str, str]]:
        return [*lines_with("Ada Byron"), *lines_with("Alan Türing")]

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        return small_export().to_folder(tmp_path / "export")

    @pytest.fixture
    def many_sessions_source(self, tmp_path: Path) -> Path:
        return large_export().to_folder(tmp_path / "many")


class TestZip(TestFolder):
    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        return small_export(INSTAGRAM).to_zip(tmp_path / "export" / "instagram-me.zip")

    @pytest.fixture
    def many_sessions_source(self, tmp_path: Path) -> Path:
        return large_export().to_zip(tmp_path / "many" / "facebook-me.zip")


class TestEncryptedChats(TestFolder):
    @property
    def expected(self) -> list[tuple[str, str]]:
        later = [("Ada Byron", f"Später {number} 😂") for number in range(5)]
        return [*lines_with("Ada Byron"), *later, *lines_with("Alan Türing")]

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        export = small_export()
        chat = export.encrypted(
            "messages/Ada Byron_1.json", ["Grace Hopper", "Ada Byron"]
        )
        for number in range(5):
            chat.says("Ada Byron", f"Später {number} 😂", NOON + 10**8 + number)
        return export.to_folder(tmp_path / "export")


class TestSingleFile(TestFolder):
    @property
    def chat_loader_class(self) -> type[BaseChatLoader]:
        return SingleFileFacebookMessengerChatLoader

    @property
    def expected(self) -> list[tuple[str, str]]:
        return lines_with("Ada Byron")[-3:]

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        folder = small_export().to_folder(tmp_path / "export")
        return folder / FACEBOOK / "inbox" / "person_0" / "message_1.json"

    @pytest.fixture
    def many_sessions_source(self, source: Path) -> Path:
        return source  # One file is one session.
