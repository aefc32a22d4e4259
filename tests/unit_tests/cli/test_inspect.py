"""`chatexports inspect`: what a person sees of an export."""

import json
import shlex
import zipfile
from pathlib import Path

import pytest

from langchain_chatexports.samples import write_imessage, write_messenger
from tests.unit_tests.builders.chat_db import ChatDb
from tests.unit_tests.cli.conftest import Command


def test_inspect_as_json_is_one_object_an_export(
    chatexports: Command, threads: Path, chats: Path
) -> None:
    first, second = json.loads(chatexports("inspect", "--json", chats, threads).out)
    assert (first["platform"], first["sessions"]) == ("imessage", 10)
    assert (second["platform"], second["sessions"]) == ("facebook_messenger", 9)
    assert second["owner"] == "Harry Potter"


def next_command(err: str) -> list[str]:
    (line,) = [line for line in err.splitlines() if line.startswith("Next: ")]
    return shlex.split(line.removeprefix("Next: "))


def test_the_next_command_runs_as_it_stands(
    chatexports: Command, tmp_path: Path
) -> None:
    chats = write_imessage(tmp_path / "my chats; rm -rf.db")
    program, *arguments = next_command(chatexports("inspect", chats).err)
    assert program == "chatexports"
    assert "Hare" in arguments  # Nobody owns the export: whoever wrote most.
    done = chatexports(*arguments)
    assert done.status == 0, done.err
    assert (tmp_path / "examples.jsonl").exists()


def test_an_owner_needs_no_name(chatexports: Command, threads: Path) -> None:
    err = chatexports("inspect", threads).err
    assert "--ai" not in next_command(err)
    assert "The model learns the voice of Harry Potter" in err


@pytest.mark.filterwarnings("always")
def test_the_owner_of_one_export_is_proposed_for_another_too(
    chatexports: Command, tmp_path: Path
) -> None:
    """Of Messenger the owner is known; of iMessage it is not."""
    write_messenger(tmp_path / "hogwarts")
    write_imessage(tmp_path / "chat.db")
    done = chatexports("inspect", "chat.db", "hogwarts")
    assert next_command(done.err)[-4:-2] == ["--ai", "Harry Potter"]
    done = chatexports(*next_command(done.err)[1:])
    assert done.status == 0, done.err


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("holiday.gif", b"GIF89a", "a picture"),
        ("empty.txt", b"", "an empty file"),
        ("bill.pdf", b"%PDF-1.7", "a PDF document"),
        ("cv.docx", "word/document.xml", "a Word document"),
        ("takeout-1.zip", "Takeout/Google Chat/x.json", "a Google Takeout archive"),
        ("other.zip", "notes/a.bin", "a zip of other files"),
    ],
)
def test_a_wrong_file_is_a_line_that_says_what_it_is_and_what_is_read(
    chatexports: Command, tmp_path: Path, name: str, content: bytes | str, kind: str
) -> None:
    if isinstance(content, str):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr(content, "{}")
    else:
        (tmp_path / name).write_bytes(content)
    done = chatexports("inspect", name)
    assert done.status == 1
    (line,) = done.err.splitlines()
    assert f"({kind}) is not an export" in line
    assert "chat.db" in line


def test_an_export_without_messages_has_no_next_command(
    chatexports: Command, tmp_path: Path
) -> None:
    with ChatDb(tmp_path / "chat.db"):
        pass
    done = chatexports("inspect", "chat.db")
    assert done.status == 0
    assert "no messages to learn from" in done.err
