"""Every schema is read by the columns that it has."""

import json
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import IMessageChatLoader
from langchain_chatexports.chat_loaders.imessage.database import Database, open_database
from langchain_chatexports.chat_loaders.imessage.queries import Queries
from langchain_chatexports.exceptions import ExportFormatError
from tests.unit_tests.builders.chat_db import COLUMNS_SINCE, VERSIONS, ChatDb
from tests.unit_tests.builders.sessions import metadata_of
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


@pytest.mark.parametrize(
    "columns",
    [
        "guid",
        "style",
        "chat_identifier",
        "service_name",
        "display_name",
        "group_id",
        "room_name",
    ],
)
def test_missing_column_of_chat_does_not_matter(path: Path, columns: str) -> None:
    with ChatDb(path) as db:
        write(db)
        kept = {"guid", "style", "chat_identifier", "service_name", "display_name"}
        listed = ", ".join(sorted(kept - {columns}))
        db.run(
            f"CREATE TABLE other AS SELECT ROWID, {listed} FROM chat; "
            "DROP TABLE chat; ALTER TABLE other RENAME TO chat"
        )
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


def test_database_without_any_index_is_read(path: Path) -> None:
    with ChatDb(path) as db:
        write(db)
        message_id = db.chat(TORTOISE).message("\ufffcLook", cache_has_attachments=1)
        db.attachment(message_id, mime_type="image/png")
        strip_indexes(db)
    look, rest = IMessageChatLoader(path).load()
    assert [m.content for m in rest["messages"]] == ["by text", "by body", "mine"]
    assert look["messages"][0].additional_kwargs["attachments"][0]["type"] == "photo"


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


@pytest.mark.parametrize(
    "columns", ["chat_id) WHERE (chat_id > 5", "message_id, chat_id"]
)
def test_index_that_does_not_lead_from_every_chat_is_no_help(
    path: Path, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    with ChatDb(path) as db:
        write(db)
        strip_indexes(db)
        db.run(f"CREATE INDEX other_one ON chat_message_join ({columns})")
    assert "SCAN" not in plan_of(path, monkeypatch)


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


def test_rows_of_the_join_that_lead_nowhere_do_not_matter(path: Path) -> None:
    with ChatDb(path) as db:
        write(db)
        db.insert("chat_message_join", chat_id=1, message_id=99)
        db.insert("chat_message_join", chat_id=77, message_id=98)
    assert lines(path) == EXPECTED
    assert IMessageChatLoader(path).inspect().found == 3


def test_message_in_a_chat_without_number_is_an_orphan(path: Path) -> None:
    with ChatDb(path) as db:
        write(db)
        message_id = db.message("lost")
        db.insert("chat_message_join", chat_id=None, message_id=message_id)
    assert IMessageChatLoader(path).inspect().skipped == {"orphan": 1}


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


COLUMNS_OF_OTHER_TABLES = {
    "handle": ("id", "person_centric_id"),
    "chat": (
        *("guid", "style", "chat_identifier", "service_name", "display_name"),
        "group_id",
    ),
    "attachment": (
        *("guid", "filename", "uti", "mime_type", "transfer_name", "is_sticker"),
        "hide_attachment",
    ),
}


@pytest.mark.parametrize("value", [b"raw \xff bytes", 7, 7.5])
@pytest.mark.parametrize(
    ("table", "column"),
    [
        (table, name)
        for table, names in COLUMNS_OF_OTHER_TABLES.items()
        for name in names
    ],
)
def test_values_of_other_types_in_other_tables_do_no_harm(
    path: Path, table: str, column: str, value: bytes | float
) -> None:
    with ChatDb(path, VERSIONS[-1]) as db:
        write(db)
        db.attachment(1, filename="a.jpg")
        db.run("UPDATE message SET cache_has_attachments = 1")
        if (column,) not in db.connection.execute(
            f"SELECT name FROM pragma_table_info('{table}')"
        ):
            db.run(f"ALTER TABLE {table} ADD COLUMN {column}")
        db.connection.execute(f"UPDATE {table} SET {column} = ?", (value,))
    loader = IMessageChatLoader(path, keep="media")
    json.dumps([metadata_of(session) for session in loader])
    assert [text for *_, text in lines(path)] == [text for *_, text in EXPECTED]


def test_names_that_are_stored_as_bytes_or_numbers_are_read(path: Path) -> None:
    with ChatDb(path) as db:
        db.chat(HARE, TORTOISE, name="Race").message("hi")
        db.run(
            "UPDATE chat SET display_name = CAST('Race' AS BLOB), guid = 12;"
            "CREATE TABLE other (ROWID INTEGER PRIMARY KEY, id, service);"
            "INSERT INTO other SELECT ROWID, CAST(id AS INTEGER), service FROM handle;"
            "DROP TABLE handle; ALTER TABLE other RENAME TO handle;"
        )
    (session,) = IMessageChatLoader(path)
    assert metadata_of(session)["title"] == "Race"
    assert metadata_of(session)["id"] == "12"
    assert session["messages"][0].additional_kwargs["sender"] == HARE.lstrip("+")


def test_no_text_is_sorted(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One message of 8 MB with 300 rows in the join took 2.4 GB of disk to sort."""
    with ChatDb(path) as db:
        write(db)
    sql, *_ = asked_of(path, monkeypatch)
    assert "m.text" in sql
    assert "ORDER BY" not in sql
