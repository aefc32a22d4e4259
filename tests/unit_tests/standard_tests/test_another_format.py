"""A loader of a format that no page speaks of, written after docs/writing_a_loader.md.

A chat room's log: one file for all rooms, newest line first, times in milliseconds, all
in one zip. Only what the page names is used.
"""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from langchain_chatexports import MapAIMessages, MergeChatRuns, to_training_examples
from langchain_chatexports.chat_loaders.base import (
    ChatExportLoader,
    export_message,
    message_time,
)
from langchain_chatexports.exceptions import ExportFormatError, ExportNotFoundError
from langchain_chatexports.standard_tests import (
    ChatLoaderIntegrationTests,
    ChatLoaderUnitTests,
)

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from langchain_chatexports.chat_loaders.base import ExportSession


class Post(NamedTuple):
    microseconds: int
    sender: str
    text: str


def parse_post(line: bytes) -> Post | None:
    try:
        row = json.loads(line)
        return Post(int(row["ms"]) * 1000, str(row["nick"]), str(row["text"]))
    except (ValueError, TypeError, KeyError):
        return None


class RoomLogLoader(ChatExportLoader):
    """Load rooms from a zip with a file a room."""

    platform = "rooms"

    def read_sessions(self, tally: Tally) -> Generator[ExportSession, None, None]:
        if not self.path.is_file():
            msg = f"{self.path} is not there. Give the zip that the server sent."
            raise ExportNotFoundError(msg)
        if self.owner:
            tally.owner, tally.owner_found_by = self.owner, "option"
        try:
            with zipfile.ZipFile(self.path) as archive:
                for name in sorted(archive.namelist()):
                    with archive.open(name) as lines:
                        posts = [self._read(line, tally) for line in lines]
                    session = self._session(name, [p for p in posts if p], tally)
                    if session["messages"]:
                        yield session
        except zipfile.BadZipFile:
            msg = f"{self.path} is no whole zip. Download it again."
            raise ExportFormatError(msg) from None

    def _read(self, line: bytes, tally: Tally) -> Post | None:
        tally.found += 1
        post = parse_post(line)
        if post is None:
            tally.skip("unreadable")
        elif not post.text.strip():
            tally.skip("empty")
            return None
        return post

    def _session(self, name: str, posts: list[Post], tally: Tally) -> ExportSession:
        people = sorted({post.sender for post in posts})
        if not self.keeps_conversation(name, name, people):
            tally.skip("excluded", len(posts))
            posts = []
        messages: list[Any] = []
        for post in reversed(posts):
            moment = message_time(post.microseconds)
            if not self.keeps_time(moment):
                tally.skip("excluded")
                continue
            own = post.sender == self.owner if self.owner else None
            messages.append(
                export_message(
                    post.text, sender=post.sender, moment=moment, is_from_me=own
                )
            )
        metadata: Any = {
            "id": name,
            "title": name,
            "platform": self.platform,
            "participants": people,
            "owner": self.owner,
            "is_group": len(people) > 2,
        }
        return {"messages": messages, "metadata": metadata}


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
            archive.writestr(f"room-{room:03}", lines)
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
