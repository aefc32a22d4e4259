"""Small exports in the formats of langchain-community's loaders."""

import json
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

SENDERS = ("Tortoise", "Hare")
START = 1_693_182_723
APPLE_EPOCH = 978_307_200


def lines(chat: int, count: int) -> Iterator[tuple[str, str, int]]:
    """Sender, distinctive text and Unix time of each message of a chat."""
    for index in range(count):
        text = f"line {index} of race {chat}: " + "slow and steady " * 5
        yield SENDERS[index % 2], text, START + 3600 * chat + 30 * index


def write_imessage(folder: Path, chats: int, count: int) -> Path:
    """A `chat.db` as macOS 13 writes it, as far as the loader looks at it."""
    folder.mkdir(parents=True)
    path = folder / "chat.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(
            "CREATE TABLE handle (ROWID INTEGER PRIMARY KEY, id TEXT);"
            "CREATE TABLE message (ROWID INTEGER PRIMARY KEY, date INTEGER,"
            " handle_id INTEGER, text TEXT, is_from_me INTEGER, attributedBody BLOB);"
            "CREATE TABLE chat_message_join (chat_id INTEGER, message_id INTEGER);"
        )
        handles = list(enumerate(SENDERS, start=1))
        connection.executemany("INSERT INTO handle VALUES (?, ?)", handles)
        for chat in range(chats):
            for sender, text, at in lines(chat, count):
                row = ((at - APPLE_EPOCH) * 10**9, 1 + SENDERS.index(sender), text)
                cursor = connection.execute(
                    "INSERT INTO message (date, handle_id, text, is_from_me)"
                    " VALUES (?, ?, ?, 0)",
                    row,
                )
                connection.execute(
                    "INSERT INTO chat_message_join VALUES (?, ?)",
                    (chat, cursor.lastrowid),
                )
    return path


def write_messenger(folder: Path, chats: int, count: int) -> Path:
    """A folder with an `inbox`, newest message first."""
    for chat in range(chats):
        rows = [
            {"sender_name": sender, "content": text, "timestamp_ms": at * 1000}
            for sender, text, at in lines(chat, count)
        ]
        path = folder / "inbox" / f"race_{chat:03}" / "message_1.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"messages": rows[::-1]}), encoding="utf-8")
    return folder


def write_whatsapp(folder: Path, count: int) -> Path:
    """One chat, as the app exports it on an iPhone."""
    folder.mkdir(parents=True)
    path = folder / "_chat.txt"
    rows = [
        f"[8/28/23, 12:{index:02}:00 AM] {sender}: {text}\n"
        for index, (sender, text, _) in enumerate(lines(0, count))
    ]
    path.write_text("".join(rows), encoding="utf-8")
    return path


def write_telegram(folder: Path, chats: int, count: int) -> Path:
    """A folder of chats, each as Telegram Desktop exports it."""
    folder.mkdir(parents=True)
    for chat in range(chats):
        rows = [
            {
                "type": "message",
                "date": f"2023-08-28T00:00:{index:02}",
                "from": sender,
                "text": text,
            }
            for index, (sender, text, _) in enumerate(lines(chat, count))
        ]
        path = folder / f"result_{chat:03}.json"
        path.write_text(json.dumps({"messages": rows}), encoding="utf-8")
    return folder


def write_slack(folder: Path, chats: int, count: int) -> Path:
    """A zip with a folder a channel."""
    folder.mkdir(parents=True)
    path = folder / "slack.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for chat in range(chats):
            rows = [
                {"type": "message", "user": sender, "text": text, "ts": f"{at}.000200"}
                for sender, text, at in lines(chat, count)
            ]
            name = f"race-{chat:03}/2023-08-28.json"
            archive.writestr(name, json.dumps(rows))
    return path
