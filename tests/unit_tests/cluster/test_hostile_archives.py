"""Nothing that an archive or a store names is written outside the private folder."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import tempfile
import zipfile
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from langchain_chatexports.cluster import fetching
from langchain_chatexports.cluster.fetching import absolute, fetched
from langchain_chatexports.exceptions import (
    ChatExportError,
    ExportFormatError,
)

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("fsspec", reason="needs the extra ray")


def fetch(url: str) -> None:
    """Copy what is at a URL, and remove the copy."""
    with fetched(url):
        pass


GOOD = "exp/inbox/a_1/message_1.json"
LEAVING = [
    "exp/../../x",
    "exp/inbox/../../../x",
    "exp/..",
    "exp/./x",
    "exp/.. /.. /x",
    "exp/.../x",
    r"exp/..\..\x",
    r"exp/C:\x",
]


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files, with nothing else in it."""
    folder = tmp_path / "a" / "b" / "temporary"
    folder.mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def write_archive(kind: str, path: Path, names: list[str]) -> str:
    """Write an archive with members of these names; give its URL without the member."""
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(zipfile.ZipInfo(name), b"hostile")
    else:
        with tarfile.open(path, "w") as tar:
            for name in names:
                member = tarfile.TarInfo(name)
                member.size = 7
                tar.addfile(member, io.BytesIO(b"hostile"))
    return path.as_uri()


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if not path.is_dir())


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("name", LEAVING)
def test_a_member_that_would_leave_the_folder_is_refused(
    name: str, kind: str, temporary: Path, tmp_path: Path
) -> None:
    url = write_archive(kind, tmp_path / "archive", [GOOD, name])
    before = files_in(tmp_path)

    with pytest.raises(ExportFormatError, match="outside of the folder") as raised:
        fetch(f"{kind}://exp::{url}")
    assert files_in(tmp_path) == before
    assert not [*temporary.iterdir()]
    assert "inbox" not in str(raised.value)


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("root", ["..", "exp/..", "exp/../..", "."])
def test_a_url_that_ends_above_the_folder_writes_nothing_there(
    root: str, kind: str, temporary: Path, tmp_path: Path
) -> None:
    url = write_archive(kind, tmp_path / "archive", [f"{root}/x", f"{root}/y/z"])
    before = files_in(tmp_path)

    with fetched(f"{kind}://{root}::{url}") as copy:
        (private,) = temporary.iterdir()
        assert private in copy.parents
        assert ".." not in copy.parts
        assert sorted(p.name for p in files_in(copy)) == ["x", "z"]
    assert files_in(tmp_path) == before


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("start", ["", "/", "/..", "/../../../../../.."])
@pytest.mark.usefixtures("temporary")
def test_an_absolute_member_is_refused(start: str, kind: str, tmp_path: Path) -> None:
    name = f"{start}{tmp_path.as_posix()}/x"
    url = write_archive(kind, tmp_path / "archive", [GOOD, name])
    before = files_in(tmp_path)

    with pytest.raises(ExportFormatError, match="outside of the folder"):
        fetch(f"{kind}://::{url}")
    assert files_in(tmp_path) == before


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.usefixtures("temporary")
def test_an_archive_with_many_folders_is_not_looked_through_for_each(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fsspec.archive import AbstractArchiveFileSystem

    # fsspec takes half a minute for 2,000 folders of a tar, and four times as long for
    # twice as many.
    monkeypatch.delattr(AbstractArchiveFileSystem, "ls")
    url = write_archive(kind, tmp_path / "archive", [f"exp/{n}/x" for n in range(9)])

    with fetched(f"{kind}://exp::{url}") as copy:
        assert len(files_in(copy)) == 9


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.usefixtures("temporary")
def test_a_whole_archive_is_read(kind: str, tmp_path: Path) -> None:
    url = write_archive(kind, tmp_path / "archive", [GOOD])

    with fetched(f"{kind}://::{url}") as copy:
        (file,) = files_in(copy)
        assert file.relative_to(copy).as_posix() == GOOD


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize(
    "twins",
    [
        ("exp/Ann/x", "exp/ann/x"),
        ("exp/\u00e9", "exp/e\u0301"),
        ("exp/stra\u00dfe", "exp/STRASSE"),
    ],
    ids=["case", "decomposed", "folded"],
)
@pytest.mark.usefixtures("temporary")
def test_members_that_are_one_file_on_some_disks_are_refused(
    twins: tuple[str, str], kind: str, tmp_path: Path
) -> None:
    url = write_archive(kind, tmp_path / "archive", [GOOD, *twins])

    with pytest.raises(ExportFormatError, match="differ only"):
        fetch(f"{kind}://exp::{url}")


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE],
    ids=["symlink", "hardlink", "fifo", "device"],
)
@pytest.mark.parametrize("target", ["secret", "loop"])
def test_links_and_devices_of_a_tar_bring_nothing_from_this_machine(
    kind: bytes, target: str, temporary: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("private")
    member = tarfile.TarInfo("exp/loop")
    member.type = kind
    member.linkname = {"secret": str(secret), "loop": "exp/loop"}[target]
    with tarfile.open(tmp_path / "archive", "w") as tar:
        tar.addfile(member)

    with pytest.raises(ChatExportError):
        fetch(f"tar://exp::{(tmp_path / 'archive').as_uri()}")
    assert not [*temporary.iterdir()]
    assert secret.read_text() == "private"


@pytest.mark.usefixtures("temporary")
def test_writing_through_a_link_of_a_tar_reaches_nothing(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    with tarfile.open(tmp_path / "archive", "w") as tar:
        link = tarfile.TarInfo("exp/link")
        link.type = tarfile.SYMTYPE
        link.linkname = str(outside)
        tar.addfile(link)
        member = tarfile.TarInfo("exp/link/x")
        member.size = 7
        tar.addfile(member, io.BytesIO(b"hostile"))

    with pytest.raises(ChatExportError):
        fetch(f"tar://exp::{(tmp_path / 'archive').as_uri()}")
    assert not [*outside.iterdir()]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
@pytest.mark.usefixtures("temporary")
def test_what_is_neither_file_nor_folder_is_refused(tmp_path: Path) -> None:
    export = tmp_path / "export"
    export.mkdir()
    (export / "message_1.json").symlink_to("/dev/zero")

    for path in (export, export / "message_1.json"):
        with pytest.raises(ExportFormatError, match="neither a file nor a folder"):
            fetch(path.as_uri())


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.usefixtures("temporary")
def test_more_files_than_anybody_has_are_refused(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "_MAX_FILES", 3)
    url = write_archive(kind, tmp_path / "archive", [f"exp/{n}" for n in range(4)])

    with pytest.raises(ExportFormatError, match="4 files"):
        fetch(f"{kind}://exp::{url}")


@pytest.mark.parametrize("root", ["exp", "exp/1"])
@pytest.mark.usefixtures("temporary")
def test_a_bomb_does_not_fill_the_disk(
    root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "bomb", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("exp/1", bytes(2_000_001))
    usage = SimpleNamespace(free=4_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)

    with pytest.raises(ExportFormatError, match="half of the free space"):
        fetch(f"zip://{root}::{(tmp_path / 'bomb').as_uri()}")


@pytest.mark.usefixtures("temporary")
def test_a_store_that_says_no_size_does_not_fill_the_disk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import fsspec

    store = fsspec.filesystem("memory")
    store.pipe_file("/endless/chat.db", bytes(2_000_001))
    sized = type(store).info
    monkeypatch.setattr(
        type(store), "info", lambda *args: {**sized(*args), "size": None}
    )
    usage = SimpleNamespace(free=4_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)

    with pytest.raises(ExportFormatError, match="half of the free space"):
        fetch("memory://endless/chat.db")


@pytest.mark.parametrize("cache", ["simplecache", "filecache", "blockcache", "cached"])
@pytest.mark.parametrize("link", ["{}::file:///a.zip", "{}://a::file:///a.zip"])
def test_copies_of_fsspec_s_own_are_refused(cache: str, link: str) -> None:
    with pytest.raises(ValueError, match="private folder"):
        absolute(f"zip://chat.db::{link.format(cache)}")
