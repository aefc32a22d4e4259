"""`chatexports inspect`: what a person sees of an export."""

from __future__ import annotations

import json
import shlex
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from langchain_chatexports.samples import (
    write_discord,
    write_imessage,
    write_messenger,
    write_slack,
)
from tests.unit_tests.builders.chat_db import ChatDb

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any


CONSOLE = "langchain_chatexports.cli._console"


def test_inspect_counts_and_says_the_next_command(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    done = chatexports("inspect", write_imessage(tmp_path / "chat.db"))
    assert done.status == 0
    assert "iMessage database" in done.out
    assert "Tortoise" in done.out
    assert "chatexports prepare" in done.err


def test_inspect_as_json_is_one_object_an_export(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    threads = write_messenger(tmp_path / "hogwarts")
    first, second = json.loads(chatexports("inspect", "--json", chats, threads).out)
    assert (first["platform"], first["sessions"]) == ("imessage", 10)
    assert (second["platform"], second["sessions"]) == ("facebook_messenger", 9)
    assert second["owner"] == "Harry Potter"


def test_long_names_are_shortened_at_a_terminal(
    chatexports: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ChatDb(tmp_path / "chat.db") as database:
        chat = database.chat("+15550101234", name="Book club " * 9)
        chat.message("Hello!", sender=f"{'somebody.' * 12}@example.org")
    monkeypatch.setattr(f"{CONSOLE}._terminal_width", lambda: 80)
    lines = chatexports("inspect", "chat.db").out.splitlines()
    assert max(map(len, lines)) == 80
    monkeypatch.undo()
    whole = chatexports("inspect", tmp_path / "chat.db").out
    assert "@example.org" in whole


def next_command(err: str) -> list[str]:
    (line,) = [line for line in err.splitlines() if line.startswith("Next: ")]
    return shlex.split(line.removeprefix("Next: "))


def test_the_next_command_runs_as_it_stands(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    chats = write_imessage(tmp_path / "my chats; rm -rf.db")
    program, *arguments = next_command(chatexports("inspect", chats).err)
    assert program == "chatexports"
    assert "Hare" in arguments  # Nobody owns the export: whoever wrote most.
    done = chatexports(*arguments)
    assert done.status == 0, done.err
    assert (tmp_path / "examples.jsonl").exists()


def test_an_owner_needs_no_name(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    threads = write_messenger(tmp_path / "hogwarts")
    err = chatexports("inspect", threads).err
    assert "--ai" not in next_command(err)
    assert "The model learns the voice of Harry Potter" in err


def test_an_owner_beside_an_export_without_one_stays(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    threads = write_messenger(tmp_path / "hogwarts")
    words = next_command(chatexports("inspect", threads, chats).err)
    assert words[-6:-2] == ["--ai", "Harry Potter", "--ai", "Hare"]
    assert chatexports(*words[1:]).status == 0


def test_an_owner_who_speaks_in_an_export_without_one_is_proposed_alone(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    """The one of Discord is Tortoise; of Slack's two, Hare has said more."""
    write_discord(tmp_path / "discord")
    write_slack(tmp_path / "slack")
    done = chatexports("inspect", tmp_path / "slack", tmp_path / "discord")
    assert next_command(done.err)[-4:-2] == ["--ai", "Tortoise"]
    assert next_command(done.err).count("--ai") == 1


def test_a_person_to_choose_chats_by_is_proposed_as_the_speaker_too(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    words = next_command(chatexports("inspect", chats, "--with", "Hare").err)
    assert words[-4:-2] == ["--ai", "Hare"]
    assert chatexports(*words[1:]).status == 0


def test_inspect_knows_a_zip(chatexports: Callable[..., Any], tmp_path: Path) -> None:
    threads = write_messenger(tmp_path / "hogwarts")
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        for file in sorted(threads.rglob("*.json")):
            archive.write(file, file.relative_to(tmp_path).as_posix())
    done = chatexports("inspect", "export.zip")
    assert done.status == 0
    assert "export.zip: Messenger export" in done.out
    assert "663 found, 663 kept" in done.out


@pytest.mark.parametrize("content", [b"GIF89a", b"", b"%PDF-1.7", b"\x00" * 99])
def test_a_wrong_file_is_a_line_that_says_what_is_read(
    chatexports: Callable[..., Any], tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "holiday.gif").write_bytes(content)
    done = chatexports("inspect", "holiday.gif")
    assert done.status == 1
    assert len(done.err.splitlines()) == 1
    assert "chat.db" in done.err


def test_an_export_without_messages_has_no_next_command(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    with ChatDb(tmp_path / "chat.db"):
        pass
    done = chatexports("inspect", "chat.db")
    assert done.status == 0
    assert "no messages to learn from" in done.err
