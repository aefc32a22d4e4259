"""The data directory: folders, files and locks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from langchain_chatexports._locks import ProcessLock
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.storage.data_directory import (
    DataDirectory,
    read_json,
    write_json,
)

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
        DataDirectory(data.root).locked(is_brief=True),
    ):
        pass


@posix
def test_json_is_written_for_this_user_only(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"a": 1})
    assert (tmp_path / "x.json").stat().st_mode & 0o777 == 0o600
    assert read_json(tmp_path / "x.json") == {"a": 1}


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00", "[" * 100_000])
def test_damaged_json_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    assert read_json(tmp_path / "x.json") is None


def test_a_killed_process_holds_no_lock(tmp_path: Path) -> None:
    script = (
        "import sys, time\n"
        "from langchain_chatexports._locks import ProcessLock\n"
        "lock = ProcessLock(sys.argv[1])\n"
        "print(lock.acquire(), flush=True)\n"
        "time.sleep(60)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "lock")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: S603 - ours.
    with process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"True"
        lock = ProcessLock(tmp_path / "lock")
        assert not lock.acquire()
        process.kill()
        assert lock.acquire(timeout=60)
        lock.release()
