"""Ten chats between Tortoise and Hare as a `chat.db`."""

import sqlite3
import uuid
from contextlib import closing
from pathlib import Path

from langchain_chatexports._files import translate_write_errors
from langchain_chatexports.samples.writing import read_scenes, stage_output

# As in the tutorial's database, both have handles and the owner never writes, so the
# chats are groups.
_HANDLES = {"Tortoise": 1, "Hare": 2}
_GROUP_STYLE = 43

# Unix seconds instead of Apple's epoch, as in the tutorial's database.
_NEWEST_CHAT_START = 1693182723
_SECONDS_BETWEEN_CHATS = 3 * 86_400 + 5_400
_SECONDS_BETWEEN_MESSAGES = 30

_ID_NAMESPACE = uuid.UUID("6f1d2a52-97a3-5d0e-9c1b-7a3f6f0b8e21")

_SCHEMA = """
PRAGMA page_size = 4096;
PRAGMA encoding = 'UTF-8';
PRAGMA journal_mode = MEMORY;
CREATE TABLE handle (ROWID INTEGER PRIMARY KEY, id TEXT, country TEXT, service TEXT);
CREATE TABLE chat (
    ROWID INTEGER PRIMARY KEY, guid TEXT, style INTEGER, chat_identifier TEXT,
    service_name TEXT, room_name TEXT, display_name TEXT
);
CREATE TABLE message (
    ROWID INTEGER PRIMARY KEY, guid TEXT, text TEXT, handle_id INTEGER DEFAULT 0,
    subject TEXT, attributedBody BLOB, service TEXT, date INTEGER,
    is_from_me INTEGER DEFAULT 0, item_type INTEGER DEFAULT 0,
    associated_message_guid TEXT, associated_message_type INTEGER DEFAULT 0
);
CREATE TABLE chat_message_join (
    chat_id INTEGER, message_id INTEGER, message_date INTEGER DEFAULT 0,
    PRIMARY KEY (chat_id, message_id)
);
CREATE TABLE chat_handle_join (chat_id INTEGER, handle_id INTEGER);
CREATE INDEX chat_message_join_idx_chat_id ON chat_message_join (chat_id);
CREATE INDEX message_idx_date ON message (date);
"""


def write_imessage(path: str | Path = "chat.db") -> Path:
    """Write ten chats between Tortoise and Hare as an iMessage database.

    The rows are deterministic.

    Args:
        path: The file to write. Missing folders are created, and an existing sample is
            left unchanged.

    Returns:
        The path.

    Raises:
        ExportAccessError: If the system denies access.
        ExportFormatError: If the path has another file, which is not overwritten.
    """
    target = Path(path).expanduser()
    with translate_write_errors(target), stage_output(target) as draft:
        draft.touch()  # Raises clearer errors than SQLite.
        with closing(sqlite3.connect(draft)) as database:
            database.executescript(_SCHEMA)
            _insert_chats(database)
            database.commit()
    return target


def _insert_chats(database: sqlite3.Connection) -> None:
    for name, handle_id in _HANDLES.items():
        _insert(database, "handle", handle_id, name, None, "iMessage")
    scenes = read_scenes("tortoise_and_hare.txt")
    message_id = 0
    for chat_id, (title, lines) in enumerate(scenes.items(), start=1):
        name = f"chat{2023_0000 + chat_id}"
        guid = f"iMessage;+;{name}"
        values = (guid, _GROUP_STYLE, name, "iMessage", name, title)
        _insert(database, "chat", chat_id, *values)
        for handle_id in _HANDLES.values():
            _insert(database, "chat_handle_join", chat_id, handle_id)
        start = _NEWEST_CHAT_START - (len(scenes) - chat_id) * _SECONDS_BETWEEN_CHATS
        for index, line in enumerate(lines):
            message_id += 1
            date = start + index * _SECONDS_BETWEEN_MESSAGES
            message_guid = str(uuid.uuid5(_ID_NAMESPACE, str(message_id))).upper()
            database.execute(
                "INSERT INTO message (ROWID, guid, text, handle_id, service, date) "
                "VALUES (?, ?, ?, ?, 'iMessage', ?)",
                (message_id, message_guid, line.text, _HANDLES[line.speaker], date),
            )
            _insert(database, "chat_message_join", chat_id, message_id, date)


def _insert(database: sqlite3.Connection, table: str, *values: object) -> None:
    placeholders = ", ".join("?" * len(values))
    database.execute(f"INSERT INTO {table} VALUES ({placeholders})", values)
