"""A loader of a format that no page speaks of, written after docs/writing_a_loader.md.

A chat room's log: one file for each room, newest line first, times in milliseconds, all
in one zip. Only what the page names is used.
"""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from langchain_chatexports import MapAIMessages, MergeChatRuns, to_training_examples
from langchain_chatexports.chat_loaders.base import ChatExportLoader
from langchain_chatexports.chat_loaders.files import ExportFile, ExportFiles
from langchain_chatexports.chat_loaders.messages import Conversation, Message
from langchain_chatexports.standard_tests import (
    ChatLoaderIntegrationTests,
    ChatLoaderUnitTests,
)


def parse_post(line: bytes) -> Message:
    try:
        row = json.loads(line)
        return Message(int(row["ms"]) * 1000, str(row["nick"]), str(row["text"]))
    except (ValueError, TypeError, KeyError):
        return Message(None, "", "", kind="unreadable")


class RoomLogLoader(ChatExportLoader):
    """Load rooms from a zip with a file for each room."""

    platform = "rooms"
    suffixes = (".log",)

    def conversations(self, files: ExportFiles) -> Iterator[Conversation]:
        for file in files:
            yield Conversation(file.name, posts(file), title=file.name)


def posts(file: ExportFile) -> Iterator[Message]:
    with file.open() as lines:
        newest_first = [parse_post(line) for line in lines]
    yield from reversed(newest_first)


def write_rooms(folder: Path, rooms: int, posts: int = 8) -> Path:
    folder.mkdir(parents=True)
    path = folder / "rooms.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for room in range(rooms):
            rows = [
                {
                    "ms": 1_700_000_000_000 + 1000 * number,
                    "nick": ("Tortoise", "Hare")[number % 2],
                    "text": f"Post {number} in the room of the race {room}.",
                }
                for number in range(posts)
            ]
            lines = "".join(f"{json.dumps(row)}\n" for row in reversed(rows))
            archive.writestr(f"room-{room:03}.log", lines)
    return path


class TestRoomLogLoader(ChatLoaderUnitTests):
    @property
    def chat_loader_class(self) -> type[RoomLogLoader]:
        return RoomLogLoader

    @property
    def time_key(self) -> str:
        return "message_time"

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        return write_rooms(tmp_path / "export", 3)

    @pytest.fixture
    def many_sessions_source(self, tmp_path: Path) -> Path:
        return write_rooms(tmp_path / "many" / "export", 120, posts=60)


class TestRoomLogLoaderAtScale(ChatLoaderIntegrationTests):
    @property
    def chat_loader_class(self) -> type[RoomLogLoader]:
        return RoomLogLoader

    @property
    def expected_messages(self) -> int:
        return 4_000

    @property
    def min_messages_per_second(self) -> float:
        return 1000.0

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        return write_rooms(tmp_path / "export", 40, posts=100)


def test_rooms_become_examples_of_their_owner(tmp_path: Path) -> None:
    loader = RoomLogLoader(write_rooms(tmp_path / "export", 3), owner="Hare")
    examples = list(to_training_examples(loader | MergeChatRuns() | MapAIMessages()))
    assert [example["messages"][-1]["role"] for example in examples] == [
        "assistant"
    ] * 3
