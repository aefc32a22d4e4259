"""The record of a running server, and the programs that use it."""

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
    write_json,
)

_SERVER = RunningServer("http://127.0.0.1:9/v1", "tiny", "a-key-of-its-own")

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")


@pytest.fixture
def data(tmp_path: Path) -> Iterator[DataDirectory]:
    """A data directory that a server uses."""
    made = DataDirectory(tmp_path / "data")
    made.prepare()
    with made.locked():
        write_json(made.running, asdict(_SERVER))
        yield made


def test_a_running_server_is_found(data: DataDirectory) -> None:
    assert find_running_server(data.root) == _SERVER


@posix
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602])
def test_a_record_that_others_can_read_or_write_is_not_trusted(
    data: DataDirectory, mode: int
) -> None:
    data.running.chmod(mode)
    assert find_running_server(data.root) is None


@posix
def test_a_link_in_the_place_of_the_record_is_not_followed(
    data: DataDirectory, tmp_path: Path
) -> None:
    data.running.rename(tmp_path / "elsewhere.json")
    data.running.symlink_to(tmp_path / "elsewhere.json")
    assert find_running_server(data.root) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"base_url": "x"}', b"\xff"])
def test_a_damaged_record_is_no_server(data: DataDirectory, content: bytes) -> None:
    data.running.write_bytes(content)
    assert find_running_server(data.root) is None


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
    data: DataDirectory, tiny: Path
) -> None:
    write_json(data.running, asdict(replace(_SERVER, base_model="large")))
    with pytest.raises(LocalServerError, match="the base large and not tiny"):
        LocalServer(tiny, data_dir=data.root, share=True).start()


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A folder that looks like a base."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (folder / name).touch()
    return folder
