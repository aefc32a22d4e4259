"""The data directory: folders, files, locks, and the running server."""

import os
import threading
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server import LocalServer, launcher
from langchain_chatexports.local_server.storage import data_directory
from langchain_chatexports.local_server.storage.data_directory import (
    DataDirectory,
    RunningServer,
    find_running_server,
    read_json,
    write_json,
)

_SERVER = RunningServer("http://127.0.0.1:9/v1", "tiny", "a-key-of-its-own")

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")


@posix
def test_folders_are_private(tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir(mode=0o755)
    data = DataDirectory(root)
    data.prepare()
    for folder in (data.root, data.files, data.jobs, data.models):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_file_as_data_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LocalServerError, match="data_dir") as caught:
        DataDirectory(tmp_path / "file").prepare()
    assert str(tmp_path / "file") in str(caught.value)


def test_half_deleted_folders_are_removed(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path / "data")
    data.prepare()
    (data.models / f".deleted-{'0' * 12}").mkdir()
    (data.models / ".deleted-scenes").mkdir()
    with data.locked():
        assert [path.name for path in data.models.iterdir()] == [".deleted-scenes"]


def test_directory_is_used_by_one_server(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path / "data")
    data.prepare()
    with (
        data.locked(),
        pytest.raises(LocalServerError, match="Another local server"),
        DataDirectory(data.root).locked(timeout=0),
    ):
        pass


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00", "[" * 100_000])
def test_damaged_json_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    assert read_json(tmp_path / "x.json") is None


@pytest.fixture
def data(tmp_path: Path) -> Iterator[DataDirectory]:
    """A data directory that a server uses."""
    directory = DataDirectory(tmp_path / "data")
    directory.prepare()
    with directory.locked():
        write_json(directory.server_file, asdict(_SERVER))
        yield directory


def test_running_server_is_found(data: DataDirectory) -> None:
    server = find_running_server(data.root)
    assert server == _SERVER
    assert _SERVER.api_key not in repr(server)


def test_record_of_a_killed_server_is_ignored(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path)
    data.prepare()
    write_json(data.server_file, asdict(_SERVER))
    assert find_running_server(tmp_path) is None
    with data.locked():
        assert find_running_server(tmp_path) is None
    assert not data.server_file.exists()


def test_shared_server_has_the_same_base(data: DataDirectory, tiny_base: Path) -> None:
    write_json(data.server_file, asdict(replace(_SERVER, base_model="large")))
    with pytest.raises(LocalServerError, match="the base large instead of tiny"):
        LocalServer(tiny_base, data_dir=data.root, share=True).start()


def test_starting_server_is_shared(
    data: DataDirectory, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another command locks the directory, and its server is ready later."""
    data.server_file.unlink()

    def fail(_: LocalServer) -> None:
        threading.Timer(0.5, write_json, (data.server_file, asdict(_SERVER))).start()
        msg = "Another local server is using the directory"
        raise LocalServerError(msg)

    monkeypatch.setattr(LocalServer, "_start_process", fail)
    monkeypatch.setattr(launcher, "_open_keep_alive", lambda _: httpx.Client())
    server = LocalServer(tiny_base, data_dir=data.root, share=True).start()
    assert (server.is_shared, server.base_url) == (True, _SERVER.base_url)
    server.stop()


@posix
def test_rename_is_retried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[Path] = []

    def rename(target: Path) -> None:
        tries.append(target)
        if len(tries) < 3:
            raise PermissionError(13, "It is used by another process")

    source: Any = SimpleNamespace(replace=rename)
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(PermissionError):
        data_directory.replace(source, tmp_path)
    # Only for this call, because pathlib reads it, too.
    with monkeypatch.context() as patch:
        patch.setattr(os, "name", "nt")
        data_directory.replace(source, tmp_path)
    assert tries == [tmp_path] * 3
