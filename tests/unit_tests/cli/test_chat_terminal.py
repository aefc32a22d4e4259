"""A chat in a real terminal: Ctrl-C and signals."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.unit_tests.builders.openai_server import BASE_MODEL, KEY, Fault, OpenAIServer

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no pty")

_SECONDS = 240
_ENVIRONMENT = {"OPENAI_API_KEY": KEY, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}
# The process needs a controlling terminal to get Ctrl-C.
_IN_TERMINAL = """
import fcntl, termios
from langchain_chatexports.cli import main
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
main()
"""
_READY = "\x1b[?2004h"  # The prompt asks the terminal to mark pasted text.


class Terminal:
    """A chat in a pseudo-terminal of 80 columns."""

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int) -> None:
        self.process = process
        self.shown = ""
        self._descriptor = descriptor

    def type(self, keys: str) -> None:
        os.write(self._descriptor, keys.encode())

    def wait_for(self, text: str) -> None:
        """Read until a text is shown, and drop the text before it."""
        import select

        end = time.monotonic() + _SECONDS
        while text not in self.shown:
            seconds = max(0, end - time.monotonic())
            assert select.select([self._descriptor], [], [], seconds)[0], text
            self.shown += os.read(self._descriptor, 65536).decode(errors="replace")
        self.shown = self.shown.partition(text)[2]

    def is_restored(self) -> bool:
        """Return whether the terminal echoes and buffers lines, as in a shell."""
        import termios

        local = termios.tcgetattr(self._descriptor)[3]
        return bool(local & termios.ECHO and local & termios.ICANON)


@contextmanager
def chat(server: OpenAIServer) -> Iterator[Terminal]:
    import fcntl
    import pty
    import struct
    import termios

    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and package
        [
            *(sys.executable, "-c", _IN_TERMINAL, "chat", BASE_MODEL),
            *("--base-url", server.base_url),
        ],
        stdin=child,
        stdout=child,
        stderr=child,
        env={**os.environ, **_ENVIRONMENT},
        start_new_session=True,
    )
    terminal = Terminal(process, parent)
    try:
        yield terminal
    finally:
        process.kill()
        process.wait()
        os.close(child)
        os.close(parent)


def test_ctrl_c_stops_the_answer_and_twice_the_chat() -> None:
    slow = OpenAIServer(Fault("POST /chat/completions", delay=_SECONDS))
    with slow.running() as server, chat(server) as terminal:
        terminal.wait_for(_READY)
        terminal.type("Are you there?\r")
        terminal.wait_for("…")
        terminal.type("\x03")
        terminal.wait_for("Stopped. Type /retry for another reply.")
        terminal.wait_for(_READY)
        terminal.type("/retry\r")
        terminal.wait_for("Slow and steady")
        terminal.wait_for(_READY)
        terminal.type("\x03")
        terminal.wait_for("Press Ctrl-C again, or Ctrl-D, to quit.")
        terminal.wait_for(_READY)
        terminal.type("\x03")
        assert terminal.process.wait(_SECONDS) == 0
        assert terminal.is_restored()


def test_sigterm_restores_the_terminal() -> None:
    with OpenAIServer().running() as server, chat(server) as terminal:
        terminal.wait_for(_READY)
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.process.wait(_SECONDS) == 143
        assert terminal.is_restored()
