"""Ten chats of Tortoise and Hare as a `chat.db`."""

import sqlite3
import uuid
from contextlib import closing
from pathlib import Path

from langchain_chatexports._files import explained_writing
from langchain_chatexports.exceptions import ExportFormatError
from langchain_chatexports.samples.writing import draft_of, read_scenes

# Both speak through handles and nobody through the owner, as in the tutorial's
# database: the owner is a silent third, so the chats are groups.
_SPEAKERS = ("Tortoise", "Hare")
_GROUP_STYLE = 43
_SERVICE = "iMessage"

# Unix seconds, where Messages has its own epoch: the tutorial's database does so too.
_NEWEST_CHAT_BEGINS = 1693182723
_SECONDS_BETWEEN_CHATS = 3 * 86_400 + 5_400
_SECONDS_BETWEEN_MESSAGES = 30

_IDS = uuid.UUID("6f1d2a52-97a3-5d0e-9c1b-7a3f6f0b8e21")

_SCHEMA = """
CREATE TABLE handle (
    ROWID INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    country TEXT,
    service TEXT NOT NULL,
    UNIQUE (id, service)
);
CREATE TABLE chat (
    ROWID INTEGER PRIMARY KEY,
    guid TEXT UNIQUE NOT NULL,
    style INTEGER,
    chat_identifier TEXT,
    service_name TEXT,
    room_name TEXT,
    display_name TEXT
);
CREATE TABLE message (
    ROWID INTEGER PRIMARY KEY,
    guid TEXT UNIQUE NOT NULL,
    text TEXT,
    handle_id INTEGER DEFAULT 0,
    subject TEXT,
    attributedBody BLOB,
    service TEXT,
    date INTEGER,
    is_from_me INTEGER DEFAULT 0,
    item_type INTEGER DEFAULT 0,
    associated_message_guid TEXT,
    associated_message_type INTEGER DEFAULT 0
);
CREATE TABLE chat_message_join (
    chat_id INTEGER REFERENCES chat (ROWID),
    message_id INTEGER REFERENCES message (ROWID),
    message_date INTEGER DEFAULT 0,
    PRIMARY KEY (chat_id, message_id)
);
CREATE TABLE chat_handle_join (
    chat_id INTEGER REFERENCES chat (ROWID),
    handle_id INTEGER REFERENCES handle (ROWID),
    UNIQUE (chat_id, handle_id)
);
CREATE INDEX chat_message_join_idx_chat_id ON chat_message_join (chat_id);
CREATE INDEX message_idx_date ON message (date);
"""


def write_imessage(path: str | Path = "chat.db") -> Path:
    """Write ten chats of Tortoise and Hare as an iMessage database.

    The rows are the same at each call and on each machine; the file's bytes are the
    same with one build of SQLite.

    Args:
        path: Where to write it; missing folders are made. The same sample there is
            left as it is.

    Returns:
        The path.

    Raises:
        ExportAccessError: If the system refuses to write there.
        ExportFormatError: If something else is at this path, or a write-ahead log or a
            journal of another database is beside it. Nothing is overwritten then.
    """
    target = Path(path).expanduser()
    with explained_writing(target):
        _check_neighbors(target)
        with draft_of(target) as draft:
            draft.touch()  # SQLite would not say why it cannot.
            _write_database(draft)
    return target


def _write_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.executescript(
            f"""
            PRAGMA page_size = 4096;
            PRAGMA encoding = 'UTF-8';
            PRAGMA journal_mode = MEMORY;
            {_SCHEMA}
            """
        )
        _fill(database)
        database.commit()


def _fill(database: sqlite3.Connection) -> None:
    handles = {name: number for number, name in enumerate(_SPEAKERS, start=1)}
    database.executemany(
        "INSERT INTO handle VALUES (?, ?, NULL, ?)",
        [(number, name, _SERVICE) for name, number in handles.items()],
    )
    scenes = read_scenes("tortoise_and_hare.txt")
    row = 0
    for chat, (title, lines) in enumerate(scenes.items(), start=1):
        identifier = f"chat{2023_0000 + chat}"
        database.execute(
            "INSERT INTO chat VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                chat,
                f"{_SERVICE};+;{identifier}",
                _GROUP_STYLE,
                identifier,
                _SERVICE,
                identifier,
                title,
            ),
        )
        database.executemany(
            "INSERT INTO chat_handle_join VALUES (?, ?)",
            [(chat, number) for number in handles.values()],
        )
        start = _NEWEST_CHAT_BEGINS - (len(scenes) - chat) * _SECONDS_BETWEEN_CHATS
        for index, line in enumerate(lines):
            row += 1
            date = start + index * _SECONDS_BETWEEN_MESSAGES
            guid = str(uuid.uuid5(_IDS, str(row))).upper()
            database.execute(
                "INSERT INTO message (ROWID, guid, text, handle_id, service, date) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (row, guid, line.text, handles[line.speaker], _SERVICE, date),
            )
            database.execute(
                "INSERT INTO chat_message_join VALUES (?, ?, ?)", (chat, row, date)
            )


def _check_neighbors(target: Path) -> None:
    for suffix in ("-wal", "-journal"):
        neighbor = target.with_name(target.name + suffix)
        if neighbor.exists():
            msg = (
                f"{neighbor} belongs to another database, and SQLite would mix it into "
                f"a sample at {target}. Nothing was written; give another path."
            )
            raise ExportFormatError(msg, path=neighbor)
