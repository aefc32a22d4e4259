"""The user's file and its neighbors stay as they are, whatever happens."""

import errno
import hashlib
import os
import shutil
import signal
import sqlite3
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import IMessageChatLoader
from langchain_chatexports.chat_loaders.imessage import database as database_module
from langchain_chatexports.chat_loaders.imessage.database import open_database
from langchain_chatexports.exceptions import ExportAccessError, ExportFormatError
from tests.unit_tests.builders.chat_db import ChatDb
from tests.unit_tests.builders.journals import (
    journal_header,
    super_journal_record,
    write_journal,
)
from tests.unit_tests.builders.sessions import all_texts

HARE = "+15550000001"
SECRET = "the-secret-of-the-hare"  # noqa: S105 - no password
ENDLESS = "WITH RECURSIVE r (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r)"
# Some twenty rows to the power of nine.
LONG = f"SELECT count(*) FROM {', '.join(['sqlite_master'] * 9)}"
needs_posix = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows has no pipes and signals, few links."
)


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


def write_script(path: Path, *scripts: str) -> None:
    with write(path, "a") as db:
        for script in scripts:
            db.run(script)


def overwrite(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def state(folder: Path) -> dict[str, Any]:
    """Hash, size and time of every file in a folder."""
    return {
        file.name: (
            hashlib.sha256(file.read_bytes()).hexdigest(),
            file.stat().st_size,
            file.stat().st_mtime_ns,
        )
        for file in sorted(folder.iterdir())
    }


def texts(path: Path, **options: Any) -> list[Any]:
    return all_texts(IMessageChatLoader(path, **options))


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


def test_empty_log_is_no_log(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(path, "a").close()
    path.with_name("chat.db-wal").touch()
    before = state(path.parent)
    monkeypatch.setattr(shutil, "copyfile", pytest.fail)
    assert texts(path) == ["a"]
    assert state(path.parent) == before


def add_log(path: Path, change: str) -> None:
    """Leave a change in a log beside a database."""
    kept = path.parent.parent / "kept"
    kept.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as live:
        live.execute("PRAGMA journal_mode = WAL")
        live.execute(change)
        for suffix in ("", "-wal", "-shm"):
            shutil.copy(f"{path}{suffix}", kept)
    for file in kept.iterdir():
        file.replace(path.parent / file.name)


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


@needs_posix
def test_log_is_found_through_a_link(path: Path, tmp_path: Path) -> None:
    write_with_log(path, "a", "b")
    link = tmp_path / "link.db"
    link.symlink_to(path)
    assert texts(link) == ["a", "b"]


@pytest.mark.parametrize("column", ["text", "guid", "service", "subject"])
def test_badly_encoded_text_does_not_end_the_reading(path: Path, column: str) -> None:
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


@pytest.mark.parametrize("torn", [1, 2])
def test_torn_copy_is_made_once_more(
    path: Path, monkeypatch: pytest.MonkeyPatch, torn: int
) -> None:
    write_with_log(path, "a")
    copied: list[str] = []
    copyfile = shutil.copyfile

    def tear(source: Path, target: Path) -> None:
        copyfile(source, target)
        copied.append(Path(source).name)
        if copied.count("chat.db") <= torn:
            os.utime(path, ns=(1, path.stat().st_mtime_ns + 1))

    monkeypatch.setattr(shutil, "copyfile", tear)
    if torn == 1:
        assert texts(path) == ["a"]
    else:
        with pytest.raises(ExportAccessError, match="changed while it was copied"):
            texts(path)
    assert copied == ["chat.db", "chat.db-wal"] * 2


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


@pytest.mark.parametrize("missing", [1, 500, 3000, 40_000])
@pytest.mark.parametrize("log", [False, True])
def test_database_that_is_cut_loses_no_message_silently(
    path: Path, missing: int, log: bool
) -> None:
    write(path, *(f"{number} " * 300 for number in range(50))).close()
    if log:
        add_log(path, "CREATE TABLE more (a)")
        overwrite(path.with_name("chat.db-wal"), 0, bytes(4))  # Nothing of it counts.
    os.truncate(path, path.stat().st_size - missing)
    before = state(path.parent)
    with pytest.raises(ExportFormatError, match="damaged or cut short"):
        texts(path)
    assert state(path.parent) == before


def test_main_file_that_its_log_completes_is_not_cut(path: Path) -> None:
    """A checkpoint that was broken off: the new header is there, the pages are not."""
    write_with_log(path, *(f"{number} " * 100 for number in range(50)))
    checkpointed = path.parent.parent / path.name
    shutil.copy(path, checkpointed)
    shutil.copy(f"{path}-wal", f"{checkpointed}-wal")
    with closing(sqlite3.connect(checkpointed)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert path.stat().st_size < checkpointed.stat().st_size
    overwrite(path, 0, checkpointed.read_bytes()[:4096])
    assert len(texts(path)) == 50


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


def test_database_in_the_middle_of_a_change_is_refused(path: Path) -> None:
    """Without its journal, half of an interrupted write would be read as done."""
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
        shutil.copy2(live, path)
        shutil.copy2(
            live.with_name("live.db-journal"), path.with_name("chat.db-journal")
        )
        writer.execute("ROLLBACK")
    before = state(path.parent)
    with pytest.raises(ExportFormatError, match="in the middle of a change"):
        texts(path)
    assert state(path.parent) == before


@pytest.mark.parametrize("head", ["header", "", "zeros", "garbage"])
@pytest.mark.parametrize("is_absolute", [True, False])
@pytest.mark.parametrize("log", [True, False])
def test_a_journal_that_names_a_file_does_not_delete_it(
    path: Path, monkeypatch: pytest.MonkeyPatch, head: str, is_absolute: bool, log: bool
) -> None:
    """SQLite deletes what a journal names, also one that puts nothing back."""
    write_with_log(path, "a") if log else write(path, "a").close()
    victim = path.parent / "mémoire b%20c"
    victim.write_bytes(b"My thesis.")
    monkeypatch.chdir(path.parent)
    heads = {"header": journal_header(path), "zeros": bytes(512), "garbage": b"x" * 512}
    record = super_journal_record(
        path, os.fsencode(victim if is_absolute else victim.name)
    )
    write_journal(path, heads.get(head, b"") + record)
    before = state(path.parent)
    if head == "header":
        with pytest.raises(ExportFormatError, match=r"chat\.db-journal next to it"):
            texts(path)
    else:
        assert texts(path) == ["a"]
    assert state(path.parent) == before


def make_loop(path: Path) -> None:
    path.symlink_to(path.name)


def link_to_a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@needs_posix
@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (Path.mkdir, "Is a directory"),
        (make_loop, "symbolic links"),
        (getattr(os, "mkfifo", None), "is a pipe"),
        (link_to_a_device, "is a device"),
    ],
)
def test_a_log_that_is_no_file_is_one_clear_error(
    path: Path, suffix: str, make: Callable[[Path], None], reason: str
) -> None:
    write(path, "a").close()
    make(path.with_name(f"chat.db{suffix}"))
    with pytest.raises(ExportFormatError, match=rf"chat\.db{suffix} .*{reason}"):
        texts(path)


@pytest.mark.parametrize(
    "table", ["message", "handle", "chat", "chat_message_join", "attachment"]
)
def test_a_view_in_place_of_a_table_is_refused(path: Path, table: str) -> None:
    view = f"CREATE VIEW {table.title()} AS {ENDLESS} SELECT x AS ROWID FROM r"
    write_script(path, f"ALTER TABLE {table} RENAME TO hidden", view)
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
def test_a_table_that_is_computed_is_refused(path: Path, create: str) -> None:
    write_script(path, "DROP TABLE message", create)
    with pytest.raises(ExportFormatError, match="computed columns"):
        texts(path)


def test_a_connection_cannot_write_and_trusts_no_schema(path: Path) -> None:
    write(path, "a").close()
    with open_database(path) as database:
        assert list(database.query("PRAGMA trusted_schema")) == [(0,)]
        assert list(database.query("PRAGMA cell_size_check")) == [(1,)]
        with pytest.raises(ExportFormatError):
            list(database.query("DELETE FROM message"))


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python cannot set it earlier.")
def test_a_huge_value_is_refused_before_it_is_in_memory(path: Path) -> None:
    write_script(
        path, "UPDATE message SET text = NULL, attributedBody = zeroblob(80000000)"
    )
    with pytest.raises(ExportFormatError, match="too big"):
        texts(path)


@needs_posix
def test_a_signal_ends_a_query(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The query must not end by itself before the signal comes.
    monkeypatch.setattr(database_module, "_MIN_STEPS", 10**12)

    write(path, "a").close()
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
def test_an_error_of_sqlite_quotes_nothing_of_the_file(path: Path, sql: str) -> None:
    rewritten = f"UPDATE sqlite_master SET sql = {sql} WHERE name = 'message'"
    write_script(path, "PRAGMA writable_schema = ON", rewritten)
    with pytest.raises(ExportFormatError) as caught:
        texts(path)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_copy_without_room_names_the_remedy(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_with_log(path, "a")

    def fail(_source: Path, _target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", fail)
    with pytest.raises(ExportAccessError, match=r"No space left.*TMPDIR"):
        texts(path)


def test_a_query_that_never_ends_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages that lead to one another can hold more rows than there are atoms."""
    monkeypatch.setattr(database_module, "_MIN_STEPS", 1_000_000)
    write(path, "a").close()
    with (
        pytest.raises(ExportFormatError, match="more work than its size allows"),
        open_database(path) as database,
    ):
        list(database.query(LONG))
