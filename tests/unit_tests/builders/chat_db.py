"""A builder of Messages databases, with the columns of a macOS version.

```python
with ChatDb(tmp_path / "chat.db") as db:
    hare = db.chat("+15550001111")
    hare.message("Ready?")
    hare.message("Always.", mine=True)
    race = db.chat("+15550001111", "tortoise@pond.example", name="The race")
    race.message("Slow and steady.", sender="tortoise@pond.example")
```
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

APPLE_EPOCH = 978_307_200
NOON = 1_700_000_000  # The Unix time before the first message; one message a minute.

# New columns of `message` by version, if the loader reads them.
COLUMNS_SINCE = {
    "10.11": """guid text handle_id subject attributedBody service account date
        is_from_me is_auto_reply is_sent cache_has_attachments cache_roomnames
        is_audio_message item_type other_handle group_title group_action_type
        share_status share_direction""",
    "10.13": """associated_message_guid associated_message_type balloon_bundle_id
        payload_data message_summary_info destination_caller_id""",
    "10.15": "reply_to_guid is_spam",
    "11": "thread_originator_guid thread_originator_part",
    "13": "date_edited date_retracted",
    "15": "associated_message_emoji schedule_type",
    "27": "filter_action",
}
VERSIONS = tuple(COLUMNS_SINCE)

_TEXT = """guid text subject service account cache_roomnames group_title
    associated_message_guid balloon_bundle_id destination_caller_id reply_to_guid
    thread_originator_guid thread_originator_part associated_message_emoji"""
_BLOB = frozenset({"attributedBody", "payload_data", "message_summary_info"})

_TABLES = """
CREATE TABLE handle (
    ROWID INTEGER PRIMARY KEY AUTOINCREMENT UNIQUE, id TEXT NOT NULL,
    service TEXT NOT NULL, person_centric_id TEXT, UNIQUE (id, service)
);
CREATE TABLE chat (
    ROWID INTEGER PRIMARY KEY AUTOINCREMENT, guid TEXT UNIQUE NOT NULL, style INTEGER,
    chat_identifier TEXT, service_name TEXT, display_name TEXT, group_id TEXT
);
CREATE TABLE chat_handle_join (
    chat_id INTEGER, handle_id INTEGER, UNIQUE (chat_id, handle_id)
);
CREATE TABLE chat_message_join (
    chat_id INTEGER, message_id INTEGER, message_date INTEGER DEFAULT 0,
    PRIMARY KEY (chat_id, message_id)
);
CREATE TABLE chat_recoverable_message_join (
    chat_id INTEGER, message_id INTEGER, delete_date INTEGER,
    PRIMARY KEY (chat_id, message_id)
);
CREATE TABLE attachment (
    ROWID INTEGER PRIMARY KEY AUTOINCREMENT, guid TEXT UNIQUE NOT NULL, filename TEXT,
    uti TEXT, mime_type TEXT, transfer_name TEXT, is_sticker INTEGER DEFAULT 0,
    hide_attachment INTEGER DEFAULT 0
);
CREATE TABLE message_attachment_join (
    message_id INTEGER, attachment_id INTEGER, UNIQUE (message_id, attachment_id)
);
CREATE INDEX chat_message_join_idx_chat_id ON chat_message_join (chat_id);
CREATE INDEX chat_message_join_idx_message_id_only ON chat_message_join (message_id);
CREATE INDEX message_idx_date ON message (date);
CREATE INDEX message_idx_handle ON message (handle_id, date);
"""


def apple_ns(unix_seconds: float) -> int:
    """Return a time in the unit of `message.date` since macOS 10.13."""
    return int((unix_seconds - APPLE_EPOCH) * 1_000_000_000)


class ChatDb:
    """A Messages database to write, as a context manager."""

    def __init__(
        self, path: Path, version: str | Iterable[str] = "13", *, wal: bool = False
    ) -> None:
        """Create the tables of a macOS version, or with given columns of `message`."""
        self.path = path
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("PRAGMA synchronous = OFF")
        if wal:
            self.connection.execute("PRAGMA journal_mode = WAL")
            self.connection.execute("PRAGMA wal_autocheckpoint = 0")
        if isinstance(version, str):
            version = _message_columns(version)
        self.columns = list(version)
        typed = (f"{name} {_column_type(name)}" for name in self.columns)
        self.connection.execute(
            "CREATE TABLE message (ROWID INTEGER PRIMARY KEY AUTOINCREMENT, "
            f"{', '.join(typed)})"
        )
        indexed = {"date", "handle_id"}.issubset(self.columns)
        tables = _TABLES if indexed else _TABLES.partition("CREATE INDEX message")[0]
        self.connection.executescript(tables)
        if not wal:
            self.connection.execute("BEGIN")
        self.messages = 0

    def chat(
        self,
        *addresses: str,
        service: str = "iMessage",
        name: str = "",
        listed: bool = True,
        **columns: Any,
    ) -> ChatBuilder:
        """Add a chat: a group if it has several people or a name."""
        is_group = bool(name) or len(addresses) > 1
        number = self._next("chat")
        identifier = f"chat{number:09}" if is_group else addresses[0]
        row = {
            "guid": f"{service};{'+' if is_group else '-'};{identifier}",
            "style": 43 if is_group else 45,
            "chat_identifier": identifier,
            "service_name": service,
            "display_name": name,
            **columns,
        }
        chat_id = self.insert("chat", **row)
        for address in addresses:
            handle_id = self.handle(address, service)
            if listed:
                self.insert("chat_handle_join", chat_id=chat_id, handle_id=handle_id)
        return ChatBuilder(self, chat_id, service, addresses)

    def handle(self, address: str, service: str = "iMessage", **columns: Any) -> int:
        """Return the ROWID of a handle, and create the handle if it is missing."""
        found = self.connection.execute(
            "SELECT ROWID FROM handle WHERE id = ? AND service = ?", (address, service)
        ).fetchone()
        if found:
            return int(found[0])
        return self.insert("handle", id=address, service=service, **columns)

    def message(self, text: str | None = None, **columns: Any) -> int:
        """Add a message without a chat, and return its ROWID."""
        self.messages += 1
        row: dict[str, Any] = {
            "guid": f"00000000-0000-4000-8000-{self.messages:012}",
            "text": text,
            "service": "iMessage",
            "date": apple_ns(NOON + 60 * self.messages),
            "is_from_me": 0,
            "handle_id": 0,
            "item_type": 0,
            "associated_message_type": 0,
        }
        present = {name: row[name] for name in row if name in self.columns}
        return self.insert("message", **(present | columns))

    def attachment(self, message_id: int, **columns: Any) -> int:
        guid = f"at_{self._next('attachment')}"
        attachment_id = self.insert("attachment", **{"guid": guid, **columns})
        self.insert(
            "message_attachment_join",
            message_id=message_id,
            attachment_id=attachment_id,
        )
        return attachment_id

    def insert(self, table: str, **columns: Any) -> int:
        marks = ", ".join("?" * len(columns))
        cursor = self.connection.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})",
            tuple(columns.values()),
        )
        return int(cursor.lastrowid or 0)

    def run(self, script: str) -> None:
        """Run SQL statements."""
        self._commit()
        self.connection.executescript(script)

    def guid(self, message_id: int) -> str:
        (guid,) = self.connection.execute(
            "SELECT guid FROM message WHERE ROWID = ?", (message_id,)
        ).fetchone()
        return str(guid)

    def close(self) -> None:
        self._commit()
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _commit(self) -> None:
        if self.connection.in_transaction:
            self.connection.execute("COMMIT")

    def _next(self, table: str) -> int:
        (last,) = self.connection.execute(
            f"SELECT coalesce(max(ROWID), 0) FROM {table}"
        ).fetchone()
        return int(last) + 1


class ChatBuilder:
    """Adds messages to one chat."""

    def __init__(
        self, db: ChatDb, chat_id: int, service: str, addresses: tuple[str, ...]
    ) -> None:
        self.db = db
        self.chat_id = chat_id
        self.service = service
        self.addresses = addresses

    def message(
        self,
        text: str | None = None,
        *,
        mine: bool = False,
        sender: str | None = None,
        at: float | None = None,
        body: bytes | None = None,
        **columns: Any,
    ) -> int:
        """Add a message from the first person or `sender`, and return its ROWID."""
        row: dict[str, Any] = {}
        address = sender or (self.addresses[0] if self.addresses else None)
        if address and not (mine and len(self.addresses) > 1):
            row["handle_id"] = self.db.handle(address, self.service)
        if "is_from_me" in self.db.columns:
            row["is_from_me"] = int(mine)
        if "service" in self.db.columns:
            row["service"] = self.service
        if at is not None:
            row["date"] = apple_ns(at)
        if body is not None:
            row["attributedBody"] = body
        message_id = self.db.message(text, **(row | columns))
        self.add(message_id)
        return message_id

    def add(self, message_id: int) -> None:
        """Add an existing message to this chat."""
        self.db.insert("chat_message_join", chat_id=self.chat_id, message_id=message_id)

    def delete(self, message_id: int) -> None:
        """Add a message to this chat's Recently Deleted."""
        join = "chat_recoverable_message_join"
        self.db.insert(join, chat_id=self.chat_id, message_id=message_id, delete_date=0)


def _message_columns(version: str) -> list[str]:
    versions = VERSIONS[: VERSIONS.index(version) + 1]
    return " ".join(map(COLUMNS_SINCE.__getitem__, versions)).split()


def _column_type(name: str) -> str:
    if name in _BLOB:
        return "BLOB"
    return "TEXT" if name in _TEXT.split() else "INTEGER DEFAULT 0"
