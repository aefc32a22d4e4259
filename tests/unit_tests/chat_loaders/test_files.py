"""Damaged and malicious zips and folders."""

import io
import os
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import FolderFacebookMessengerChatLoader
from langchain_chatexports.chat_loaders import export_file
from langchain_chatexports.chat_loaders.counts import ExportSummary
from langchain_chatexports.datasets.card import hash_source
from langchain_chatexports.exceptions import EncryptedExportError, ExportFormatError
from tests.unit_tests.builders.messenger import FACEBOOK, Export
from tests.unit_tests.builders.sessions import open_export

NOON = 1_700_000_000_000
GOOD = f"{FACEBOOK}/inbox/ada_1/message_1.json"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    export = Export()
    export.thread("ada_1").says("Ada Byron", "hi", NOON)
    return export.to_zip(tmp_path / "zips" / "facebook-grace.zip")


@pytest.fixture
def thread(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read(GOOD)


def add(path: Path, name: str, data: bytes, **attributes: Any) -> None:
    info = zipfile.ZipInfo(name)
    info.compress_type = zipfile.ZIP_DEFLATED
    for key, value in attributes.items():
        setattr(info, key, value)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(info, data)


def inspect(path: Path) -> ExportSummary:
    return FolderFacebookMessengerChatLoader(path).inspect()


def make_nested_folders(folder: Path, name: str, depth: int) -> None:
    """Create nested folders; their path would be too long to create at once."""
    parent = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=parent)
        child = os.open(name, os.O_RDONLY, dir_fd=parent)
        os.close(parent)
        parent = child
    os.close(parent)


def replace(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))


BAD = f"{FACEBOOK}/inbox/bad_1/message_1.json"
SPACES = b" " * (32 * 2**20)


def add_outside(name: str) -> Callable[[Path, bytes], None]:
    return lambda path, thread: add(path, name, thread)


def add_link(path: Path, _thread: bytes) -> None:
    target = str(path.parent / "secret.json").encode()
    add(path, BAD, target, external_attr=0o120777 << 16)


def add_bomb(path: Path, _thread: bytes) -> None:
    add(path, BAD, SPACES * 2)


def add_wrong_size(path: Path, _thread: bytes) -> None:
    """Data that is longer than its header declares."""
    add(path, BAD, SPACES)
    replace(path, struct.pack("<L", len(SPACES)), struct.pack("<L", 100))


def add_compressed(method: int) -> Callable[[Path, bytes], None]:
    """Compression methods that Python decompresses without a limit."""

    def add_file(path: Path, _thread: bytes) -> None:
        data = b'{"messages": [' + SPACES
        add(path, BAD, data, compress_type=method)
        replace(path, struct.pack("<L", len(data)), struct.pack("<L", 100))

    return add_file


def add_wrong_checksum(path: Path, thread: bytes) -> None:
    add(path, BAD, thread.replace(b"hi", b"ho"))
    with zipfile.ZipFile(path) as archive:
        crc = archive.getinfo(BAD).CRC
    replace(path, struct.pack("<L", crc), struct.pack("<L", crc ^ 1))


OUTSIDE = "points outside the archive"


