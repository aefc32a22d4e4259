"""An export is recognised by what is in it, not by its name."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from typing import TYPE_CHECKING

import pytest

from langchain_chatexports import (
    ExportFormatError,
    ExportNotFoundError,
    FolderFacebookMessengerChatLoader,
    IMessageChatLoader,
    SingleFileFacebookMessengerChatLoader,
)
from langchain_chatexports.chat_loaders.recognition import is_examples_file, open_export
from langchain_chatexports.samples import write_imessage, write_messenger
from tests.unit_tests.builders.chat_db import ChatDb

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any


def test_a_renamed_database_is_imessage(tmp_path: Path) -> None:
    path = write_imessage(tmp_path / "chat.db").rename(tmp_path / "old stuff.bin")
    export = open_export(path)
    assert isinstance(export.loader, IMessageChatLoader)
    assert len(export.loader.load()) == 10


def test_a_folder_with_a_database_is_imessage(tmp_path: Path) -> None:
    write_imessage(tmp_path / "chat.db")
    export = open_export(tmp_path)
    assert isinstance(export.loader, IMessageChatLoader)
    assert len(export.loader.load()) == 10


def test_a_renamed_zip_is_messenger(tmp_path: Path) -> None:
    write_messenger(tmp_path / "in" / "stranger")
    shutil.make_archive(str(tmp_path / "export"), "zip", tmp_path / "in")
    path = (tmp_path / "export.zip").rename(tmp_path / "what is this")
    export = open_export(path)
    assert isinstance(export.loader, FolderFacebookMessengerChatLoader)
    assert len(export.loader.load()) == 9


def test_a_folder_of_threads_is_messenger(tmp_path: Path) -> None:
    export = open_export(write_messenger(tmp_path / "stranger"))
    assert isinstance(export.loader, FolderFacebookMessengerChatLoader)


def test_one_thread_file_is_messenger(tmp_path: Path) -> None:
    folder = write_messenger(tmp_path / "stranger")
    file = next(folder.rglob("messages_Hermione_Granger.json"))
    export = open_export(file.rename(tmp_path / "thread"))
    assert isinstance(export.loader, SingleFileFacebookMessengerChatLoader)


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExportNotFoundError, match="nope"):
        open_export(tmp_path / "nope")


@pytest.mark.parametrize(
    "name", ["chat.db", "copy.db", "3d0d7e5fb2ce288813306e4d4636395e047a3d28"]
)
def test_a_file_called_as_a_database_has_the_error_of_that_loader(
    tmp_path: Path, name: Any
) -> None:
    path = tmp_path / name
    path.touch()
    with pytest.raises(ExportFormatError, match=r"is empty \(0 bytes\)"):
        open_export(path).loader.load()


def test_a_backup_without_messages_is_told_as_one(tmp_path: Path) -> None:
    (tmp_path / "Manifest.plist").touch()
    with pytest.raises(ExportNotFoundError, match="is a backup without messages"):
        open_export(tmp_path).loader.load()


def test_a_folder_of_nothing_is_told_what_is_known(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ExportFormatError, match="an iMessage database"):
        open_export(tmp_path)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n"])
def test_another_file_is_told_what_is_known(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(ExportFormatError, match=r"notes\.txt is no export"):
        open_export(path)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"messages": [{"role": "user", "content": "hi"}]}\n', True),
        (b'{"messages": [{"sender_name": "A", "timestamp_ms": 1}]}', False),
        (b'{"messages": []}\n', False),
        (b"{\n", False),
        (b"SQLite format 3\x00", False),
    ],
)
def test_examples_are_told_from_exports(
    tmp_path: Path, content: bytes, expected: bool
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert is_examples_file(path) is expected


def test_two_zips_of_one_request_are_prepared_as_one_export(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    from tests.unit_tests.chat_loaders.test_recognition import half

    one = half("Ann", 1, "Bo", "Cy").to_zip(tmp_path / "one.zip")
    two = half("Ann", 2, "Bo", "Di").to_zip(tmp_path / "two.zip")
    done = chatexports("prepare", one, two, "-o", "set.jsonl", "--whole", "--json")

    told = json.loads(done.out)
    assert told["examples"] == 3
    assert told["exports"][0]["details"]["parts"] == 2


VCARD = """BEGIN:VCARD
VERSION:3.0
FN:Harriet Hare
TEL:+1 555 010 1234
END:VCARD
"""


@pytest.fixture
def named(tmp_path: Path) -> tuple[Path, Path]:
    """Write a database that knows a number, and a vCard that knows its name."""
    with ChatDb(tmp_path / "chat.db") as database:
        chat = database.chat("+15550101234")
        for number in range(8):
            chat.message(f"Harriet asks {number}")
            chat.message(f"answer {number}", mine=True)
    (tmp_path / "friends.vcf").write_text(VCARD, encoding="utf-8")
    return tmp_path / "chat.db", tmp_path / "friends.vcf"


def test_contacts_name_the_senders_and_go_on_to_the_next_command(
    chatexports: Callable[..., Any], named: tuple[Path, Path]
) -> None:
    chats, contacts = named
    done = chatexports("inspect", chats, "--contacts", contacts)
    assert "Harriet Hare" in done.out
    assert "+1555" not in done.out
    (line,) = [line for line in done.err.splitlines() if line.startswith("Next: ")]
    words = shlex.split(line.removeprefix("Next: "))
    assert words[-4:-2] == ["--contacts", str(contacts)]
    assert chatexports(*words[1:]).status == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["prepare", "-o", "out.jsonl", "--ai", "Harriet Hare", "--whole"],
        ["report", "--ai", "Harriet Hare", "-o", "out.html"],
        ["redact", "-o", "out.jsonl"],
    ],
)
def test_every_command_that_reads_an_export_takes_contacts(
    chatexports: Callable[..., Any], named: tuple[Path, Path], arguments: list[str]
) -> None:
    chats, contacts = named
    done = chatexports(*arguments, chats, "--contacts", contacts)
    assert done.status == 0, done.err
    if arguments[0] == "redact":
        written = (chats.parent / "out.jsonl").read_text(encoding="utf-8")
        assert "Harriet" not in written


def test_finetune_takes_contacts(
    chatexports: Callable[..., Any], named: tuple[Path, Path]
) -> None:
    chats, contacts = named
    arguments = ("--contacts", contacts, "--ai", "Harriet Hare", "--whole")
    done = chatexports("finetune", chats, *arguments)
    assert "1 examples are too few" in done.err


def test_evaluate_takes_contacts(
    chatexports: Callable[..., Any], named: tuple[Path, Path]
) -> None:
    chats, contacts = named
    options = ("--finetune", "--contacts", contacts, "--ai", "Harriet Hase")
    done = chatexports("evaluate", chats, *options)
    assert done.status == 1
    assert "Harriet Hare" in done.err


def test_contacts_of_nobody_there_are_a_usage_error(
    chatexports: Callable[..., Any], named: tuple[Path, Path], tmp_path: Path
) -> None:
    threads = write_messenger(tmp_path / "hogwarts")
    done = chatexports("inspect", threads, "--contacts", named[1])
    assert done.status == 2
    assert "iMessage" in done.err


@pytest.mark.parametrize(
    ("name", "said"), [("nowhere.vcf", "vCard"), ("chat.db", "no contacts")]
)
def test_contacts_that_are_none_are_a_line(
    chatexports: Callable[..., Any], named: tuple[Path, Path], name: str, said: str
) -> None:
    chats, _ = named
    done = chatexports("inspect", chats, "--contacts", chats.parent / name)
    assert done.status == 1
    assert said in done.err
    assert len(done.err.splitlines()) == 1


@pytest.fixture
def mac(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Be a Mac, and give the folder where it keeps its Messages."""
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    monkeypatch.setattr("pathlib.Path.home", lambda: tmp_path / "home")
    folder = tmp_path / "home" / "Library" / "Messages"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    "arguments",
    [["inspect"], ["prepare", "--ai", "Hare", "-o", "out"], ["report", "--ai", "Hare"]],
)
def test_a_mac_without_a_path_reads_its_own_messages_and_says_so(
    chatexports: Callable[..., Any], mac: Path, arguments: list[str]
) -> None:
    chats = write_imessage(mac / "chat.db")
    done = chatexports(*arguments)
    assert done.status == 0, done.err
    assert done.err.splitlines()[0].endswith(f"are read: {chats}")
    if arguments == ["inspect"]:
        assert f"prepare {chats}" in done.err


