"""Choosing chats and dates of exports, and the newest examples."""

from __future__ import annotations

import json
from datetime import date, datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest
from typer.main import get_command

from langchain_chatexports.cli._chat_options import ChatOptions
from langchain_chatexports.cli._finetune_data import read_training_data
from langchain_chatexports.cli.app import app
from langchain_chatexports.datasets.jsonl import read_jsonl, write_jsonl
from langchain_chatexports.datasets.preparation import PrepareOptions
from langchain_chatexports.datasets.trace_file import read_header
from langchain_chatexports.samples import write_messenger
from tests.unit_tests.builders.chat_db import ChatDb

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.core import TyperGroup

# Messages of each conversation, a day each from 2024-01-01 12:00 UTC on.
CHATS = {
    "pond": ("Hare", "Me") * 5,
    "burrow": ("Fox", "Me") * 5,
    "race": ("Hare", "Fox", "Me", "Owl", "Me") * 2,
}
READING = ("inspect", "report", "prepare")
NOON = int(datetime(2024, 1, 1, 12, tzinfo=timezone.utc).timestamp())


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


def rest(command: str) -> tuple[str, ...]:
    """Return the options that a command needs beside the chosen chats."""
    return {
        "prepare": ("--gap", "none", "--keep-tail", "--json", "-o", "set.jsonl"),
        "report": ("--json",),
        "inspect": ("--json",),
    }[command]


def kept(command: str, out: str) -> tuple[int, int, dict[str, int]]:
    """Return the messages found and kept, and what was left out, by reason."""
    told = json.loads(out)
    (export,) = (
        {"prepare": "exports", "report": "sources"}.get(command)
        and told[{"prepare": "exports", "report": "sources"}[command]]
    ) or told
    return export["found"], export["kept"], export["skipped"]


@pytest.mark.parametrize("command", READING)
@pytest.mark.parametrize(
    ("options", "left", "reason"),
    [
        (("--with", "Hare"), 20, "excluded"),
        (("--with", "hare", "--no-groups"), 10, "excluded"),
        (("--with", "Hare", "--with", "Fox"), 30, None),
        (("--no-groups",), 20, "excluded"),
        (("--include", "The pond"), 10, "excluded"),
        (("--include", "burrow", "--include", "Owl"), 20, "excluded"),
        (("--exclude", "Owl"), 20, "excluded"),
        (("--since", "2024-01-09"), 6, "excluded"),
        (("--until", "2024-01-02"), 6, "excluded"),
        (("--since", "2024-01-03", "--until", "2024-01-04"), 6, "excluded"),
    ],
)
def test_what_is_left_out_is_counted_by_every_command_alike(
    chatexports: Callable[..., Any],
    chats: Path,
    command: str,
    options: tuple[str, ...],
    left: int,
    reason: str | None,
) -> None:
    done = chatexports(command, chats, *options, *rest(command))
    assert done.status == 0, done.err
    found, messages, skipped = kept(command, done.out)
    assert (found, messages) == (30, left)
    assert sum(skipped.values()) == 30 - left
    assert reason is None or reason in skipped


@pytest.mark.parametrize(
    ("since", "left"), [("2024", 30), ("2024-01", 30), ("2024-02", 0), ("2025", 0)]
)
def test_a_year_or_a_month_begins_with_its_first_day(
    chatexports: Callable[..., Any], chats: Path, since: str, left: int
) -> None:
    done = chatexports("inspect", chats, "--since", since, "--json")
    assert done.status == 0, done.err
    assert kept("inspect", done.out)[1] == left


def test_only_the_chosen_chats_are_in_the_examples(
    chatexports: Callable[..., Any], chats: Path, tmp_path: Path
) -> None:
    done = chatexports("prepare", chats, "--with", "Owl", *rest("prepare"))
    assert done.status == 0, done.err
    texts = [row["messages"][1:] for row in read_jsonl(tmp_path / "set.jsonl")]
    assert texts
    assert all("race" in m["content"] for row in texts for m in row)


def test_the_senders_that_inspect_lists_are_of_the_chosen_chats(
    chatexports: Callable[..., Any], chats: Path
) -> None:
    done = chatexports("inspect", chats, "--no-groups", "--with", "Fox", "--json")
    (summary,) = json.loads(done.out)
    assert summary["senders"] == {"Fox": 5, "Me": 5}


def test_the_command_that_inspect_proposes_chooses_the_same(
    chatexports: Callable[..., Any], chats: Path
) -> None:
    options = ("--with", "Hare", "--since", "2024-01-02", "--no-groups")
    done = chatexports("inspect", chats, *options)
    (proposed,) = (line for line in done.err.splitlines() if line.startswith("Next:"))
    assert "--with Hare --since 2024-01-02 --no-groups" in proposed


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


@pytest.mark.parametrize("command", [*READING, "redact"])
@pytest.mark.parametrize("option", ["--with", "--include", "--exclude"])
def test_a_name_that_nobody_has_is_an_error_with_a_suggestion(
    chatexports: Callable[..., Any],
    chats: Path,
    tmp_path: Path,
    command: str,
    option: str,
) -> None:
    needed = ("-o", "set.jsonl") if command in {"prepare", "redact"} else ()
    done = chatexports(command, chats, option, "Hair", *needed)
    assert done.status == 1
    assert option in done.err
    assert "Did you mean 'Hare'?" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["chats.jsonl"]


