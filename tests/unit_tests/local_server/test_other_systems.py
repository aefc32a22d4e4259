"""Code for Windows, as far as other systems can test it."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from langchain_chatexports.local_server.storage import data_directory as storage

posix = pytest.mark.skipif(os.name == "nt", reason="This is Windows")


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
