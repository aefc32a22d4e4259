"""The command line, run in process as a user would type it."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

from langchain_chatexports.cli.app import run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any


class Done(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


@pytest.fixture
def chatexports(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Any]:
    """Run `chatexports ARGUMENTS` in an empty folder, without a terminal."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments: object, stdin: str = "") -> Done:
        monkeypatch.setattr(sys, "argv", ["chatexports", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as ended:
            run()
        out, err = capsys.readouterr()
        return Done(int(ended.value.code or 0), out, err)

    return command
