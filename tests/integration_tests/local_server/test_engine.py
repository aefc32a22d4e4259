"""llama.cpp behind a real server, and traces of a chat."""

import os
import re
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import openai
import psutil
import pytest

from langchain_chatexports.local_server import Workspace
from tests.integration_tests.commands import COMMAND
from tests.integration_tests.local_server.conftest import MAX_SECONDS
from tests.unit_tests.builders.waiting import wait_until

pytest.importorskip("xllamacpp")

_WORD = "Schildpadsoep"
_HELLO: list[Any] = [{"role": "user", "content": f"Ready for the {_WORD}?"}]


def _engines(process: psutil.Process) -> list[psutil.Process]:
    found = []
    for child in process.children(recursive=True):
        # Processes can exit meanwhile.
        with suppress(psutil.Error):
            if any(w.endswith("engines.llama_cpp_child") for w in child.cmdline()):
                found.append(child)
    return found


def _exported(log: Path) -> list[str]:
    """Return the values that are printed for a shell, on complete lines."""
    text = log.read_text("utf-8")
    return re.findall(r"^export \w+=(\S+)\n", text, re.MULTILINE)


def test_messages_are_never_printed_or_stored(tiny_file: Any, tmp_path: Path) -> None:
    """Neither by the server nor by llama.cpp."""
    log = tmp_path / "output.txt"
    options = ("--base", str(tiny_file), "--data-dir", str(tmp_path / "data"))
    with (
        log.open("wb") as output,
        subprocess.Popen(  # noqa: S603 - our own interpreter, our own module.
            [*COMMAND, "serve", "--port", "0", *options],
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=tmp_path,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        ) as process,
    ):
        try:
            wait_until(lambda: len(_exported(log)) == 2)
            base_url, api_key = _exported(log)
            client = openai.OpenAI(base_url=base_url, api_key=api_key, max_retries=0)
            request: Any = {"model": "tiny", "max_tokens": 8}
            client.chat.completions.create(messages=_HELLO, **request)
            client.chat.completions.create(messages=_HELLO, stop=_WORD, **request)
            (engine,) = _engines(psutil.Process(process.pid))
            engine.kill()
            # The request is repeated if the server has not noticed yet.
            client.chat.completions.create(messages=_HELLO, **request)
            client.close()
            # test_walkthrough.py uses Ctrl-C.
            process.send_signal(signal.SIGTERM)
            assert process.wait(MAX_SECONDS) in {0, 143, -signal.SIGTERM}
        finally:
            process.kill()
    assert not Workspace(tmp_path / "data").has_queue()
    for file in tmp_path.rglob("*"):
        if file.is_file():
            assert _WORD.encode() not in file.read_bytes(), file
