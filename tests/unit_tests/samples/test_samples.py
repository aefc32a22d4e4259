"""Samples load completely, never change, and overwrite nothing."""

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


def modification_times(path: Path) -> dict[Path, int]:
    files = [path] if path.is_file() else path.rglob("*")
    return {file: file.stat().st_mtime_ns for file in files}


@each_app
def test_every_message_is_loaded(app: str, tmp_path: Path) -> None:
    loader = open_export(WRITERS[app](tmp_path / "sample")).loader
    summary = loader.inspect()
    assert summary.found == summary.kept + summary.skipped.get("system", 0)
    assert summary.kept == (663 if app == "messenger" else 223)


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute(query).fetchall()


def test_imessage_rows_never_change(tmp_path: Path) -> None:
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


def test_messenger_files_never_change(tmp_path: Path) -> None:
    found = write_messenger(tmp_path / "hogwarts").glob("inbox/*/messages_*.json")
    content = b"".join(file.read_bytes() for file in sorted(found, key=Path.as_posix))
    assert hashlib.sha256(content).hexdigest() == (
        "6841ced14884575c020aeed445d9c3fb0c5640fe83e087e244c408fb85df7b9e"
    )


@each_app
def test_existing_sample_is_not_changed(app: str, tmp_path: Path) -> None:
    path = WRITERS[app](tmp_path / "sample")
    if path.is_dir():
        (path / "notes.txt").write_text("mine")
    before = modification_times(path)
    WRITERS[app](path)
    assert modification_times(path) == before


def write_changed_sample(path: Path) -> None:
    with closing(sqlite3.connect(write_imessage(path))) as database:
        database.executescript("DELETE FROM message")


@pytest.mark.parametrize("write", [Path.mkdir, Path.touch, write_changed_sample])
def test_other_path_is_not_overwritten(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    target = tmp_path / "chat.db"
    write(target)
    before = modification_times(target)
    message = f"{re.escape(str(target))} .* nothing was written"
    with pytest.raises(ExportFormatError, match=message):
        write_imessage(target)
    assert modification_times(target) == before


@pytest.mark.parametrize("app", [app for app in WRITERS if app != "imessage"])
def test_other_folder_is_not_changed(app: str, tmp_path: Path) -> None:
    other = tmp_path / "inbox" / "HermioneGranger" / "messages_Hermione_Granger.json"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"{}")
    before = modification_times(tmp_path)
    with pytest.raises(ExportFormatError, match=re.escape(str(tmp_path))):
        WRITERS[app](tmp_path)
    assert modification_times(tmp_path) == before


@each_app
def test_failure_leaves_no_files(
    app: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = app if app in {"imessage", "messenger"} else "chats"
    function = f"langchain_chatexports.samples.{module}.read_scenes"
    monkeypatch.setattr(function, lambda _: {"x": None})
    with pytest.raises((TypeError, ValueError)):
        WRITERS[app](tmp_path / "sample")
    assert list(tmp_path.iterdir()) == []


@each_app
@pytest.mark.parametrize("call", ["mkdir", "replace"])
@pytest.mark.parametrize(
    ("number", "expected"),
    [(errno.EACCES, ExportAccessError), (errno.ENOSPC, ExportFormatError)],
)
def test_system_error_is_explained(
    app: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    number: int,
    expected: type[Exception],
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(number, "no")

    target = tmp_path / "sample"
    monkeypatch.setattr(Path, call, fail)
    with pytest.raises(expected, match=re.escape(f"{target} cannot be written")):
        WRITERS[app](target)
    assert list(tmp_path.iterdir()) == []