def test_a_mac_without_messages_says_where_they_would_be(
    chatexports: Callable[..., Any], mac: Path
) -> None:
    done = chatexports("inspect")
    assert done.status == 1
    assert f"{mac / 'chat.db'}. Name an export" in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.skipif(os.name == "nt", reason="other permissions there")
def test_a_mac_that_refuses_says_how_to_get_access(
    chatexports: Callable[..., Any], mac: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real: Any = type(mac).stat

    def refuse(path: Path, *args: Any, **kwargs: Any) -> Any:
        if path.name == "chat.db":
            raise PermissionError(1, "Operation not permitted", str(path))
        return real(path, *args, **kwargs)

    monkeypatch.setattr(type(mac), "stat", refuse)
    done = chatexports("inspect")
    assert done.status == 1
    assert "Full Disk Access" in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize("command", ["inspect", "report", "prepare"])
def test_elsewhere_a_path_is_asked_for(
    chatexports: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr("platform.system", lambda: "Linux")
    done = chatexports(command, *(["-o", "x"] if command == "prepare" else []))
    assert done.status == 2
    assert "Name an export" in done.err


def test_an_export_that_is_named_twice_is_read_once(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    twice = (chats, "chat.db", tmp_path / "." / "chat.db")
    (found,) = json.loads(chatexports("inspect", *twice, "--json").out)
    assert found["found"] == 223


@pytest.mark.parametrize("named", ["set", "set/train.jsonl", "plain.jsonl"])
@pytest.mark.parametrize("command", ["inspect", "report"])
def test_examples_are_no_export_and_that_is_said(
    chatexports: Callable[..., Any], tmp_path: Path, command: str, named: str
) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    chatexports("prepare", chats, "--ai", "Hare", "--split", "-o", "set")
    chatexports("prepare", chats, "--ai", "Hare", "-o", "plain.jsonl")
    done = chatexports(command, named)
    assert done.status == 1
    assert "holds examples" in done.err
    assert "chatexports finetune " in done.err
