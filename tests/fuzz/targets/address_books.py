"""Address books and vCards, beside a database and named."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from langchain_chatexports import IMessageChatLoader
from tests.fuzz.case import MARK, NAME
from tests.fuzz.mutations import hostile, mutated
from tests.unit_tests.builders.chat_db import ChatDb
from tests.unit_tests.chat_loaders.imessage.test_address_books import (
    VCARDS,
    write_mac_book,
    write_phone_book,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fuzz.case import Case

_PLACES = (
    "AddressBook-v22.abcddb",
    "AddressBook/AddressBook-v22.abcddb",
    "AddressBook.sqlitedb",
    "people.vcf",
)
_TOKENS = (
    b"BEGIN:VCARD\r\n",
    b"END:VCARD\r\n",
    b"ENCODING=QUOTED-PRINTABLE:=",
    b"CHARSET=",
    b"CHARSET=rot13:",
    b"CHARSET=zip:",
    b"ENCODING=BASE64:",
    b";;;\r\n ",
    b"\x1b[2J",
    f"NOTE:{MARK}\r\n".encode(),
    b"TEL:+1555" + b"0" * 5000,
)


def prepare(folder: Path) -> tuple[bytes, list[bytes]]:
    """Return a sound database, and sound books."""
    folder.mkdir()
    with ChatDb(folder / "chat.db") as db:
        db.chat("+15550001111").message(MARK)
        db.chat("tortoise@pond.example").message(MARK, mine=True)
    write_mac_book(folder / "mac")
    write_phone_book(folder / "phone")
    books = [(folder / name).read_bytes() for name in ("mac", "phone")]
    cards = VCARDS.replace("Harriet Hare", NAME)
    return (folder / "chat.db").read_bytes(), [*books, cards.encode()]


def attack(case: Case, prepared: tuple[bytes, list[bytes]]) -> None:
    """Read a database with a book that somebody has spoiled."""
    random = case.random
    database, books = prepared
    (case.export / "chat.db").write_bytes(database)
    book = case.export / random.choice(_PLACES)
    book.parent.mkdir(exist_ok=True)
    data = random.choice(books)
    if data.startswith(b"SQLite"):
        book.write_bytes(data)
        _spoil(case, book)
    else:
        text = data.decode().encode(random.choice(("utf-8", "utf-16", "latin-1")), "replace")
        book.write_bytes(mutated(random, text, _TOKENS))
    with case.judged():
        contacts = book if random.random() < 0.5 else None
        list(IMessageChatLoader(case.export / "chat.db", contacts=contacts))


def _spoil(case: Case, book: Path) -> None:
    random = case.random
    if random.random() < 0.5:
        data = book.read_bytes()
        book.write_bytes(data[:100] + mutated(random, data[100:]))
        return
    with closing(sqlite3.connect(book, isolation_level=None)) as db:
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master")]
        for table in tables:
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            for column in columns:
                value = hostile(random)
                if random.random() < 0.3:
                    with suppress(sqlite3.Error, OverflowError, UnicodeEncodeError):
                        db.execute(f"UPDATE {table} SET {column} = ?", (value,))
        if random.random() < 0.3:
            table = random.choice(tables)
            script = (
                "ALTER TABLE {t} RENAME TO old; CREATE VIEW {t} AS SELECT * FROM old",
                "DROP TABLE {t}",
                "DROP TABLE {t}; CREATE TABLE {t} (a)",
            )
            db.executescript(random.choice(script).format(t=table))
