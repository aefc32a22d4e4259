"""`redact`, `prepare --redact` and `forget --key`, as a person types them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports import IMessageChatLoader
from langchain_chatexports.datasets.jsonl import read_jsonl, write_jsonl
from langchain_chatexports.datasets.trace_file import read_trace
from langchain_chatexports.redaction.key_file import read_key_file
from tests.unit_tests.builders.chat_db import ChatDb
from tests.unit_tests.cli.conftest import Command

PEOPLE = ("Tortoise", "Hare")
NUMBER = "+49 171 2345678"


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """An export of an owner, with a number and a name in its texts."""
    path = tmp_path / "private.db"
    with ChatDb(path) as database:
        chat = database.chat("+15550101234")
        for number in range(6):
            chat.message(f"question {number}, Slowpoke? Call {NUMBER}")
            chat.message(f"answer {number}", mine=True)
    return path


def test_a_redacted_copy_holds_no_name_and_is_read_again(
    chatexports: Command, tmp_path: Path, chats: Path
) -> None:
    done = chatexports("redact", chats, "-o", "red.jsonl")
    assert done.status == 0, done.err
    text = (tmp_path / "red.jsonl").read_text(encoding="utf-8")
    assert not any(name in text for name in PEOPLE)
    seen = json.loads(chatexports("inspect", "red.jsonl", "--json").out)[0]
    assert (seen["sessions"], seen["kept"]) == (10, 223)
    assert len(seen["senders"]) == 2
    assert "replaced in texts: name" in done.err


def test_undo_gives_back_what_was_there(
    chatexports: Command, tmp_path: Path, private: Path
) -> None:
    chatexports("redact", private, "-o", "red.jsonl", "--name", "Slowpoke")
    redacted = (tmp_path / "red.jsonl").read_text(encoding="utf-8")
    assert "Slowpoke" not in redacted
    assert "2345678" not in redacted
    done = chatexports("redact", "--undo", "red.jsonl", "-o", "back.jsonl")
    assert done.status == 0, done.err
    first = next(read_jsonl(tmp_path / "back.jsonl"))
    assert first["text"] == f"question 0, Slowpoke? Call {NUMBER}"
    assert first["sender"] == "+15550101234"
    assert not first["conversation_id"].startswith("chat-")


def test_one_key_file_gives_one_stand_in_in_every_export(
    chatexports: Command, tmp_path: Path, chats: Path, private: Path
) -> None:
    for source, target in (
        (chats, "a.jsonl"),
        (private, "b.jsonl"),
        (chats, "c.jsonl"),
    ):
        done = chatexports("redact", source, "-o", target, "--key", "my.key")
        assert done.status == 0, done.err
    first, again = tmp_path / "a.jsonl", tmp_path / "c.jsonl"
    assert first.read_bytes() == again.read_bytes()
    stands_for = set(read_key_file(tmp_path / "my.key").stand_ins.values())
    assert stands_for >= {*PEOPLE, NUMBER}


def test_forget_finds_a_person_by_the_name_in_the_export(
    chatexports: Command, tmp_path: Path, threads: Path
) -> None:
    chatexports("prepare", threads, "--redact", "-o", "set.jsonl")
    arguments = ("forget", "set.jsonl", "--person", "hermione granger")
    refused = chatexports(*arguments, "--data-dir", "data")
    assert refused.status == 1
    assert "--key FILE" in refused.err
    before = sum(1 for _ in read_trace(tmp_path / "set.jsonl"))
    done = chatexports(*arguments, "--key", "set.jsonl.key", "--data-dir", "data")
    assert done.status == 0, done.err
    assert 0 < sum(1 for _ in read_trace(tmp_path / "set.jsonl")) < before
    again = chatexports(*arguments, "--key", "set.jsonl.key", "--data-dir", "data")
    assert "removed earlier: hermione granger" in again.err


@pytest.mark.skipif(os.name == "nt", reason="Windows has no named pipes")
def test_a_pipe_takes_the_copy_where_the_key_has_a_place(
    chatexports: Command, tmp_path: Path, chats: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        refused = chatexports("redact", chats, "-o", "pipe")
        done = chatexports("redact", chats, "-o", "pipe", "--key", "my.key")
        read = os.read(reader, 1 << 16)
    finally:
        os.close(reader)
    assert (refused.status, "--key" in refused.err) == (1, True)
    assert done.status == 0, done.err
    assert json.loads(read.split(b"\n")[0])
    assert b"Hare" not in read
    assert [path.name for path in tmp_path.glob("pipe*")] == ["pipe"]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["redact", "chat.db", "-o", "chat.db"], 2, "outside"),
        (["redact", "--undo", "chat.db", "-o", "x"], 1, "There is no key file"),
        (["redact", "chat.db", "-o", "x", "--key", "odd"], 1, "is not a key file"),
        (["redact", "nope", "-o", "x"], 1, "There is nothing at nope"),
        (["redact", "--undo", "a", "b", "-o", "x"], 2, "one file"),
        (["prepare", "odd", "-o", "x", "--redact"], 1, "prepare the exports"),
        (["prepare", "chat.db", "--ai", "x", "-o", "x", "--redact"], 1, "Nobody"),
        (["redact", "odd", "chat.db", "-o", "x"], 1, "odd holds examples"),
    ],
)
def test_what_cannot_be_done_is_a_line(
    chatexports: Command,
    tmp_path: Path,
    chats: Path,
    arguments: list[str],
    status: int,
    said: str,
) -> None:
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]
    write_jsonl([{"messages": turns}], tmp_path / "odd")
    before = chats.read_bytes()
    done = chatexports(*arguments)
    assert (done.status, said in done.err) == (status, True), done.err
    assert not list(tmp_path.glob("x*"))
    assert chats.read_bytes() == before


@pytest.mark.parametrize(
    "command", [["redact"], ["prepare", "--redact", "--ai", "Hare"]]
)
def test_between_the_copy_and_its_key_nothing_is_read(
    chatexports: Command,
    tmp_path: Path,
    chats: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
) -> None:
    """Who stops it there would have a copy that nobody can undo."""
    order: list[str] = []
    real = IMessageChatLoader.conversations
    real_replace = type(tmp_path).replace

    def read(loader: IMessageChatLoader, files: Any) -> Any:
        order.append("read")
        yield from real(loader, files)

    def replace(path: Path, target: str | Path) -> Path:
        order.append(type(path)(target).name)
        return real_replace(path, target)

    monkeypatch.setattr(IMessageChatLoader, "conversations", read)
    monkeypatch.setattr(type(tmp_path), "replace", replace)
    done = chatexports(*command, chats, "-o", "red.jsonl")
    assert done.status == 0, done.err
    assert order.index("red.jsonl") > len(order) - 1 - order[::-1].index("read")
    assert order.count("red.jsonl.key") == 1
