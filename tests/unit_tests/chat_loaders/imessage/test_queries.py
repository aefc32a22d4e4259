"""Every schema is read by the columns that it has."""

from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import IMessageChatLoader
from langchain_chatexports.chat_loaders.imessage.database import Database, open_database
from langchain_chatexports.chat_loaders.imessage.queries import Queries
from langchain_chatexports.exceptions import ExportFormatError
from tests.unit_tests.builders.chat_db import COLUMNS_SINCE, VERSIONS, ChatDb
from tests.unit_tests.builders.typedstream import attributed_body

HARE, TORTOISE = "+15550000001", "tortoise@pond.example"
EXPECTED = [(HARE, "by text"), (HARE, "by body"), ("Me", "mine")]
OPTIONAL_TABLES = (
    "handle",
    "chat",
    "chat_handle_join",
    "chat_recoverable_message_join",
    "attachment",
    "message_attachment_join",
)
INDEXES = (
    "chat_message_join_idx_chat_id",
    "chat_message_join_idx_message_id_only",
    "message_idx_date",
    "message_idx_handle",
)


def write(db: ChatDb) -> None:
    chat = db.chat(HARE)
    chat.message("by text")
    chat.message(body=attributed_body("by body"))
    chat.message("mine", mine=True)


def lines(path: Path, **options: Any) -> list[tuple[str, Any]]:
    (session,) = IMessageChatLoader(path, **options)
    return [(m.additional_kwargs["sender"], m.content) for m in session["messages"]]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_is_read(path: Path, version: str) -> None:
    with ChatDb(path, version) as db:
        write(db)
    assert lines(path) == EXPECTED


@pytest.mark.parametrize("table", OPTIONAL_TABLES)
def test_missing_table_does_not_matter(path: Path, table: str) -> None:
    with ChatDb(path) as db:
        write(db)
        db.run(f"DROP TABLE {table}")
    assert lines(path) == EXPECTED


@pytest.mark.parametrize("table", ["message", "chat_message_join"])
def test_table_that_nothing_works_without_is_named(path: Path, table: str) -> None:
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
    date_retracted""".split(),  # noqa: SIM905 - the list reads worse
)
def test_missing_column_of_message_does_not_matter(path: Path, column: str) -> None:
    columns = [
        name
        for version in VERSIONS
        for name in COLUMNS_SINCE[version].split()
        if name != column
    ]
    with ChatDb(path, columns) as db:
        write(db)
    assert lines(path) == EXPECTED


@pytest.mark.parametrize("change", ["ADD COLUMN date", "DROP COLUMN message_date"])
def test_dates_of_the_join_do_not_matter(path: Path, change: str) -> None:
    """A column called `date` would be ambiguous."""
    with ChatDb(path) as db:
        write(db)
        db.run(f"ALTER TABLE chat_message_join {change}")
    assert lines(path) == EXPECTED


def strip_indexes(db: ChatDb) -> None:
    for name in INDEXES:
        db.run(f"DROP INDEX {name}")
    for table in ("chat_message_join", "message_attachment_join"):
        db.run(
            f"CREATE TABLE other AS SELECT * FROM {table}; "
            f"DROP TABLE {table}; ALTER TABLE other RENAME TO {table}"
        )


def asked_of(path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The queries for the messages and attachments of one chat, with their plans."""
    asked: list[str] = []
    query = Database.query

    def noted(self: Database, sql: str, values: Any = ()) -> Any:
        asked.append(sql)
        return query(self, sql, values)

    with open_database(path) as database:
        queries = Queries(database)
        monkeypatch.setattr(Database, "query", noted)
        next(queries.messages([1]))
        queries.attachments(1)
        monkeypatch.undo()
        return {
            sql: " ".join(
                row[3]
                for row in database.query(f"EXPLAIN QUERY PLAN {sql.replace('?', '1')}")
            )
            for sql in asked
            if sql.lstrip().startswith("SELECT")
        }


def plan_of(path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return " ".join(asked_of(path, monkeypatch).values())


@pytest.mark.parametrize("stripped", [False, True])
def test_chat_is_read_by_an_index_and_never_by_a_scan(
    path: Path, monkeypatch: pytest.MonkeyPatch, stripped: bool
) -> None:
    """A scan for each chat made one million messages cost 27.8 s instead of 2."""
    with ChatDb(path) as db:
        write(db)
        if stripped:
            strip_indexes(db)
    plan = plan_of(path, monkeypatch)
    assert "SCAN" not in plan
    assert "SEARCH j USING COVERING INDEX" in plan


def copy_table(db: Any, table: Any, key: Any) -> Any:
    """Copy a table so that its ROWID is a column like any other."""
    rows = db.connection.execute(f"PRAGMA table_info({table})").fetchall()
    columns = ", ".join(name for _, name, *_ in rows if name != "ROWID")
    db.run(
        f"CREATE TABLE other (ROWID {key}, {columns});"
        f"INSERT INTO other SELECT ROWID, {columns} FROM {table};"
        f"DROP TABLE {table}; ALTER TABLE other RENAME TO {table}"
    )


@pytest.mark.parametrize("key", ["", "INT", "INT PRIMARY KEY"])
def test_copied_tables_whose_row_ids_are_a_plain_column_are_read(
    path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """`CREATE TABLE … AS SELECT *` makes such ones; numbers of rows shift then."""
    with ChatDb(path) as db:
        first = db.message("first, so that numbers shift")
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
    assert "SCAN" not in plan_of(path, monkeypatch)


def test_row_that_is_listed_twice_comes_once(path: Path) -> None:
    with ChatDb(path) as db:
        write(db)
        strip_indexes(db)
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
def test_values_of_other_types_do_not_end_the_reading(
    path: Path, columns: dict[str, Any]
) -> None:
    with ChatDb(path, VERSIONS[-1]) as db:
        db.chat(TORTOISE).message(**({"text": "odd"} | columns))
        write(db)
    for keep in ((), ("system", "media")):
        loader = IMessageChatLoader(path, keep=keep)
        summary = loader.inspect()
        assert summary.found == 4
        assert summary.found == summary.kept + sum(summary.skipped.values())
