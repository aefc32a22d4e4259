"""No code in a schema runs, nothing is endless, and errors quote nothing."""

from __future__ import annotations

import ast
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import traceback
from contextlib import closing, suppress
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

import langchain_chatexports
from langchain_chatexports import IMessageChatLoader
from langchain_chatexports.chat_loaders.imessage import connections
from langchain_chatexports.chat_loaders.imessage.database import open_database
from langchain_chatexports.exceptions import ExportFormatError
from tests.unit_tests.builders.chat_db import ChatDb
from tests.unit_tests.builders.sessions import all_texts

if TYPE_CHECKING:
    from collections.abc import Iterator

HARE = "+15550000001"
SECRET = "the-secret-of-the-hare"  # noqa: S105 - no password
ENDLESS = "WITH RECURSIVE r (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r)"

# Some twenty rows to the power of nine.
LONG = f"SELECT count(*) FROM {', '.join(['sqlite_master'] * 9)}"


def write(path: Path, *scripts: str, text: str = "a") -> Path:
    with ChatDb(path) as db:
        db.chat(HARE).message(text)
        for script in scripts:
            db.run(script)
    return path


def write_view(path: Path, select: str, table: str = "message") -> Path:
    view = f"CREATE VIEW {table} AS {select}"
    return write(path, f"ALTER TABLE {table} RENAME TO hidden", view)


def texts(path: Path) -> list[Any]:
    return all_texts(IMessageChatLoader(path))


@pytest.mark.parametrize(
    "table", ["message", "handle", "chat", "chat_message_join", "attachment"]
)
def test_a_view_in_place_of_a_table_is_refused(path: Path, table: str) -> None:
    write_view(path, "SELECT * FROM hidden", table)
    with pytest.raises(ExportFormatError, match=f"'{table}' is a view"):
        texts(path)


@pytest.mark.parametrize(
    "select",
    [
        f"{ENDLESS} SELECT x AS ROWID, 'a' AS text FROM r",
        "SELECT 1 AS ROWID, zeroblob(1000000000) AS text",
        "SELECT json_extract(text, '$') AS text FROM hidden",
    ],
)
def test_what_a_view_computes_is_not_computed(path: Path, select: str) -> None:
    write_view(path, select)
    with pytest.raises(ExportFormatError, match="'message' is a view"):
        texts(path)


def test_a_view_in_other_letters_is_refused(path: Path) -> None:
    write(path, "ALTER TABLE message RENAME TO hidden")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE VIEW MesSage AS SELECT * FROM hidden")
    with pytest.raises(ExportFormatError, match="'message' is a view"):
        texts(path)


def test_a_virtual_table_is_refused(path: Path) -> None:
    write(path, "DROP TABLE message", "CREATE VIRTUAL TABLE message USING fts4(text)")
    with pytest.raises(ExportFormatError, match="a virtual table"):
        texts(path)


@pytest.mark.parametrize("kind", ["VIRTUAL", "STORED"])
def test_a_computed_column_is_refused(path: Path, kind: str) -> None:
    columns = f"text, b AS (upper(text)) {kind}"
    write(path, "DROP TABLE message", f"CREATE TABLE message ({columns})")
    with pytest.raises(ExportFormatError, match="computed columns"):
        texts(path)


def test_views_and_triggers_beside_the_tables_do_no_harm(path: Path) -> None:
    view = f"CREATE VIEW recent AS {ENDLESS} SELECT x FROM r"
    trigger = "CREATE TRIGGER t AFTER INSERT ON message BEGIN SELECT * FROM recent; END"
    write(path, view, trigger)
    assert texts(path) == ["a"]


