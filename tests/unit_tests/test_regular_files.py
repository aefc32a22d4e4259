import os
import socket
import sys
from pathlib import Path

import pytest

from langchain_chatexports._regular_files import check_regular_file, open_regular_file
from langchain_chatexports.exceptions import ExportFormatError

needs_pipes = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no FIFOs")


def test_file_is_read_as_bytes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one\r\n\x1atwo")
    with open_regular_file(path) as file:
        assert file.read() == b"one\r\n\x1atwo"


def test_link_to_a_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"text")
    try:
        (tmp_path / "link").symlink_to("file")
    except OSError:
        pytest.skip("no links here")
    with open_regular_file(tmp_path / "link") as file:
        assert file.read() == b"text"


@needs_pipes
@pytest.mark.parametrize("check", [open_regular_file, check_regular_file])
def test_pipe_is_refused_without_waiting(tmp_path: Path, check: object) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ExportFormatError, match="pipe is a pipe, not a file"):
        check(tmp_path / "pipe")  # type: ignore[operator]  # both take a path


@needs_pipes
def test_device_is_refused() -> None:
    with pytest.raises(ExportFormatError, match="is a device"):
        open_regular_file("/dev/zero")


@needs_pipes
def test_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # A socket's path may have 100 characters.
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        with pytest.raises(ExportFormatError, match="is a socket"):
            open_regular_file("socket")


def test_folder_is_a_system_error(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match=tmp_path.name):
        open_regular_file(tmp_path)


def test_missing_file_is_a_system_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_regular_file(tmp_path / "nothing")
