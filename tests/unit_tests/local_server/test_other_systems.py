"""Code for Windows, as far as other systems can test it."""

import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from langchain_chatexports import _locks
from langchain_chatexports.local_server.http import server
from langchain_chatexports.local_server.processes import detached_flags
from langchain_chatexports.local_server.storage import data_directory as storage

posix = pytest.mark.skipif(os.name == "nt", reason="This is Windows")


@pytest.fixture
def windows_locks(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module as Windows reads it, with a table of locked files for `msvcrt`."""
    held: dict[int, int] = {}

    def locking(descriptor: int, mode: int, size: int) -> None:
        assert (mode, size) == (2, 1)
        assert os.lseek(descriptor, 0, os.SEEK_CUR) == 0
        file = os.fstat(descriptor).st_ino
        if held.get(file, descriptor) != descriptor:
            raise PermissionError(13, "Permission denied")
        held[file] = descriptor

    def close(descriptor: int) -> None:
        for file in [file for file, owner in held.items() if owner == descriptor]:
            del held[file]
        closing(descriptor)

    closing = os.close
    fake: Any = ModuleType("msvcrt")
    fake.LK_NBLCK, fake.locking = 2, locking
    monkeypatch.setitem(sys.modules, "msvcrt", fake)
    # There is no other one to fall back on.
    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(os, "close", close)
    spec = importlib.util.spec_from_file_location("windows_locks", _locks.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@posix
def test_a_lock_of_windows_is_held_by_one(tmp_path: Path, windows_locks: Any) -> None:
    path = tmp_path / "lock"
    with windows_locks.ProcessLock(path) as first:
        assert first.acquire()
        assert not windows_locks.ProcessLock(path).acquire()
        assert windows_locks.is_locked(path)
    assert not windows_locks.is_locked(path)
    assert windows_locks.ProcessLock(path).acquire()


def test_ctrl_c_in_a_terminal_does_not_reach_a_child_on_windows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 512, raising=False)
    assert detached_flags() == {"creationflags": 512}


@posix
def test_a_file_that_windows_holds_for_a_moment_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []

    def hold(target: Path) -> None:
        assert target == tmp_path
        tries.append("held")
        if len(tries) < 3:
            raise PermissionError(13, "It is used by another process")

    held: Any = SimpleNamespace(replace=hold)
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(PermissionError):
        storage.replace(held, tmp_path)
    # Only while it is asked for: `Path` would become Windows' too.
    with monkeypatch.context() as patch:
        patch.setattr(os, "name", "nt")
        storage.replace(held, tmp_path)
    assert len(tries) == 3


def test_a_port_is_asked_for_alone_where_two_could_share_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options: list[int] = []

    class Listener(socket.socket):
        def setsockopt(self, level: int, option: int, value: Any, *_: Any) -> None:
            assert (level, value) == (socket.SOL_SOCKET, 1)
            options.append(option)

    monkeypatch.setattr(socket, "SO_EXCLUSIVEADDRUSE", -5, raising=False)
    monkeypatch.setattr(socket, "socket", Listener)
    with server.listen("127.0.0.1", 0):
        assert options == [-5]
