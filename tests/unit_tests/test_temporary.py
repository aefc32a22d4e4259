"""Temporary folders are deleted, even after an interrupted cleanup."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import _temporary
from langchain_chatexports._locks import ProcessLock
from langchain_chatexports._temporary import private_folder


def test_interrupted_cleanup_is_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A closed terminal sends SIGHUP twice: from the system and from the shell."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    remove = os.unlink

    def interrupted(name: Any, *args: Any, **kwargs: Any) -> None:
        left = len(list(tmp_path.rglob("chat*.txt")))
        if left == 1 and Path(name).name.startswith("chat"):
            raise SystemExit(129)
        remove(name, *args, **kwargs)

    with pytest.raises(SystemExit), private_folder() as folder:  # noqa: PT012 - its end
        for number in range(20):
            (folder / f"chat{number}.txt").write_text("private")
        monkeypatch.setattr(os, "unlink", interrupted)
    assert list(tmp_path.rglob("chat*.txt"))
    monkeypatch.setattr(os, "unlink", remove)
    with private_folder():
        pass
    assert list(tmp_path.iterdir()) == []


def test_concurrent_cleanup_is_harmless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left = Path(tempfile.mkdtemp(prefix=_temporary._PREFIX))
    (left / _temporary._MARKER).touch(mode=0o600)

    class Late(ProcessLock):
        def acquire(self, *, timeout: float = 0) -> bool:
            shutil.rmtree(left, ignore_errors=True)
            return super().acquire(timeout=timeout)

    monkeypatch.setattr(_temporary, "ProcessLock", Late)
    with private_folder() as folder:
        assert folder.is_dir()
