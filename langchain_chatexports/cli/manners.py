"""How the command line ends: a line that says what to do next, and an exit status.

| status | |
|---|---|
| 0 | all went well |
| 1 | an error, said in a line |
| 2 | a wrong option or argument |
| 130 | stopped with Ctrl-C |
| 141 | nobody reads the output any longer, as behind `head` |
| 143 | stopped by another program (SIGTERM) |
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from langchain_chatexports._files import is_full
from langchain_chatexports.cli.console import say
from langchain_chatexports.exceptions import ChatExportError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

__all__ = ["CTRL_C", "NOT_READ", "TERMINATED", "manners"]

# As a shell names the ends by SIGINT, SIGPIPE and SIGTERM.
CTRL_C, NOT_READ, TERMINATED = 130, 141, 143


@contextmanager
def manners(*, debug: bool) -> Iterator[None]:
    """Run a command: errors become a line, warnings one each, signals clean up.

    Args:
        debug: Whether to let errors through, with their traceback.

    Raises:
        SystemExit: With the exit status.
    """
    with warnings.catch_warnings(), _signals_clean_up() as signals:
        if not debug:
            warnings.showwarning = _say_warning
        try:
            yield
        except KeyboardInterrupt:
            _end("stopped", CTRL_C)
        except SystemExit as ended:
            if ended.code == CTRL_C:  # Typer has made it of the KeyboardInterrupt.
                say("stopped")
            if isinstance(ended.__context__, BrokenPipeError):  # Typer's, too.
                _end_unread()
            raise
        except BrokenPipeError:
            if debug:
                raise
            _end_unread()
        except Exception as error:
            if debug:
                raise
            _end_by(error, signals)


def _end_by(error: Exception, signals: set[int]) -> NoReturn:
    if signal.SIGINT in signals:
        # Python makes another error of it where a class is made, and so in imports.
        _end("stopped", CTRL_C)
    _end(f"error: {_explained(error)}")


def _explained(error: Exception) -> str:
    if isinstance(error, ChatExportError):
        return str(error)
    if isinstance(error, OSError):
        return _of_the_system(error)
    # Its own words may hold what somebody wrote.
    name = type(error).__name__
    return f"an unexpected {name}. See where, with --debug, and report it."


def _of_the_system(error: OSError) -> str:
    if is_full(error):
        return "the disk is full. Free some space and run the same command again."
    where = f" ({error.filename})" if error.filename else ""
    reason = error.strerror or type(error).__name__
    return f"the system says '{reason}'{where}. Check that, or see more with --debug."


def _end(line: str, status: int = 1) -> NoReturn:
    say(line)
    sys.exit(status)


def _end_unread() -> NoReturn:
    """End without a word, as there is nobody to read it."""
    for stream in filter(None, (sys.__stdout__, sys.__stderr__)):
        _give_up_if_closed(stream)
    sys.exit(NOT_READ)


def _give_up_if_closed(stream: TextIO) -> None:
    try:
        stream.flush()
    except OSError:
        # Else Python tries it again at the very end, and complains.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _say_warning(message: Warning | str, *_where: Any, **_more: Any) -> None:
    say(f"warning: {message}")


@contextmanager
def _signals_clean_up() -> Iterator[set[int]]:
    """Let SIGTERM unwind as Ctrl-C does: files half-written and servers go.

    Yields:
        The signals that have come.
    """
    come: set[int] = set()
    if threading.current_thread() is not threading.main_thread():
        yield come
        return

    def stop(number: int, _frame: FrameType | None) -> None:
        come.add(number)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(TERMINATED)

    numbers = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # As behind `nohup … &`.
        numbers.append(signal.SIGINT)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield come
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
