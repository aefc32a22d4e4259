"""Limits on connections: their number, and how long an incomplete request may take.

uvicorn has no time limit for incomplete requests. Connections without a request, or
with half a header, would stay open until no file descriptor is left.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

__all__ = ["LimitedProtocol", "max_connections"]

HEAD_SECONDS = 20.0
"""How long the head of a request may take, from the connection or its first byte."""

BODY_SECONDS = 60.0
"""How long a body may pause; its total time is not limited."""

_MAX_CONNECTIONS = 512


class LimitedProtocol(H11Protocol):  # type: ignore[misc] # uvicorn is untyped here.
    """uvicorn's protocol, with time limits and a maximum number of connections.

    Responses may take any time, and idle connections have uvicorn's own limit.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._timer: asyncio.TimerHandle | None = None
        self.idle_since = 0.0  # Time of the event loop.
        self._is_websocket = False

    @property
    def is_idle(self) -> bool:
        """Whether no request is being read or answered."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: Any) -> None:
        """Accept a connection, and close an idle one if there are too many."""
        super().connection_made(transport)
        self.idle_since = self.loop.time()
        self._start_timer(HEAD_SECONDS)
        if len(self.connections) > max_connections():
            self._close_idle_connection()

    def data_received(self, data: bytes) -> None:
        """Read data, and set the time limit for more."""
        super().data_received(data)
        if self._is_websocket:
            return
        if self.is_idle:
            if self._timer is None:
                self._start_timer(HEAD_SECONDS)
            return
        self._stop_timer()
        if self.cycle.more_body:
            self._start_timer(BODY_SECONDS)

    def handle_websocket_upgrade(self, event: Any) -> None:
        """Leave the connection, without limits, to the protocol of websockets."""
        self._is_websocket = True
        self._stop_timer()
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        """Record since when the connection is idle."""
        self._stop_timer()
        self.idle_since = self.loop.time()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timer."""
        self._stop_timer()
        super().connection_lost(exc)

    def _close_idle_connection(self) -> None:
        # Open websockets are among the connections, too.
        http = (c for c in self.connections if isinstance(c, LimitedProtocol))
        idle = [c for c in http if c.is_idle and c is not self]
        if idle:
            # First those that never sent a request, then those idle for longest.
            oldest = min(idle, key=lambda c: (c.cycle is not None, c.idle_since))
            oldest.transport.abort()
            self.connections.discard(oldest)

    def _start_timer(self, seconds: float) -> None:
        self._timer = self.loop.call_later(seconds, self._on_timeout)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timeout(self) -> None:
        self._timer = None
        if self.flow.read_paused:
            # The server does not read at the moment, so the client cannot send.
            self._start_timer(BODY_SECONDS)
        elif not self.transport.is_closing():
            self.transport.close()


def max_connections() -> int:
    """Return the maximum number of connections: half of the allowed open files."""
    if sys.platform == "win32":
        return _MAX_CONNECTIONS
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (
        _MAX_CONNECTIONS
        if soft == resource.RLIM_INFINITY
        else min(_MAX_CONNECTIONS, soft // 2)
    )
