"""The user's file and its neighbors stay as they are, whatever happens."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from langchain_chatexports import IMessageChatLoader, MergeChatRuns
from langchain_chatexports.chat_loaders.imessage.database import open_database
from langchain_chatexports.exceptions import (
    ExportAccessError,
    ExportFormatError,
    ExportNotFoundError,
)
from tests.unit_tests.builders.chat_db import ChatDb
from tests.unit_tests.builders.sessions import all_texts, closable

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


HARE = "+15550000001"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "export"
    folder.mkdir()
    return folder / "chat.db"


def write(path: Path, *texts: Any, wal: bool = False) -> ChatDb:
    db = ChatDb(path, wal=wal)
    chat = db.chat(HARE)
    for text in texts:
        chat.message(text)
    return db


def write_with_log(path: Path, *texts: Any) -> None:
    """Leave a database as a copy does that was made while Messages ran."""
    live = path.parent.parent / "live"
    live.mkdir()
    db = write(live / path.name, *texts, wal=True)
    for file in live.iterdir():
        shutil.copy2(file, path.parent / file.name)
    db.close()
    shutil.rmtree(live)


def overwrite(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def state(folder: Path) -> dict[str, Any]:
    """Hash, size and time of everything in a folder."""
    return {
        file.name: (
            hashlib.sha256(file.read_bytes()).hexdigest(),
            file.stat().st_size,
            file.stat().st_mtime_ns,
        )
        for file in sorted(folder.iterdir())
    }


def texts(path: Path) -> list[Any]:
    return all_texts(IMessageChatLoader(path))


@pytest.mark.parametrize("in_log_mode", [False, True])
def test_reading_without_a_log_changes_nothing_and_leaves_nothing(
    path: Path, in_log_mode: bool
) -> None:
    write(path, "a", wal=in_log_mode).close()
    before = state(path.parent)
    assert list(before) == ["chat.db"]
    assert texts(path) == ["a"]
    assert state(path.parent) == before


@pytest.mark.parametrize("has_index", [True, False])
def test_rows_in_the_log_are_read_and_nothing_changes(
    path: Path, has_index: bool
) -> None:
    """A missing `-shm` does not mean that there is nothing in `-wal`."""
    write_with_log(path, "a", "b")
    if not has_index:
        path.with_name("chat.db-shm").unlink()
    before = state(path.parent)
    assert ("chat.db-shm" in before, "chat.db-wal" in before) == (has_index, True)
    assert texts(path) == ["a", "b"]
    assert state(path.parent) == before


def test_empty_log_is_no_log(
    path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(path, "a").close()
    path.with_name("chat.db-wal").touch()
    before = state(path.parent)
    monkeypatch.setattr(shutil, "copyfile", pytest.fail)
    assert texts(path) == ["a"]
    assert state(path.parent) == before
    assert not any(temporary.iterdir())


def test_live_database_is_read_while_its_log_grows(path: Path) -> None:
    with write(path, "a", wal=True) as db:
        before = state(path.parent)
        sessions = IMessageChatLoader(path).lazy_load()
        assert len(next(sessions)["messages"]) == 1
        assert state(path.parent) == before
        db.chat("fox@x.example").message("later")
        assert list(sessions) == []
        assert len(texts(path)) == 2


def test_stopping_early_closes_the_file_and_removes_the_copy(
    path: Path, temporary: Path
) -> None:
    write_with_log(path, "a")
    before = state(path.parent)
    sessions = closable(IMessageChatLoader(path).lazy_load())
    next(sessions)
    assert any(temporary.iterdir())
    sessions.close()
    assert not any(temporary.iterdir())
    assert state(path.parent) == before


def is_any_database_open() -> bool:
    files = Path("/proc/self/fd").iterdir()
    return any("chat.db" in str(fd.readlink()) for fd in files if fd.exists())


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
@pytest.mark.parametrize("through_step", [False, True])
@pytest.mark.parametrize("log", [False, True])
def test_stopping_early_leaves_no_open_file(
    path: Path, temporary: Path, log: bool, through_step: bool
) -> None:
    write_with_log(path, "a") if log else write(path, "a").close()
    before = state(path.parent)
    loader = IMessageChatLoader(path)
    read = loader | MergeChatRuns() if through_step else loader
    sessions = closable(read.lazy_load())
    next(sessions)
    assert is_any_database_open()
    sessions.close()
    assert not is_any_database_open()
    assert not any(temporary.iterdir())
    assert state(path.parent) == before


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize(
    ("damage", "reason"), [("table", "no table"), ("page", "is damaged or cut short")]
)
def test_reading_that_fails_changes_nothing_and_leaves_nothing(
    path: Path, temporary: Path, log: bool, damage: str, reason: str
) -> None:
    db = write(path, *("x" * 900 for _ in range(50)))
    if damage == "table":
        db.run("DROP TABLE chat_message_join")
    db.close()
    if damage == "page":
        overwrite(path, 4096 * 9, b"\xff" * 4096 * 4)
    if log:
        with closing(sqlite3.connect(path, isolation_level=None)) as live:
            live.execute("PRAGMA journal_mode = WAL")
            live.execute("PRAGMA user_version = 1")
            for suffix in ("", "-wal", "-shm"):
                shutil.copy2(f"{path}{suffix}", f"{path}{suffix}.kept")
        for suffix in ("", "-wal", "-shm"):
            Path(f"{path}{suffix}.kept").replace(f"{path}{suffix}")
    before = state(path.parent)
    assert len(before) == (3 if log else 1)
    with pytest.raises(ExportFormatError, match=rf"chat\.db .*{reason}"):
        texts(path)
    assert not is_any_database_open()
    assert not any(temporary.iterdir())
    assert state(path.parent) == before


def test_reading_may_end_in_another_thread(path: Path) -> None:
    write(path, "a").close()
    sessions = closable(IMessageChatLoader(path).lazy_load())
    next(sessions)
    with ThreadPoolExecutor() as other:
        other.submit(sessions.close).result()


def test_copy_is_for_this_user_only(path: Path, temporary: Path) -> None:
    write_with_log(path, "a")
    sessions = closable(IMessageChatLoader(path).lazy_load())
    next(sessions)
    (folder,) = temporary.iterdir()
    assert os.name != "posix" or folder.stat().st_mode & 0o077 == 0
    sessions.close()


def test_hot_journal_is_rolled_back_in_a_copy(path: Path) -> None:
    """Without it, half of an interrupted write would be read as if it were done."""
    write(path, "a").close()
    live = path.parent.parent / "live.db"
    shutil.copy2(path, live)
    with closing(sqlite3.connect(live, isolation_level=None)) as writer:
        writer.execute("PRAGMA cache_size = 1")
        writer.execute("BEGIN")
        writer.execute("UPDATE message SET text = 'half'")
        writer.execute("CREATE TABLE filler (a)")
        for _ in range(200):
            writer.execute("INSERT INTO filler VALUES (randomblob(4000))")
        journal = live.with_name("live.db-journal")
        shutil.copy2(live, path)
        shutil.copy2(journal, path.with_name("chat.db-journal"))
        writer.execute("ROLLBACK")
    before = state(path.parent)
    assert texts(path) == ["a"]
    assert state(path.parent) == before


@pytest.mark.parametrize("name", ["a?b", "a#b", "a%20b", "ü ñ", "a'b", "a;b"])
@pytest.mark.parametrize("log", [False, True])
def test_odd_folder_names_are_opened(tmp_path: Path, name: str, log: bool) -> None:
    if os.name == "nt" and "?" in name:
        pytest.skip("Windows has no such names.")
    path = tmp_path / name / "chat.db"
    path.parent.mkdir()
    write_with_log(path, "a") if log else write(path, "a").close()
    before = state(path.parent)
    assert texts(path) == ["a"]
    assert state(path.parent) == before


@pytest.mark.skipif(sys.platform != "linux", reason="Names are text elsewhere.")
@pytest.mark.parametrize("log", [False, True])
def test_a_database_and_its_copy_may_be_in_a_folder_that_is_not_named_in_utf_8(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: bool
) -> None:
    folder = tmp_path / os.fsdecode(b"odd\xff")
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    path = folder / "export" / "chat.db"
    path.parent.mkdir()
    write_with_log(path, "a") if log else write(path, "a").close()

    assert texts(path) == ["a"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such folders.")
@pytest.mark.parametrize("log", [False, True])
def test_read_only_folder_is_read(path: Path, log: bool) -> None:
    write_with_log(path, "a") if log else write(path, "a").close()
    before = state(path.parent)
    for file in path.parent.iterdir():
        file.chmod(0o400)
    path.parent.chmod(0o500)
    try:
        assert texts(path) == ["a"]
        assert state(path.parent) == before
    finally:
        path.parent.chmod(0o700)


@pytest.mark.skipif(os.name == "nt", reason="Links need rights on Windows.")
def test_log_is_found_through_a_link(path: Path, tmp_path: Path) -> None:
    write_with_log(path, "a", "b")
    link = tmp_path / "link.db"
    link.symlink_to(path)
    assert texts(link) == ["a", "b"]


def test_badly_encoded_text_does_not_end_the_reading(path: Path) -> None:
    with write(path, "a", "b") as db:
        db.run("UPDATE message SET text = CAST(x'48ff69' AS TEXT) WHERE text = 'a'")
    assert texts(path) == ["H\ufffdi", "b"]


@pytest.mark.parametrize("column", ["text", "guid", "service", "subject"])
def test_what_stands_before_badly_encoded_text_is_read_and_counted_once(
    path: Path, column: str
) -> None:
    with ChatDb(path) as db:
        chat = db.chat("+15550000001")
        for text in "abc":
            chat.message(text, subject="A race")
        bad = "CAST(x'48ff69' AS TEXT)"
        db.run(f"UPDATE message SET {column} = {bad} WHERE text = 'b'")
    loader = IMessageChatLoader(path)
    (session,) = loader
    assert len(session["messages"]) == 3
    assert "H\ufffdi" in str(session)
    summary = loader.inspect()
    assert (summary.found, summary.kept, dict(summary.skipped)) == (3, 3, {})


def change_time(path: Path) -> None:
    os.utime(path, ns=(1, 1))


def change_size(path: Path) -> None:
    before = path.stat()
    with path.open("ab") as file:
        file.write(b"x")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def change_log(path: Path) -> None:
    """Put the head of the log back that the test took away."""
    overwrite(path.with_name("chat.db-wal"), 0, b"\x37\x7f\x06\x82")


@pytest.mark.parametrize("change", [change_time, change_size, change_log])
def test_torn_copy_is_made_once_more(
    path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None]
) -> None:
    write_with_log(path, "a")
    if change is change_log:
        overwrite(path.with_name("chat.db-wal"), 0, bytes(4))
    copied = []
    copyfile = shutil.copyfile

    def tear(source: Path, target: Path) -> None:
        copyfile(source, target)
        copied.append(Path(source).name)
        if len(copied) == 1:
            change(path)

    monkeypatch.setattr(shutil, "copyfile", tear)
    assert texts(path) == ["a"]
    assert copied == ["chat.db", "chat.db-wal"] * 2


def test_copy_that_is_torn_twice_is_an_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_with_log(path, "a")
    copyfile = shutil.copyfile

    def tear(source: Path, target: Path) -> None:
        copyfile(source, target)
        os.utime(path, ns=(1, path.stat().st_mtime_ns + 1))

    monkeypatch.setattr(shutil, "copyfile", tear)
    with pytest.raises(ExportAccessError, match="changed while it was copied"):
        texts(path)


def test_log_that_vanishes_while_it_is_copied_is_no_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_with_log(path, "a")
    copyfile = shutil.copyfile

    def merge(source: Path, target: Path) -> None:
        if str(source).endswith("-wal") and path.with_name("chat.db-wal").exists():
            with closing(sqlite3.connect(path)) as messages:
                messages.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            path.with_name("chat.db-wal").unlink(missing_ok=True)
        copyfile(source, target)

    monkeypatch.setattr(shutil, "copyfile", merge)
    assert texts(path) == ["a"]


def test_full_disk_names_the_folder_and_the_remedy(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_with_log(path, "a")

    def no_room(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", no_room)
    with pytest.raises(ExportAccessError, match="TMPDIR"):
        texts(path)


def test_missing_file_is_an_error_at_once(path: Path) -> None:
    with pytest.raises(ExportNotFoundError, match=r"export.chat\.db"):
        IMessageChatLoader(path)


def test_file_that_vanished_is_an_error(path: Path) -> None:
    write(path, "a").close()
    loader = IMessageChatLoader(path)
    path.unlink()
    with pytest.raises(ExportNotFoundError, match=r"chat\.db"):
        loader.load()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"<html></html>" * 100, "not an SQLite database"),
        (bytes(range(256)) * 16, "not an SQLite database"),
        (b"SQLite format 3\0" + b"\1" * 84, "damaged or cut short"),
        (b"SQLite format 3\0" + bytes(84), "not an SQLite database"),
    ],
)
def test_file_that_is_no_database_is_one_clear_error(
    path: Path, content: bytes, reason: str
) -> None:
    path.write_bytes(content)
    before = state(path.parent)
    with pytest.raises(ExportFormatError, match=reason) as caught:
        texts(path)
    assert str(path) in str(caught.value)
    assert state(path.parent) == before


def test_cut_database_is_one_clear_error(path: Path) -> None:
    write(path, *("x" * 2000 for _ in range(50))).close()
    os.truncate(path, path.stat().st_size // 2)
    before = state(path.parent)
    with pytest.raises(ExportFormatError, match="damaged or cut short"):
        texts(path)
    assert state(path.parent) == before


@pytest.mark.parametrize(
    "damage", [b"CREATE TABL\xff message", b"CREATE TABLE messag("]
)
def test_damaged_schema_is_one_clear_error(path: Path, damage: bytes) -> None:
    """SQLite quotes what it finds there, and Python cannot decode all of that."""
    write(path, "a").close()
    overwrite(path, path.read_bytes().index(b"CREATE TABLE message"), damage)
    with pytest.raises(ExportFormatError, match="damaged or cut short") as caught:
        texts(path)
    assert "messag" not in str(caught.value).partition("export")[2]


@pytest.mark.parametrize("missing", [1, 500, 3000])
def test_database_cut_inside_its_last_page_loses_no_message_silently(
    path: Path, missing: int
) -> None:
    write(path, *(f"{number} " * 100 for number in range(50))).close()
    os.truncate(path, path.stat().st_size - missing)
    with pytest.raises(ExportFormatError, match=f"cut short \\({missing} bytes"):
        list(IMessageChatLoader(path))


def test_database_of_an_old_sqlite_is_cut_if_its_last_page_is(path: Path) -> None:
    write(path, *(f"{number} " * 100 for number in range(50))).close()
    overwrite(path, 28, bytes(4))
    assert len(texts(path)) == 50
    os.truncate(path, path.stat().st_size - 500)
    with pytest.raises(ExportFormatError, match="cut short"):
        texts(path)


def test_page_count_that_an_old_sqlite_left_behind_says_nothing(path: Path) -> None:
    write(path, "One").close()
    overwrite(path, 28, (10**6).to_bytes(4, "big"))
    overwrite(path, 92, (10**6).to_bytes(4, "big"))
    assert texts(path) == ["One"]


def test_pages_of_64_kib_are_counted(path: Path) -> None:
    write(path, "One").close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA page_size = 65536")
        connection.execute("VACUUM")
    assert texts(path) == ["One"]
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(ExportFormatError, match="cut short"):
        texts(path)


def test_bytes_behind_the_last_page_do_no_harm(path: Path) -> None:
    write(path, "One").close()
    with path.open("ab") as file:
        file.write(b"x" * 700)
    assert texts(path) == ["One"]


def test_main_file_that_its_log_completes_is_not_cut(path: Path) -> None:
    """A checkpoint that was broken off: the new header is there, the pages are not."""
    write_with_log(path, *(f"{number} " * 100 for number in range(50)))
    checkpointed = path.parent.parent / path.name
    shutil.copy(path, checkpointed)
    shutil.copy(f"{path}-wal", f"{checkpointed}-wal")
    with closing(sqlite3.connect(checkpointed)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    first_page = checkpointed.read_bytes()[:4096]
    assert path.stat().st_size < checkpointed.stat().st_size
    overwrite(path, 0, first_page)
    assert len(texts(path)) == 50


def test_cut_page_that_the_log_does_not_hold_loses_no_message_silently(
    path: Path,
) -> None:
    live = path.parent.parent / "live"
    live.mkdir()
    db = write(
        live / path.name, *(f"{number} " * 100 for number in range(50)), wal=True
    )
    db.run("PRAGMA wal_checkpoint(TRUNCATE)")
    db.run("UPDATE message SET is_from_me = 1 WHERE ROWID = 1")
    for file in live.iterdir():
        shutil.copy2(file, path.parent / file.name)
    db.close()
    assert len(texts(path)) == 50
    os.truncate(path, path.stat().st_size - 500)
    with pytest.raises(ExportFormatError, match="500 bytes are missing"):
        texts(path)


def test_another_applications_database_is_one_clear_error(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE songs (title)")
    with pytest.raises(ExportFormatError, match="another application"):
        texts(path)


def test_refused_status_is_an_access_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """macOS can refuse already to tell whether the file exists."""
    write(path, "a").close()
    stat = Path.stat

    def refuse(self: Path, **options: Any) -> os.stat_result:
        if self == path:
            raise PermissionError(1, "Operation not permitted", str(self))
        return stat(self, **options)

    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(ExportAccessError, match="Full Disk Access"):
        IMessageChatLoader(path)


def test_refused_reading_is_an_access_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(path, "a").close()
    loader = IMessageChatLoader(path)
    read: Any = os.open

    def refuse(opened: Any, *arguments: Any, **options: Any) -> Any:
        if Path(opened).name == "chat.db":
            raise PermissionError(1, "Operation not permitted", str(opened))
        return read(opened, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(ExportAccessError, match=r"chat\.db-wal"):
        loader.load()


@pytest.mark.parametrize(
    "text",
    ["authorization denied", "unable to open database file", "database is locked"],
)
def test_refusal_of_sqlite_falls_back_to_a_copy(
    path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """Seen on macOS 26 with Full Disk Access: SQLite is refused, plain reads work."""
    write(path, "a").close()
    connect: Any = sqlite3.connect

    def refuse(address: str, **options: Any) -> Any:
        if "immutable" in address:
            raise sqlite3.DatabaseError(text)
        return connect(address, **options)

    monkeypatch.setattr(sqlite3, "connect", refuse)
    assert texts(path) == ["a"]


def test_refusal_of_copies_too_is_an_access_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(path, "a").close()

    def refuse(*_: Any, **__: Any) -> None:
        msg = "authorization denied"
        raise sqlite3.DatabaseError(msg)

    monkeypatch.setattr(sqlite3, "connect", refuse)
    with pytest.raises(ExportAccessError, match="Full Disk Access"):
        texts(path)


def test_connection_cannot_write(path: Path) -> None:
    write(path, "a").close()
    with open_database(path) as connection, pytest.raises(sqlite3.OperationalError):
        connection.execute("DELETE FROM message")
