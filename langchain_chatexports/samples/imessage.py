"""Ten chats of Tortoise and Hare as a `chat.db`."""

import sqlite3
import uuid
from contextlib import closing
from pathlib import Path

from langchain_chatexports._files import explained_writing
from langchain_chatexports.samples.writing import draft_of, read_scenes

# Both have handles, as in the tutorial's database: the owner is a silent third person,
# so the chats are groups.
_HANDLES = {"Tortoise": 1, "Hare": 2}
_GROUP_STYLE = 43

# Unix seconds instead of the epoch of Messages, as in the tutorial's database.
_NEWEST_CHAT_BEGINS = 1693182723
_SECONDS_BETWEEN_CHATS = 3 * 86_400 + 5_400
_SECONDS_BETWEEN_MESSAGES = 30

_IDS = uuid.UUID("6f1d2a52-97a3-5d0e-9c1b-7a3f6f0b8e21")

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
    """Write ten chats of Tortoise and Hare as an iMessage database.

    The rows are deterministic.

    Args:
        path: The file to write; missing folders are created. An existing sample is not
            changed.

    Returns:
        The path.

    Raises:
        ExportAccessError: If the system refuses to write there.
        ExportFormatError: If there is another file at the path. Nothing is
            overwritten.
    """
    target = Path(path).expanduser()
    with explained_writing(target), draft_of(target) as draft:
        draft.touch()  # Its error is clearer than SQLite's.
        with closing(sqlite3.connect(draft)) as database:
            database.executescript(_SCHEMA)
            _fill(database)
            database.commit()
    return target


def _fill(database: sqlite3.Connection) -> None:
    for name, number in _HANDLES.items():
        _insert(database, "handle", number, name, None, "iMessage")
    scenes = read_scenes("tortoise_and_hare.txt")
    row = 0
    for chat, (title, lines) in enumerate(scenes.items(), start=1):
        name = f"chat{2023_0000 + chat}"
        guid = f"iMessage;+;{name}"
        about = (guid, _GROUP_STYLE, name, "iMessage", name, title)
        _insert(database, "chat", chat, *about)
        for number in _HANDLES.values():
            _insert(database, "chat_handle_join", chat, number)
        start = _NEWEST_CHAT_BEGINS - (len(scenes) - chat) * _SECONDS_BETWEEN_CHATS
        for index, line in enumerate(lines):
            row += 1
            date = start + index * _SECONDS_BETWEEN_MESSAGES
            message_guid = str(uuid.uuid5(_IDS, str(row))).upper()
            database.execute(
                "INSERT INTO message (ROWID, guid, text, handle_id, service, date) "
                "VALUES (?, ?, ?, ?, 'iMessage', ?)",
                (row, message_guid, line.text, _HANDLES[line.speaker], date),
            )
            _insert(database, "chat_message_join", chat, row, date)


def _insert(database: sqlite3.Connection, table: str, *values: object) -> None:
    places = ", ".join("?" * len(values))
    database.execute(f"INSERT INTO {table} VALUES ({places})", values)
