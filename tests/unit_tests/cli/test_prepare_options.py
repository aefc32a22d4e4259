"""What each option of `prepare` does to the examples, the card and the trace."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from langchain_chatexports.chat_loaders.counts import total_of
from langchain_chatexports.datasets.chat_prompts import REPLIES
from langchain_chatexports.datasets.jsonl import read_jsonl, write_jsonl
from langchain_chatexports.datasets.trace_file import read_header, read_trace
from langchain_chatexports.samples import write_imessage, write_messenger
from tests.unit_tests.builders.chat_db import ChatDb

if TYPE_CHECKING:
    from collections.abc import Callable

VOICE = ("--ai", "Tortoise")


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    return write_imessage(tmp_path / "chat.db")


@pytest.fixture
def prepared(
    chatexports: Callable[..., Any], tmp_path: Path
) -> Callable[..., list[list[str]]]:
    """Run `prepare`, and give each example's texts."""

    def command(*arguments: object) -> list[list[str]]:
        done = chatexports("prepare", *arguments, "-o", "set.jsonl", "--force")
        assert done.status == 0, done.err
        return [
            [message["content"] for message in row["messages"]]
            for row in read_jsonl(tmp_path / "set.jsonl")
        ]

    return command


@pytest.fixture
def bursts(tmp_path: Path) -> Path:
    """A thread of three evenings of four messages, half an hour apart inside."""
    path = tmp_path / "bursts.db"
    with ChatDb(path) as database:
        chat = database.chat("+15550101234")
        for evening in range(3):
            for number in range(4):
                moment = 1_700_000_000 + 86_400 * evening + 1_800 * number
                text = f"evening {evening}, number {number}"
                chat.message(text, mine=number % 2 == 1, at=moment)
    return path


def test_a_gap_cuts_where_it_is_exceeded(
    prepared: Callable[..., list[list[str]]], bursts: Path
) -> None:
    uncut = prepared(bursts, "--whole", "--gap", "none")
    assert [len(texts) for texts in uncut] == [12]
    in_evenings = prepared(bursts, "--whole", "--gap", "31m")
    assert [len(texts) for texts in in_evenings] == [4, 4, 4]


def test_an_automatic_gap_finds_the_evenings(
    prepared: Callable[..., list[list[str]]], bursts: Path, tmp_path: Path
) -> None:
    assert len(prepared(bursts, "--whole")) == 3
    ids = [row.origin.session_id for row in read_trace(tmp_path / "set.jsonl")]
    assert [str(found)[-2:] for found in ids] == ["#1", "#2", "#3"]


def test_a_largest_conversation_is_cut_at_its_pauses(
    prepared: Callable[..., list[list[str]]], bursts: Path
) -> None:
    in_twos = prepared(bursts, "--whole", "--max-messages", 2)
    assert [len(texts) for texts in in_twos] == [2] * 6


def test_tokens_bound_an_example_with_windows_and_without(
    prepared: Callable[..., list[list[str]]], bursts: Path
) -> None:
    # "evening 0, number 0" is 19 bytes: 7 tokens at most.
    windows = prepared(bursts, "--max-tokens", 28, "--overlap", 0)
    assert {len(texts) for texts in windows} == {4}
    whole = prepared(bursts, "--whole", "--max-tokens", 28, "--overlap", 0)
    assert [text for texts in whole for text in texts] == [
        f"evening {evening}, number {number}"
        for evening in range(3)
        for number in range(4)
    ]


def test_a_system_prompt_is_filled_in_and_accounted_for(
    prepared: Callable[..., list[list[str]]], chats: Path, tmp_path: Path
) -> None:
    examples = prepared(chats, *VOICE, "--system", "You write to {others}.")
    assert {texts[0] for texts in examples} == {"You write to Hare."}
    total = total_of(read_header(tmp_path / "set.jsonl").facts.stages)
    assert total is not None
    assert total.added["system_prompt"] == len(examples)


