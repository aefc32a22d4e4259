"""Opening a database without changing it or the files next to it."""

import errno
import hashlib
import os
import re
import shutil
import signal
import sqlite3
import struct
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import IMessageChatLoader
from langchain_chatexports.chat_loaders import database as database_module
from langchain_chatexports.chat_loaders.database import open_database
from langchain_chatexports.exceptions import ExportAccessError, ExportFormatError
from tests.unit_tests.builders.chat_db import ChatDb
from tests.unit_tests.builders.sessions import all_texts

HARE = "+15550000001"
SECRET = "the-secret-of-the-hare"  # noqa: S105 - not a password
ENDLESS = "WITH RECURSIVE r (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r)"
# About twenty rows to the power of nine.
LONG = f"SELECT count(*) FROM {', '.join(['sqlite_master'] * 9)}"
JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
JOURNAL_SECTOR = 512
needs_posix = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows has no pipes and signals, few links."
)
with_and_without_log = pytest.mark.parametrize("log", [True, False])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "export"
    folder.mkdir()
    return folder / "chat.db"


def write(path: Path, *texts: str, log: bool = False, script: str = "") -> None:
    """Write a database; with a log as if copied while Messages is running."""
    folder = path.parent.parent / "live" if log else path.parent
    folder.mkdir(exist_ok=True)
    with ChatDb(folder / path.name, wal=log) as db:
        chat = db.chat(HARE)
        for text in texts or "a":
            chat.message(text)
        if script:
            db.run(script)
        if log:
            shutil.copytree(folder, path.parent, dirs_exist_ok=True)


