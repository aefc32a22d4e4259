"""Incomplete files of killed processes do not stay on the disk."""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from langchain_chatexports._parts import (
    part_file,
    part_folder,
    sweep_parts,
)
from langchain_chatexports.datasets.jsonl import write_jsonl
from tests.conftest import NEEDS_SIGKILL

WRITE = """
import sys, time
from pathlib import Path
from langchain_chatexports._parts import part_folder
from langchain_chatexports.datasets.jsonl import write_jsonl
def examples():
    print("begun", flush=True)
    for number in range(10**9):
        yield {"messages": [{"role": "user", "content": "secret " * 500}]}
with part_folder(Path(sys.argv[1])) as folder:
    (folder / "rows").write_text("secret")
    write_jsonl(examples(), sys.argv[1] + "/set.jsonl")
"""


@pytest.fixture(autouse=True)
def _own_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = tmp_path / "tmp"
    registry.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(registry))
    monkeypatch.setenv("TMPDIR", str(registry))


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "tmp")


def kill_writer(folder: Path, seconds: float) -> None:
    with subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, "-c", WRITE, str(folder)], stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout
        writer.stdout.readline()
        time.sleep(seconds)
        writer.send_signal(signal.SIGKILL)


@NEEDS_SIGKILL
def test_parts_of_killed_process_are_deleted(tmp_path: Path) -> None:
    source = random.Random(4)
    for _ in range(4):
        kill_writer(tmp_path, source.uniform(0, 0.2))
        assert len(left(tmp_path)) == 2
        sweep_parts()
        assert left(tmp_path) == []
    kill_writer(tmp_path, 0)
    (registry,) = (tmp_path / "tmp").iterdir()
    for entry in registry.iterdir():
        entry.unlink()  # As after a restart of the system.
    for part in tmp_path.glob(".chatexports-*.part"):
        os.utime(part, (0, 0))
    write_jsonl([], tmp_path / "set.jsonl")
    assert left(tmp_path) == ["set.jsonl"]


def test_parts_of_running_process_are_kept(tmp_path: Path) -> None:
    with part_file(tmp_path) as file, part_folder(tmp_path) as folder:
        sweep_parts(tmp_path)
        assert file.exists()
        assert folder.is_dir()
        assert file.stat().st_mode & 0o077 == 0
    assert left(tmp_path) == []


def test_only_parts_are_deleted(tmp_path: Path) -> None:
    """The registry is data, so it cannot name other files."""
    keep = tmp_path / "keep"
    keep.touch(mode=0o600)
    link = tmp_path / ".chatexports-x.part"
    link.symlink_to(keep)
    with part_file(tmp_path):
        (registry,) = (tmp_path / "tmp").iterdir()
        (registry / "forged").write_text(str(keep))
    sweep_parts(tmp_path)
    assert keep.exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no file owners")
def test_parts_in_another_registry_are_kept(tmp_path: Path) -> None:
    """Another user may have created the registry's folder, so that we use our own."""
    taken = tmp_path / "tmp" / f"chatexports-parts-{os.geteuid()}"
    taken.mkdir(mode=0o777)
    taken.chmod(0o777)
    with part_file(tmp_path) as first, part_file(tmp_path) as second:
        assert first.is_file()
        assert second.is_file()


def test_parts_of_process_with_other_temporary_folder_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its registry is in its own `TMPDIR`, as in a container or a service."""
    other = tmp_path / "other"
    other.mkdir()
    with part_file(tmp_path) as file, part_folder(tmp_path) as folder:
        monkeypatch.setattr(tempfile, "tempdir", str(other))
        sweep_parts(tmp_path)
        assert file.is_file()
        assert folder.is_dir()
