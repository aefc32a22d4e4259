"""Exports at URLs are copied, and nothing of them stays or is told."""

from __future__ import annotations

import functools
import os
import signal
import stat
import subprocess
import sys
import threading
import time
import traceback
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from langchain_chatexports import FolderFacebookMessengerChatLoader
from langchain_chatexports.cluster.fetching import (
    absolute,
    fetched,
    is_url,
    shown,
)
from langchain_chatexports.exceptions import (
    ChatExportError,
    ExportAccessError,
    ExportNotFoundError,
)
from langchain_chatexports.samples import write_imessage, write_messenger
from tests.unit_tests.builders.messenger import Export

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytest.importorskip("fsspec", reason="needs the extra ray")


def fetch(url: str) -> None:
    """Copy what is at a URL, and remove the copy."""
    with fetched(url):
        pass


@pytest.mark.parametrize("write", [write_imessage, write_messenger])
def test_a_url_is_copied_and_the_copy_removed(
    write: Callable[[Path], Path], tmp_path: Path
) -> None:
    source = write(tmp_path / "export")

    with fetched(source.as_uri()) as copy:
        assert copy != source
        files = sorted(p.relative_to(copy) for p in copy.rglob("*"))
        assert files == sorted(p.relative_to(source) for p in source.rglob("*"))
        assert copy.exists()
    assert not copy.exists()


def test_a_thread_folder_keeps_its_section(tmp_path: Path) -> None:
    export = Export()
    export.thread("archived_threads/x_9", ["Ann", "Bo"]).says("Bo", "hi", 10**12)
    (folder,) = export.to_folder(tmp_path / "export").rglob("x_9")

    with fetched(folder.as_uri()) as copy:
        summary = FolderFacebookMessengerChatLoader(copy).inspect()
    assert summary == FolderFacebookMessengerChatLoader(folder).inspect()
    assert summary.details["sections"] == {"archived_threads": 1}


def test_the_newest_messages_come_along(tmp_path: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        (tmp_path / f"chat.db{ending}").write_bytes(b"x" + ending.encode())

    with fetched((tmp_path / "chat.db").as_uri()) as copy:
        assert copy.with_name("chat.db-wal").read_bytes() == b"x-wal"


def test_a_path_is_read_in_place(tmp_path: Path) -> None:
    with fetched(str(tmp_path)) as path:
        assert path == tmp_path


def test_nothing_at_a_url_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ExportNotFoundError, match="Check the URL"):
        fetch((tmp_path / "none.zip").as_uri())


def test_a_store_without_folders_is_read_too() -> None:
    import fsspec

    store = fsspec.filesystem("memory")
    store.pipe_file("/bucket/export/messages/inbox/a_1/message_1.json", b"{}")

    with fetched("memory://bucket/export") as copy:
        file = copy / "messages" / "inbox" / "a_1" / "message_1.json"
        assert file.read_bytes() == b"{}"


class Server(ThreadingHTTPServer):
    """Serves a folder on this machine, and remembers what was asked for."""

    def __init__(self, folder: Path) -> None:
        handler = functools.partial(Handler, directory=str(folder))
        super().__init__(("127.0.0.1", 0), handler)
        self.asked: list[str] = []

    def url(self, name: str, user: str = "") -> str:
        return f"http://{user}127.0.0.1:{self.server_port}/{name}"


class Handler(SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        cast("Server", self.server).asked.append(self.path)
        if "status" in self.path:
            self.send_error(int(self.path[-3:]))
        elif "short" in self.path:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"SQLite")
        else:
            super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    pytest.importorskip("aiohttp", reason="fsspec needs it for the web")
    (tmp_path / "web").mkdir()
    with Server(tmp_path / "web") as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_signed_url_of_the_web_is_one_file(server: Server, tmp_path: Path) -> None:
    (tmp_path / "web" / "chat.html").write_text('<a href="other.html">')

    with fetched(server.url("chat.html?signature=1")) as copy:
        assert copy.name == "chat.html"
        assert copy.read_text() == '<a href="other.html">'
    assert server.asked == ["/chat.html?signature=1"]


