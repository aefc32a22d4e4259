"""The data directory: whose it is, where it is, and who may read it."""

import errno
import os
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.errors import DataDirectoryError, DiskFullError
from langchain_chatexports.local_server.workspace import (
    DataDirectory,
    Workspace,
    data_directory,
)
from tests.unit_tests.builders.workspaces import add_job

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")


@posix
def test_files_are_private(tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir(mode=0o755)
    old = os.umask(0)
    try:
        workspace = Workspace(root)
        add_job(workspace)
        with workspace.lock("queue") as lock:
            assert lock.acquire()
    finally:
        os.umask(old)
    for path in (root, *root.rglob("*")):
        expected = 0o700 if path.is_dir() else 0o600
        assert path.stat().st_mode & 0o777 == expected, path


def test_reading_creates_nothing(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "none")
    snapshot = workspace.snapshot()
    assert (snapshot.jobs, snapshot.models, snapshot.files) == ((), (), ())
    assert workspace.delete_everything().jobs == ()
    assert not (tmp_path / "none").exists()


def _state(root: Path) -> list[tuple[str, int, int]]:
    paths = sorted([root, *root.rglob("*")])
    return [(str(p), p.lstat().st_mode, p.lstat().st_mtime_ns) for p in paths]


def test_foreign_folder_is_refused_unchanged(tmp_path: Path) -> None:
    project = tmp_path / "project"
    for name in ("models/bert", "files/thesis", "jobs/2024"):
        (project / name).mkdir(parents=True)
        (project / name / "precious").write_text("mine")
    before = _state(project)
    with pytest.raises(DataDirectoryError, match="not a chatexports data directory"):
        Workspace(project)
    assert _state(project) == before
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(DataDirectoryError, match=r"thesis\.txt"):
        Workspace(tmp_path / "thesis.txt")


def test_folder_that_became_foreign_is_refused(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "data")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.txt").write_text("mine")
    with pytest.raises(DataDirectoryError, match="Nothing was changed"):
        workspace.files.create(b"{}")
    assert len(list((tmp_path / "data").iterdir())) == 1


def test_folder_opened_in_a_file_manager_is_empty(tmp_path: Path) -> None:
    (tmp_path / ".DS_Store").touch()
    add_job(Workspace(tmp_path))


@posix
def test_linked_folder_is_refused(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "data")
    workspace.prepare()
    (tmp_path / "data" / "models").rename(tmp_path / "elsewhere")
    (tmp_path / "data" / "models").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataDirectoryError, match="links"):
        Workspace(tmp_path / "data")


@pytest.mark.parametrize("version", [1, 99])
def test_directory_of_another_version_is_refused(tmp_path: Path, version: int) -> None:
    workspace = Workspace(tmp_path)
    workspace.prepare()
    with sqlite3.connect(tmp_path / "chatexports.db") as database:
        database.execute(f"PRAGMA user_version = {version}")
    database.close()
    for call in (workspace.jobs.list, workspace.prepare, workspace.snapshot):
        with pytest.raises(DataDirectoryError, match="another version"):
            call()


def test_half_created_directory_is_finished(tmp_path: Path) -> None:
    """Its process was killed after it had created an empty database."""
    (tmp_path / "chatexports.db").touch()
    workspace = Workspace(tmp_path)
    assert workspace.jobs.list() == ()
    add_job(workspace)


# What a user finds out about a data directory that others made, as one line each.
_ATTEMPTS = """
import os
import sys
import psutil
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.workspace import Workspace

if os.geteuid() == 0:  # No mode keeps root out.
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)

def attempt(name):
    try:
        workspace = Workspace(sys.argv[1])
        job = workspace.jobs.list()[0]
        calls = {
            "snapshot": lambda: len(workspace.snapshot().jobs),
            "prepare": workspace.prepare,
            "pause": lambda: workspace.jobs.pause(job.id),
            "delete": lambda: workspace.delete(job.id),
        }
        return calls[name]()
    except LocalServerError as error:
        return error

for name in ("snapshot", "prepare", "pause", "delete"):
    print(attempt(name))
"""


@posix
@pytest.mark.parametrize("mode", [0o000, 0o555])
def test_directory_without_permission_is_a_sentence(mode: int) -> None:
    """A read-only one can be shown; nothing in it is changed."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        _check_without_permission(Path(folder) / "data", mode)


def _check_without_permission(data: Path, mode: int) -> None:
    workspace = Workspace(data)
    job = add_job(workspace)
    for path in (*data.iterdir(), data):
        path.chmod(mode if path.is_dir() else 0o444)
    result = subprocess.run(  # noqa: S603 - our own interpreter and code.
        [sys.executable, "-c", _ATTEMPTS, str(data)],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    for path in (data, *data.iterdir()):
        path.chmod(0o700)
    shown, *refused = result.stdout.splitlines()
    if mode:
        assert shown == "1"
    else:
        refused.append(shown)
    for line in refused:
        assert str(data) in line
        assert "Choose another one" in line or "try again" in line
    assert workspace.jobs.get(job.id) == job
    assert workspace.files.get(job.training_file)


def test_unwritable_directory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(DataDirectoryError, match=r"Permission denied.*data_dir"):
        Workspace(tmp_path / "data").prepare()


def test_damaged_database_is_an_error(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.prepare()
    (tmp_path / "chatexports.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(DataDirectoryError, match="not a database"):
        workspace.jobs.list()


def test_full_disk_changes_nothing(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    job = add_job(workspace)
    with (  # noqa: PT012 - the update or its commit fails.
        pytest.raises(DiskFullError, match="Free some space"),
        DataDirectory(workspace.data_dir).connect(writes=True) as database,
    ):
        database.execute("PRAGMA max_page_count = 1")
        database.execute("UPDATE jobs SET label = ?", ("x" * 100_000,))
    assert workspace.jobs.get(job.id) == job


def test_full_disk_stores_no_upload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    workspace = Workspace(tmp_path)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DiskFullError, match="Free some space"):
        workspace.files.create(b"{}")
    assert not list((tmp_path / "files").iterdir())


def test_busy_database_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As while the program that writes to it is suspended."""
    workspace = Workspace(tmp_path)
    job = add_job(workspace)
    monkeypatch.setattr(data_directory, "_BUSY_SECONDS", 0.0)
    with closing(sqlite3.connect(tmp_path / "chatexports.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DataDirectoryError, match="If it is suspended"):
            workspace.jobs.pause(job.id)


def test_missing_database_is_not_created(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    with pytest.raises(LocalServerError), DataDirectory(workspace.data_dir).connect():
        pass
    assert not list(tmp_path.iterdir())


@posix
def test_rename_is_retried_on_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