@pytest.mark.parametrize(
    ("add_harm", "message"),
    [
        (add_outside("../outside/message_1.json"), OUTSIDE),
        (add_outside("a/../../outside/message_1.json"), OUTSIDE),
        (add_outside("/etc/outside/message_1.json"), OUTSIDE),
        (add_outside("C:/outside/message_1.json"), OUTSIDE),
        (add_outside("..\\outside\\message_1.json"), OUTSIDE),
        (add_link, "it is a link"),
        (add_bomb, "far more"),
        (add_wrong_size, r"bad_1/message_1\.json is damaged"),
        (add_compressed(zipfile.ZIP_BZIP2), "bad_1.*not supported"),
        (add_compressed(zipfile.ZIP_LZMA), "bad_1.*not supported"),
        (add_wrong_checksum, "bad_1.*damaged"),
    ],
)
def test_harmful_file_is_skipped_and_not_read(
    path: Path, thread: bytes, add_harm: Callable[[Path, bytes], None], message: str
) -> None:
    add_harm(path, thread)
    before = sorted(path.parent.parent.rglob("*"))
    tracemalloc.start()
    try:
        with pytest.warns(UserWarning, match=message):
            summary = inspect(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (summary.kept, summary.skipped) == (1, {"unreadable": 1})
    assert peak < 8 * 2**20
    assert sorted(path.parent.parent.rglob("*")) == before


def test_zip_bomb_of_many_files_is_refused(path: Path) -> None:
    data = b" " * (7 * 2**20)
    for number in range(10):
        add(path, f"{FACEBOOK}/inbox/{number}/message_1.json", data)
    with pytest.raises(ExportFormatError, match="zip bomb"):
        inspect(path)


def test_repetitive_chat_is_not_a_zip_bomb(tmp_path: Path) -> None:
    """The chat compresses better than any real one."""
    chat = (export := Export()).thread("ada_1")
    chat.per_file = 2**20
    for number in range(25_000):
        chat.says("Ada Byron", "All work and no play. " * 4, NOON + 60_000 * number)
    path = export.to_zip(tmp_path / "x.zip")
    assert inspect(path).kept == 25_000


def test_nested_zip_is_not_read(path: Path, thread: bytes) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr(f"{FACEBOOK}/inbox/eve_1/message_1.json", thread)
    add(path, "inner.zip", inner.getvalue())
    assert inspect(path).sessions == 1


def test_password_protected_zip_is_refused(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.find(signature) + offset] |= 1
    path.write_bytes(data)
    with pytest.raises(EncryptedExportError, match="password"):
        inspect(path)


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9])
def test_truncated_zip_is_refused(path: Path, share: float) -> None:
    os.truncate(path, int(path.stat().st_size * share))
    with pytest.raises(ExportFormatError, match=r"interrupted.*again"):
        inspect(path)


