"""Exit handling: errors become a line that says what to do, and an exit status.

| status | |
|---|---|
| 0 | success |
| 1 | an error, explained in one line |
| 2 | a wrong option or argument |
| 129 | its terminal was closed (SIGHUP) |
| 130 | stopped with Ctrl-C |
| 141 | the output is no longer read, as behind `head` |
| 143 | stopped by another program (SIGTERM) |
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import Any, NoReturn, TextIO

import typer

from langchain_chatexports._files import is_full
from langchain_chatexports.cli._console import print_line
from langchain_chatexports.exceptions import ChatExportError

# The class of all errors in options and arguments, which typer does not export.
_UsageError: Any = typer.BadParameter.__bases__[0]
# 128 + the signal, as in a shell: SIGINT, SIGPIPE and SIGTERM.
CTRL_C, NOT_READ, TERMINATED = 130, 141, 143


@contextmanager
def exit_handling(*, debug: bool) -> Iterator[None]:
    """Run a command: print errors and warnings as lines, and clean up at signals."""
    with warnings.catch_warnings(), _signals_clean_up() as signals:
        if not debug:
            warnings.showwarning = _warnings_once()
        try:
            yield
        except BaseException as error:
            # SQLite swallows the exit when a signal only interrupts it.
            if others := signals - {signal.SIGINT}:
                sys.exit(128 + min(others))
            # typer makes exits of a broken pipe and of Ctrl-C.
            is_exit = isinstance(error, SystemExit)
            cause = error.__context__ if is_exit else error
            if isinstance(cause, BrokenPipeError):
                _end_silently()
            if isinstance(error, SystemExit) and error.code != CTRL_C:
                raise
            is_error = isinstance(error, Exception)
            if debug and is_error and not isinstance(error, _UsageError):
                raise
            _end_with(error)


def _end_with(error: BaseException) -> NoReturn:
    # typer raises `Abort` for Ctrl-C at a question.
    if isinstance(error, (KeyboardInterrupt, SystemExit, typer.Abort)):
        print_line("stopped")
        sys.exit(CTRL_C)
    if isinstance(error, _UsageError):
        # In place of typer's own lines, which are not broken between words.
        if error.ctx is not None:
            print_line(error.ctx.get_usage())
            print_line(f"For all options: {error.ctx.command_path} --help")
        print_line(f"error: {error.format_message()}")
        sys.exit(error.exit_code)
    print_line(f"error: {_explained(error)}")
    sys.exit(1)


def _explained(error: BaseException) -> str:
    if isinstance(error, ChatExportError):
        return str(error)
    if not isinstance(error, OSError):
        # The text of such an error may quote a message.
        name = type(error).__name__
        return f"an unexpected {name}. Run it with --debug to see where, and report it."
    if is_full(error):
        return "the disk is full. Free some space and run the same command again."
    where = f" ({error.filename})" if error.filename else ""
    reason = error.strerror or type(error).__name__
    return f"the system reports '{reason}'{where}. See more with --debug."


def _end_silently() -> NoReturn:
    """Exit without a line: stdout or stderr is closed."""
    for stream in filter(None, (sys.__stdout__, sys.__stderr__)):
        _discard_if_closed(stream)
    sys.exit(NOT_READ)


def _discard_if_closed(stream: TextIO) -> None:
    try:
        stream.flush()
    except OSError:
        # Otherwise Python flushes it again when it exits, and reports the error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _warnings_once() -> Callable[..., None]:
    """Return a function that prints each warning once; a talk reads exports twice."""
    shown: set[str] = set()

    def print_warning(message: Warning | str, *_where: Any, **_more: Any) -> None:
        if str(message) not in shown:
            shown.add(str(message))
            print_line(f"warning: {message}")

    return print_warning


@contextmanager
def _signals_clean_up() -> Iterator[set[int]]:
    """Unwind at each signal as at Ctrl-C, so that partial files are removed.

    The signals are SIGTERM, SIGHUP of a closed terminal, and the close event of
    Windows.
    """
    received: set[int] = set()
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def stop(number: int, _frame: FrameType | None) -> None:
        received.add(number)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(128 + number)

    names = ("SIGTERM", "SIGINT", "SIGHUP", "SIGBREAK")
    found = (getattr(signal, name, None) for name in names)
    numbers = [number for number in found if number is not None]
    before = {
        number: signal.signal(number, stop)
        for number in numbers
        if signal.getsignal(number) is not signal.SIG_IGN  # as with `nohup … &`
    }
    try:
        with _close_event_ends():
            yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if sys.platform == "win32":
    import _thread
    import ctypes
    from ctypes import wintypes

    _CLOSE, _LOGOFF, _SHUTDOWN = 2, 5, 6
    # Windows ends the process 5 seconds after the event, or when its handler returns.
    _CLOSE_SECONDS = 4.5

    @contextmanager
    def _close_event_ends() -> Iterator[None]:
        """Let a closed console window stop the command, and wait for its end."""
        has_ended = threading.Event()

        @ctypes.WINFUNCTYPE(wintypes.BOOL, wintypes.DWORD)  # type: ignore[untyped-decorator] # it is ctypes'
        def handle(event: int) -> bool:
            if event not in {_CLOSE, _LOGOFF, _SHUTDOWN}:
                return False
            _thread.interrupt_main(signal.SIGTERM)
            has_ended.wait(_CLOSE_SECONDS)
            return True

        set_handler = ctypes.windll.kernel32.SetConsoleCtrlHandler
        set_handler(handle, True)
        try:
            yield
        finally:
            has_ended.set()
            set_handler(handle, False)

else:
    _close_event_ends = nullcontext
