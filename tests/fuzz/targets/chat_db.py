"""iMessage databases: bytes, cells, schemas, and what lies beside them."""

from __future__ import annotations

import os
import shutil
import sqlite3
import struct
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from langchain_chatexports import IMessageChatLoader
from langchain_chatexports.chat_loaders.recognition import open_export
from tests.fuzz.case import MARK, NAME
from tests.fuzz.mutations import hostile, mutated
from tests.fuzz.reading import loader_options, read_somehow
from tests.unit_tests.builders.chat_db import ChatDb
from tests.unit_tests.builders.typedstream import attributed_body

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from tests.fuzz.case import Case

_INCLUDES = ("reactions", "system", "unsent", "media", "deleted", "drafts", "orphans")
_TABLES = (
    "message",
    "chat",
    "handle",
    "chat_message_join",
    "chat_handle_join",
    "attachment",
    "message_attachment_join",
    "chat_recoverable_message_join",
)
_ENDLESS = (
    "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n)"
)
# Each with a table's or column's name put in.
_SCHEMAS = (
    "ALTER TABLE {t} RENAME TO old; CREATE VIEW {t} AS SELECT * FROM old",
    (
        "ALTER TABLE {t} RENAME TO old; "
        f"CREATE VIEW {{t}} AS SELECT old.* FROM old, {_ENDLESS}"
    ),
    (
        "ALTER TABLE message RENAME TO old; CREATE VIEW message AS "
        "SELECT *, json_extract(text, text) AS j FROM old WHERE j"
    ),
    "ALTER TABLE {t} RENAME TO old; CREATE VIEW {t} AS SELECT * FROM {t}",
    "ALTER TABLE {t} ADD COLUMN g GENERATED ALWAYS AS (randomblob(900000000)) VIRTUAL",
    (
        "ALTER TABLE message DROP COLUMN text; ALTER TABLE message ADD COLUMN text "
        "GENERATED ALWAYS AS (hex(zeroblob(300000000))) VIRTUAL"
    ),
    (
        "ALTER TABLE message DROP COLUMN text; ALTER TABLE message ADD COLUMN text "
        "GENERATED ALWAYS AS (json_extract(guid, guid)) VIRTUAL"
    ),
    "CREATE INDEX odd ON {t} (abs(ROWID)) WHERE ROWID > 0",
    "CREATE TRIGGER odd AFTER INSERT ON {t} BEGIN DELETE FROM {t}; END",
    "DROP TABLE {t}",
    "DROP TABLE {t}; CREATE TABLE {t} (a)",
    "DROP TABLE {t}; CREATE TABLE {t} (ROWID TEXT PRIMARY KEY, id, guid) WITHOUT ROWID",
    "ALTER TABLE {t} RENAME TO old; CREATE TABLE {t} AS SELECT * FROM old",
    'ALTER TABLE message RENAME COLUMN text TO "te""xt"',
    "CREATE VIRTUAL TABLE odd USING fts5(a)",
    "UPDATE message SET text = CAST(zeroblob(3000000) AS TEXT)",
    "PRAGMA user_version = 2147483647; PRAGMA application_id = -1",
)


def prepare(folder: Path) -> list[dict[str, bytes]]:
    """Return sound databases, each with the files beside it."""
    folder.mkdir()
    made = []
    for version, wal in (("10.11", False), ("14", True), ("27", False)):
        path = folder / "chat.db"
        with ChatDb(path, version, wal=wal) as db:
            _fill(db, has_body=version != "10.11")
            if wal:
                made.append({p.name: p.read_bytes() for p in folder.iterdir()})
        made.append({path.name: path.read_bytes()})
        shutil.rmtree(folder)
        folder.mkdir()
    return made


def _fill(db: ChatDb, *, has_body: bool) -> None:
    hare = db.chat("+15550001111")
    for number in range(6):
        hare.message(f"{MARK} {number}", mine=number % 2 == 0)
    race = db.chat("+15550001111", "tortoise@pond.example", name=NAME)
    race.message(sender="tortoise@pond.example", body=attributed_body(f"{MARK} body"))
    db.attachment(race.message("\ufffc", mine=True), filename="~/x.heic")
    if has_body:
        race.message(
            f"Liked “{MARK}”",
            associated_message_type=2000,
            associated_message_guid="p:0/00000000-0000-4000-8000-000000000001",
        )