def test_password_protected_media_are_ignored(path: Path) -> None:
    add(path, "photos/1.jpg", b"abc")
    data = bytearray(path.read_bytes())
    data[data.rfind(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    assert inspect(path).kept == 1


def test_hidden_files_of_macos_are_ignored(path: Path, thread: bytes) -> None:
    for name in (f"__MACOSX/{GOOD}", f"{FACEBOOK}/inbox/b_1/._message_1.json"):
        add(path, name, thread)
    summary = inspect(path)
    assert summary.found == summary.kept == 1
    assert summary.details["other_files"] == 0


def test_truncated_zip_among_others_is_skipped(path: Path) -> None:
    broken = path.with_name("facebook-part-2.zip")
    broken.write_bytes(path.read_bytes()[:-40])
    with pytest.warns(UserWarning, match=r"facebook-part-2\.zip is not a complete zip"):
        summary = inspect(path.parent)
    assert summary.kept == 1
    assert summary.skipped == {"unreadable": 1}


def test_zips_in_subfolders_are_reported(path: Path) -> None:
    folder = path.parent
    for number in range(7):
        subfolder = folder / f"more {number}"
        subfolder.mkdir()
        (subfolder / "part.ZIP").write_bytes(path.read_bytes())
    (folder / "more 0" / "._part.zip").write_bytes(b"")
    (folder / "chats_Files").mkdir()
    (folder / "chats_Files" / "sent.zip").write_bytes(b"")
    with pytest.warns(UserWarning, match="7 zips in its subfolders") as warned:
        summary = inspect(folder)
    assert str(Path("more 0", "part.ZIP")) in str(warned[0].message)
    assert "and 2 more" in str(warned[0].message)
    assert summary.found == 1


def test_zip_is_recognized_by_content(path: Path) -> None:
    renamed = path.rename(path.with_name("download"))
    add(renamed, f"{FACEBOOK}/inbox/bad_1/message_1.json", b"{")
    with pytest.warns(UserWarning, match="bad_1"):
        assert inspect(renamed).kept == 1


def link_outside(path: Path) -> None:
    outside = path.parents[5] / "outside.json"  # Next to the export.
    outside.write_bytes(b'{"participants": [], "messages": []}')
    path.symlink_to(outside)


def link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def make_sparse_file(path: Path) -> None:
    path.touch()
    os.truncate(path, 100 * 2**30)


@pytest.mark.skipif(sys.platform == "win32", reason="needs links and pipes")
class TestFoldersOnDisk:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        export = Export()
        export.thread("ada_1").says("Ada Byron", "hi", NOON)
        return export.to_folder(tmp_path / "x")

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (link_outside, "not a regular file inside the export"),
            (link_to_itself, r"message_2\.json is not read"),
            (getattr(os, "mkfifo", None), "not a regular file inside the export"),
            (make_sparse_file, "larger than any export file"),
        ],
    )
    def test_irregular_files_are_skipped(
        self, folder: Path, make: Callable[[Path], None], message: str
    ) -> None:
        make(folder / FACEBOOK / "inbox" / "ada_1" / "message_2.json")
        with pytest.warns(UserWarning, match=message):
            summary = inspect(folder)
        assert (summary.kept, summary.skipped) == (1, {"unreadable": 1})

    def test_circular_links_are_not_followed(self, folder: Path) -> None:
        (folder / FACEBOOK / "inbox" / "again").symlink_to(folder)
        assert inspect(folder).found == 1

    def test_link_to_export_is_read(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(folder)
        assert inspect(tmp_path / "link").kept == 1

    @pytest.mark.parametrize("name", ["message_1.json", "export.zip", "export"])
    def test_pipe_is_refused(self, tmp_path: Path, name: str) -> None:
        os.mkfifo(tmp_path / name)
        with pytest.raises(ExportFormatError, match="is a pipe, not a file"):
            inspect(tmp_path / name)

    @pytest.fixture
    def deep_folder(self, folder: Path) -> Iterator[Path]:
        make_nested_folders(folder, "d", 1_200)
        yield folder
        # Python's own removal of folders recurses too deeply.
        subprocess.run(["rm", "-rf", str(folder / "d")], check=True)  # noqa: S603, S607

    def test_too_deep_folders_are_skipped(self, deep_folder: Path) -> None:
        with pytest.warns(UserWarning, match="nested too deeply"):
            summary = inspect(deep_folder)
        assert (summary.kept, summary.skipped) == (1, {"unreadable": 1})
        assert open_export(deep_folder).format == "Messenger export"
        assert hash_source(deep_folder).size > 0

    def test_control_characters_in_names_are_escaped(self, folder: Path) -> None:
        thread = folder / FACEBOOK / "inbox" / "\x1b[2J\n"
        thread.mkdir()
        (thread / "message_1.json").write_bytes(b"{")
        with pytest.warns(UserWarning, match="Skipped") as caught:
            inspect(folder)
        (text,) = (str(warning.message) for warning in caught)
        assert text.isprintable()


def test_media_do_not_hide_zip_bomb(path: Path) -> None:
    # Compressed 500 times, and just small enough to be read one by one.
    data = b'{"participants":[],"messages":[' + b'{"content":"a"},' * 500_000 + b"1]}"
    for number in range(1, 9):
        add(path, f"{FACEBOOK}/inbox/b_1/message_{number}.json", data)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("photos/1.jpg", os.urandom(2**20))
    with pytest.raises(ExportFormatError, match="zip bomb"):
        inspect(path)


def test_shared_compressed_data_is_a_zip_bomb(path: Path) -> None:
    pattern = os.urandom(8 * 2**10).hex().encode()
    add(path, f"{FACEBOOK}/inbox/b/message_1.json", b'{"messages": "' + pattern * 120)
    data = bytearray(path.read_bytes())
    start, end = data.find(b"PK\x01\x02"), data.find(b"PK\x05\x06")
    entries = data[start:end] * 50
    tail = data[end:]
    struct.pack_into("<HHLL", tail, 8, 100, 100, len(entries), start)
    path.write_bytes(data[:start] + entries + tail)
    with pytest.raises(ExportFormatError, match="zip bomb"):
        inspect(path)


def test_unicode_forms_of_folder_are_one_thread(tmp_path: Path) -> None:
    export = Export()
    export.thread("zo\u00eb_1").says("Ada Byron", "hi", NOON)
    path = export.to_zip(tmp_path / "x.zip")
    with zipfile.ZipFile(path) as archive:
        data = archive.read(f"{FACEBOOK}/inbox/zo\u00eb_1/message_1.json")
    add(path, f"{FACEBOOK}/inbox/zoe\u0308_1/message_2.json", data)
    summary = inspect(path)
    assert (summary.sessions, summary.skipped) == (1, {"duplicate": 1})


def test_too_large_file_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_file, "_MAX_FILE_BYTES", 10)
    with (
        pytest.warns(UserWarning, match="larger than any"),
        pytest.raises(ExportFormatError),
    ):
        inspect(path)
