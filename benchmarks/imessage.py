"""A database of Messages and the stages of loading it, for `benchmarks.loaders`."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_APPLE_EPOCH = 978_307_200
_BEGIN = 1_500_000_000
_WITH_BODY, _WITH_TEXT, _OWN = 0.8, 0.4, 0.45  # Shares of all messages.
_WORDS = """slow steady race hill mill oak carrot shell river morning late early fast
    wait there here soon maybe never always sleep walk run win lose bread rain
    sun""".split()  # noqa: SIM905 - a list of words reads worse
_PREFIX = bytes.fromhex(
    "040b73747265616d747970656481e803840140848484124e5341747472696275746564537472696e"
    "67008484084e534f626a656374008592848484084e53537472696e67019484012b"
)
_SUFFIX = bytes.fromhex(
    "86840269490101928484840c4e5344696374696f6e617279009484016901928496961d5f5f6b494d"
    "4d657373616765506172744174747269627574654e616d658692848484084e534e756d6265720084"
    "84074e5356616c7565009484012a84999900868686"
)
_SCHEMA = """
CREATE TABLE handle (ROWID INTEGER PRIMARY KEY, id TEXT NOT NULL, service TEXT NOT NULL,
    person_centric_id TEXT, UNIQUE (id, service));
CREATE TABLE chat (ROWID INTEGER PRIMARY KEY, guid TEXT UNIQUE NOT NULL, style INTEGER,
    chat_identifier TEXT, service_name TEXT, room_name TEXT, display_name TEXT,
    group_id TEXT);
CREATE TABLE message (ROWID INTEGER PRIMARY KEY, guid TEXT UNIQUE NOT NULL, text TEXT,
    handle_id INTEGER DEFAULT 0, subject TEXT, attributedBody BLOB, service TEXT,
    account TEXT, date INTEGER, date_read INTEGER, date_delivered INTEGER,
    is_from_me INTEGER DEFAULT 0, is_auto_reply INTEGER DEFAULT 0, is_sent INTEGER,
    cache_has_attachments INTEGER DEFAULT 0, cache_roomnames TEXT,
    is_audio_message INTEGER DEFAULT 0, item_type INTEGER DEFAULT 0,
    other_handle INTEGER DEFAULT 0, group_title TEXT, group_action_type INTEGER
    DEFAULT 0, share_status INTEGER DEFAULT 0, share_direction INTEGER DEFAULT 0,
    associated_message_guid TEXT, associated_message_type INTEGER DEFAULT 0,
    balloon_bundle_id TEXT, payload_data BLOB, message_summary_info BLOB,
    destination_caller_id TEXT, is_spam INTEGER DEFAULT 0, reply_to_guid TEXT,
    thread_originator_guid TEXT, thread_originator_part TEXT, date_retracted INTEGER
    DEFAULT 0, date_edited INTEGER DEFAULT 0, schedule_type INTEGER DEFAULT 0);
CREATE TABLE chat_message_join (chat_id INTEGER, message_id INTEGER,
    message_date INTEGER DEFAULT 0, PRIMARY KEY (chat_id, message_id));
"""
_INDEXES = """
CREATE INDEX chat_message_join_idx_message_id_only ON chat_message_join (message_id);
CREATE INDEX chat_message_join_idx_chat_id ON chat_message_join (chat_id);
CREATE INDEX chat_message_join_idx_message_date_id_chat_id ON chat_message_join
    (chat_id, message_date, message_id);
CREATE INDEX message_idx_date ON message (date);
CREATE INDEX message_idx_handle ON message (handle_id, date);
"""
_LIBRARY = """
from langchain_chatexports.chat_loaders.imessage import IMessageChatLoader
loader = IMessageChatLoader(path, owner='owner', people={})
"""
_COMMUNITY = "from langchain_community.chat_loaders.imessage import IMessageChatLoader"
# Set-up code, which is not measured, and measured code.
STAGES = {
    "first session": (_LIBRARY, "next(iter(loader.lazy_load()))"),
    "read": (_LIBRARY, "for session in loader.lazy_load(): del session"),
    "inspect": (_LIBRARY, "print(loader.inspect().found, file=sys.stderr)"),
    "community read": (
        _COMMUNITY,
        "for session in IMessageChatLoader(path).lazy_load(): del session",
    ),
}


def generate(path: Path, messages: int, conversations: int) -> None:
    """Write a clean database with texts, bodies or both, by the owner and others."""
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = OFF")
        db.execute("PRAGMA synchronous = OFF")
        db.executescript(_SCHEMA)
        db.execute("BEGIN")
        db.executemany(
            "INSERT INTO handle VALUES (?, ?, 'iMessage', NULL)",
            [(n, f"+1555{n:07}") for n in range(1, conversations + 1)],
        )
        db.executemany(
            "INSERT INTO chat VALUES (?, ?, 45, ?, 'iMessage', NULL, '', NULL)",
            [
                (n, f"iMessage;-;+1555{n:07}", f"+1555{n:07}")
                for n in range(1, conversations + 1)
            ],
        )
        # As in the tutorial's database, the owner has a handle, so that
        # langchain-community finds the right senders.
        db.execute(
            "INSERT INTO handle VALUES (?, 'owner', '', NULL)", (conversations + 1,)
        )
        joins: list[tuple[int, int, int]] = []
        columns = (
            "ROWID, guid, text, handle_id, attributedBody, service, account, date, "
            "is_from_me, is_sent, destination_caller_id, message_summary_info"
        )
        db.executemany(
            f"INSERT INTO message ({columns}) VALUES (?, ?, ?, ?, ?, 'iMessage', "
            "'E:me@fables.example', ?, ?, ?, '+15559999999', ?)",
            _rows(messages, conversations, joins),
        )
        db.executemany("INSERT INTO chat_message_join VALUES (?, ?, ?)", joins)
        db.execute("COMMIT")
        db.executescript(_INDEXES)


def _rows(
    messages: int, chats: int, joins: list[tuple[int, int, int]]
) -> Iterator[tuple[object, ...]]:
    """Yield the rows of consecutive conversations.

    As in real databases, a few chats have most of the messages.
    """
    source = random.Random(7)
    weights = [1 / (n + 5) for n in range(chats)]
    summary = bytes(61)
    chat = left = 0
    for row_id in range(1, messages + 1):
        if not left:
            (chat,) = source.choices(range(1, chats + 1), weights)
            left = source.randint(1, 20)
        left -= 1
        text = " ".join(source.choices(_WORDS, k=source.randint(1, 18)))
        date = (_BEGIN + row_id * 60 - _APPLE_EPOCH) * 1_000_000_000
        raw = text.encode()
        has_body, has_text, mine = (
            source.random() < share for share in (_WITH_BODY, _WITH_TEXT, _OWN)
        )
        joins.append((chat, row_id, date))
        yield (
            row_id,
            f"{row_id:08X}-0000-4000-8000-{chat:012X}",
            text if has_text or not has_body else None,
            chats + 1 if mine else chat,
            _PREFIX + _length(len(raw)) + raw + _SUFFIX if has_body else None,
            date,
            int(mine),
            int(mine),
            summary,
        )


def _length(count: int) -> bytes:
    short = 0x80
    return bytes([count]) if count < short else b"\x81" + count.to_bytes(2, "little")
