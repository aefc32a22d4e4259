"""The server process ends with the process that started it."""

import subprocess
import sys

import pytest

# A server that never starts, or one with a request that never ends.
_SERVER = """
import sys, threading, time
from langchain_chatexports.local_server.old_http import server
server._MAX_SHUTDOWN_SECONDS = 0.2
def serve(settings, on_ready, should_stop):
    if sys.argv[1] == "starting":
        time.sleep(600)
    threading.Thread(target=time.sleep, args=(600,)).start()
    on_ready(server.RunningServer("", "", ""))
    while not should_stop(0):
        time.sleep(0.01)
server._serve = serve
server.main()
"""


@pytest.mark.parametrize("state", ["starting", "running"])
def test_server_exits_after_its_parent(state: str) -> None:
    with subprocess.Popen(  # noqa: S603 - our own interpreter and module.
        [sys.executable, "-c", _SERVER, state],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(b"{}\n")
        server.stdin.flush()
        if state == "running":
            assert server.stdout.readline()
        server.stdin.close()
        assert server.wait(300) == 1
