"""Names and answers hold any character, whatever the pipe or terminal knows."""

import io
import sys
from pathlib import Path

import pytest

from langchain_chatexports.cli.app import run
from langchain_chatexports.samples import write_imessage


def test_a_pipe_gets_utf_8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "李雷"
    folder.mkdir()
    chats = write_imessage(folder / "chat.db")
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, encoding="cp1252", errors="strict")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "argv", ["chatexports", "inspect", str(chats)])
    with pytest.raises(SystemExit):
        run()
    stream.flush()
    assert "李雷" in buffer.getvalue().decode("utf-8")