@pytest.mark.parametrize("table", ["ZABCDRECORD", "ZABCDPHONENUMBER"])
def test_a_view_in_an_address_book_is_refused(path: Path, table: str) -> None:
    write(path)
    book = path.with_name("book.abcddb")
    with closing(sqlite3.connect(book)) as connection:
        for name in {"ZABCDRECORD", "ZABCDPHONENUMBER"} - {table}:
            connection.execute(f"CREATE TABLE {name} (Z_PK, ZOWNER)")
        connection.execute(f"CREATE VIEW {table} AS {ENDLESS} SELECT x AS Z_PK FROM r")
    with pytest.raises(ExportFormatError, match=f"'{table.lower()}' is a view"):
        IMessageChatLoader(path, contacts=book).load()


def test_estimating_the_count_runs_no_view(path: Path) -> None:
    write_view(path, f"{ENDLESS} SELECT x AS ROWID FROM r")
    assert IMessageChatLoader(path).estimate_message_count() is None


@pytest.mark.parametrize(
    "sql",
    ["SELECT * FROM v", "SELECT count(*) FROM v", "SELECT 1 FROM (SELECT * FROM v)"],
)
@pytest.mark.parametrize("select", ["SELECT 1 AS x", "SELECT text FROM message"])
def test_no_connection_reads_through_a_view(path: Path, sql: str, select: str) -> None:
    """The second lock, behind the list of tables."""
    write(path, f"CREATE VIEW v AS {select}")
    with (
        pytest.raises(ExportFormatError, match="cannot be read"),
        open_database(path) as connection,
    ):
        connection.execute(sql).fetchall()


def test_the_schema_is_not_trusted(path: Path) -> None:
    write(path)
    with open_database(path) as connection:
        assert connection.execute("PRAGMA trusted_schema").fetchone() == (0,)
        assert connection.execute("PRAGMA cell_size_check").fetchone() == (1,)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python cannot set it earlier.")
def test_connections_are_defensive(path: Path) -> None:
    write(path)
    with open_database(path) as connection:
        assert connection.getconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE)  # type: ignore[attr-defined,unused-ignore]  # since Python 3.12


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python cannot set it earlier.")
def test_a_huge_value_is_refused_before_it_is_in_memory(path: Path) -> None:
    blob = "UPDATE message SET text = NULL, attributedBody = zeroblob(80000000)"
    write(path, blob)
    with pytest.raises(ExportFormatError, match="too big"):
        texts(path)


