"""Lower bounds for converting an export to examples, without message objects.

They only read the exports that `benchmarks` generates, without contacts, reactions,
attachments or damaged text. Their output is the same as that of the other contenders.
"""

from __future__ import annotations

import argparse
import json
import re
import sqlite3
import zipfile
from contextlib import closing
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import BinaryIO

Thread: TypeAlias = "list[tuple[bool, str]]"
"""Whether each message is the owner's, and its text; oldest first."""

_TEXT_PREFIX = b"NSString\x01\x94\x84\x01+"
_LONG_LENGTH = 0x81
_FILE_PATH = re.compile(r"(.*/inbox/.*)/message_(\d+)\.json")


def imessage(path: Path) -> Iterator[Thread]:
    """Read a database; the most recently active chat is first."""
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as database:
        chats = database.execute(
            "SELECT chat_id FROM chat_message_join GROUP BY chat_id "
            "ORDER BY max(message_date) DESC"
        ).fetchall()
        for chat in chats:
            yield [
                (bool(is_from_me), text or _text(body))
                for is_from_me, text, body in database.execute(
                    "SELECT m.is_from_me, m.text, m.attributedBody "
                    "FROM chat_message_join AS j "
                    "JOIN message AS m ON m.ROWID = j.message_id "
                    "WHERE j.chat_id = ? ORDER BY m.date, m.ROWID",
                    chat,
                )
            ]


def _text(body: bytes) -> str:
    at = body.index(_TEXT_PREFIX) + len(_TEXT_PREFIX)
    length = body[at]
    if length == _LONG_LENGTH:
        length = int.from_bytes(body[at + 1 : at + 3], "little")
        at += 2
    return body[at + 1 : at + 1 + length].decode()


def messenger(path: Path, owner: str) -> Iterator[Thread]:
    """Read an export, a folder or a zip, in the order of the threads' folder names."""
    if path.is_dir():
        found = {file.as_posix(): file.read_bytes for file in path.rglob("*.json")}
        yield from _threads(found, owner)
        return
    with zipfile.ZipFile(path) as archive:
        read = {name: partial(archive.read, name) for name in archive.namelist()}
        yield from _threads(read, owner)


def _threads(files: Mapping[str, Callable[[], bytes]], owner: str) -> Iterator[Thread]:
    places = [
        (match[1], int(match[2]), name)
        for name in files
        if (match := _FILE_PATH.fullmatch(name))
    ]
    for _, parts in groupby(sorted(places), key=itemgetter(0)):
        messages = [
            message
            for *_, name in parts
            for message in orjson.loads(files[name]())["messages"]
        ]
        yield [
            (message["sender_name"] == owner, repair_text(message["content"]))
            for message in reversed(messages)
        ]


def repair_text(text: str) -> str:
    """Decode text from a Meta export."""
    return text if text.isascii() else text.encode("latin-1").decode()


def write(threads: Iterable[Thread], file: BinaryIO) -> None:
    """Merge runs, and write windows of eight messages that share two."""
    for thread in threads:
        lines = [
            json.dumps({"role": "assistant" if is_own else "user", "content": text})
            for is_own, run in groupby(thread, key=itemgetter(0))
            if (text := "\n\n".join(map(itemgetter(1), run)).strip())
        ]
        for start in range(0, len(lines) - 7, 6):
            window = ", ".join(lines[start : start + 8])
            file.write(f'{{"messages": [{window}]}}\n'.encode())


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["imessage", "messenger"])
    parser.add_argument("path", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--owner", default="")
    given = parser.parse_args()
    threads = (
        imessage(given.path)
        if given.kind == "imessage"
        else messenger(given.path, given.owner)
    )
    with given.output.open("wb") as file:
        write(threads, file)


if __name__ == "__main__":
    main()
