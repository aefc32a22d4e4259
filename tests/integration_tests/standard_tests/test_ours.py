"""Our loaders under the suite for large exports."""

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
    @property
    def expected_sessions(self) -> Any:
        return CHATS

    @property
    def expected_messages(self) -> Any:
        return CHATS * COUNT


class TestIMessageAtScale(AtScale):
    @property
    def chat_loader_class(self) -> Any:
        return IMessageChatLoader

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        return exports.write_imessage(tmp_path / "export", CHATS, COUNT)


class TestMessengerFolderAtScale(AtScale):
    @property
    def chat_loader_class(self) -> Any:
        return FolderFacebookMessengerChatLoader

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        return exports.write_messenger(tmp_path / "export", CHATS, COUNT)


class TestMessengerZipAtScale(TestMessengerFolderAtScale):
    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        folder = exports.write_messenger(tmp_path / "export", CHATS, COUNT)
        return tmp_path / shutil.make_archive(str(tmp_path / "zip"), "zip", folder)


class TestTableAtScale(AtScale):
    @property
    def chat_loader_class(self) -> Any:
        return TableChatLoader

    @property
    def chat_loader_params(self) -> Any:
        names = ("conversation", "time", "sender", "text")
        return {"columns": {name: name for name in names}}

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        path = tmp_path / "desk.jsonl"
        with path.open("w", encoding="utf-8") as file:
            for chat in range(CHATS):
                for sender, text, at in exports.lines(chat, COUNT):
                    row = {"sender": sender, "text": text, "time": at}
                    file.write(json.dumps({"conversation": str(chat), **row}) + "\n")
        return path
