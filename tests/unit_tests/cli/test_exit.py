"""Exit of commands: a line, a status, no partial files."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from langchain_chatexports.cli._exit import exit_handling
from langchain_chatexports.exceptions import ChatExportError, LocalServerError
from langchain_chatexports.samples import write_imessage
from tests.unit_tests.builders.chat_db import ChatDb

not_on_windows = pytest.mark.skipif(os.name == "nt", reason="other signals there")


def ended(error: BaseException, *, debug: bool = False) -> int | str | None:
    with pytest.raises(SystemExit) as exit_info, exit_handling(debug=debug):
        raise error
    return exit_info.value.code


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (LocalServerError("It is gone. Start it."), 1, "error: It is gone. Start it."),
        (KeyboardInterrupt(), 130, "stopped"),
        (SystemExit(130), 130, "stopped"),
        (SystemExit(2), 2, ""),
        (OSError(28, "No space left on device"), 1, "error: the disk is full."),
        (PermissionError(13, "Permission denied", "x.db"), 1, "'Permission denied'"),
        (TypeError("text of a message"), 1, "unexpected TypeError"),
    ],
)
def test_errors_become_a_line_and_a_status(
    capsys: pytest.CaptureFixture[str], error: BaseException, status: int, line: str
) -> None:
    assert ended(error) == status
    err = capsys.readouterr().err
    assert line in err
    assert len(err.splitlines()) == bool(line)


@not_on_windows
def test_handled_ctrl_c_does_not_hide_an_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail() -> None:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        msg = "The server is gone."
        raise ChatExportError(msg)

    with pytest.raises(SystemExit) as ended_by, exit_handling(debug=False):
        fail()
    assert ended_by.value.code == 1
    assert capsys.readouterr().err == "error: The server is gone.\n"


@pytest.mark.parametrize("closed", ["stdout", "stderr", "both"])
@not_on_windows
def test_broken_pipe_exits_silently(tmp_path: Path, closed: str) -> None:
    write_imessage(tmp_path / "chat.db")
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "langchain_chatexports.cli", "inspect", "chat.db"],
        cwd=tmp_path,
        stdout=subprocess.PIPE if closed == "stderr" else writer,
        stderr=subprocess.PIPE if closed == "stdout" else writer,
        check=False,
    )
    os.close(writer)
    assert done.returncode == 141
    assert not done.stderr


def test_warning_is_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    """A talk reads its export twice: for replies, and for the memory."""
    with exit_handling(debug=False):
        warnings.simplefilter("always")
        for line in ("a.txt is empty", "b.txt is empty", "a.txt is empty"):
            warnings.warn(line, stacklevel=1)
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["warning: a.txt is empty", "warning: b.txt is empty"]


# The command, which waits for a signal in the middle of the export.
WAITING = """
import time
from langchain_chatexports.cli import main
from langchain_chatexports.steps import MergeChatRuns

merge, merged = MergeChatRuns.transform_session, []

def transform_session(self, session):
    merged.append(1)
    if len(merged) == 20:
        time.sleep(300)
    return merge(self, session)

MergeChatRuns.transform_session = transform_session
main()
"""


@not_on_windows
@pytest.mark.parametrize("raised", [KeyboardInterrupt(), SystemExit(130)])
def test_swallowed_signal_determines_the_status(raised: BaseException) -> None:
    def swallow() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        except SystemExit:  # SQLite swallows it; typer turns Ctrl-C into an exit.
            raise raised from None

    with pytest.raises(SystemExit) as ended_by, exit_handling(debug=False):
        swallow()
    assert ended_by.value.code == 143


@not_on_windows
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_signal_cleans_up(tmp_path: Path, number: signal.Signals, status: int) -> None:
    with ChatDb(tmp_path / "chat.db") as database:
        for person in range(30):
            chat = database.chat(f"+1555{person:07}")
            for _ in range(8):
                chat.message("Slow and steady wins the race.")
                chat.message("Always.", mine=True)
    before = {path.name for path in tmp_path.iterdir()}
    command = (sys.executable, "-c", WAITING, "prepare", "chat.db")
    process = subprocess.Popen(  # noqa: S603 - ours
        [*command, "-o", "out"], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    try:
        # A new folder alone may not yet be registered for removal.
        wait_for(lambda: [*tmp_path.glob(".*/*")], process)
        process.send_signal(number)
        _, err = process.communicate(timeout=240)
    finally:
        process.kill()
    assert process.returncode == status, err
    assert {path.name for path in tmp_path.iterdir()} == before
    assert "Traceback" not in err


def wait_for(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    for _ in range(24_000):
        if condition():
            return
        assert process.poll() is None, "it exited before the signal"
        time.sleep(0.01)
    pytest.fail("nothing was written")
