"""The command `chatexports`, as a person types it."""

import io
import sys
from pathlib import Path

import pytest

from langchain_chatexports import __version__
from langchain_chatexports.cli import app
from langchain_chatexports.samples import write_imessage
from tests.unit_tests.cli.conftest import Run


def test_version_is_printed(run: Run) -> None:
    for more in ((), ("models",)):
        assert run("--version", *more).out.strip() == __version__


@pytest.mark.parametrize(
    ("value", "message"),
    [("abc", "It must be a valid integer."), ("0", "It must be greater than")],
)
def test_invalid_number_is_a_usage_error(run: Run, value: str, message: str) -> None:
    done = run("finetune", "chat.db", "--limit", value)
    assert done.status == 2
    assert message in done.err
    assert "Input should be" not in done.err


def test_no_arguments_print_help(run: Run) -> None:
    done = run()
    assert (done.status, "chatexports inspect PATH" in done.out) == (0, True)


def test_missing_cli_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from langchain_chatexports import cli

    monkeypatch.setitem(sys.modules, "typer", None)
    monkeypatch.delitem(sys.modules, "langchain_chatexports.cli.app", raising=False)
    with pytest.raises(SystemExit, match=r"langchain-chatexports\[cli\]"):
        cli.main()


def test_unknown_command_gets_suggestion(run: Run) -> None:
    done = run("preprae")
    assert (done.status, "'prepare'" in done.err) == (2, True)


def test_pipe_gets_utf_8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "李雷"
    folder.mkdir()
    chats = write_imessage(folder / "chat.db")
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, encoding="cp1252", errors="strict")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "argv", ["chatexports", "inspect", str(chats)])
    with pytest.raises(SystemExit):
        app.run()
    stream.flush()
    assert "李雷" in buffer.getvalue().decode("utf-8")
