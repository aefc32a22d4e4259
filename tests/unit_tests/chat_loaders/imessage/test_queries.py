"""Databases of all macOS versions, and with unusual schemas."""

from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import IMessageChatLoader
from langchain_chatexports.chat_loaders.database import open_database
from langchain_chatexports.chat_loaders.imessage.queries import Queries
from langchain_chatexports.exceptions import ExportFormatError
from tests.unit_tests.builders.chat_db import COLUMNS_SINCE, VERSIONS, ChatDb
from tests.unit_tests.builders.typedstream import attributed_body

HARE, TORTOISE = "+15550000001", "tortoise@pond.example"
EXPECTED = [(HARE, "by text"), (HARE, "by body"), ("Me", "mine")]


def write(db: ChatDb) -> None:
    chat = db.chat(HARE)
    chat.message("by text")
    chat.message(body=attributed_body("by body"))
    chat.message("mine", mine=True)


def lines(path: Path) -> list[tuple[str, Any]]:
    (session,) = IMessageChatLoader(path)
    return [(m.additional_kwargs["sender"], m.content) for m in session["messages"]]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_macos_version_is_read(path: Path, version: str) -> None:
    with ChatDb(path, version) as db:
        write(db)
    assert lines(path) == EXPECTED


@pytest.mark.parametrize(
    "table",
    """handle chat chat_handle_join chat_recoverable_message_join attachment
    message_attachment_join""".split(),  # noqa: SIM905 - a list reads worse
)
def test_optional_table_may_be_missing(path: Path, table: str) -> None:
    with ChatDb(path) as db:
        write(db)
        db.run(f"DROP TABLE {table}")
    assert lines(path) == EXPECTED


@pytest.mark.parametrize("table", ["message", "chat_message_join"])
def test_missing_required_table_is_named(path: Path, table: str) -> None:
    with ChatDb(path) as db:
        write(db)
        db.run(f"DROP TABLE {table}")
    with pytest.raises(ExportFormatError, match=table):
        lines(path)


@pytest.mark.parametrize(
    "column",
    """guid service subject account cache_has_attachments cache_roomnames is_spam
    is_audio_message item_type other_handle associated_message_type is_auto_reply
    associated_message_guid balloon_bundle_id payload_data message_summary_info
    destination_caller_id is_sent thread_originator_guid date_edited
    date_retracted""".split(),  # noqa: SIM905 - a list reads worse
)
def test_message_column_may_be_missing(path: Path, column: str) -> None:
    columns = [
        name for name in " ".join(COLUMNS_SINCE.values()).split() if name != column
    ]
    with ChatDb(path, columns) as db:
        write(db)
    assert lines(path) == EXPECTED


@pytest.mark.parametrize("change", ["ADD COLUMN date", "DROP COLUMN message_date"])
def test_join_table_may_have_other_columns(path: Path, change: str) -> None:
    """A column named `date` would be ambiguous."""
    with ChatDb(path) as db:
        write(db)
        db.run(f"ALTER TABLE chat_message_join {change}")
    assert lines(path) == EXPECTED


def copy_table(db: ChatDb, table: str, key: str = "") -> None:
    """Copy a table without its indexes, and with ROWID as a plain column."""
    rows = db.connection.execute(f"PRAGMA table_info({table})").fetchall()
    columns = ", ".join(name for _, name, *_ in rows if name != "ROWID")
    db.run(
        f"CREATE TABLE other (ROWID {key}, {columns});"
        f"INSERT INTO other SELECT ROWID, {columns} FROM {table};"
        f"DROP TABLE {table}; ALTER TABLE other RENAME TO {table}"
    )


@pytest.mark.parametrize("is_indexed", [True, False])
def test_queries_of_one_chat_never_scan(path: Path, is_indexed: bool) -> None:
    """Scans for each chat took 27.8 s instead of 2 s for a million messages."""
    with ChatDb(path) as db:
        write(db)
        if not is_indexed:
            copy_table(db, "chat_message_join")
    statements: list[str] = []
    with open_database(path) as database:
        queries = Queries(database)
        database._connection.set_trace_callback(statements.append)
        next(queries.get_messages([1]))
        database._connection.set_trace_callback(None)
        sql = statements[0].replace("?", "1")
        assert "SCAN" not in str(list(database.query(f"EXPLAIN QUERY PLAN {sql}")))


@pytest.mark.parametrize("key", ["", "INT", "INT PRIMARY KEY"])
def test_rowid_may_be_a_plain_column(path: Path, key: str) -> None:
    """`CREATE TABLE … AS SELECT *` makes it one, and renumbers the rows."""
    with ChatDb(path) as db:
        first = db.message("deleted, so that numbers shift")
        db.attachment(first, mime_type="audio/mp4")
        write(db)
        message_id = db.chat(TORTOISE).message("\ufffcLook", cache_has_attachments=1)
        db.attachment(message_id, mime_type="image/png")
        db.run("DELETE FROM message WHERE ROWID = 1")
        db.run("DELETE FROM attachment WHERE ROWID = 1")
        copy_table(db, "message", key)
        copy_table(db, "attachment", key)
    look, rest = IMessageChatLoader(path).load()
    assert [m.content for m in rest["messages"]] == ["by text", "by body", "mine"]
    assert look["messages"][0].additional_kwargs["attachments"][0]["type"] == "photo"


def test_message_joined_twice_is_read_once(path: Path) -> None:
    with ChatDb(path) as db:
        write(db)
        copy_table(db, "chat_message_join")
        db.run("INSERT INTO chat_message_join SELECT * FROM chat_message_join LIMIT 1")
    assert lines(path) == EXPECTED
    assert IMessageChatLoader(path).inspect().found == 3


@pytest.mark.parametrize(
    "columns",
    [
        {"text": b"raw \xff bytes"},
        {"text": 5, "attributedBody": "no blob"},
        {"handle_id": b"\x00", "is_from_me": "yes"},
        {"item_type": "x", "associated_message_type": "y", "date": "z"},
        {"service": 7, "subject": 8, "balloon_bundle_id": 9},
        {"guid": 12, "thread_originator_guid": 3, "thread_originator_part": 4},
        {"date_edited": "x", "message_summary_info": 4, "payload_data": "p"},
        {"cache_has_attachments": "x", "destination_caller_id": 5, "account": b"E:"},
    ],
)
def test_columns_may_have_other_types(path: Path, columns: dict[str, Any]) -> None:
    with ChatDb(path, VERSIONS[-1]) as db:
        db.chat(TORTOISE).message(**({"text": "odd"} | columns))
        write(db)
    for keep in ((), ("system", "media")):
        summary = IMessageChatLoader(path, keep=keep).inspect()
        assert summary.found == summary.kept + sum(summary.skipped.values()) == 4
