"""Connections that send nothing, half a request, or one byte at a time."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest
from starlette.responses import PlainTextResponse, StreamingResponse

from langchain_chatexports.local_server.http import connections
from langchain_chatexports.local_server.http.server import run_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from starlette.types import Receive, Scope, Send

# Longer than a busy machine makes a thread wait, shorter than `/slow` takes.
_HEAD_SECONDS, _BODY_SECONDS = 1.5, 1.5
_HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n"


async def _echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a body by its length; `/slow` answers for longer than any limit here."""
    if scope["type"] == "lifespan":
        for word in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{word}.complete"})
        return
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return
        size += len(message["body"])
        more = message["more_body"]

    async def slowly() -> AsyncIterator[str]:
        import asyncio

        for _ in range(8):
            await asyncio.sleep(0.25)
            yield "."

    is_slow = scope["path"] == "/slow"
    answer = StreamingResponse(slowly()) if is_slow else PlainTextResponse(str(size))
    await answer(scope, receive, send)


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    monkeypatch.setattr(connections, "HEAD_SECONDS", _HEAD_SECONDS)
    monkeypatch.setattr(connections, "BODY_SECONDS", _BODY_SECONDS)
    ready, stop = threading.Event(), threading.Event()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        thread = threading.Thread(
            target=run_app,
            args=(_echo, listener, ready.set, stop),
            kwargs={"http": connections.LimitedProtocol},
        )
        thread.start()
        assert ready.wait(60)
        yield listener.getsockname()
        stop.set()
        thread.join()


@contextmanager
def _connected(address: tuple[str, int], said: bytes = b"") -> Iterator[socket.socket]:
    with socket.create_connection(address, timeout=60) as connection:
        connection.sendall(said)
        yield connection


def _is_ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def _told(connection: socket.socket) -> bytes:
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    return answer.read()


@pytest.mark.parametrize("said", [b"", b"GET", b"GET / HTTP/1.1\r\nHost: a\r\n"])
def test_half_a_head_is_given_up(address: tuple[str, int], said: bytes) -> None:
    with _connected(address, said) as connection:
        assert _is_ended(connection)


def test_a_head_that_comes_byte_by_byte_is_given_up(address: tuple[str, int]) -> None:
    def send_slowly(connection: socket.socket) -> None:
        for byte in b"GET / HTTP/1.1\r\nX: " + b"a" * 400:
            connection.sendall(bytes([byte]))
            time.sleep(0.05)

    with _connected(address) as connection, pytest.raises(ConnectionError):
        send_slowly(connection)


def test_half_a_head_after_a_request_is_given_up_too(address: tuple[str, int]) -> None:
    with _connected(address, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") as connection:
        assert _told(connection) == b"0"
        connection.sendall(b"GET / HT")
        assert _is_ended(connection)


def test_a_body_that_stands_still_is_given_up(address: tuple[str, int]) -> None:
    with _connected(address, _HEAD + b"1234") as connection:
        assert _is_ended(connection)


def test_a_body_that_moves_may_be_slow(address: tuple[str, int]) -> None:
    with _connected(address, _HEAD) as connection:
        for _ in range(8):
            time.sleep(_BODY_SECONDS / 5)
            connection.sendall(b"x")
        assert _told(connection) == b"8"


def test_an_answer_may_take_longer_than_any_limit(address: tuple[str, int]) -> None:
    client = http.client.HTTPConnection(*address, timeout=60)
    client.request("GET", "/slow")
    assert client.getresponse().read() == b"." * 8
    client.close()


def test_an_idle_client_asks_again_after_the_limit(address: tuple[str, int]) -> None:
    client = http.client.HTTPConnection(*address, timeout=60)
    for pause in (0.0, 1.5 * _HEAD_SECONDS):
        time.sleep(pause)
        client.request("POST", "/", body=b"abc")
        assert client.getresponse().read() == b"3"
    client.close()


def test_too_many_that_say_nothing_make_room_for_one_that_asks(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 600.0)
    monkeypatch.setattr(connections, "_MAX_CONNECTIONS", 8)
    with ExitStack() as stack:
        busy = http.client.HTTPConnection(*address, timeout=60)
        busy.request("GET", "/slow")
        answer = busy.getresponse()
        idle = [stack.enter_context(_connected(address, b"GE")) for _ in range(40)]
        client = http.client.HTTPConnection(*address, timeout=60)
        client.request("POST", "/", body=b"abc")
        assert client.getresponse().read() == b"3"
        assert _is_ended(idle[0])
        assert answer.read() == b"." * 8
        client.close()
        busy.close()
