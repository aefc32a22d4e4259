"""Options that commands share, the chats that they choose, and how many there are."""

from __future__ import annotations

import inspect
import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.main import get_command

from langchain_chatexports.cli._options import command, parse_gap
from langchain_chatexports.cli.app import app
from langchain_chatexports.datasets.jsonl import read_jsonl, write_jsonl
from langchain_chatexports.datasets.trace_file import read_header
from langchain_chatexports.samples import write_imessage, write_messenger
from tests.unit_tests.builders.chat_db import ChatDb
from tests.unit_tests.builders.slack import SlackExport

COMMANDS: dict[str, Any] = dict(getattr(get_command(app), "commands", {}))
# Messages of each conversation, a day each from 2024-01-01 12:00 UTC on.
CHATS = {
    "pond": ("Hare", "Me") * 5,
    "burrow": ("Fox", "Me") * 5,
    "race": ("Hare", "Fox", "Me", "Owl", "Me") * 2,
}
READING = ("inspect", "prepare")
NOON = int(datetime(2024, 1, 1, 12, tzinfo=timezone.utc).timestamp())


# How many there are


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_few_options_and_its_help_two_screens(
    name: str, chatexports: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """12, or 20 with the choice of chats; two screens of 80 by 24."""
    monkeypatch.setenv("COLUMNS", "80")
    options = {p.name for p in COMMANDS[name].params if p.param_type_name == "option"}
    assert len(options) <= (20 if "with_" in options else 12)
    assert len(chatexports(name, "--help").out.splitlines()) <= 48


def test_commands_that_read_exports_take_one_choice_of_chats() -> None:
    shared = {"with_", "no_groups", "since", "until", "people"}
    for name in ("inspect", "search", "prepare", "redact", "finetune", "chat", "mcp"):
        assert shared <= {parameter.name for parameter in COMMANDS[name].params}


@dataclass(frozen=True)
class _Group:
    one: Annotated[int, typer.Option(help="One.")] = 1
    two: Annotated[str | None, typer.Option(help="Two.")] = None


@command
def _grouped(first: str, *, group: _Group, last: bool = False) -> object:
    return first, group, last


def test_a_group_is_given_whole_and_typed_as_options() -> None:
    given = {"first": "x", "one": 3, "two": "y", "last": True}
    assert _grouped(**given) == ("x", _Group(3, "y"), True)
    names = list(inspect.signature(_grouped).parameters)
    assert names == ["first", "one", "two", "last"]


# Which exports


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


def _be_a_mac(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    monkeypatch.setattr(
        "langchain_chatexports.chat_loaders.imessage.sources.default_path",
        lambda: path,
    )


def test_a_mac_without_a_path_reads_its_own_messages_and_says_so(
    chatexports: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = write_imessage(tmp_path / "chat.db")
    _be_a_mac(monkeypatch, own)
    done = chatexports("inspect")
    assert done.status == 0
    assert f"this Mac's own Messages are read: {own}" in done.err
    assert "Tortoise" in done.out
    _be_a_mac(monkeypatch, tmp_path / "nowhere.db")
    assert "This Mac has no Messages database" in chatexports("inspect").err


def test_elsewhere_a_path_is_asked_for(
    chatexports: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.system", lambda: "Linux")
    done = chatexports("inspect")
    assert done.status == 2
    assert "Name an export" in done.err


def test_an_export_that_is_named_twice_is_read_once(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    path = write_imessage(tmp_path / "chat.db")
    done = chatexports("inspect", path, "chat.db", "--json")
    assert len(json.loads(done.out)) == 1


@pytest.mark.parametrize("name", ["inspect", "search race"])
def test_examples_are_no_export_and_that_is_said(
    chatexports: Callable[..., Any], tmp_path: Path, name: str
) -> None:
    chats = write_imessage(tmp_path / "chat.db")
    chatexports("prepare", chats, "--ai", "Hare", "-o", "examples.jsonl")
    done = chatexports(*name.split(), "examples.jsonl")
    assert done.status == 1
    assert "examples" in done.err


# Which chats


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
    written = ("--gap", "none", "--keep-tail", "-o", "set.jsonl")
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
        (("--since", "2024"), 30),
        (("--until", "2024-01-02"), 6),
        (("--since", "2024-01-03", "--until", "2024-01-04"), 6),
    ],
)
def test_what_is_left_out_is_counted_by_every_command_alike(
    chatexports: Callable[..., Any],
    chats: Path,
    name: str,
    options: tuple[str, ...],
    left: int,
) -> None:
    done = chatexports(name, chats, *options, *_rest(name))
    assert done.status == 0, done.err
    assert _counts(name, done.out) == (30, left, 30 - left)


def test_only_the_chosen_chats_are_in_the_examples(
    chatexports: Callable[..., Any], chats: Path, tmp_path: Path
) -> None:
    done = chatexports("prepare", chats, "--with", "Owl", *_rest("prepare"))
    assert done.status == 0, done.err
    texts = [row["messages"][1:] for row in read_jsonl(tmp_path / "set.jsonl")]
    assert texts
    assert all("race" in m["content"] for row in texts for m in row)


def test_a_person_is_found_by_handle(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    with ChatDb(tmp_path / "chat.db") as database:
        for handle in ("+15550101234", "+15550109999"):
            chat = database.chat(handle)
            for number in range(4):
                chat.message(f"{handle} {number}", mine=number % 2 == 1)
    done = chatexports("inspect", "chat.db", "--with", "+1 (555) 010-1234", "--json")
    assert done.status == 0, done.err
    (summary,) = json.loads(done.out)
    assert summary["kept"] == 4


@pytest.mark.parametrize("name", [*READING, "redact"])
@pytest.mark.parametrize("option", ["--with", "--exclude"])
def test_a_name_that_nobody_has_is_an_error_with_a_suggestion(
    chatexports: Callable[..., Any],
    chats: Path,
    tmp_path: Path,
    name: str,
    option: str,
) -> None:
    needed = () if name == "inspect" else ("-o", "set.jsonl")
    done = chatexports(name, chats, option, "Hair", *needed)
    assert done.status == 1
    assert option in done.err
    assert "Did you mean 'Hare'?" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["chats.jsonl"]


def test_a_name_may_be_in_one_of_several_exports_only(
    chatexports: Callable[..., Any], chats: Path, tmp_path: Path
) -> None:
    threads = write_messenger(tmp_path / "hogwarts")
    names = ("--with", "Hare", "--with", "Ron Weasley", "--json")
    done = chatexports("inspect", chats, threads, *names)
    assert done.status == 0, done.err
    assert all(summary["kept"] for summary in json.loads(done.out))


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (("--since", "yesterday"), 2, "--since must be a date such as 2024-05-31"),
        (("--until", "2024"), 2, "--until must be a date such as 2024-05-31"),
        (("--since", "2024-02", "--until", "2024-01-01"), 2, "--since is after"),
        (("--since", "2030"), 1, "leave no message"),
    ],
)
def test_dates_that_leave_nothing_are_errors(
    chatexports: Callable[..., Any],
    chats: Path,
    options: tuple[str, ...],
    status: int,
    said: str,
) -> None:
    done = chatexports("prepare", chats, *options, "-o", "set.jsonl")
    assert done.status == status
    assert said in " ".join(done.err.split())


@pytest.mark.parametrize("gap", ["soon", "0", "-5m", "nan", "1e99d"])
def test_a_gap_that_is_none_is_a_usage_error(gap: str) -> None:
    with pytest.raises(typer.BadParameter, match="auto, none, or a duration"):
        parse_gap(gap)


def test_a_redacted_copy_holds_the_chosen_chats_without_anybodys_name(
    chatexports: Callable[..., Any], chats: Path, tmp_path: Path
) -> None:
    rows = [*read_jsonl(chats)]
    rows[0]["text"] = "Owl said so"
    write_jsonl(rows, chats)
    done = chatexports("redact", chats, "--with", "The pond", "-o", "copy.jsonl")
    assert done.status == 0, done.err
    copy = [*read_jsonl(tmp_path / "copy.jsonl")]
    assert len(copy) == 10
    assert all("Owl" not in str(row) for row in copy)


def test_a_limit_keeps_the_newest_examples_in_their_order(
    chatexports: Callable[..., Any], chats: Path, tmp_path: Path
) -> None:
    size = ("--size", 2, "--overlap", 0, "--gap", "none")
    arguments = ("prepare", chats, *size, "--json", "-o", "set.jsonl", "--force")
    chatexports(*arguments)
    every = [row["messages"][-1]["content"] for row in read_jsonl("set.jsonl")]
    told = json.loads(chatexports(*arguments, "--limit", 4).out)
    newest = [row["messages"][-1]["content"] for row in read_jsonl("set.jsonl")]
    assert sorted(newest) == ["burrow 10", "pond 10", "race 10", "race 8"]
    assert newest == [text for text in every if text in newest]
    assert told["examples_written"] == told["examples"] == 4
    stages = read_header(tmp_path / "set.jsonl").facts.stages
    (stage,) = (s for s in stages if (s.name, s.unit) == ("Newest", "examples"))
    assert stage.skipped == {"older": len(every) - 4}


# Who is who

VCARD = """BEGIN:VCARD
VERSION:3.0
FN:Annabel Ode
TEL:+49 170 1234567
EMAIL:ann@example.org
END:VCARD
"""
BOTH = ("chat.db", "slack.zip", "--people", "friends.vcf", "--people", "people.csv")


@pytest.fixture
def _two_apps(tmp_path: Path) -> None:
    """Write two apps' exports: one knows Ann's number, the other her address."""
    with ChatDb(tmp_path / "chat.db") as database:
        chat = database.chat("+491701234567")
        for number in range(4):
            chat.message(f"I, Annabel, ask {number}")
            chat.message(f"answer {number}", mine=True)
    slack = SlackExport()
    ann = slack.user("U1", "Annie", profile={"email": "ann@example.org"})
    bo = slack.user("U2", "Bo")
    talk = slack.direct("D1", ann, bo)
    for number in range(4):
        talk.says(bo, f"Annie? {number}")
        talk.says(ann, f"Yes {number}")
    slack.to_zip(tmp_path / "slack.zip")
    (tmp_path / "friends.vcf").write_text(VCARD, encoding="utf-8")
    people = "Ann; Annabel Ode; Annie; 0170 1234567; # checked\n"
    (tmp_path / "people.csv").write_text(people, encoding="utf-8")


@pytest.mark.usefixtures("_two_apps")
def test_one_person_in_two_apps_is_counted_once_and_proposed_so(
    chatexports: Callable[..., Any],
) -> None:
    done = chatexports("inspect", *BOTH, "--json")
    assert done.status == 0, done.err
    exports = json.loads(done.out)
    senders = [export["senders"] for export in exports]
    assert senders == [{"Ann": 4, "Me": 4}, {"Ann": 4, "Bo": 4}]
    assert [export["sessions"] for export in exports] == [1, 1]
    said = chatexports("inspect", *BOTH).err
    assert " --people friends.vcf --people people.csv " in said


@pytest.mark.usefixtures("_two_apps")
def test_contacts_alone_name_the_senders(chatexports: Callable[..., Any]) -> None:
    done = chatexports("inspect", "chat.db", "--people", "friends.vcf", "--json")
    (export,) = json.loads(done.out)
    assert export["senders"] == {"Annabel Ode": 4, "Me": 4}
    none = chatexports("inspect", "slack.zip", "--people", "friends.vcf")
    assert none.status == 2
    assert "there is no such export" in " ".join(none.err.split())


@pytest.mark.usefixtures("_two_apps")
@pytest.mark.parametrize("named", ["Ann", "Annabel Ode", "annie", "+49 170 1234567"])
def test_prepare_learns_one_voice_from_all_exports(
    chatexports: Callable[..., Any], tmp_path: Path, named: str
) -> None:
    cut = ("--whole", "--gap", "none", "-o", "set.jsonl")
    done = chatexports("prepare", *BOTH, "--ai", named, *cut)
    assert done.status == 0, done.err
    assert "warning" not in done.err
    rows = [row["messages"] for row in read_jsonl(tmp_path / "set.jsonl")]
    answers = [m["content"] for row in rows for m in row if m["role"] == "assistant"]
    assert "I, Annabel, ask 0" in answers
    assert "Yes 3" in answers


@pytest.mark.usefixtures("_two_apps")
@pytest.mark.parametrize(
    ("options", "kept"),
    [(("--with", "Annabel Ode"), [8, 8]), (("--exclude", "annie"), [0, 0])],
)
def test_chats_are_chosen_by_any_name(
    chatexports: Callable[..., Any], options: tuple[str, ...], kept: list[int]
) -> None:
    done = chatexports("inspect", *BOTH, *options, "--json")
    assert done.status == 0, done.err
    assert [export["kept"] for export in json.loads(done.out)] == kept


@pytest.mark.usefixtures("_two_apps")
def test_redaction_shows_one_stand_in_and_leaves_no_other_name(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    done = chatexports("redact", *BOTH, "-o", "red.jsonl")
    assert done.status == 0, done.err
    text = (tmp_path / "red.jsonl").read_text(encoding="utf-8")
    assert not any(name in text for name in ("Ann", "Ode", "1701234567"))
    rows = list(read_jsonl(tmp_path / "red.jsonl"))
    asked = {row["sender"] for row in rows if "ask" in row["text"]}
    assert len(asked) == 1
    assert asked == {row["sender"] for row in rows if "Yes" in row["text"]}


@pytest.mark.usefixtures("_two_apps")
@pytest.mark.parametrize("name", ["nowhere.csv", "chat.db", "friends.vcf/x"])
def test_a_table_that_is_none_is_a_line(
    chatexports: Callable[..., Any], name: str
) -> None:
    done = chatexports("inspect", "chat.db", "--people", name)
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("error: ")
    assert name in done.err


# What to type next


def test_the_command_that_inspect_prints_runs(
    chatexports: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