def test_a_tree_of_pages_that_meet_again_ends(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty pages can hold more rows than there are atoms: all lead to one another."""
    monkeypatch.setattr(connections, "_MIN_STEPS", 1_000_000)
    monkeypatch.setattr(connections, "_MAX_STEPS_PER_BYTE", 1)
    write_repeating_tree(path, levels=6, fanout=60)
    with pytest.raises(ExportFormatError, match="more work than its size explains"):
        texts(path)


def write_repeating_tree(path: Path, *, levels: int, fanout: int) -> None:
    """Make the pages above the rows of `message` lead to one page many times."""
    with ChatDb(path) as db:
        db.chat(HARE).message("a")
        # A table of two levels, whose root is an interior page.
        db.run("CREATE TABLE filler (x)")
        for _ in range(levels):
            db.run("INSERT INTO filler VALUES (zeroblob(4000))")
        pages = db.connection.execute("PRAGMA page_count").fetchone()[0]
        root = db.connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'message'"
        ).fetchone()[0]
        size = db.connection.execute("PRAGMA page_size").fetchone()[0]
    raw = bytearray(path.read_bytes())
    first = pages + 1
    leaf = raw[(root - 1) * size : root * size]
    raw += leaf  # The rows move to the first new page.
    for level in range(levels):
        child = first + level
        raw += interior_page(child, fanout, size)
    raw[(root - 1) * size : root * size] = interior_page(first + levels, fanout, size)
    raw[28:32] = (len(raw) // size).to_bytes(4, "big")
    path.write_bytes(raw)


def interior_page(child: int, fanout: int, size: int) -> bytes:
    """Write a page of a table's tree all of whose cells lead to one page."""
    page = bytearray(size)
    cells = [size - 5 * (index + 1) for index in range(fanout)]
    page[0] = 5
    page[3:5] = fanout.to_bytes(2, "big")
    page[5:7] = cells[-1].to_bytes(2, "big")
    page[8:12] = child.to_bytes(4, "big")
    for index, cell in enumerate(cells):
        page[12 + 2 * index : 14 + 2 * index] = cell.to_bytes(2, "big")
        page[cell : cell + 5] = child.to_bytes(4, "big") + b"\x01"
    return bytes(page)


class Stopped(BaseException):
    """What a handler of signals raises."""


@pytest.fixture
def stopping(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # The query must not end by itself before the signal comes.
    monkeypatch.setattr(connections, "_MIN_STEPS", 10**12)

    def stop(*_: object) -> None:
        raise Stopped

    before = signal.signal(signal.SIGINT, stop)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals.")
@pytest.mark.usefixtures("stopping")
def test_a_signal_ends_a_query(path: Path) -> None:
    write(path)
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(Stopped), open_database(path) as connection:
        connection.execute(LONG).fetchone()
    timer.join()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals.")
@pytest.mark.usefixtures("stopping")
def test_a_signal_between_queries_whose_error_is_passed_over_is_not_lost(
    path: Path,
) -> None:
    write(path)
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(Stopped), open_database(path) as connection:  # noqa: SIM117 - the inner error is passed over
        with pytest.raises(sqlite3.OperationalError):
            connection.execute(LONG).fetchone()
    timer.join()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such timers.")
# What is stopped between two lines is closed by the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_anywhere_in_a_reading_is_not_taken_for_a_bad_file(path: Path) -> None:
    """Of an export this small, a tenth come while SQLite asks what it may do."""
    write(path)
    # Other tests look for open files called chat.db, and a stopped opening leaves some.
    path = path.rename(path.with_name("stopped.db"))
    random = Random(0)

    def stop(*_: object) -> None:
        raise Stopped

    before = signal.signal(signal.SIGALRM, stop)
    try:
        for _ in range(300):
            with suppress(Stopped):
                signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 5e-3))
                for _ in range(20):
                    texts(path)
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals.")
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_the_command_ends_by_a_signal_in_a_long_query(
    path: Path, number: int, status: int
) -> None:
    pytest.importorskip("typer", reason="needs the extra `cli`")
    write_repeating_tree(path, levels=12, fanout=300)
    program = f"""
import os, sys, threading
from langchain_chatexports.chat_loaders.imessage import connections
from langchain_chatexports.cli import main

def restrict_and_signal(connection):
    connections._restrict = restrict
    restrict(connection)
    threading.Timer(0.3, os.kill, (os.getpid(), {int(number)})).start()

restrict, connections._restrict = connections._restrict, restrict_and_signal
connections._MIN_STEPS = 10**12  # The query must not end by itself before.
connections._MIN_STEPS = 10**15
sys.argv[1:] = ["inspect", {str(path)!r}]
main()
"""
    done = subprocess.run(  # noqa: S603 - the program above
        [sys.executable, "-c", program], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == status


@pytest.mark.parametrize(
    "sql",
    [
        f"replace(sql, 'text TEXT', 'text TEXT COLLATE \"{SECRET}\"')",
        f"'CREATE TABLE message (\"{SECRET}\"'",
    ],
)
def test_an_error_of_sqlite_quotes_nothing_of_the_file(path: Path, sql: str) -> None:
    rewritten = f"UPDATE sqlite_master SET sql = {sql} WHERE name = 'message'"
    write(path, "PRAGMA writable_schema = ON", rewritten)
    with pytest.raises(ExportFormatError) as caught:
        texts(path)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_only_these_files_connect_to_sqlite() -> None:
    """Whoever reads a stranger's database does so by `connections`."""
    root = Path(langchain_chatexports.__file__).parent
    found = {
        file.relative_to(root).as_posix()
        for file in root.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "sqlite3.connect"
    }
    assert found == {
        "chat_loaders/imessage/connections.py",
        "retrieval/storage.py",  # Files of our own: others are refused by their header.
        "samples/imessage.py",  # Writes a file of its own.
    }
