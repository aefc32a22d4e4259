"""The loaders under the suite for large exports."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import (
    FolderFacebookMessengerChatLoader,
    IMessageChatLoader,
    TableChatLoader,
)
from langchain_chatexports.standard_tests import ChatLoaderIntegrationTests
from tests.integration_tests.standard_tests import exports

CHATS, COUNT = 200, 100


class AtScale(ChatLoaderIntegrationTests):
    expected_sessions = CHATS
    expected_messages = CHATS * COUNT


class TestIMessageAtScale(AtScale):
    chat_loader_class: Any = IMessageChatLoader

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        return exports.write_imessage(tmp_path / "export", CHATS, COUNT)


class TestMessengerFolderAtScale(AtScale):
    chat_loader_class: Any = FolderFacebookMessengerChatLoader

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        return exports.write_messenger(tmp_path / "export", CHATS, COUNT)


class TestMessengerZipAtScale(TestMessengerFolderAtScale):
    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        folder = exports.write_messenger(tmp_path / "export", CHATS, COUNT)
        return tmp_path / shutil.make_archive(str(tmp_path / "zip"), "zip", folder)


class TestTableAtScale(AtScale):
    chat_loader_class: Any = TableChatLoader

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        path = tmp_path / "desk.jsonl"
        with path.open("w", encoding="utf-8") as file:
            for chat in range(CHATS):
                for sender, text, at in exports.lines(chat, COUNT):
                    row = {"sender": sender, "text": text, "time": at}
                    file.write(json.dumps({"conversation": str(chat), **row}) + "\n")
        return path
