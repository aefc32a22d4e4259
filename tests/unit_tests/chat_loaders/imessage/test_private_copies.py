"""What lies beside a database reaches nothing else, and fits on the disk."""

from __future__ import annotations

import os
import shutil
import sqlite3
import struct
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from langchain_chatexports import IMessageChatLoader
from langchain_chatexports.exceptions import ExportAccessError, ExportFormatError
from tests.unit_tests.builders.chat_db import ChatDb
from tests.unit_tests.builders.journals import (
    journal_header,
    super_journal_record,
    write_journal,
)
from tests.unit_tests.builders.sessions import all_texts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HARE = "+15550000001"

needs_links_and_pipes = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows has no pipes, and links need rights"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "export"
    folder.mkdir()
    path = folder / "chat.db"
    with ChatDb(path) as db:
        db.chat(HARE).message("a")
    return path


def texts(path: Path, **options: Any) -> list[Any]:
    return all_texts(IMessageChatLoader(path, **options))


@pytest.fixture
def victim(path: Path) -> Path:
    """A file that no journal may delete."""
    victim = path.parent / "victim"
    victim.touch()
    return victim


def write_log(path: Path) -> None:
    """Leave a database with a log beside it, as a copy of a live one has."""
    live = path.with_name("live.db")
    shutil.copy(path, live)
    with closing(sqlite3.connect(live, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("UPDATE message SET text = 'b'")
        shutil.copy(live, path)
        shutil.copy(f"{live}-wal", f"{path}-wal")
    live.unlink()


@pytest.mark.parametrize("content", [b"My thesis.", bytes(range(256)) * 40])
@pytest.mark.parametrize("is_absolute", [True, False])
@pytest.mark.parametrize("name", ["thesis", "m\u00e9moire", "a b%20c"])
def test_a_journal_that_names_a_file_does_not_delete_it(
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    content: bytes,
    is_absolute: bool,
    name: str,
) -> None:
    victim = path.parent / name
    victim.write_bytes(content)
    monkeypatch.chdir(path.parent)
    named = os.fsencode(victim if is_absolute else name)
    record = super_journal_record(path, named)
    write_journal(path, journal_header(path) + record)
    with pytest.raises(ExportFormatError, match=r"chat\.db-journal names a further"):
        texts(path)
    assert victim.read_bytes() == content


@pytest.mark.skipif(sys.platform == "win32", reason="Names are text on Windows.")
def test_a_journal_that_names_a_file_in_no_encoding_does_not_delete_it(
    path: Path,
) -> None:
    victim = path.parent / os.fsdecode(b"thesis\xff\xfe")
    try:
        victim.touch()
    except OSError:
        pytest.skip("This file system has text names only.")
    record = super_journal_record(path, os.fsencode(victim))
    write_journal(path, journal_header(path) + record)
    with pytest.raises(ExportFormatError, match="names a further file"):
        texts(path)
    assert victim.exists()


@pytest.mark.parametrize("head", [b"", bytes(512), b"x" * 512])
def test_a_journal_without_a_header_deletes_nothing_and_changes_nothing(
    path: Path, victim: Path, head: bytes
) -> None:
    """SQLite puts nothing back from it, and yet deletes what it names."""
    write_journal(path, head + super_journal_record(path, str(victim)))
    assert texts(path) == ["a"]
    assert victim.exists()


def test_a_journal_beside_a_log_deletes_nothing(path: Path, victim: Path) -> None:
    write_log(path)
    record = super_journal_record(path, str(victim))
    write_journal(path, b"x" * 512 + record)
    assert texts(path) == ["b"]
    write_journal(path, journal_header(path) + record)
    with pytest.raises(ExportFormatError, match="names a further file"):
        texts(path)
    assert victim.exists()


@needs_links_and_pipes
@pytest.mark.parametrize("linked", ["journal", "database"])
def test_a_journal_behind_a_link_deletes_nothing(
    path: Path, tmp_path: Path, victim: Path, linked: str
) -> None:
    record = super_journal_record(path, str(victim))
    journal = write_journal(path, journal_header(path) + record)
    link = tmp_path / "link.db"
    if linked == "database":
        link.symlink_to(path)
    else:
        link = path
        journal.rename(tmp_path / "elsewhere")
        journal.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ExportFormatError, match="names a further file"):
        texts(link)
    assert victim.exists()


@pytest.mark.parametrize("header", ["fits", "garbage"])
@pytest.mark.parametrize("is_named_by_the_user", [True, False])
def test_a_journal_beside_an_address_book_deletes_nothing(
    path: Path, victim: Path, header: str, is_named_by_the_user: bool
) -> None:
    book = path.parent / "AddressBook-v22.abcddb"
    with closing(sqlite3.connect(book)) as connection:
        connection.execute("CREATE TABLE ZABCDRECORD (Z_PK, ZFIRSTNAME)")
    head = journal_header(book) if header == "fits" else b"x" * 512
    write_journal(book, head + super_journal_record(book, str(victim)))
    if header == "garbage":
        texts(path, contacts=book if is_named_by_the_user else None)
    elif is_named_by_the_user:
        with pytest.raises(ExportFormatError, match="names a further file"):
            texts(path, contacts=book)
    else:
        with pytest.warns(UserWarning, match="without the names"):
            texts(path)
    assert victim.exists()


def test_a_journal_beside_a_backups_database_deletes_nothing(tmp_path: Path) -> None:
    (tmp_path / "Manifest.plist").touch()
    database = tmp_path / "3d" / "3d0d7e5fb2ce288813306e4d4636395e047a3d28"
    database.parent.mkdir()
    with ChatDb(database) as db:
        db.chat(HARE).message("a")
    victim = tmp_path / "victim"
    victim.touch()
    write_journal(
        database, journal_header(database) + super_journal_record(database, str(victim))
    )
    with pytest.raises(ExportFormatError, match="names a further file"):
        texts(tmp_path)
    assert victim.exists()


class Misfit(NamedTuple):
    at: int
    number: int


@pytest.mark.parametrize(
    "misfit", [Misfit(at=16, number=2**32 - 1), Misfit(at=24, number=512)]
)
def test_a_journal_that_does_not_fit_the_database_is_refused(
    path: Path, temporary: Path, misfit: Misfit
) -> None:
    """One of 2**32 pages would blow the copy up to 16 TiB."""
    head = bytearray(journal_header(path))
    head[misfit.at : misfit.at + 4] = struct.pack(">I", misfit.number)
    write_journal(path, bytes(head))
    with pytest.raises(ExportFormatError, match="does not fit its pages"):
        texts(path)
    assert not any(temporary.iterdir())


def test_a_journal_that_is_cut_inside_its_header_is_refused(path: Path) -> None:
    write_journal(path, journal_header(path)[:20])
    with pytest.raises(ExportFormatError, match="does not fit its pages"):
        texts(path)


def test_a_journal_without_pages_that_fits_is_no_error(path: Path) -> None:
    write_journal(path, journal_header(path))
    assert texts(path) == ["a"]


def make_folder(path: Path) -> None:
    path.mkdir()


def make_loop(path: Path) -> None:
    path.symlink_to(path.name)


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def link_to_a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@needs_links_and_pipes
@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (make_folder, "Is a directory"),
        (make_loop, "symbolic links"),
        (make_pipe, "is a pipe"),
        (link_to_a_device, "is a device"),
    ],
)
def test_a_log_that_is_no_file_is_one_clear_error(
    path: Path, suffix: str, make: Callable[[Path], None], reason: str
) -> None:
    make(path.with_name(f"chat.db{suffix}"))
    with pytest.raises(ExportFormatError, match=rf"chat\.db{suffix} .*{reason}"):
        texts(path)


