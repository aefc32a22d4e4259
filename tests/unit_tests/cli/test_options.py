"""Options that commands share, and the exports that they name."""

from __future__ import annotations

import inspect
import json
import os
import shlex
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any

import pytest
import typer
from typer.main import get_command

from langchain_chatexports.cli._example_options import ExampleOptions
from langchain_chatexports.cli._options import command
from langchain_chatexports.cli.app import app
from langchain_chatexports.datasets.preparation import PrepareOptions
from langchain_chatexports.samples import write_imessage, write_messenger
from tests.unit_tests.builders.chat_db import ChatDb

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_two_zips_of_one_request_are_prepared_as_one_export(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    from tests.unit_tests.chat_loaders.test_recognition import half

    one = half("Ann", 1, "Bo", "Cy").to_zip(tmp_path / "one.zip")
    two = half("Ann", 2, "Bo", "Di").to_zip(tmp_path / "two.zip")
    done = chatexports("prepare", one, two, "-o", "set.jsonl", "--whole", "--json")

    told = json.loads(done.out)
    assert told["examples"] == 3
    (export,) = told["exports"]
    assert export["kept"] == 16


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
    assert "1 example is too few" in done.err


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


@pytest.mark.parametrize(
    ("named", "proposed"),
    [
        ("set", "set"),
        ("set/train.jsonl", "set/train.jsonl"),
        ("set/test.jsonl", "set"),
        ("plain.jsonl", "plain.jsonl"),
    ],
)
@pytest.mark.parametrize("command", ["inspect", "report"])
def test_examples_are_no_export_and_that_is_said(
    chatexports: Callable[..., Any],
    tmp_path: Path,
    command: str,
    named: str,
    proposed: str,
) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    chatexports("prepare", chats, "--ai", "Hare", "--split", "-o", "set")
    chatexports("prepare", chats, "--ai", "Hare", "-o", "plain.jsonl")
    done = chatexports(command, named)
    assert done.status == 1
    assert "holds examples" in done.err
    assert done.err.rstrip().endswith(f"chatexports finetune {proposed}")


COMMANDS: dict[str, Any] = dict(getattr(get_command(app), "commands", {}))


@dataclass(frozen=True)
class Animal:
    """A group of two options."""

    legs: Annotated[int, typer.Option(help="How many legs.")] = 4
    name: Annotated[str | None, typer.Option(help="Its name.")] = None


@command
def feed(
    food: Annotated[str, typer.Argument()],
    *,
    before: bool = False,
    animal: Animal,
    after: bool = False,
) -> None:
    typer.echo(f"{food} {animal} {before} {after}")


def test_a_group_is_given_whole_and_typed_as_options(
    capsys: pytest.CaptureFixture[str],
) -> None:
    zoo = typer.Typer()
    zoo.command()(feed)
    get_command(zoo).main(["hay", "--legs", "6", "--after"], standalone_mode=False)
    assert capsys.readouterr().out == f"hay {Animal(legs=6)} False True\n"


def test_the_options_of_a_group_stand_where_the_group_does() -> None:
    assert [*inspect.signature(feed).parameters] == [
        *("food", "before", "legs", "name", "after")
    ]


def test_each_field_of_the_librarys_options_is_one_option_with_its_default() -> None:
    groups = {"redaction", "chats"}  # Made of groups of their own.
    deprecated = {"split_gap"}
    options = {field.name for field in fields(ExampleOptions)} - deprecated
    assert options == {field.name for field in fields(PrepareOptions)} - groups
    assert ExampleOptions().prepare_options() == PrepareOptions()


@pytest.mark.parametrize("name", ["prepare", "finetune"])
def test_commands_that_make_examples_take_all_options_for_that(name: str) -> None:
    names = {parameter.name for parameter in COMMANDS[name].params}
    assert {field.name for field in fields(ExampleOptions)} <= names
