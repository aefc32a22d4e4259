"""Each promise of SECURITY.md names existing tests; some of them are here."""

import ast
import re
import socket
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import (
    ChunkSessions,
    IMessageChatLoader,
    MapAIMessages,
    MergeChatRuns,
)
from langchain_chatexports.datasets import trace_examples, write_dataset
from langchain_chatexports.samples import write_imessage
from langchain_chatexports.steps import Redact

_ROOT = Path(__file__).parents[2]
_PACKAGE = _ROOT / "langchain_chatexports"
_TEST = re.compile(r"`(test_\w+)`")


def _promises() -> list[str]:
    text = (_ROOT / "SECURITY.md").read_text(encoding="utf-8")
    promised = text.partition("## Promises")[2].partition("## Not promised")[0]
    return re.split(r"^- ", promised, flags=re.MULTILINE)[1:]


@cache
def _tests() -> set[str]:
    folders = (_ROOT / "tests", _PACKAGE / "standard_tests")
    return {
        name
        for folder in folders
        for path in folder.rglob("*.py")
        for name in re.findall(r"\bdef (test_\w+)\(", path.read_text("utf-8"))
    }


def test_promises_are_parsed() -> None:
    assert len(_promises()) > 10


@pytest.mark.parametrize("promise", _promises(), ids=lambda p: p[2:40])
def test_promise_names_tests_that_exist(promise: str) -> None:
    named = set(_TEST.findall(promise))
    assert named, "a promise without a test"
    assert named <= _tests()


def test_preparing_a_set_opens_no_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Any] = []
    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, lambda *a: opened.append(a))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **_: opened.append(a))
    loader = IMessageChatLoader(write_imessage(tmp_path / "chat.db"))
    loader.inspect()
    step = Redact.for_export(loader, key="a-key-for-tests")
    speaker = MapAIMessages(sender=step.pseudonym("Hare"))
    piped = loader | step | MergeChatRuns() | speaker | ChunkSessions()
    written = write_dataset(trace_examples(piped), tmp_path / "set.jsonl")
    assert written.examples.kept > 0
    assert opened == []


# They only load pickles that they have just written themselves.
_OWN_PICKLES = {"workers.py", "chat_loaders.py", "session_transforms.py"}
_CODE = {"eval", "exec", "compile", "__import__"}
_UNSAFE = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "yaml", "os.system"}


def test_package_executes_no_data() -> None:
    used = {
        f"{path.name}: {name}"
        for path in _PACKAGE.rglob("*.py")
        for name in _dangers(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert used <= {f"{name}: pickle" for name in _OWN_PICKLES}


def _dangers(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in _CODE:
                yield name
            case ast.Import(names=names):
                yield from (a.name for a in names if a.name in _UNSAFE)
            case ast.ImportFrom(module=str(name)) if name in _UNSAFE:
                yield name
            case ast.Attribute(value=ast.Name(id="os"), attr="system" | "popen"):
                yield "os.system"
            case ast.keyword(arg="shell", value=ast.Constant(value=True)):
                yield "shell"
            case _:
                pass
