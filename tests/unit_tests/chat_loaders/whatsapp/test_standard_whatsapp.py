"""The promises that every chat loader makes, for exports of each kind."""

from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports.chat_loaders.whatsapp import WhatsAppChatLoader
from langchain_chatexports.standard_tests import ChatLoaderUnitTests
from tests.unit_tests.builders.whatsapp import WhatsAppChat


def android_chat(person: str, length: int = 12) -> WhatsAppChat:
    chat = WhatsAppChat.android()
    chat.system("Messages and calls are end-to-end encrypted.")
    for number in range(length):
        sender = (person, "Grace")[number % 2]
        chat.says(sender, f"Zeile {number} für {person} 😂\nand one more")
    return chat.says(person, "<Media omitted>")


def iphone_chat(person: str, length: int = 12) -> WhatsAppChat:
    chat = WhatsAppChat.ios().system("Messages and calls are encrypted.", person)
    for number in range(length):
        chat.says((person, "Grace")[number % 2], f"Línea {number} para {person} 😂")
    return chat.by_app(person, "image omitted")


class TestFolder(ChatLoaderUnitTests):
    @property
    def chat_loader_class(self) -> type[WhatsAppChatLoader]:
        return WhatsAppChatLoader

    @property
    def chat_loader_params(self) -> dict[str, Any]:
        return {"timezone": "Europe/Berlin"}

    @property
    def time_key(self) -> str:
        return "message_time"

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        folder = tmp_path / "export"
        for person in ("Ada Byron", "Alan Türing"):
            chat = android_chat(person)
            chat.to_file(folder / f"WhatsApp Chat with {person}.txt")
        return folder

    @pytest.fixture
    def many_sessions_source(self, tmp_path: Path) -> Path:
        folder = tmp_path / "many"
        for number in range(120):
            chat = android_chat(f"Walker {number}", 30)
            chat.to_file(folder / f"WhatsApp Chat with Walker {number}.txt")
        return folder


class TestZips(TestFolder):
    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        folder = tmp_path / "export"
        for person in ("Ada Byron", "Alan Türing"):
            iphone_chat(person).to_zip(folder / f"WhatsApp Chat - {person}.zip")
        return folder

    @pytest.fixture
    def many_sessions_source(self, source: Path) -> Path:
        return source  # Zips in a folder are opened at once.


class TestOneFile(TestFolder):
    @property
    def chat_loader_params(self) -> dict[str, Any]:
        return {"timezone": "UTC", "owner": "Grace"}

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        return iphone_chat("Ada Byron").to_file(tmp_path / "export" / "_chat.txt")

    @pytest.fixture
    def many_sessions_source(self, source: Path) -> Path:
        return source  # One file is one session.
