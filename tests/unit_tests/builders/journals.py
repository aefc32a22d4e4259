"""Writes rollback journals beside databases, for tests."""

import struct
from pathlib import Path

JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
_SECTOR_BYTES = 512


def journal_header(database: Path, *, pages: int | None = None) -> bytes:
    """Return the header of a journal that has no pages to put back.

    Args:
        database: The file that the journal is beside.
        pages: How many pages the database had; by default as many as it has.
    """
    page_bytes = _page_bytes(database)
    if pages is None:
        pages = database.stat().st_size // page_bytes
    # Records, nonce, pages, size of a sector, size of a page.
    numbers = struct.pack(">5I", 0, 1, pages, _SECTOR_BYTES, page_bytes)
    return (JOURNAL_MAGIC + numbers).ljust(_SECTOR_BYTES, b"\0")


def super_journal_record(database: Path, name: str | bytes) -> bytes:
    """Return what ends a journal of a change over several databases.

    Args:
        database: The file that the journal is beside.
        name: The super-journal, which SQLite deletes.
    """
    raw = name if isinstance(name, bytes) else name.encode()
    page = 2**30 // _page_bytes(database) + 1
    numbers = struct.pack(">2i", len(raw), sum(struct.unpack(f"{len(raw)}b", raw)))
    return struct.pack(">I", page) + raw + numbers + JOURNAL_MAGIC


def write_journal(database: Path, content: bytes) -> Path:
    journal = database.with_name(f"{database.name}-journal")
    journal.write_bytes(content)
    return journal


def _page_bytes(database: Path) -> int:
    with database.open("rb") as file:
        return int.from_bytes(file.read(18)[16:], "big")