def test_groups_can_be_labeled_and_talks_of_two_are_not(
    prepared: Callable[..., list[list[str]]], tmp_path: Path
) -> None:
    rows: list[dict[str, Any]] = [
        {"conversation_id": chat, "sender": sender, "text": f"by {sender}"}
        for chat, people in (("group", "Hare Fox Me"), ("pair", "Hare Me"))
        for sender in people.split()
    ]
    write_jsonl(rows, tmp_path / "table.jsonl")
    voice = ("--ai", "Me", "--whole")
    group, pair = prepared("table.jsonl", *voice)
    assert group == [
        "You are chatting with Hare and Fox.",
        "Hare: by Hare",
        "Fox: by Fox",
        "by Me",
    ]
    assert pair == ["You are chatting with Hare.", "by Hare", "by Me"]
    plain = ("--no-label-groups", "--system", "none")
    group, pair = prepared("table.jsonl", *voice, *plain)
    assert group == ["by Hare", "by Fox", "by Me"]


def test_who_speaks_and_to_whom_is_said_unless_it_is_not_wanted(
    prepared: Callable[..., list[list[str]]], chats: Path
) -> None:
    examples = prepared(chats, *VOICE)
    prompt = "You are Tortoise. You are chatting with Hare."
    assert {texts[0] for texts in examples} == {prompt}
    plain = prepared(chats, *VOICE, "--system", "none")
    assert plain == [texts[1:] for texts in examples]


def test_names_in_the_prompt_are_replaced_where_names_are(
    prepared: Callable[..., list[list[str]]], chats: Path, tmp_path: Path
) -> None:
    examples = prepared(chats, *VOICE, "--redact")
    written = (tmp_path / "set.jsonl").read_text(encoding="utf-8")
    assert "Tortoise" not in written
    assert "Hare" not in written
    senders = {
        name
        for row in read_trace(tmp_path / "set.jsonl")
        for name in row.origin.senders
    }
    (prompt,) = {texts[0] for texts in examples}
    assert re.findall(r"You are (\w+)\. You are chatting with (\w+)\.", prompt)
    assert all(name in prompt for name in senders)


def test_no_answer_is_learned_twice(
    prepared: Callable[..., list[list[str]]], bursts: Path, tmp_path: Path
) -> None:
    prepared(bursts, "--gap", "none", "--size", 6, "--overlap", 3)
    answers = [
        (message["content"], message.get("weight", 1))
        for row in read_jsonl(tmp_path / "set.jsonl")
        for message in row["messages"]
        if message["role"] == "assistant"
    ]
    learned = [text for text, weight in answers if weight]
    assert len(learned) == len({*learned}) == len({text for text, _ in answers}) == 6
    assert len(answers) > 6


def test_a_message_that_answers_nobody_is_no_example(
    chatexports: Callable[..., Any], bursts: Path, tmp_path: Path
) -> None:
    # Every message is a conversation of its own.
    done = chatexports("prepare", bursts, "--gap", "29.5m", "-o", "set.jsonl")
    assert done.status == 1
    assert "nobody is answered in them" in done.err
    with ChatDb(tmp_path / "more.db") as database:
        chat = database.chat("+15550101234")
        for at, mine in ((0, True), (90_000, False), (90_060, True)):
            chat.message(f"at {at}", mine=mine, at=1_700_000_000 + at)
    done = chatexports("prepare", "more.db", "--gap", "1h", "-o", "set.jsonl")
    assert done.status == 0, done.err
    assert "1 alone in a conversation" in done.err
    (row,) = read_jsonl(tmp_path / "set.jsonl")
    assert [message["content"] for message in row["messages"]] == [
        "at 90000",
        "at 90060",
    ]