@pytest.mark.parametrize("name", ["short", "status=403", "status=500", "none.zip"])
def test_what_a_web_server_refuses_is_an_error_without_secrets(
    name: str, server: Server, tmp_path: Path
) -> None:
    (tmp_path / "web" / "short").write_bytes(bytes(1000))
    (tmp_path / "web" / "chat.db").touch()
    place = "chat.db" if "status" in name else name
    url = server.url(f"{place}?sign=hush&{name}", "me:pass@")

    with pytest.raises(
        ChatExportError, match=rf"127.0.0.1:\d+/{place}\?\.\.\."
    ) as raised:
        fetch(url)
    # With all that led to it: a log shows that as well.
    told = "".join(traceback.format_exception(raised.value))
    assert "hush" not in told
    assert "pass@" not in told


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("s3://bucket/a/chat.db", "s3://bucket/a/chat.db"),
        ("ftp://me:pw@x@host/chat.db", "ftp://host/chat.db"),
        ("zip://a.db::https://me@host/b.zip", "zip://a.db::https://host/b.zip"),
        ("/exports/what?/me@home.zip", "/exports/what?/me@home.zip"),
    ],
)
def test_a_url_is_shown_without_its_user(url: str, seen: str) -> None:
    assert shown(url) == seen


def test_queries_are_shown_as_digests_that_differ() -> None:
    one, two = (shown(f"https://host/a.zip?sign={n}::x") for n in (1, 2))

    assert one != two
    assert one.startswith("https://host/a.zip?...")
    assert "sign" not in one


def test_a_store_that_fails_is_an_export_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fsspec

    def fails(*_: object) -> None:
        msg = "connection lost"
        raise ConnectionError(msg)

    monkeypatch.setattr(fsspec.get_filesystem_class("file"), "get_file", fails)
    (tmp_path / "chat.db").touch()
    with pytest.raises(ExportAccessError, match="cannot be copied"):
        fetch((tmp_path / "chat.db").as_uri())


def test_a_windows_path_is_no_url() -> None:
    assert not is_url(Path("C:/exports/chat.db"))
    assert is_url("s3://bucket/chat.db")


def test_an_unknown_protocol_is_an_error_at_once() -> None:
    with pytest.raises(ValueError, match="nope"):
        absolute("simplecache::nope://bucket/chat.db")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_a_copy_is_for_its_owner_only(tmp_path: Path) -> None:
    (tmp_path / "chat.db").touch()

    with fetched((tmp_path / "chat.db").as_uri()) as copy:
        assert stat.S_IMODE(copy.parent.stat().st_mode) == 0o700


READER = """
import sys, time
from langchain_chatexports.cluster.fetching import fetched

with fetched(sys.argv[1]) as copy:
    print(copy, flush=True)
    time.sleep(600)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_a_copy_goes_when_its_process_is_killed(tmp_path: Path) -> None:
    (tmp_path / "chat.db").write_bytes(b"x")
    url = (tmp_path / "chat.db").as_uri()
    with subprocess.Popen(  # noqa: S603 - Ours.
        [sys.executable, "-c", READER, url],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as reader:
        assert reader.stdout is not None
        copy = Path(reader.stdout.readline().strip())
        assert copy.read_bytes() == b"x"
        os.killpg(reader.pid, signal.SIGKILL)
    for _ in range(600):
        if not copy.parent.exists():
            break
        time.sleep(0.1)
    assert not copy.parent.exists()


def test_neighbors_in_a_store_are_not_copied() -> None:
    import fsspec

    store = fsspec.filesystem("memory")
    store.pipe_file("/prefix/export/a_1/message_1.json", b"{}")
    store.pipe_file("/prefix/export-2/b_1/message_1.json", b"{}")

    with fetched("memory://prefix/export") as copy:
        files = [p.relative_to(copy).as_posix() for p in copy.rglob("*.json")]
    assert files == ["a_1/message_1.json"]


def test_a_database_within_a_zip_within_a_store_is_read(tmp_path: Path) -> None:
    database = write_imessage(tmp_path / "chat.db")
    with zipfile.ZipFile(tmp_path / "backup.zip", "w") as archive:
        archive.write(database, "Messages/chat.db")
    outer = (tmp_path / "backup.zip").as_uri()

    with fetched(f"zip://Messages/chat.db::{outer}") as copy:
        assert copy.read_bytes() == database.read_bytes()
