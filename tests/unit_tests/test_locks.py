"""Locks between processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from langchain_chatexports._locks import ProcessLock, is_locked


def test_lock_is_held_until_its_release(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    assert not is_locked(path)
    assert not path.exists()
    lock = ProcessLock(path)
    assert lock.acquire()
    assert is_locked(path)
    assert not ProcessLock(path).acquire()
    lock.release()
    assert not is_locked(path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no shared locks")
def test_checks_at_the_same_time_do_not_see_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page checks a server's lock several times a second, in several threads."""
    path = tmp_path / "a.lock"
    path.touch()
    close, found = os.close, []

    def check_before_close(descriptor: int) -> None:
        monkeypatch.setattr(os, "close", close)
        found.append(is_locked(path))
        close(descriptor)

    monkeypatch.setattr(os, "close", check_before_close)
    assert not is_locked(path)
    assert found == [False]


FORK = """
import os, sys, time
from langchain_chatexports._locks import ProcessLock, is_locked

lock = ProcessLock(sys.argv[1])
lock.acquire()
if not (child := os.fork()):
    lock.release()
    os._exit(0)
os.waitpid(child, 0)
assert is_locked(sys.argv[1])
if not (child := os.fork()):
    time.sleep(60)
lock.release()
assert not is_locked(sys.argv[1])
os.kill(child, 9)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not fork")
def test_forked_process_neither_keeps_nor_releases_lock(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FORK, str(tmp_path / "lock")]
    subprocess.run(command, check=True, timeout=30)  # noqa: S603 - our own code