def overwrite(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def state(folder: Path) -> dict[str, Any]:
    """Return the hash, size and time of each file in a folder."""
    return {
        file.name: (
            hashlib.sha256(file.read_bytes()).hexdigest(),
            file.stat().st_size,
            file.stat().st_mtime_ns,
        )
        for file in sorted(folder.iterdir())
        if file.is_file()
    }


def texts(path: Path) -> list[Any]:
    """Return all message text, and check that no file is changed or created."""
    before = state(path.parent)
    try:
        return all_texts(IMessageChatLoader(path))
    finally:
        assert state(path.parent) == before


@pytest.mark.parametrize("script", ["", "PRAGMA journal_mode = WAL"])
def test_reading_without_a_log_changes_nothing(path: Path, script: str) -> None:
    write(path, script=script)
    assert list(state(path.parent)) == ["chat.db"]
    assert texts(path) == ["a"]


@pytest.mark.parametrize("has_index", [True, False])
def test_reading_with_a_log_changes_nothing(path: Path, has_index: bool) -> None:
    """A missing `-shm` does not mean an empty `-wal`."""
    write(path, "a", "b", log=True)
    if not has_index:
        path.with_name("chat.db-shm").unlink()
    assert list(state(path.parent))[1:] == ["chat.db-shm"] * has_index + ["chat.db-wal"]
    assert texts(path) == ["a", "b"]


def test_empty_log_is_ignored(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(path)
    path.with_name("chat.db-wal").touch()
    monkeypatch.setattr(shutil, "copyfile", pytest.fail)
    assert texts(path) == ["a"]


def add_log(path: Path, change: str) -> None:
    """Make a change only in the log."""
    copies = path.parent.parent / "copies"
    copies.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as live:
        live.execute("PRAGMA journal_mode = WAL")
        live.execute(change)
        for suffix in ("", "-wal", "-shm"):
            shutil.copy(f"{path}{suffix}", copies)
    shutil.copytree(copies, path.parent, dirs_exist_ok=True)


@pytest.mark.parametrize("name", ["a?b", "a#b", "a%20b", "ü ñ", "a'b", "a;b"])
@with_and_without_log
def test_special_folder_names_are_opened(tmp_path: Path, name: str, log: bool) -> None:
    if os.name == "nt" and "?" in name:
        pytest.skip("Windows has no such names.")
    path = tmp_path / name / "chat.db"
    path.parent.mkdir()
    write(path, log=log)
    assert texts(path) == ["a"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such folders.")
@with_and_without_log
def test_read_only_folder_is_opened(path: Path, log: bool) -> None:
    write(path, log=log)
    for file in path.parent.iterdir():
        file.chmod(0o400)
    path.parent.chmod(0o500)
    try:
        assert texts(path) == ["a"]
    finally:
        path.parent.chmod(0o700)


@needs_posix
def test_log_is_found_through_a_link(path: Path, tmp_path: Path) -> None:
    write(path, "a", "b", log=True)
    link = tmp_path / "link.db"
    link.symlink_to(path)
    assert texts(link) == ["a", "b"]


@pytest.mark.parametrize("column", ["text", "guid", "service", "subject"])
def test_badly_encoded_text_is_replaced(path: Path, column: str) -> None:
    with ChatDb(path) as db:
        chat = db.chat(HARE)
        for text in "abc":
            chat.message(text, subject="A race")
        bad = "CAST(x'48ff69' AS TEXT)"
        db.run(f"UPDATE message SET {column} = {bad} WHERE text = 'b'")
    loader = IMessageChatLoader(path)
    assert "H\ufffdi" in str(loader.load())
    summary = loader.inspect()
    assert (summary.found, summary.kept, dict(summary.skipped)) == (3, 3, {})


@pytest.mark.parametrize("changes", [1, 2])
def test_database_changed_while_copied_is_copied_again(
    path: Path, monkeypatch: pytest.MonkeyPatch, changes: int
) -> None:
    write(path, log=True)
    copied: list[str] = []
    copyfile = shutil.copyfile

    def copy_and_change(source: Path, target: Path) -> None:
        copyfile(source, target)
        copied.append(Path(source).name)
        if copied.count("chat.db") <= changes:
            os.utime(path, ns=(1, path.stat().st_mtime_ns + 1))

    monkeypatch.setattr(shutil, "copyfile", copy_and_change)
    loader = IMessageChatLoader(path)
    if changes == 1:
        assert all_texts(loader) == ["a"]
    else:
        with pytest.raises(ExportAccessError, match="changed during both attempts"):
            loader.load()
    assert copied == ["chat.db", "chat.db-wal"] * 2


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"<html></html>" * 100, "not an SQLite database"),
        (bytes(range(256)) * 16, "not an SQLite database"),
        (b"SQLite format 3\0" + b"\1" * 84, "damaged or truncated"),
        (b"SQLite format 3\0" + bytes(84), "not an SQLite database"),
    ],
)
def test_file_that_is_not_a_database_is_an_error(
    path: Path, content: bytes, reason: str
) -> None:
    path.write_bytes(content)
    with pytest.raises(ExportFormatError, match=rf"{re.escape(str(path))} .*{reason}"):
        texts(path)


@pytest.mark.parametrize(
    "damage", [b"CREATE TABL\xff message", b"CREATE TABLE messag("]
)
def test_damaged_schema_is_an_error(path: Path, damage: bytes) -> None:
    """SQLite quotes the schema, which Python may not be able to decode."""
    write(path)
    overwrite(path, path.read_bytes().index(b"CREATE TABLE message"), damage)
    with pytest.raises(ExportFormatError, match="damaged or truncated") as caught:
        texts(path)
    assert "messag" not in str(caught.value).partition("export")[2]


@pytest.mark.parametrize("missing", [1, 500, 3000, 40_000])
@with_and_without_log
def test_truncated_database_is_an_error(path: Path, missing: int, log: bool) -> None:
    write(path, *(f"{number} " * 300 for number in range(50)))
    if log:
        add_log(path, "CREATE TABLE more (a)")
        overwrite(path.with_name("chat.db-wal"), 0, bytes(4))  # Make it invalid.
    os.truncate(path, path.stat().st_size - missing)
    with pytest.raises(ExportFormatError, match="damaged or truncated"):
        texts(path)


