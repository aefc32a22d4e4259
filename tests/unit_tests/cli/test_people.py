"""One person over several exports: `--people`, and the command that proposes it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from langchain_chatexports.datasets.jsonl import read_jsonl
from langchain_chatexports.datasets.trace_file import read_trace
from tests.unit_tests.builders.chat_db import ChatDb
from tests.unit_tests.builders.slack import SlackExport

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

VCARD = """BEGIN:VCARD
VERSION:3.0
FN:Annabel Ode
TEL:+49 170 1234567
EMAIL:ann@example.org
END:VCARD
"""
BOTH = ("chat.db", "slack.zip", "--contacts", "friends.vcf")
LINE = (
    "Annabel Ode;Annie;+49 170 1234567;ann@example.org;"
    "# same e-mail address in chat.db and slack.zip"
)


@pytest.fixture(autouse=True)
def exports(tmp_path: Path) -> None:
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


@pytest.mark.parametrize("contacts", [(), ("--contacts", "friends.vcf")])
def test_inspect_counts_one_person_in_all_exports(
    chatexports: Callable[..., Any], contacts: tuple[str, ...]
) -> None:
    done = chatexports(
        "inspect", *BOTH[:2], *contacts, "--people", "people.csv", "--json"
    )
    assert done.status == 0, done.err
    senders = [export["senders"] for export in json.loads(done.out)]
    assert senders == [{"Ann": 4, "Me": 4}, {"Ann": 4, "Bo": 4}]


def test_inspect_proposes_a_command_with_the_table(
    chatexports: Callable[..., Any],
) -> None:
    done = chatexports("inspect", *BOTH, "--people", "people.csv")
    assert " --contacts friends.vcf --people people.csv " in done.err


def test_report_counts_one_person_in_all_exports(
    chatexports: Callable[..., Any],
) -> None:
    done = chatexports(
        "report", *BOTH, "--people", "people.csv", "--ai", "annie", "--json"
    )
    assert done.status == 0, done.err
    people = json.loads(done.out)["people"]
    found = {person["name"]: (person["messages"], person["is_ai"]) for person in people}
    assert found == {"Ann": (8, True), "Bo": (4, False), "Me": (4, False)}


@pytest.mark.parametrize("named", ["Ann", "Annabel Ode", "annie", "+49 170 1234567"])
def test_prepare_learns_one_voice_from_all_exports(
    chatexports: Callable[..., Any], tmp_path: Path, named: str
) -> None:
    done = chatexports(
        *("prepare", *BOTH, "--people", "people.csv", "--ai", named),
        *("--whole", "--gap", "none", "-o", "set.jsonl"),
    )
    assert done.status == 0, done.err
    assert "warning" not in done.err
    rows = [row["messages"] for row in read_jsonl(tmp_path / "set.jsonl")]
    answers = [m["content"] for row in rows for m in row if m["role"] == "assistant"]
    assert "I, Annabel, ask 0" in answers
    assert "Yes 3" in answers
    origins = [row.origin for row in read_trace(tmp_path / "set.jsonl")]
    assert {name for one in origins for name in one.participants} == {"Ann", "Bo", "Me"}


def test_one_person_in_two_apps_stays_two_conversations(
    chatexports: Callable[..., Any],
) -> None:
    done = chatexports("inspect", *BOTH, "--people", "people.csv", "--json")
    assert [export["sessions"] for export in json.loads(done.out)] == [1, 1]


@pytest.mark.parametrize(
    ("options", "kept"),
    [(("--with", "Annabel Ode"), [8, 8]), (("--exclude", "annie"), [0, 0])],
)
def test_chats_are_chosen_by_any_name(
    chatexports: Callable[..., Any], options: tuple[str, ...], kept: list[int]
) -> None:
    done = chatexports("inspect", *BOTH, "--people", "people.csv", *options, "--json")
    assert done.status == 0, done.err
    assert [export["kept"] for export in json.loads(done.out)] == kept


def test_redaction_shows_one_stand_in_and_leaves_no_other_name(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    done = chatexports("redact", *BOTH, "--people", "people.csv", "-o", "red.jsonl")
    assert done.status == 0, done.err
    text = (tmp_path / "red.jsonl").read_text(encoding="utf-8")
    assert not any(name in text for name in ("Ann", "Ode", "1701234567"))
    rows = list(read_jsonl(tmp_path / "red.jsonl"))
    asked = {row["sender"] for row in rows if "ask" in row["text"]}
    said = {row["sender"] for row in rows if "Yes" in row["text"]}
    assert len(asked) == 1
    assert asked == said


@pytest.mark.parametrize(
    "arguments",
    [("finetune", "--ai", "Ann")],
)
def test_the_commands_that_train_take_the_table(
    chatexports: Callable[..., Any], tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "people.csv").write_text("Ann;x\nBo;X", encoding="utf-8")
    done = chatexports(*arguments, *BOTH, "--people", "people.csv")
    assert done.status == 1
    assert "Lines 1 and 2 of people.csv" in done.err


def test_the_table_is_not_for_examples(chatexports: Callable[..., Any]) -> None:
    chatexports("prepare", "chat.db", "-o", "set.jsonl", "--gap", "none")
    done = chatexports(
        "prepare", "set.jsonl", "--people", "people.csv", "-o", "more.jsonl"
    )
    assert "warning: --people: for exports only" in done.err


@pytest.mark.parametrize("name", ["nowhere.csv", "chat.db", "friends.vcf/x"])
def test_a_table_that_is_none_is_a_line(
    chatexports: Callable[..., Any], name: str
) -> None:
    done = chatexports("inspect", "chat.db", "--people", name)
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("error: ")
    assert name in done.err