def attack(case: Case, databases: list[dict[str, bytes]]) -> None:
    """Read a database that somebody has spoiled."""
    random = case.random
    files = random.choice(databases)
    path = case.export / "chat.db"
    for name, data in files.items():
        (case.export / name).write_bytes(data)
    spoil = random.choice((_bytes, _cells, _cells, _schema, _schema, _beside, _beside))
    spoil(case, path)
    if random.random() < 0.1:
        _bytes(case, path)
    with case.judged():
        given = random.choice((path, path, case.export))
        if random.random() < 0.3:
            loader = open_export(given).loader
        else:
            loader = IMessageChatLoader(given, **loader_options(random, _INCLUDES))
        read_somehow(random, loader)


def _bytes(case: Case, _: Path) -> None:
    for path in case.export.iterdir():
        if path.is_file() and not path.is_symlink() and case.random.random() < 0.7:
            data = path.read_bytes()
            # A database that does not begin as one is refused at once.
            keep = case.random.choice((16, 100, 4096))
            spoiled = mutated(case.random, data[keep:], (b"\xff" * 9,))
            path.write_bytes(data[:keep] + spoiled)


def _cells(case: Case, path: Path) -> None:
    random = case.random
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for _ in range(random.randrange(1, 12)):
            table = random.choice(_TABLES)
            names = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            if not names:
                continue
            value = hostile(random)
            if isinstance(value, (dict, list)):
                value = mutated(random, attributed_body(MARK))
            with suppress(sqlite3.Error, OverflowError, UnicodeEncodeError):
                db.execute(
                    f'UPDATE {table} SET "{random.choice(names)}" = ? '
                    f"WHERE ROWID % ? = 0",
                    (value, random.choice((1, 1, 2, 3))),
                )


def _schema(case: Case, path: Path) -> None:
    random = case.random
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for _ in range(random.randrange(1, 3)):
            script = random.choice(_SCHEMAS).format(t=random.choice(_TABLES))
            # The attack's own SQL may need more than the limit of memory.
            with suppress(sqlite3.Error, MemoryError):
                db.executescript(script)
        if random.random() < 0.2:
            with suppress(sqlite3.Error):
                db.execute("PRAGMA writable_schema = ON")
                # The scripts above may have dropped the table.
                found = db.execute(
                    "SELECT sql FROM sqlite_master WHERE name = ?",
                    (random.choice(_TABLES),),
                ).fetchall()
                for (sql,) in found:
                    spoiled = mutated(random, sql.encode()).decode("utf-8", "replace")
                    db.execute(
                        "UPDATE sqlite_master SET sql = ? WHERE sql = ?", (spoiled, sql)
                    )


def _beside(case: Case, path: Path) -> None:
    random = case.random
    beside = path.with_name(path.name + random.choice(("-journal", "-wal", "-shm")))
    beside.unlink(missing_ok=True)
    kind = random.randrange(5)
    if kind == 0:
        beside.mkdir()
    elif kind == 1:
        target = random.choice((beside.name, "/dev/zero", str(case.canaries[0])))
        beside.symlink_to(target)
    elif kind == 2 and hasattr(os, "mkfifo"):
        os.mkfifo(beside)
    elif kind == 3:
        beside.write_bytes(random.randbytes(random.choice((0, 1, 600, 5000))))
    else:
        name = str(random.choice(case.canaries))
        if random.random() < 0.3:
            name = os.path.relpath(name, random.choice((case.export, os.getcwd())))  # noqa: PTH109
        path.with_name("chat.db-journal").write_bytes(_journal(random, path, name))


def _journal(random: Random, database: Path, victim: str) -> bytes:
    """Write a hot journal whose end names a super-journal: SQLite deletes that file."""
    data = database.read_bytes()
    size = int.from_bytes(data[16:18], "big") or 4096
    size = 65536 if size == 1 else size
    pages = random.choice((0, 1, len(data) // size))
    header = bytes.fromhex("d9d505f920a163d7") + struct.pack(
        ">IIIII", random.choice((0, 1, 0xFFFFFFFF)), 0, pages, 512, size
    )
    page = struct.pack(">I", 1) + data[:size] + struct.pack(">I", 0)
    name = victim.encode()
    end = struct.pack(">I", 2**30 // size + 1) + name
    end += struct.pack(">II", len(name), sum(name) & 0xFFFFFFFF)
    record = random.choice((b"", page))
    journal = header.ljust(512, b"\0") + record + end + header[:8]
    return mutated(random, journal) if random.random() < 0.2 else journal
