"""A server with the tiny base: its port, children and streams."""

import random
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server import LocalServer
from tests.integration_tests.local_server.conftest import (
    WITHOUT_END_TOKENS,
    open_client,
)

_HELLO: Any = [{"role": "user", "content": "Are you ready?"}]


def _free_port() -> int:
    """Return a port outside the range of automatic ones."""
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as free, suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port


@pytest.fixture(scope="module")
def tiny_server(tiny_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A shared server with a given port and key."""
    data_dir = tmp_path_factory.mktemp("shared") / "data"
    given: Any = {"port": _free_port(), "api_key": "my-own-key"}
    with LocalServer(tiny_file, data_dir=data_dir, threads=1, **given) as server:
        assert server.base_url == f"http://127.0.0.1:{given['port']}/v1"
        assert server.api_key == given["api_key"]
        yield server


def test_taken_port_is_an_error(tiny_file: Any, data_dir: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LocalServerError, match=str(port)):
            LocalServer(tiny_file, data_dir=data_dir, port=port).start()


def test_process_arguments_have_no_secrets(tiny_server: Any) -> None:
    with open_client(tiny_server) as client:
        client.chat.completions.create(model="tiny", messages=_HELLO, max_tokens=1)
    processes = psutil.Process().children(recursive=True)
    words = []
    for process in processes:
        # Processes can exit meanwhile.
        with suppress(psutil.NoSuchProcess):
            words += process.cmdline()
    assert words
    assert not any(tiny_server.api_key in word for word in words)


def test_stream_arrives_in_pieces(tiny_server: Any) -> None:
    """The first piece arrives early in at least one of five streams."""
    options = {"model": "tiny", "messages": _HELLO, **WITHOUT_END_TOKENS}

    def is_early() -> bool:
        started = time.monotonic()
        stream = client.chat.completions.create(**options, max_tokens=400, stream=True)
        times = [
            time.monotonic() - started
            for chunk in stream
            if chunk.choices[0].delta.content
        ]
        return times[0] < times[-1] / 2

    with open_client(tiny_server) as client:
        client.chat.completions.create(**options, max_tokens=1)
        # A busy machine can delay the first piece.
        assert any(is_early() for _ in range(5))
