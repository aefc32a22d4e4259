"""The command line, run in process as a user would type it."""

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pytest

from langchain_chatexports.cli import app
from langchain_chatexports.samples import write_imessage, write_messenger


class Result(NamedTuple):
    """The result of a command."""

    status: int
    out: str
    err: str


Run: TypeAlias = Callable[..., Result]


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Run:
    """Run `chatexports ARGUMENTS` in an empty folder, without a terminal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "langchain_chatexports.retrieval.index_files.default_index_dir",
        lambda: tmp_path / "user data" / "search-indexes",
    )

    def command(*arguments: object, stdin: str = "") -> Result:
        monkeypatch.setattr(sys, "argv", ["chatexports", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as ended:
            app.run()
        out, err = capsys.readouterr()
        return Result(int(ended.value.code or 0), out, err)

    return command


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    return write_imessage(tmp_path / "chat.db")


@pytest.fixture
def threads(tmp_path: Path) -> Path:
    return write_messenger(tmp_path / "hogwarts")
