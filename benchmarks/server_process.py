"""A local server in a process of its own, to be measured, or killed."""

from __future__ import annotations

import multiprocessing
from contextlib import suppress
from typing import TYPE_CHECKING, Self

import openai
import psutil

from langchain_chatexports.local_server import LocalServer

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from pathlib import Path

_STOP_SECONDS = 60


class ServerProcess:
    """A `LocalServer` that runs in another process, which ends with this one."""

    base_url = api_key = base_model = ""

    def __init__(
        self, base: str | Path | None, data_dir: Path, *, threads: int | None = None
    ) -> None:
        """Initialize the server without starting it."""
        self._settings = (base, data_dir, threads)

    @property
    def process(self) -> psutil.Process:
        """The server's process."""
        return psutil.Process(self._child.pid)

    def start(self) -> Self:
        """Start the server, and wait until it accepts requests."""
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._child = context.Process(target=_serve, args=(theirs, *self._settings))
        self._child.start()
        # Otherwise nothing is received if the child fails: its end would stay open.
        theirs.close()
        self.base_url, self.api_key, self.base_model = self._pipe.recv()
        return self

    def stop(self) -> None:
        """Stop the server; a job is saved for the next one."""
        self._pipe.close()
        self._child.join(_STOP_SECONDS)
        self._child.kill()
        self._child.join()

    def client(self, *, max_retries: int = 2, timeout: float = 1200) -> openai.OpenAI:
        """Return a client of the server."""
        return openai.OpenAI(
            base_url=self.base_url,
            api_key=self.api_key,
            max_retries=max_retries,
            timeout=timeout,
        )

    def __enter__(self) -> Self:
        """Start the server."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stop the server."""
        self.stop()


def _serve(
    pipe: Connection, base: str | Path | None, data_dir: Path, threads: int | None
) -> None:
    with LocalServer(base, data_dir=data_dir, threads=threads) as server:
        pipe.send((server.base_url, server.api_key, server.base_model))
        # Until the other process closes its end, or ends.
        with suppress(EOFError, OSError):
            pipe.recv()
