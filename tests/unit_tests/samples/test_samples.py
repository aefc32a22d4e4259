"""Samples: their text is loaded, it never changes, and nothing is overwritten."""

import errno
import hashlib
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import ExportAccessError, ExportFormatError
from langchain_chatexports.samples import (
    write_discord,
    write_imessage,
    write_messenger,
    write_signal,
    write_slack,
    write_telegram,
    write_whatsapp,
)
from tests.unit_tests.builders.sessions import open_export

Write = Callable[[Path], Path]
WRITERS: dict[str, Write] = {
    "imessage": write_imessage,
    "messenger": write_messenger,
    "discord": write_discord,
    "signal": write_signal,
    "slack": write_slack,
    "telegram": write_telegram,
    "whatsapp": write_whatsapp,
}
each_app = pytest.mark.parametrize("app", WRITERS)


def state(path: Path) -> dict[Path, int]:
    files = [path] if path.is_file() else path.rglob("*")
    return {file: file.stat().st_mtime_ns for file in files}


@each_app
def test_no_message_is_left_out(app: str, tmp_path: Path) -> None:
    loader = open_export(WRITERS[app](tmp_path / "sample")).loader
    summary = loader.inspect()
    assert summary.found == summary.kept + summary.skipped.get("system", 0)
    assert summary.kept == (663 if app == "messenger" else 223)


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute(query).fetchall()


def test_rows_of_imessage_never_change(tmp_path: Path) -> None:
    content = rows(
        write_imessage(tmp_path / "chat.db"),
        "SELECT message.guid, chat.guid, chat.display_name, message.date, handle.id, "
        "message.text FROM message "
        "JOIN chat_message_join ON message_id = message.ROWID "
        "JOIN chat ON chat.ROWID = chat_id "
        "JOIN handle ON handle.ROWID = handle_id ORDER BY message.ROWID",
    )
    assert hashlib.sha256(repr(content).encode()).hexdigest() == (
        "9d1aa12300f99dd253f0fd1085246a2e5a9e21c11b560ad558a55e5429a73f87"
    )


def thread_files(folder: Path) -> list[Path]:
    found = folder.glob("inbox/*/messages_*.json")
    return sorted(found, key=lambda file: file.relative_to(folder).as_posix())


def test_bytes_of_messenger_never_change(tmp_path: Path) -> None:
    folder = write_messenger(tmp_path / "hogwarts")
    content = b"".join(file.read_bytes() for file in thread_files(folder))
    assert hashlib.sha256(content).hexdigest() == (
        "6841ced14884575c020aeed445d9c3fb0c5640fe83e087e244c408fb85df7b9e"
    )


@each_app
def test_the_same_sample_is_left_as_it_is(app: str, tmp_path: Path) -> None:
    path = WRITERS[app](tmp_path / "sample")
    if path.is_dir():
        (path / "notes.txt").write_text("mine")
    before = state(path)
    WRITERS[app](path)
    assert state(path) == before


def test_a_changed_sample_is_not_overwritten(tmp_path: Path) -> None:
    path = write_imessage(tmp_path / "chat.db")
    with closing(sqlite3.connect(path)) as database:
        database.execute("DELETE FROM message")
        database.commit()
    with pytest.raises(ExportFormatError, match="nothing was written"):
        write_imessage(path)
    assert rows(path, "SELECT count(*) FROM message") == [(0,)]


def make_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.executescript("CREATE TABLE message (text TEXT)")


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, make_database])
def test_what_is_no_sample_is_not_overwritten(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    target = tmp_path / "chat.db"
    make(target)
    before = target.read_bytes() if target.is_file() else None
    with pytest.raises(ExportFormatError, match=re.escape(str(target))):
        write_imessage(target)
    assert (target.read_bytes() if target.is_file() else None) == before


@pytest.mark.parametrize("app", [app for app in WRITERS if app != "imessage"])
def test_a_strangers_folder_is_left_alone(app: str, tmp_path: Path) -> None:
    theirs = tmp_path / "inbox" / "HermioneGranger" / "messages_Hermione_Granger.json"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"{}")
    before = state(tmp_path)
    with pytest.raises(ExportFormatError, match=re.escape(str(tmp_path))):
        WRITERS[app](tmp_path)
    assert state(tmp_path) == before


@each_app
def test_a_failure_leaves_nothing_behind(
    app: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = app if app in {"imessage", "messenger"} else "chats"
    reads = f"langchain_chatexports.samples.{module}.read_scenes"
    monkeypatch.setattr(reads, lambda _: {"x": None})
    with pytest.raises((TypeError, ValueError)):
        WRITERS[app](tmp_path / "sample")
    assert list(tmp_path.iterdir()) == []


@each_app
@pytest.mark.parametrize("call", ["mkdir", "replace"])
@pytest.mark.parametrize("kind", [PermissionError, OSError])
def test_a_refusal_of_the_system_is_one_clear_error(
    app: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    kind: type[Any],
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise kind(errno.EACCES if kind is PermissionError else errno.ENOSPC, "no")

    target = tmp_path / "sample"
    monkeypatch.setattr(Path, call, refuse)
    expected = ExportAccessError if kind is PermissionError else ExportFormatError
    with pytest.raises(expected, match=re.escape(f"{target} cannot be written")):
        WRITERS[app](target)
    assert list(tmp_path.iterdir()) == []
