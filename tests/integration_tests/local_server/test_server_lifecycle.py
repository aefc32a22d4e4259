"""The server process: start, stop and shared use."""

import random
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from langchain_chatexports._locks import is_locked
from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server import LocalServer
from langchain_chatexports.local_server.processes import child_command
from tests.integration_tests.local_server.conftest import (
    MAX_SECONDS,
    WITHOUT_END_TOKENS,
    open_client,
)

_HELLO = [{"role": "user", "content": "Are you ready?"}]


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


def test_startup_timeout_leaves_no_process(tiny_file: Any, data_dir: Any) -> None:
    server = LocalServer(tiny_file, data_dir=data_dir, startup_timeout=0.001)
    with pytest.raises(LocalServerError, match="startup_timeout"):
        server.start()
    assert not server.is_running


def test_process_arguments_have_no_secrets(tiny_server: Any) -> None:
    processes = psutil.Process().children(recursive=True)
    words = []
    for process in processes:
        # Processes can exit meanwhile.
        with suppress(psutil.NoSuchProcess):
            words += process.cmdline()
    assert words
    assert not any(tiny_server.api_key in word for word in words)


def test_server_dies_with_parent(tiny_file: Any, data_dir: Any, tmp_path: Path) -> None:
    script = tmp_path / "starter.py"
    script.write_text(
        "import sys, time\n"
        "from langchain_chatexports.local_server import LocalServer\n"
        "server = LocalServer(sys.argv[1], data_dir=sys.argv[2]).start()\n"
        "print(server._process.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    python = child_command("x")[0]
    command = [python, str(script), str(tiny_file), str(data_dir)]
    starter = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: S603 - ours.
    with starter:
        assert starter.stdout is not None
        server = psutil.Process(int(starter.stdout.readline()))
        starter.kill()
    server.wait(MAX_SECONDS)
    assert not server.is_running()


def test_shared_server_stops_with_its_last_user(tiny_file: Any, data_dir: Any) -> None:
    first = LocalServer(tiny_file, data_dir=data_dir, share=True).start()
    second = LocalServer(tiny_file, data_dir=data_dir, share=True).start()
    assert (first.is_shared, second.is_shared) == (False, True)
    assert (second.base_url, second.api_key) == (first.base_url, first.api_key)
    first.stop()
    with open_client(second) as client:
        assert client.models.list().data
    second.stop()
    assert not second.is_running
    deadline = time.monotonic() + MAX_SECONDS
    while is_locked(data_dir / "server.lock"):
        assert time.monotonic() < deadline
        time.sleep(0.1)


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
