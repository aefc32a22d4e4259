"""`chatexports inspect`: the summary and the next command."""

import json
import shlex
import zipfile
from pathlib import Path

import pytest

from langchain_chatexports.samples import write_imessage, write_messenger
from tests.unit_tests.builders.chat_db import ChatDb
from tests.unit_tests.builders.whatsapp import WhatsAppChat
from tests.unit_tests.cli.conftest import Run


def test_json_has_an_object_per_export(run: Run, threads: Path, chats: Path) -> None:
    first, second = json.loads(run("inspect", "--json", chats, threads).out)
    assert (first["platform"], first["sessions"]) == ("imessage", 10)
    assert (second["platform"], second["sessions"]) == ("facebook_messenger", 9)
    assert second["owner"] == "Harry Potter"


def next_command(err: str) -> list[str]:
    lines = err.splitlines()
    (line,) = [line for line in lines if line.startswith("  chatexports finetune")]
    talk = line.replace(" finetune ", " chat ", 1)
    assert talk in lines
    return shlex.split(line)


def test_next_command_runs(run: Run, tmp_path: Path) -> None:
    chats = write_imessage(tmp_path / "my chats; rm -rf.db")
    program, *arguments = next_command(run("inspect", chats).err)
    assert program == "chatexports"
    assert "Hare" in arguments  # Without an owner, the most frequent sender.
    done = run("prepare", *arguments[1:], "-o", "examples.jsonl")
    assert done.status == 0, done.err


def test_owner_of_many_chats_is_proposed(run: Run, threads: Path) -> None:
    err = run("inspect", threads).err
    assert next_command(err)[-2:] == ["--ai", "Harry Potter"]


def test_other_person_of_a_chat_of_two_is_proposed(run: Run, tmp_path: Path) -> None:
    """Few people want to talk to a model of themselves."""
    chat = WhatsAppChat.ios().says("Mama", "Hallo!").says("Jonas", "Hallo!")
    chat.says("Jonas", "Wie geht es dir?").to_file(
        tmp_path / "WhatsApp Chat mit Mama.txt"
    )
    done = run("inspect", "WhatsApp Chat mit Mama.txt")
    assert next_command(done.err)[-2:] == ["--ai", "Mama"]


@pytest.mark.filterwarnings("always")
def test_owner_is_proposed_for_other_exports(run: Run, tmp_path: Path) -> None:
    """Only the owner of the Messenger export is known."""
    write_messenger(tmp_path / "hogwarts")
    write_imessage(tmp_path / "chat.db")
    done = run("inspect", "chat.db", "hogwarts")
    assert next_command(done.err)[-2:] == ["--ai", "Harry Potter"]
    done = run("prepare", *next_command(done.err)[2:], "-o", "examples.jsonl")
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
def test_other_file_is_described(
    run: Run, tmp_path: Path, name: str, content: bytes | str, kind: str
) -> None:
    if isinstance(content, str):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr(content, "{}")
    else:
        (tmp_path / name).write_bytes(content)
    done = run("inspect", name)
    assert done.status == 1
    (line,) = done.err.splitlines()
    assert f"({kind}) is not a supported export" in line
    assert "chat.db" in line


@pytest.mark.parametrize(
    ("name", "hint"),
    [("mine", " Train on them with: chatexports finetune mine.jsonl"), ("test", "")],
)
def test_examples_are_no_export(run: Run, tmp_path: Path, name: str, hint: str) -> None:
    line = '{"messages": [{"role": "user", "content": "Hi"}]}\n'
    (tmp_path / f"{name}.jsonl").write_text(line)
    done = run("inspect", f"{name}.jsonl")
    assert done.status == 1
    text = "is not an export: it contains training examples."
    assert done.err == f"error: {name}.jsonl {text}{hint}\n"


def test_empty_export_has_no_next_command(run: Run, tmp_path: Path) -> None:
    with ChatDb(tmp_path / "chat.db"):
        pass
    done = run("inspect", "chat.db")
    assert done.status == 0
    assert "No messages to train on." in done.err
