"""Code for Windows, as far as other systems can test it."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from langchain_chatexports.local_server.http import server
from langchain_chatexports.local_server.processes import detached_flags
from langchain_chatexports.local_server.storage import data_directory as storage

posix = pytest.mark.skipif(os.name == "nt", reason="This is Windows")


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
