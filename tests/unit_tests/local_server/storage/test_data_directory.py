"""The data directory: folders, files, locks, and the record of a running server."""

import os
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server import LocalServer
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
def test_the_folders_are_private_whatever_the_umask(tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir(mode=0o755)
    data = DataDirectory(root)
    data.prepare()
    for folder in (data.root, data.files, data.jobs, data.models):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_a_data_directory_that_is_a_file_is_refused_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LocalServerError, match="data_dir") as caught:
        DataDirectory(tmp_path / "file").prepare()
    assert str(tmp_path / "file") in str(caught.value)


def test_what_was_left_half_deleted_is_cleared(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path / "data")
    data.prepare()
    (data.models / f".deleted-{'0' * 12}").mkdir()
    (data.models / ".deleted-scenes").mkdir()
    with data.locked():
        assert [path.name for path in data.models.iterdir()] == [".deleted-scenes"]


def test_two_servers_cannot_use_one_directory(tmp_path: Path) -> None:
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
    made = DataDirectory(tmp_path / "data")
    made.prepare()
    with made.locked():
        write_json(made.running, asdict(_SERVER))
        yield made


def test_a_running_server_is_found(data: DataDirectory) -> None:
    server = find_running_server(data.root)
    assert server == _SERVER
    assert _SERVER.api_key not in repr(server)


def test_the_record_of_a_killed_server_is_not_believed_and_removed(
    tmp_path: Path,
) -> None:
    data = DataDirectory(tmp_path)
    data.prepare()
    write_json(data.running, asdict(_SERVER))
    assert find_running_server(tmp_path) is None
    with data.locked():
        assert find_running_server(tmp_path) is None
    assert not data.running.exists()


def test_a_running_server_with_another_base_is_an_error_that_names_both(
    data: DataDirectory, tiny_base: Path
) -> None:
    write_json(data.running, asdict(replace(_SERVER, base_model="large")))
    with pytest.raises(LocalServerError, match="the base large and not tiny"):
        LocalServer(tiny_base, data_dir=data.root, share=True).start()
