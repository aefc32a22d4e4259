"""llama.cpp behind a real server, and what of a chat is left."""

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import openai
import psutil
import pytest

from langchain_chatexports._locks import is_locked
from tests.integration_tests.local_server.conftest import MAX_SECONDS
from tests.unit_tests.builders.waiting import wait_until

pytest.importorskip("xllamacpp")

_WORD = "Schildpadsoep"
_HELLO: list[Any] = [{"role": "user", "content": f"Ready for the {_WORD}?"}]


def _engines(process: psutil.Process) -> list[psutil.Process]:
    found = []
    for child in process.children(recursive=True):
        # Others can end meanwhile.
        with suppress(psutil.Error):
            if any(w.endswith("engines.llama_cpp_child") for w in child.cmdline()):
                found.append(child)
    return found


def test_no_word_of_a_message_is_printed_or_kept(
    tiny_file: Any, tmp_path: Path
) -> None:
    """Also by llama.cpp itself, and also of requests that it refuses."""
    log = tmp_path / "output.txt"
    command = [
        sys.executable,
        "-c",
        "from langchain_chatexports.cli import main; main()",
        "serve",
        "--base",
        str(tiny_file),
        "--data-dir",
        str(tmp_path / "data"),
    ]
    with (
        log.open("wb") as output,
        subprocess.Popen(  # noqa: S603 - our own interpreter, our own module.
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=tmp_path,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        ) as process,
    ):
        try:
            wait_until(lambda: b"API_KEY=" in log.read_bytes())
            told = re.findall(
                r"^export \w+=(\S+)$", log.read_text("utf-8"), re.MULTILINE
            )
            base_url, api_key = told
            client = openai.OpenAI(base_url=base_url, api_key=api_key, max_retries=0)
            asked: dict[str, Any] = {"model": "tiny", "max_tokens": 8}
            client.chat.completions.create(messages=_HELLO, **asked)
            client.chat.completions.create(messages=_HELLO, stop=_WORD, **asked)
            (engine,) = _engines(psutil.Process(process.pid))
            engine.kill()
            # The server may not have noticed yet: the request is not lost.
            client.chat.completions.create(messages=_HELLO, **asked)
            client.close()
            # Ctrl-C is pressed in test_persons_path.py.
            process.send_signal(signal.SIGTERM)
            assert process.wait(MAX_SECONDS) in {0, 143, -signal.SIGTERM}
        finally:
            process.kill()
    # The directory is free for the next one.
    assert not is_locked(tmp_path / "data" / "server.lock")
    for file in tmp_path.rglob("*"):
        if file.is_file():
            assert _WORD.encode() not in file.read_bytes(), file
