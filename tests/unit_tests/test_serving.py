"""Connections without a request neither keep out the owner nor stay open."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from langchain_chatexports import _serving
from langchain_chatexports._serving import HOST, ServerThread
from langchain_chatexports.exceptions import LocalServerError

_CONNECTIONS = 150


class App:
    """An application whose path `/slow` waits for an event."""

    def __init__(self) -> None:
        self.is_released = threading.Event()
        self.has_slow_request = threading.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for kind in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{kind}.complete"})
            return
        if scope["path"] == "/slow":
            self.has_slow_request.set()
            await asyncio.to_thread(self.is_released.wait)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def server(app: App) -> Iterator[ServerThread]:
    server = ServerThread(app)
    server.start(60)
    try:
        yield server
    finally:
        server.stop()


def connect(server: ServerThread, data: bytes = b"") -> socket.socket:
    connection = socket.create_connection((HOST, server.port), timeout=60)
    connection.sendall(data)
    return connection


@pytest.mark.parametrize(
    "data", [b"", b"GET / HTTP/1.1\r\nHost: ", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"]
)
def test_idle_connections_keep_a_place_for_the_owner(
    app: App, server: ServerThread, data: bytes
) -> None:
    """A request that is running, and a new one, are answered."""
    with ExitStack() as stack:

        def open_connection(path: bytes) -> socket.socket:
            request = b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n"
            return stack.enter_context(connect(server, request))

        slow = open_connection(b"/slow")
        assert app.has_slow_request.wait(60)
        for _ in range(_CONNECTIONS):
            stack.enter_context(connect(server, data))
        assert open_connection(b"/").recv(100).startswith(b"HTTP/1.1 200")
        app.is_released.set()
        assert slow.recv(100).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("data", [b"", b"GET / HTTP/1.1\r\nHost: "])
def test_connection_without_a_request_is_closed(
    app: App, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    monkeypatch.setattr(_serving, "_HEADER_SECONDS", 0.2)
    server = ServerThread(app)
    server.start(60)
    try:
        with connect(server, data) as connection:
            assert connection.recv(1) == b""
    finally:
        server.stop()


class SlowApp(App):
    """An application that starts after some time."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(2)
        await super().__call__(scope, receive, send)


def test_slow_start_is_given_up() -> None:
    server = ServerThread(SlowApp())
    with pytest.raises(LocalServerError, match=r"within 0\.1 seconds"):
        server.start(0.1)
    assert not server.is_running
    assert server.port == 0
