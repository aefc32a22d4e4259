"""How commands end, whatever happens: a line, a status, nothing half-written."""

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
    ("error", "status", "said"),
    [
        (LocalServerError("It is gone. Start it."), 1, "error: It is gone. Start it."),
        (KeyboardInterrupt(), 130, "stopped"),
        (SystemExit(130), 130, "stopped"),
        (SystemExit(2), 2, ""),
        (OSError(28, "No space left on device"), 1, "error: the disk is full."),
        (PermissionError(13, "Permission denied", "x.db"), 1, "'Permission denied'"),
        (TypeError("what somebody wrote"), 1, "an unexpected TypeError"),
    ],
)
def test_each_end_has_its_line_and_status(
    capsys: pytest.CaptureFixture[str], error: BaseException, status: int, said: str
) -> None:
    assert ended(error) == status
    err = capsys.readouterr().err
    assert said in err
    assert len(err.splitlines()) == (1 if said else 0)


@not_on_windows
def test_an_error_after_a_ctrl_c_that_only_ended_an_answer_is_an_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def go_on() -> None:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        msg = "The server is gone."
        raise ChatExportError(msg)

    with pytest.raises(SystemExit) as ended_by, exit_handling(debug=False):
        go_on()
    assert ended_by.value.code == 1
    assert capsys.readouterr().err == "error: The server is gone.\n"


@pytest.mark.parametrize("closed", ["stdout", "stderr", "both"])
@not_on_windows
def test_output_that_nobody_reads_ends_it_quietly(tmp_path: Path, closed: str) -> None:
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


def test_a_warning_is_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    """A talk reads its export for the replies and again for what it remembers."""
    with exit_handling(debug=False):
        warnings.simplefilter("always")
        for line in ("a.txt is empty", "b.txt is empty", "a.txt is empty"):
            warnings.warn(line, stacklevel=1)
    said = capsys.readouterr().err
    assert said == "warning: a.txt is empty\nwarning: b.txt is empty\n"


# The command, which waits in the middle of the export to be stopped.
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
def test_a_signal_that_sqlite_swallows_keeps_its_status(raised: BaseException) -> None:
    def swallowing() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        except SystemExit:  # As SQLite's progress handler does.
            raise raised from None  # typer makes a SystemExit of the first.

    with pytest.raises(SystemExit) as ended_by, exit_handling(debug=False):
        swallowing()
    assert ended_by.value.code == 143


@not_on_windows
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_a_signal_leaves_nothing_half_written(
    tmp_path: Path, number: signal.Signals, status: int
) -> None:
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
        # A folder alone may have just been made, and not be registered for removal.
        wait_for(lambda: [*tmp_path.glob(".*/*")], process)
        process.send_signal(number)
        _, err = process.communicate(timeout=240)
    finally:
        process.kill()
    assert process.returncode == status, err
    assert {path.name for path in tmp_path.iterdir()} == before
    assert "Traceback" not in err


def wait_for(what: Callable[[], object], process: subprocess.Popen[str]) -> None:
    for _ in range(24_000):
        if what():
            return
        assert process.poll() is None, "it ended before it was stopped"
        time.sleep(0.01)
    pytest.fail("nothing was written")