@needs_links_and_pipes
def test_a_link_that_leads_nowhere_is_no_log(path: Path) -> None:
    path.with_name("chat.db-wal").symlink_to("nowhere")
    assert texts(path) == ["a"]


def test_a_copy_that_has_no_room_is_not_begun(
    path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_log(path)
    usage: Any = shutil.disk_usage(temporary)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10_000))
    monkeypatch.setattr(shutil, "copyfile", pytest.fail)
    with pytest.raises(ExportAccessError, match=r"10000 are free.*TMPDIR"):
        texts(path)


@pytest.mark.skipif(
    not hasattr(os, "SEEK_HOLE"), reason="The system does not tell where holes are."
)
def test_holes_are_not_filled_by_copying(path: Path, temporary: Path) -> None:
    """A database of 100 GB takes no more room than it has content."""
    write_log(path)
    size = 100 * 2**30
    try:
        os.truncate(path, size)
    except OSError:
        pytest.skip("This file system has no such files.")
    sessions = iter(IMessageChatLoader(path))
    (message,) = next(sessions)["messages"]
    assert message.content == "b"
    (copy,) = temporary.glob("*/chat.db")
    assert copy.stat().st_size == size
    assert copy.stat().st_blocks * 512 < 2**20
    assert list(sessions) == []
