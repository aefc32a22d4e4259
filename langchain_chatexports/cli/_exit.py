"""Exit handling: errors become a line with the next step, and an exit status.

| status | |
|---|---|
| 0 | success |
| 1 | an error, explained in one line |
| 2 | a wrong option or argument |
| 129 | the terminal was closed (SIGHUP) |
| 130 | stopped with Ctrl-C |
| 141 | the reader of the output has exited (SIGPIPE), such as `head` |
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

from langchain_chatexports.cli._console import print_line, say, stderr_console
from langchain_chatexports.cli._errors import print_error, warning_text
from langchain_chatexports.cli._shown import note_warning
from langchain_chatexports.exceptions import ExportWarning

# The class of all errors in options and arguments, which typer does not export.
_UsageError: Any = typer.BadParameter.__bases__[0]
# 128 + the signal, as in a shell: SIGINT, SIGPIPE and SIGTERM.
CTRL_C, BROKEN_PIPE, TERMINATED = 130, 141, 143


@contextmanager
def exit_handling(*, debug: bool) -> Iterator[None]:
    """Run a command: print errors and warnings as lines, and clean up on signals."""
    with warnings.catch_warnings(), _signal_handling() as signals:
        if not debug:
            warnings.showwarning = _warning_printer()
        try:
            yield
        except BaseException as error:
            # SQLite may swallow the `SystemExit` of a signal handler.
            if fatal_signals := signals - {signal.SIGINT}:
                sys.exit(128 + min(fatal_signals))
            # typer turns broken pipes and Ctrl-C into `SystemExit`.
            is_exit = isinstance(error, SystemExit)
            cause = error.__context__ if is_exit else error
            if isinstance(cause, BrokenPipeError):
                _exit_silently()
            if isinstance(error, SystemExit) and error.code != CTRL_C:
                raise
            is_error = isinstance(error, Exception)
            if debug and is_error and not isinstance(error, _UsageError):
                raise
            _exit_with_error(error)


def _exit_with_error(error: BaseException) -> NoReturn:
    # typer raises `Abort` for Ctrl-C in a prompt.
    if isinstance(error, (KeyboardInterrupt, SystemExit, typer.Abort)):
        say("stopped")
        sys.exit(CTRL_C)
    if isinstance(error, _UsageError):
        # This replaces typer's output, which does not wrap between words.
        if error.ctx is not None:
            print_line(error.ctx.get_usage())
            path = error.ctx.command_path
            say("For all options: {command}", command=f"{path} --help")
        # typer's prefix for errors that name no option adds nothing.
        message = error.format_message().removeprefix("Invalid value: ")
        say("error: {text}", text=message)
        sys.exit(error.exit_code)
    print_error(error)
    sys.exit(1)


def _exit_silently() -> NoReturn:
    """Exit without a message, because stdout or stderr is closed."""
    for stream in filter(None, (sys.__stdout__, sys.__stderr__)):
        _discard_if_closed(stream)
    sys.exit(BROKEN_PIPE)


def _discard_if_closed(stream: TextIO) -> None:
    try:
        stream.flush()
    except OSError:
        # Otherwise Python flushes the stream again at exit and reports the error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _warning_printer() -> Callable[..., None]:
    """Return a function that prints each warning once (a talk reads exports twice).

    In a terminal, a warning about a guess is not repeated by later commands.
    """
    printed: set[str] = set()

    def print_warning(message: Warning, *_args: Any, **_kwargs: Any) -> None:
        text = warning_text(message)
        is_guess = isinstance(message, ExportWarning) and message.guess
        if is_guess and stderr_console.is_terminal and not note_warning(message):
            return
        if text not in printed:
            printed.add(text)
            say("warning: {text}", text=text)

    return print_warning


@contextmanager
def _signal_handling() -> Iterator[set[int]]:
    """Unwind the stack on signals, as on Ctrl-C, so that partial files are removed.

    These are SIGTERM, SIGHUP (the terminal was closed), and the close event of Windows.
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
    # Windows has no SIGHUP, and Unix no SIGBREAK.
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    previous_handlers = {
        number: signal.signal(number, stop)
        for number in numbers
        if signal.getsignal(number) is not signal.SIG_IGN  # as with `nohup … &`
    }
    try:
        with _close_event_handling():
            yield received
    finally:
        for number, handler in previous_handlers.items():
            signal.signal(number, handler)


if sys.platform == "win32":
    import _thread
    import ctypes
    from ctypes import wintypes

    _CLOSE, _LOGOFF, _SHUTDOWN = 2, 5, 6
    # Windows kills the process after 5 seconds, or when the handler returns.
    _CLOSE_SECONDS = 4.5

    @contextmanager
    def _close_event_handling() -> Iterator[None]:
        """Stop the command when its console is closed, and wait for it to finish."""
        has_finished = threading.Event()

        @ctypes.WINFUNCTYPE(wintypes.BOOL, wintypes.DWORD)  # type: ignore[untyped-decorator] # from ctypes
        def handle(event: int) -> bool:
            if event not in {_CLOSE, _LOGOFF, _SHUTDOWN}:
                return False
            _thread.interrupt_main(signal.SIGTERM)
            has_finished.wait(_CLOSE_SECONDS)
            return True

        set_handler = ctypes.windll.kernel32.SetConsoleCtrlHandler
        set_handler(handle, True)
        try:
            yield
        finally:
            has_finished.set()
            set_handler(handle, False)

else:
    _close_event_handling = nullcontext
