"""A child process with llama.cpp: its start, its tasks and its end."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import threading
from typing import TYPE_CHECKING, Any

from langchain_chatexports.local_server.processes import (
    child_command,
    child_environment,
    detached_flags,
    json_object,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_chatexports.local_server.inference.llama_cpp_child import (
        ChildSettings,
    )

__all__ = ["LlamaCppProcess"]

_CHILD = "langchain_chatexports.local_server.inference.llama_cpp_child"


class LlamaCppProcess:
    """A running child process."""

    def __init__(self, settings: ChildSettings) -> None:
        """Start the process; it is loading until it sends `ready`."""
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module.
            child_command(_CHILD),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=child_environment(threads=settings.threads, offline=True),
            **detached_flags(),
        )
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._lines.put(settings.to_json())
        # A process that is stopped or overloaded must not hold up its callers.
        threading.Thread(target=self._write, name="llama.cpp", daemon=True).start()

    def send(self, line: dict[str, Any]) -> None:
        """Send a task, or a cancellation; never waits."""
        self._lines.put(json.dumps(line).encode("ascii") + b"\n")

    def read(self, on_line: Callable[[dict[str, Any]], None]) -> None:
        """Pass on what the process sends, until it ends."""
        if self._process.stdout is not None:
            with (
                contextlib.suppress(OSError, ValueError),
                self._process.stdout as lines,
            ):
                for line in lines:
                    on_line(json_object(line))
        self.kill()

    def kill(self) -> None:
        """End the process at once."""
        self._lines.put(None)
        self._process.kill()
        self._process.wait()

    def _write(self) -> None:
        stdin = self._process.stdin
        if stdin is None:
            return
        # The reader notices that the process has ended.
        with contextlib.suppress(OSError, ValueError), stdin:
            while (line := self._lines.get()) is not None:
                stdin.write(line)
                stdin.flush()
