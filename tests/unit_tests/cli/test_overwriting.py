"""What exists is replaced with --force only, whatever is in it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from langchain_chatexports.redaction.key_file import RedactionKey
from langchain_chatexports.samples import write_imessage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOTES = "my notes"
COMMANDS = [
    "prepare chat.db --ai Tortoise",
    "report chat.db",
    "redact chat.db --key my.key",
    "redact --undo notes.redacted --key my.key",
    "evaluate",
]
TABLE = '{"conversation_id":"7","sender":"Hare","text":"mine"}\n'
# A page and a table that this program could have written.
PAGE = "<!doctype html><p>Made on this machine by langchain-chatexports 0.1 by me"
REDACTED = '{"conversation_id":"chat-0f","sender":"Hare","text":"mine"}\n'
EXAMPLE = '{"messages":[{"role":"user","content":"mine"}]}\n'


@pytest.fixture(autouse=True)
def _inputs(tmp_path: Path) -> None:
    write_imessage(tmp_path / "chat.db")
    (tmp_path / "notes.redacted").write_text("Ask A!")
    RedactionKey("k", {"A": "B"}).write(tmp_path / "my.key")


@pytest.mark.parametrize("notes", [NOTES, TABLE, EXAMPLE, PAGE, REDACTED])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_of_the_user_is_refused_and_stays(
    chatexports: Callable[..., Any], tmp_path: Path, command: str, notes: str
) -> None:
    (tmp_path / "notes.txt").write_text(notes)
    done = chatexports(*command.split(), "-o", "notes.txt")
    assert done.status == 2
    assert "--force" in done.err
    assert (tmp_path / "notes.txt").read_text() == notes


@pytest.mark.parametrize("command", COMMANDS[:-1])
def test_force_replaces_a_file_of_the_user(
    chatexports: Callable[..., Any], tmp_path: Path, command: str
) -> None:
    (tmp_path / "notes.txt").write_text(NOTES)
    done = chatexports(*command.split(), "-o", "notes.txt", "--force")
    assert done.status == 0, done.err
    assert (tmp_path / "notes.txt").read_text() != NOTES


@pytest.mark.parametrize(
    "command",
    [
        *COMMANDS[:-1],
        "prepare chat.db --ai Tortoise --split",
        "prepare chat.db --ai Tortoise --redact",
    ],
)
def test_the_same_command_runs_again_with_force_only(
    chatexports: Callable[..., Any], tmp_path: Path, command: str
) -> None:
    words = (*command.split(), "-o", "out")
    assert chatexports(*words).status == 0
    before = _contents(tmp_path)
    done = chatexports(*words)
    assert (done.status, "--force" in done.err) == (2, True)
    assert _contents(tmp_path) == before
    assert chatexports(*words, "--force").status == 0


def _contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_empty_file_is_replaced(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "out.jsonl").touch()
    done = chatexports("prepare", "chat.db", "--ai", "Tortoise", "-o", "out.jsonl")
    assert done.status == 0, done.err


def test_a_folder_of_the_user_is_refused_though_its_names_are_those_of_a_set(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "train.jsonl").write_text(EXAMPLE)
    done = chatexports("prepare", "chat.db", "--ai=Tortoise", "--split", "-o", "mine")
    assert (done.status, "--force" in done.err) == (2, True)
    assert (tmp_path / "mine" / "train.jsonl").read_text() == EXAMPLE


@pytest.mark.parametrize("name", ["out.jsonl.card.md", "out.jsonl.trace.jsonl"])
def test_a_file_of_the_user_beside_the_set_is_refused_and_stays(
    chatexports: Callable[..., Any], tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_text(NOTES)
    done = chatexports("prepare", "chat.db", "--ai", "Tortoise", "-o", "out.jsonl")
    assert (done.status, name in done.err) == (2, True)
    assert (tmp_path / name).read_text() == NOTES


def test_a_key_file_is_never_replaced_by_something_else(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    key = (tmp_path / "my.key").read_bytes()
    done = chatexports("report", "chat.db", "-o", "my.key")
    assert done.status == 2
    assert (tmp_path / "my.key").read_bytes() == key


@pytest.mark.parametrize("content", ["", NOTES])
def test_a_file_of_the_user_is_no_place_for_a_key(
    chatexports: Callable[..., Any], tmp_path: Path, content: str
) -> None:
    (tmp_path / "notes.txt").write_text(content)
    done = chatexports("redact", "chat.db", "-o", "out", "--key", "notes.txt")
    assert (done.status, "not a key file" in done.err) == (1, True)
    assert (tmp_path / "notes.txt").read_text() == content
    assert not (tmp_path / "out").exists()


def test_restored_text_that_was_edited_is_refused_and_stays(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    undo = ("redact", "--undo", "notes.redacted", "--key", "my.key", "-o", "told.txt")
    chatexports(*undo)
    (tmp_path / "told.txt").write_text("Ask B! And C.")
    assert chatexports(*undo).status == 2
    assert (tmp_path / "told.txt").read_text() == "Ask B! And C."


@pytest.mark.skipif(os.name == "nt", reason="Windows lets few people make links")
def test_a_file_of_the_user_behind_a_link_is_refused(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text(NOTES)
    (tmp_path / "link").symlink_to("notes.txt")
    assert chatexports("report", "chat.db", "-o", "link").status == 2
    assert (tmp_path / "notes.txt").read_text() == NOTES
