import hashlib
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import ExportFormatError, IMessageChatLoader
from langchain_chatexports.samples import write_imessage
from langchain_chatexports.samples.writing import read_scenes


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_imessage(tmp_path / "chat.db")


@pytest.fixture
def sessions(path: Path) -> list[Any]:
    return IMessageChatLoader(path).load()


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute(query).fetchall()


def test_sessions_come_most_recently_active_first(sessions: list[Any]) -> None:
    newest = [s["messages"][-1].additional_kwargs["message_time"] for s in sessions]

    assert newest == sorted(newest, reverse=True)
    assert len(set(newest)) == 10


def test_every_line_is_loaded(sessions: list[Any]) -> None:
    written = [
        [(line.speaker, line.text) for line in lines]
        for lines in read_scenes("tortoise_and_hare.txt").values()
    ]

    loaded = [
        [(m.additional_kwargs["sender"], m.content) for m in session["messages"]]
        for session in sessions
    ]

    assert loaded == written[::-1]


def test_chats_are_groups_named_by_their_topic(sessions: list[Any]) -> None:
    metadata = [session["metadata"] for session in sessions]

    assert all(known["is_group"] for known in metadata)
    assert metadata[0]["title"] == "The race tomorrow"
    assert len({known["title"] for known in metadata}) == 10


def test_no_message_is_left_out(path: Path, sessions: list[Any]) -> None:
    summary = IMessageChatLoader(path).inspect()

    assert summary.found == summary.kept == sum(len(s["messages"]) for s in sessions)


def test_rows_never_change(path: Path) -> None:
    content = rows(
        path,
        "SELECT message.guid, chat.guid, chat.display_name, message.date, handle.id, "
        "message.text FROM message "
        "JOIN chat_message_join ON message_id = message.ROWID "
        "JOIN chat ON chat.ROWID = chat_id "
        "JOIN handle ON handle.ROWID = handle_id ORDER BY message.ROWID",
    )

    digest = hashlib.sha256(repr(content).encode()).hexdigest()

    assert digest == (
        "9d1aa12300f99dd253f0fd1085246a2e5a9e21c11b560ad558a55e5429a73f87"
    )


def test_the_same_sample_is_left_as_it_is(path: Path) -> None:
    before = path.stat().st_mtime_ns
    write_imessage(path)
    assert path.stat().st_mtime_ns == before


def test_a_changed_sample_is_not_overwritten(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("DELETE FROM message")
        database.commit()

    with pytest.raises(ExportFormatError, match="nothing was written"):
        write_imessage(path)

    assert rows(path, "SELECT count(*) FROM message") == [(0,)]


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, sqlite3.connect])
def test_what_is_no_sample_is_not_overwritten(
    tmp_path: Path, make: Callable[..., Any]
) -> None:
    target = tmp_path / "chat.db"
    made = make(target)
    if made:
        made.executescript("CREATE TABLE message (text TEXT)")
        made.close()
    before = target.read_bytes() if target.is_file() else None

    with pytest.raises(ExportFormatError, match=re.escape(str(target))):
        write_imessage(target)

    assert (target.read_bytes() if target.is_file() else None) == before


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_a_log_of_another_database_is_refused(tmp_path: Path, suffix: str) -> None:
    log = tmp_path / f"chat.db{suffix}"
    log.write_bytes(b"frames")

    with pytest.raises(ExportFormatError, match=re.escape(str(log))):
        write_imessage(tmp_path / "chat.db")

    assert [file.name for file in tmp_path.iterdir()] == [log.name]