def test_interrupted_checkpoint_is_completed_by_the_log(path: Path) -> None:
    """The main file has the new header, but not the new pages."""
    write(path, *(f"{number} " * 100 for number in range(50)), log=True)
    checkpointed = path.parent.parent / path.name
    shutil.copy(path, checkpointed)
    shutil.copy(f"{path}-wal", f"{checkpointed}-wal")
    with closing(sqlite3.connect(checkpointed)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert path.stat().st_size < checkpointed.stat().st_size
    overwrite(path, 0, checkpointed.read_bytes()[:4096])
    assert len(texts(path)) == 50


@pytest.mark.parametrize(
    "text",
    ["authorization denied", "unable to open database file", "database is locked"],
)
def test_database_blocked_for_sqlite_is_copied(
    path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """Seen on macOS 26 with Full Disk Access: it blocks SQLite, but not plain reads."""
    write(path)
    connect: Any = sqlite3.connect

    def refuse(address: str, **options: Any) -> Any:
        if "immutable" in address:
            raise sqlite3.DatabaseError(text)
        return connect(address, **options)

    monkeypatch.setattr(sqlite3, "connect", refuse)
    assert texts(path) == ["a"]


def test_database_in_the_middle_of_a_change_is_refused(path: Path) -> None:
    """Without its journal, the incomplete change would be read as complete."""
    write(path)
    live = path.parent.parent / "live.db"
    shutil.copy2(path, live)
    with closing(sqlite3.connect(live, isolation_level=None)) as writer:
        writer.execute("PRAGMA cache_size = 1")
        writer.execute("BEGIN")
        writer.execute("UPDATE message SET text = 'half'")
        writer.execute("CREATE TABLE filler (a)")
        for _ in range(200):
            writer.execute("INSERT INTO filler VALUES (randomblob(4000))")
        for suffix in ("", "-journal"):
            shutil.copy2(f"{live}{suffix}", f"{path}{suffix}")
        writer.execute("ROLLBACK")
    with pytest.raises(ExportFormatError, match="has an unfinished transaction"):
        texts(path)


def journal_header(database: Path) -> bytes:
    """Return the header of a journal without pages to restore."""
    page = page_size(database)
    # The number of records, a nonce, the number of pages, and the two sizes.
    numbers = 0, 1, database.stat().st_size // page, JOURNAL_SECTOR, page
    return (JOURNAL_MAGIC + struct.pack(">5I", *numbers)).ljust(JOURNAL_SECTOR, b"\0")


def super_journal_record(database: Path, name: bytes) -> bytes:
    """Return the end of a journal with the name of a file for SQLite to delete."""
    checksum = sum(struct.unpack(f"{len(name)}b", name))
    numbers = struct.pack(">2i", len(name), checksum)
    page = struct.pack(">I", 2**30 // page_size(database) + 1)
    return page + name + numbers + JOURNAL_MAGIC


def page_size(database: Path) -> int:
    return int.from_bytes(database.read_bytes()[16:18], "big")


@pytest.mark.parametrize("head", ["header", "", "zeros", "garbage"])
@pytest.mark.parametrize("is_absolute", [True, False])
@with_and_without_log
def test_file_named_in_a_journal_is_not_deleted(
    path: Path, monkeypatch: pytest.MonkeyPatch, head: str, is_absolute: bool, log: bool
) -> None:
    """SQLite deletes it, even if the journal restores nothing."""
    write(path, log=log)
    victim = path.parent / "mémoire b%20c"
    victim.write_bytes(b"My thesis.")
    monkeypatch.chdir(path.parent)
    heads = {"header": journal_header(path), "zeros": bytes(512), "garbage": b"x" * 512}
    name = os.fsencode(victim if is_absolute else victim.name)
    content = heads.get(head, b"") + super_journal_record(path, name)
    path.with_name("chat.db-journal").write_bytes(content)
    if head == "header":
        with pytest.raises(ExportFormatError, match=r"chat\.db-journal next to it"):
            texts(path)
    else:
        assert texts(path) == ["a"]


@needs_posix
@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (Path.mkdir, "Is a directory"),
        (lambda log: log.symlink_to(log), "symbolic links"),
        (getattr(os, "mkfifo", None), "is a pipe"),
        (lambda log: log.symlink_to("/dev/zero"), "is a device"),
    ],
)
def test_log_that_is_not_a_file_is_an_error(
    path: Path, suffix: str, make: Callable[[Path], None], reason: str
) -> None:
    write(path)
    make(path.with_name(f"chat.db{suffix}"))
    with pytest.raises(ExportFormatError, match=rf"chat\.db{suffix} .*{reason}"):
        texts(path)


@needs_posix
def test_linked_log_is_refused(path: Path) -> None:
    write(path)
    other = path.with_name("other.db-wal")
    other.write_bytes(b"another log")
    path.with_name("chat.db-wal").symlink_to(other)
    with pytest.raises(ExportFormatError, match="another database's log"):
        texts(path)


@pytest.mark.parametrize(
    "table", ["message", "handle", "chat", "chat_message_join", "attachment"]
)
def test_view_instead_of_a_table_is_refused(path: Path, table: str) -> None:
    view = f"CREATE VIEW {table.title()} AS {ENDLESS} SELECT x AS ROWID FROM r"
    write(path, script=f"ALTER TABLE {table} RENAME TO hidden; {view}")
    with pytest.raises(ExportFormatError, match=f"'{table}' is a view"):
        texts(path)
    if table == "message":
        assert IMessageChatLoader(path).estimate_message_count() is None


@pytest.mark.parametrize(
    "create",
    [
        "CREATE VIRTUAL TABLE message USING fts4(text)",
        "CREATE TABLE message (text, b AS (upper(text)) VIRTUAL)",
        "CREATE TABLE message (text, b AS (upper(text)) STORED)",
    ],
)
def test_computed_table_is_refused(path: Path, create: str) -> None:
    write(path, script=f"DROP TABLE message; {create}")
    with pytest.raises(ExportFormatError, match="computed columns"):
        texts(path)


def test_connection_is_read_only_and_distrusts_the_schema(path: Path) -> None:
    write(path)
    with open_database(path) as database:
        assert list(database.query("PRAGMA trusted_schema")) == [(0,)]
        assert list(database.query("PRAGMA cell_size_check")) == [(1,)]
        with pytest.raises(ExportFormatError):
            list(database.query("DELETE FROM message"))


def test_huge_value_is_refused(path: Path) -> None:
    huge = "UPDATE message SET text = NULL, attributedBody = zeroblob(80000000)"
    write(path, script=huge)
    with pytest.raises(ExportFormatError, match="too big"):
        texts(path)


@needs_posix
def test_signal_interrupts_a_query(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The query must not end before the signal arrives.
    monkeypatch.setattr(database_module, "_MIN_STEPS", 10**12)
    write(path)
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt), open_database(path) as database:
        list(database.query(LONG))
    timer.join()


@pytest.mark.parametrize(
    "sql",
    [
        f"replace(sql, 'text TEXT', 'text TEXT COLLATE \"{SECRET}\"')",
        f"'CREATE TABLE message (\"{SECRET}\"'",
    ],
)
def test_error_does_not_quote_the_file(path: Path, sql: str) -> None:
    change = f"UPDATE sqlite_master SET sql = {sql} WHERE name = 'message'"
    write(path, script=f"PRAGMA writable_schema = ON; {change}")
    with pytest.raises(ExportFormatError) as caught:
        texts(path)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_full_disk_error_mentions_tmpdir(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(path, log=True)

    def fail(_source: Path, _target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", fail)
    with pytest.raises(ExportAccessError, match=r"No space left.*TMPDIR"):
        texts(path)


def test_endless_query_is_stopped(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Circular pages have endless rows."""
    monkeypatch.setattr(database_module, "_MIN_STEPS", 1_000_000)
    write(path)
    with (
        pytest.raises(ExportFormatError, match="more work than its size allows"),
        open_database(path) as database,
    ):
        list(database.query(LONG))