def test_one_name_of_two_that_nobody_has_is_an_error(
    chatexports: Callable[..., Any], chats: Path
) -> None:
    names = ("--with", "Hare", "--with", "Fix")
    done = chatexports("prepare", chats, *names, "-o", "set.jsonl")
    assert done.status == 1
    assert "Did you mean 'Fox'?" in done.err


def test_a_name_may_be_in_one_of_several_exports_only(
    chatexports: Callable[..., Any], chats: Path, tmp_path: Path
) -> None:
    threads = write_messenger(tmp_path / "hogwarts")
    names = ("--with", "Hare", "--with", "Ron Weasley", "--json")
    done = chatexports("inspect", chats, threads, *names)
    assert done.status == 0, done.err
    assert all(summary["kept"] for summary in json.loads(done.out))


def test_a_time_without_messages_is_an_error_that_says_so(
    chatexports: Callable[..., Any], chats: Path
) -> None:
    done = chatexports("prepare", chats, "--since", "2030-01-01", "-o", "set.jsonl")
    assert done.status == 1
    assert "--since" in done.err


@pytest.mark.parametrize(
    "options",
    [("--since", "yesterday"), ("--since", "2024-02-01", "--until", "2024-01-01")],
)
def test_dates_that_are_none_are_usage_errors(
    chatexports: Callable[..., Any], chats: Path, options: tuple[str, ...]
) -> None:
    assert chatexports("inspect", chats, *options).status == 2


def test_a_redacted_copy_holds_the_chosen_chats_without_anybodys_name(
    chatexports: Callable[..., Any], chats: Path, tmp_path: Path
) -> None:
    rows = [*read_jsonl(chats)]
    rows[0]["text"] = "Owl said so"
    write_jsonl(rows, chats)
    done = chatexports("redact", chats, "--include", "pond", "-o", "copy.jsonl")
    assert done.status == 0, done.err
    copy = [*read_jsonl(tmp_path / "copy.jsonl")]
    assert len(copy) == 10
    assert all("Owl" not in str(row) for row in copy)


def test_chosen_chats_of_examples_are_an_error(
    chatexports: Callable[..., Any], chats: Path
) -> None:
    chatexports("prepare", chats, *rest("prepare"))
    done = chatexports("prepare", "set.jsonl", "--exclude", "Fox", "-o", "again.jsonl")
    assert done.status == 1
    assert "chatexports forget" in done.err


@pytest.mark.parametrize("options", [(), ("--dedup",)])
def test_a_limit_keeps_the_newest_examples_in_their_order(
    chatexports: Callable[..., Any],
    chats: Path,
    tmp_path: Path,
    options: tuple[str, ...],
) -> None:
    size = ("--size", 2, "--overlap", 0, "--gap", "none")
    arguments = (
        "prepare",
        chats,
        *size,
        *options,
        "--json",
        "-o",
        "set.jsonl",
        "--force",
    )
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


def test_a_limit_counts_before_the_split(
    chatexports: Callable[..., Any], chats: Path
) -> None:
    size = ("--size", 2, "--overlap", 0, "--gap", "36h", "--limit", 10)
    done = chatexports("prepare", chats, *size, "--split", "--json", "-o", "set")
    assert done.status == 0, done.err
    told = json.loads(done.out)
    assert sum(told["files"].values()) + sum(told["examples_skipped"].values()) == 10


def test_a_limit_of_examples_without_times_keeps_the_last_ones(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    write_jsonl(
        (
            {
                "messages": [
                    {"role": "user", "content": f"Say {number}."},
                    {"role": "assistant", "content": str(number)},
                ]
            }
            for number in range(9)
        ),
        tmp_path / "theirs.jsonl",
    )
    chatexports("prepare", "theirs.jsonl", "--limit", 2, "-o", "set.jsonl")
    answers = [row["messages"][-1]["content"] for row in read_jsonl("set.jsonl")]
    assert answers == ["7", "8"]


def test_finetune_trains_on_the_newest_examples(chats: Path) -> None:
    options = PrepareOptions(ai=("Me",), size=2, overlap=0, gap=None, limit=10)
    data = read_training_data([chats], options, None)
    assert len(data.examples) == 10


def test_a_date_is_a_day_in_utc() -> None:
    parsed = [datetime.strptime(f"2024-01-0{day}", "%Y-%m-%d") for day in (2, 3)]  # noqa: DTZ007 - as typer
    options = ChatOptions(since=parsed[0], until=parsed[1])
    chosen = options.choice()
    assert (chosen.start, chosen.end) == (date(2024, 1, 2), date(2024, 1, 3))


@pytest.mark.parametrize("name", [*READING, "redact", "finetune"])
def test_every_command_that_reads_exports_can_choose(name: str) -> None:
    group: TyperGroup = get_command(app)  # type: ignore[assignment] # typer builds it
    options = {opt for item in group.commands[name].params for opt in item.opts}
    asked = {"--with", "--since", "--until", "--no-groups", "--include", "--exclude"}
    assert asked <= options
    assert ("--limit" in options) == (name in {"prepare", "finetune"})
