"""The command line, run in process as a user would type it."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pytest

from langchain_chatexports.cli.app import run
from tests.unit_tests.builders.chat_db import ChatDb


class Done(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


Command: TypeAlias = Callable[..., Done]


@pytest.fixture
def chatexports(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Command:
    """Run `chatexports ARGUMENTS` in an empty folder, without a terminal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "langchain_chatexports.retrieval.index_files.default_index_dir",
        lambda: tmp_path / "user data" / "search-indexes",
    )

    def command(*arguments: object, stdin: str = "") -> Done:
        monkeypatch.setattr(sys, "argv", ["chatexports", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as ended:
            run()
        out, err = capsys.readouterr()
        return Done(int(ended.value.code or 0), out, err)

    return command


@pytest.fixture
def groups(tmp_path: Path) -> Path:
    """Return an export with two groups of three and one conversation of two."""
    with ChatDb(tmp_path / "chat.db") as database:
        for last in "56":
            people = ("+15550101234", f"+1555010123{last}")
            chat = database.chat(*people)
            for number in range(10):
                chat.message(f"question {number} {last}", sender=people[number % 2])
                chat.message(f"answer {number} {last}", mine=True)
        pair = database.chat("+15550101234")
        pair.message("and you?")
        pair.message("me, too", mine=True)
    return tmp_path / "chat.db"
