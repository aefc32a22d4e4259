"""Run the pages whose code blocks train a model.

A base with 30,000 random weights replaces the server's default one, so answers are
noise.
"""

import gc
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import langchain_chatexports
from langchain_chatexports import LocalServer, local_server, write_jsonl
from langchain_chatexports.samples import write_imessage
from tests.integration_tests.commands import chatexports
from tests.unit_tests.builders.pages import DOCS, read_page
from tests.unit_tests.builders.tiny_base import dialogues
from tests.unit_tests.builders.tuners import forget_clients

pytestmark = [
    pytest.mark.training,
    # langchain-openai leaves its connections to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

KINDS = ("python", "python train")


@pytest.fixture(autouse=True)
def _collect_connections() -> Iterator[None]:
    yield
    forget_clients()
    gc.collect()


@pytest.fixture
def working_directory(
    tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    class TinyServer(LocalServer):
        def __init__(self, base: str | Path | None = None, **options: Any) -> None:
            super().__init__(base or tiny_base, **{"threads": 1, **options})

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(langchain_chatexports, "LocalServer", TinyServer)
    monkeypatch.setattr(local_server, "LocalServer", TinyServer)
    return tmp_path


def run_page(name: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "__main__"}
    blocks = read_page(name, kinds=KINDS)
    assert len(blocks) > len(read_page(name))
    for block in blocks:
        code = compile(block.code, name, "exec", dont_inherit=True)
        exec(code, names)  # noqa: S102 - our own page
    return names


@pytest.mark.usefixtures("working_directory")
def test_langchain_page_runs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = run_page("langchain.md")
    assert names["model"].model_name.startswith("ft:tiny:")
    assert capsys.readouterr().out.strip()


@pytest.mark.skipif(sys.platform != "linux", reason="XDG_DATA_HOME is Linux's")
def test_local_server_page_runs(
    working_directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_jsonl(dialogues(), working_directory / "examples.jsonl")
    names = run_page("local_server.md")
    assert names["job"].id in capsys.readouterr().out


def test_training_commands_run(tmp_path: Path, tiny_base: Path) -> None:
    write_imessage(tmp_path / "chat.db")
    text = (DOCS / "cli.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```bash train\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    for line in block.splitlines():
        program, command, *arguments = shlex.split(line)
        assert program == "chatexports"
        if command == "finetune":
            arguments += ["--base", str(tiny_base)]
        if command == "chat":
            arguments += ["--max-tokens", "8"]
        # Random weights can end an answer before its first word, but not all of ten.
        questions = "Are you ready?\n" * 10
        done = chatexports(tmp_path, command, *arguments, stdin=questions)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()
