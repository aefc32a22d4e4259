"""Names and answers hold any character, whatever the pipe or terminal knows."""

import io
import sys
from pathlib import Path

import pytest

from langchain_chatexports.cli.app import run
from langchain_chatexports.samples import write_imessage


def written(
    arguments: list[str], buffer: io.BytesIO, monkeypatch: pytest.MonkeyPatch
) -> bytes:
    """Run a command whose output goes to a stream of few characters."""
    stream = io.TextIOWrapper(buffer, encoding="cp1252", errors="strict")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "argv", ["chatexports", *arguments])
    with pytest.raises(SystemExit):
        run()
    stream.flush()
    return buffer.getvalue()


@pytest.fixture
def chats(tmp_path: Path) -> str:
    """An export in a folder whose name `inspect` shows."""
    folder = tmp_path / "李雷"
    folder.mkdir()
    return str(write_imessage(folder / "chat.db"))


def test_a_pipe_gets_utf_8(chats: str, monkeypatch: pytest.MonkeyPatch) -> None:
    got = written(["inspect", chats], io.BytesIO(), monkeypatch)
    assert "李雷" in got.decode("utf-8")