def test_a_role_of_a_table_can_be_the_voice(
    prepared: Callable[..., list[list[str]]], tmp_path: Path
) -> None:
    rows: list[dict[str, Any]] = [
        {
            "conversation_id": f"T-{ticket}",
            "sender": f"Agent {ticket}" if kind == "agent" else "Cleo",
            "role": kind,
            "text": f"{kind} {number}",
        }
        for ticket in range(3)
        for number, kind in enumerate(["customer", "agent", "customer", "agent"])
    ]
    write_jsonl(rows, tmp_path / "desk.jsonl")
    prepared("desk.jsonl", "--ai-role", "agent", "--whole")
    (first, *_) = read_jsonl(tmp_path / "set.jsonl")
    assert [message["role"] for message in first["messages"]] == [
        "user",
        "assistant",
        "user",
        "assistant",
    ]


def test_a_role_that_nobody_has_is_an_error(
    chatexports: Callable[..., Any], tmp_path: Path, chats: Path
) -> None:
    done = chatexports("prepare", chats, "--ai-role", "agent", "-o", "set.jsonl")
    assert done.status == 1
    assert "nothing to learn" in done.err
    assert not list(tmp_path.glob("set*"))


@pytest.mark.parametrize("gap", ["soon", "0", "-5", "nan", "1e99"])
def test_a_gap_that_is_none_is_a_usage_error(
    chatexports: Callable[..., Any], chats: Path, gap: str
) -> None:
    done = chatexports("prepare", chats, *VOICE, "--split-gap", gap, "-o", "set.jsonl")
    assert done.status == 2
    assert "--split-gap" in done.err


def test_the_card_accounts_for_every_message_of_two_exports(
    prepared: Callable[..., list[list[str]]], chats: Path, tmp_path: Path
) -> None:
    threads = write_messenger(tmp_path / "hogwarts")
    examples = prepared(chats, threads, *VOICE, "--ai", "Harry Potter")
    total = total_of(read_header(tmp_path / "set.jsonl").facts.stages)
    assert total is not None
    assert total.found == 223 + 663
    assert total.kept == sum(map(len, examples))


def test_a_set_that_is_made_of_a_set_keeps_its_origins_and_its_accounting(
    chatexports: Callable[..., Any], tmp_path: Path, chats: Path
) -> None:
    chatexports("prepare", chats, *VOICE, "--consent", "Yes.", "-o", "plain.jsonl")
    done = chatexports(
        *("prepare", "plain.jsonl", "--dedup"),
        *("-o", "set.jsonl"),
    )
    assert done.status == 0, done.err
    first, second = tmp_path / "plain.jsonl", tmp_path / "set.jsonl"
    origins = [[row.origin for row in read_trace(path)] for path in (first, second)]
    assert origins[0] == origins[1]
    facts = read_header(second).facts
    assert facts.sources == read_header(first).facts.sources
    assert facts.consent == "Yes."
    total = total_of(facts.stages)
    assert total is not None
    assert total.found == 223


def test_options_that_change_nothing_in_examples_are_said(
    chatexports: Callable[..., Any], chats: Path
) -> None:
    chatexports("prepare", chats, *VOICE, "-o", "plain.jsonl")
    options = ("--system", "Be slow.", "--max-tokens", 9)
    done = chatexports("prepare", "plain.jsonl", *options, "-o", "set.jsonl")
    assert done.status == 0, done.err
    assert "warning: --max-tokens, --system: for exports" in done.err


