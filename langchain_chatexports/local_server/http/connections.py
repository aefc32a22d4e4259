"""Connections to the server: how long one may wait, and how many there may be.

uvicorn has no time limit for a request that is not complete. Whoever opens connections
and says nothing, or half a header, would hold them until no file descriptor is left.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

__all__ = ["WatchedProtocol", "max_connections"]

HEAD_SECONDS = 20.0
"""How long a request's head may take, from the connection or its first byte."""

BODY_SECONDS = 60.0
"""How long a body may stand still; one that moves may take as long as it likes."""

_MAX_CONNECTIONS = 512


class WatchedProtocol(H11Protocol):  # type: ignore[misc] # uvicorn is not followed.
    """uvicorn's protocol, with time limits and a limited number of connections.

    An answer may take any time, and between two requests uvicorn's own limit for idle
    connections holds.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._watch: asyncio.TimerHandle | None = None
        self.waits_since = 0.0  # Of the event loop's clock.

    @property
    def waits_for_request(self) -> bool:
        """Whether no request is being read or answered."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: Any) -> None:
        """Take a connection, and close another one if there are too many."""
        super().connection_made(transport)
        self.waits_since = self.loop.time()
        self._start_watch(HEAD_SECONDS)
        if len(self.connections) > max_connections():
            self._make_room()

    def data_received(self, data: bytes) -> None:
        """Read what came, and decide until when more must come."""
        super().data_received(data)
        if self.waits_for_request:
            if self._watch is None:
                self._start_watch(HEAD_SECONDS)
            return
        self._stop_watch()
        if self.cycle.more_body:
            self._start_watch(BODY_SECONDS)

    def on_response_complete(self) -> None:
        """Note since when the connection is idle."""
        self._stop_watch()
        self.waits_since = self.loop.time()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_watch()
        super().connection_lost(exc)

    def _make_room(self) -> None:
        waiting = [c for c in self.connections if c.waits_for_request and c is not self]
        if waiting:
            # One that never asked anything first, and of these the oldest.
            oldest = min(waiting, key=lambda c: (c.cycle is not None, c.waits_since))
            oldest.transport.abort()
            self.connections.discard(oldest)

    def _start_watch(self, seconds: float) -> None:
        self._watch = self.loop.call_later(seconds, self._give_up)

    def _stop_watch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _give_up(self) -> None:
        self._watch = None
        if self.flow.read_paused:
            # The server is the one who does not read.
            self._start_watch(BODY_SECONDS)
        elif not self.transport.is_closing():
            self.transport.close()


def max_connections() -> int:
    """Return how many connections there may be: half of the process's open files."""
    if sys.platform == "win32":
        return _MAX_CONNECTIONS
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (
        _MAX_CONNECTIONS
        if soft == resource.RLIM_INFINITY
        else min(_MAX_CONNECTIONS, soft // 2)
    )
