"""Options that commands share, the chats that they choose, and how many there are."""

import json
import shlex
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from typer.core import TyperOption
from typer.main import get_command

from langchain_chatexports.cli import _options
from langchain_chatexports.cli.app import app
from langchain_chatexports.datasets.jsonl import write_jsonl
from langchain_chatexports.samples import write_imessage
from tests.unit_tests.cli.conftest import Command

COMMANDS: dict[str, Any] = dict(getattr(get_command(app), "commands", {}))
# Messages of each conversation, a day each from 2024-01-01 12:00 UTC on.
CHATS = {
    "pond": ("Hare", "Me") * 5,
    "burrow": ("Fox", "Me") * 5,
    "race": ("Hare", "Fox", "Me", "Owl", "Me") * 2,
}
READING = ("inspect", "prepare")
NOON = int(datetime(2024, 1, 1, 12, tzinfo=timezone.utc).timestamp())


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_few_options_and_its_help_two_screens(
    name: str, chatexports: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """12, or 20 with the choice of chats; two screens of 80 by 24.

    Two that warnings name where they are needed are not listed.
    """
    monkeypatch.setenv("COLUMNS", "80")
    options = {
        option.name
        for option in COMMANDS[name].params
        if isinstance(option, TyperOption) and not option.hidden
    }
    assert len(options) <= (20 if "with_" in options else 12)
    assert len(chatexports(name, "--help").out.splitlines()) <= 48


def test_a_zone_and_an_order_of_dates_can_be_given(
    chatexports: Command, tmp_path: Path
) -> None:
    lines = [f"01.02.23, 0{hour}:00 - Ann: Hello!\n" for hour in range(3)]
    (tmp_path / "chat.txt").write_text("".join(lines), encoding="utf-8")
    given = ("--export-zone", "Asia/Tokyo", "--date-order", "mdy")
    done = chatexports("inspect", "chat.txt", *given)
    assert done.status == 0, done.err
    assert "zone      Asia/Tokyo" in done.out
    assert "time      2023-01-01 to 2023-01-01 (UTC)" in done.out
    assert " ".join(given) in done.err.splitlines()[-1]
    for wrong in (("--export-zone", "Mars"), ("--date-order", "ydm")):
        assert chatexports("inspect", "chat.txt", *wrong).status == 2


def _be_a_mac(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    monkeypatch.setattr(_options, "default_path", lambda: path)


def test_a_mac_without_a_path_reads_its_own_messages_and_says_so(
    chatexports: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = write_imessage(tmp_path / "chat.db")
    _be_a_mac(monkeypatch, own)
    done = chatexports("inspect")
    assert done.status == 0
    assert f"this Mac's own Messages are read: {own}" in done.err
    assert "Tortoise" in done.out
    _be_a_mac(monkeypatch, tmp_path / "nowhere.db")
    assert "There is nothing at" in chatexports("inspect").err


def test_elsewhere_a_path_is_asked_for(
    chatexports: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.system", lambda: "Linux")
    done = chatexports("inspect")
    assert done.status == 2
    assert "Name an export" in done.err


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    rows: list[dict[str, Any]] = [
        {
            "conversation_id": name,
            "title": f"The {name}",
            "sender": sender,
            "text": f"{name} {day + 1}",
            "timestamp": NOON + 86_400 * day,
            "role": "me" if sender == "Me" else None,
        }
        for name, senders in CHATS.items()
        for day, sender in enumerate(senders)
    ]
    path = tmp_path / "chats.jsonl"
    write_jsonl(rows, path)
    return path


def _rest(name: str) -> tuple[str, ...]:
    """Return the options that a command needs beside the chosen chats."""
    written = ("--gap", "none", "--whole", "-o", "set.jsonl")
    return (*(written if name == "prepare" else ()), "--json")


def _counts(name: str, out: str) -> tuple[int, int, int]:
    """Return the messages found, kept and skipped."""
    told = json.loads(out)
    (export,) = told["exports"] if name == "prepare" else told
    return export["found"], export["kept"], sum(export["skipped"].values())


@pytest.mark.parametrize("name", READING)
@pytest.mark.parametrize(
    ("options", "left"),
    [
        (("--with", "Hare"), 20),
        (("--with", "hare", "--no-groups"), 10),
        (("--with", "Hare", "--with", "Fox"), 30),
        (("--with", "The pond"), 10),
        (("--with", "burr", "--with", "Ow"), 20),
        (("--no-groups",), 20),
        (("--exclude", "ÓWL"), 20),
        (("--since", "2024-01-09"), 6),
        (("--until", "2024-01-02"), 6),
        (("--since", "2024-01-03", "--until", "2024-01-04"), 6),
    ],
)
def test_what_is_left_out_is_counted_by_every_command_alike(
    chatexports: Command, chats: Path, name: str, options: tuple[str, ...], left: int
) -> None:
    done = chatexports(name, chats, *options, *_rest(name))
    assert done.status == 0, done.err
    assert _counts(name, done.out) == (30, left, 30 - left)


@pytest.mark.parametrize("name", READING)
@pytest.mark.parametrize("option", ["--with", "--exclude"])
def test_a_name_that_nobody_has_is_an_error_with_a_suggestion(
    chatexports: Command, chats: Path, tmp_path: Path, name: str, option: str
) -> None:
    needed = () if name == "inspect" else ("-o", "set.jsonl")
    done = chatexports(name, chats, option, "Hair", *needed)
    assert done.status == 1
    assert option in done.err
    assert "Did you mean 'Hare'?" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["chats.jsonl"]


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (("--since", "yesterday"), 2, "--since must be a date such as 2024-05-31"),
        (("--until", "2024"), 2, "--until must be a date such as 2024-05-31"),
        (("--since", "2024-02-01", "--until", "2024-01-01"), 2, "--since is after"),
        (("--since", "2030-01-01"), 1, "No message in these exports"),
    ],
)
def test_dates_that_leave_nothing_are_errors(
    chatexports: Command, chats: Path, options: tuple[str, ...], status: int, said: str
) -> None:
    done = chatexports("prepare", chats, *options, "-o", "set.jsonl")
    assert done.status == status
    assert said in " ".join(done.err.split())


def test_the_command_that_inspect_prints_runs(
    chatexports: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in the folder of the export, and where the file is there already."""
    folder = tmp_path / "export"
    folder.mkdir()
    write_imessage(folder / "chat.db")
    (tmp_path / "examples.jsonl").write_text("mine")
    monkeypatch.chdir(folder)
    done = chatexports("inspect", ".", "--with", "Hare", "--since", "2023-08-01")
    (said,) = (line for line in done.err.splitlines() if line.startswith("Next: "))
    assert "--with Hare --since 2023-08-01" in said
    _, *words = shlex.split(said.removeprefix("Next: "))
    next_one = chatexports(*words)
    assert next_one.status == 0, next_one.err
    assert (tmp_path / "examples-2.jsonl").exists()
    assert (tmp_path / "examples.jsonl").read_text() == "mine"