def test_equal_rows_keep_their_own_origins(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    rows: list[dict[str, Any]] = [
        {"conversation_id": f"T-{chat}", "sender": sender, "text": "Hello"}
        for chat in range(3)
        for sender in ("Hare", "Me")
    ]
    write_jsonl(rows, tmp_path / "table.jsonl")
    whole = ("--ai", "Me", "--whole")
    chatexports("prepare", "table.jsonl", *whole, "-o", "plain.jsonl")
    chatexports("prepare", "plain.jsonl", "-o", "set.jsonl")
    ids = [row.origin.session_id for row in read_trace(tmp_path / "set.jsonl")]
    assert ids == ["T-0", "T-1", "T-2"]


def test_a_row_that_was_changed_by_hand_is_of_unknown_origin(
    chatexports: Callable[..., Any], tmp_path: Path, chats: Path
) -> None:
    chatexports("prepare", chats, *VOICE, "-o", "plain.jsonl")
    rows = list(read_jsonl(tmp_path / "plain.jsonl"))
    rows[1]["messages"][0]["content"] = "changed"
    del rows[0]
    write_jsonl(rows, tmp_path / "plain.jsonl")
    chatexports("prepare", "plain.jsonl", "-o", "set.jsonl")
    known = [bool(row.origin.senders) for row in read_trace(tmp_path / "set.jsonl")]
    assert known == [False, *[True] * (len(rows) - 1)]


def test_a_part_of_a_set_keeps_its_origins(
    chatexports: Callable[..., Any], tmp_path: Path, chats: Path
) -> None:
    chatexports("prepare", chats, *VOICE, "--split", "-o", "parts")
    done = chatexports("prepare", "parts/train.jsonl", "-o", "set.jsonl")
    assert done.status == 0, done.err
    rows = list(read_trace(tmp_path / "set.jsonl"))
    assert rows
    assert all(row.origin.session_id for row in rows)
    assert "they have no total" not in (tmp_path / "set.jsonl.card.md").read_text(
        encoding="utf-8"
    )


def test_examples_of_other_programs_are_a_source_by_hash(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]
    write_jsonl([{"messages": turns}], tmp_path / "theirs.jsonl")
    chatexports("prepare", "theirs.jsonl", "-o", "set.jsonl")
    (source,) = read_header(tmp_path / "set.jsonl").facts.sources
    size = (tmp_path / "theirs.jsonl").stat().st_size
    assert (source.platform, source.size) == ("examples", size)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes")
def test_a_pipe_gets_the_examples_alone(
    chatexports: Callable[..., Any], tmp_path: Path, chats: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        done = chatexports("prepare", chats, *VOICE, "--size", 20, "-o", "pipe")
        first = os.read(reader, 1 << 16).split(b"\n")[0]
    finally:
        os.close(reader)
    assert done.status == 0, done.err
    assert "no card and no trace" in done.err
    assert json.loads(first)["messages"]
    assert [path.name for path in tmp_path.glob("pipe*")] == ["pipe"]
    refused = chatexports("prepare", chats, *VOICE, "--format", "parquet", "-o", "pipe")
    assert refused.status == 1


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("none/set.jsonl", "folder does not exist"),
        ("chat.db/set.jsonl", "a part of its path is a file"),
        ("x" * 300, "name is too long"),
    ],
)
def test_a_place_that_cannot_be_written_to_is_a_line(
    chatexports: Callable[..., Any],
    tmp_path: Path,
    chats: Path,
    target: str,
    said: str,
) -> None:
    done = chatexports("prepare", chats, *VOICE, "-o", Path(target))
    assert done.status == 1
    assert said in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["chat.db"]


@pytest.mark.parametrize("options", [(), ("--split",)])
def test_earlier_replies_are_shown_where_they_are_wanted(
    chatexports: Callable[..., Any],
    chats: Path,
    tmp_path: Path,
    options: tuple[str, ...],
) -> None:
    arguments = (chats, *VOICE, "--replies", 2, *options, "-o", "set")
    done = chatexports("prepare", *arguments)
    assert done.status == 0, done.err
    path = tmp_path / "set"
    files = sorted(path.iterdir()) if options else [path]
    assert len(files) == (3 if options else 1)
    for file in files:
        prompts = [str(row["messages"][0]["content"]) for row in read_jsonl(file)]
        shown = [prompt.count("\n> ") for prompt in prompts]
        assert max(shown) == 2
        # The first conversation of what is trained on has none before it.
        assert (min(shown) == 0) is (file.name in {"set", "train.jsonl"})
    bare = chatexports("prepare", chats, *VOICE, "-o", "bare.jsonl")
    assert bare.status == 0
    assert REPLIES not in (tmp_path / "bare.jsonl").read_text(encoding="utf-8")
