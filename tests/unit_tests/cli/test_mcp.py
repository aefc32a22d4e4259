"""`chatexports mcp` as a separate process, with the SDK's client over stdio."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports.retrieval import ChatIndex
from langchain_chatexports.retrieval.index_files import index_files
from langchain_chatexports.samples import write_imessage
from tests.unit_tests.builders.pages import DOCS
from tests.unit_tests.cli.conftest import Run

mcp = pytest.importorskip("mcp")

COMMAND = ("-m", "langchain_chatexports.cli", "mcp")
ENVIRONMENT = {"PYTHONPATH": str(DOCS.parent)}
SECONDS = 240


def written_at(path: Path) -> int:
    return path.stat().st_mtime_ns


@asynccontextmanager
async def connect(log: Path, *arguments: object) -> AsyncIterator[Any]:
    """Connect to the command, with its stderr in the log."""
    options = [*arguments, "--index-dir", log.parent / "indexes"]
    server = mcp.StdioServerParameters(
        command=sys.executable, args=[*COMMAND, *map(str, options)], env=ENVIRONMENT
    )
    with log.open("w", encoding="utf-8") as errors:
        async with mcp.Client(mcp.stdio_client(server, errlog=errors)) as client:
            yield client


def read_log(log: Path) -> str:
    return log.read_text(encoding="utf-8")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "stderr.txt"


@pytest.fixture
def export(tmp_path: Path) -> Path:
    return write_imessage(tmp_path / "chat.db")


def start(export: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, *COMMAND, export, "--index-dir", export.parent / "indexes"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **ENVIRONMENT},
        text=True,
        encoding="utf-8",
    )
    assert process.stderr
    assert process.stderr.readline().startswith("Loaded 223 messages in 10 chats")
    return process


async def test_client_lists_and_calls_tools(export: Path, log: Path) -> None:
    async with connect(log, export, "--with", "The race tomorrow") as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        chats = await client.call_tool("list_chats", {})
        found = await client.call_tool("search_messages", {"query": "my motto"})
        bad = await client.call_tool("search_messages", {"query": "motto", "limit": 0})
    assert names == ["search_messages", "read_around", "list_chats"]
    assert chats.content[0].text.startswith("1 chat\nThe race tomorrow (")
    assert "Tortoise: Slow and steady, that's my motto." in found.content[0].text
    assert bad.is_error
    logged = read_log(log)
    assert "in 1 chat in" in logged
    assert "motto" not in logged


async def test_index_is_served_without_its_export(
    export: Path, log: Path, tmp_path: Path
) -> None:
    os.utime(export, (1_600_000_000, 1_600_000_000))
    async with connect(log, export, "--with", "Hare") as client:
        first = await client.call_tool("list_chats", {})
    (index,) = index_files(tmp_path / "indexes")
    written = written_at(index)
    async with connect(log, export, "--with", "Hare") as client:
        assert (await client.call_tool("list_chats", {})).content == first.content
    assert written_at(index) == written
    os.unlink(export)  # noqa: PTH108 - of Path, ruff wants an async one
    async with connect(log, index) as client:
        assert (await client.call_tool("list_chats", {})).content == first.content


def test_index_cannot_be_filtered(run: Run, tmp_path: Path) -> None:
    ChatIndex(tmp_path / "chats.index").close()
    done = run("mcp", "chats.index", "--with", "Hare")
    assert done.status == 2
    assert "cannot be filtered" in done.err


def test_closed_stdin_stops_the_server(export: Path) -> None:
    process = start(export)
    out, err = process.communicate('{"jsonrpc": "2.0"\n{}\n', timeout=SECONDS)
    assert process.returncode == 0
    assert all(json.loads(line)["jsonrpc"] == "2.0" for line in out.splitlines())
    assert "Traceback" not in err


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_stops_the_server(export: Path, number: signal.Signals) -> None:
    process = start(export)
    try:
        process.send_signal(number)
        assert process.wait(timeout=SECONDS) == 128 + number
        assert process.stderr
        assert "Traceback" not in process.stderr.read()
    finally:
        process.kill()
        process.communicate()
