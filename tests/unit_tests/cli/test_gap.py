"""`--gap`: where commands cut threads into conversations, and that they agree."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import typer

from langchain_chatexports.cli._durations import parse_gap
from langchain_chatexports.cli._finetune_data import read_training_data
from langchain_chatexports.datasets.jsonl import read_jsonl, write_jsonl
from langchain_chatexports.datasets.preparation import PrepareOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

DAYS, NIGHT = 30, 14 * 3600
# The last to write in the evening is the first to write in the morning, every time.
DAY = ("Hare", "Hare", "Me", "Hare", "Me", "Me", "Hare", "Me", "Hare", "Me", "Hare")


@pytest.fixture
def thread(tmp_path: Path) -> Path:
    """A table of one thread: a conversation a day, and nothing at night."""
    rng, at = random.Random(18), 1_700_000_000
    rows: list[dict[str, Any]] = []
    for _ in range(DAYS):
        for sender in DAY:
            rows.append(
                {
                    "conversation_id": "a",
                    "sender": sender,
                    "text": str(len(rows)),
                    "timestamp": at,
                }
            )
            at += rng.randint(20, 400)
        at += NIGHT
    path = tmp_path / "thread.jsonl"
    write_jsonl(rows, path)
    return path


def days_of(texts: Iterable[str]) -> set[int]:
    """Return the days on which the messages of texts were written."""
    return {int(number) // len(DAY) for text in texts for number in text.split()}


def texts_of(examples: Iterable[Any]) -> list[list[str]]:
    return [
        [
            message["content"]
            for message in row["messages"]
            if message["role"] != "system"
        ]
        for row in examples
    ]


def assert_no_silence_inside(parts: Sequence[Sequence[str]], *, days: int) -> None:
    assert all(len(days_of(texts)) == 1 for texts in parts)
    assert len({*days_of(text for texts in parts for text in texts)}) == days


def test_no_example_of_prepare_spans_a_silence(
    chatexports: Callable[..., Any], thread: Path, tmp_path: Path
) -> None:
    done = chatexports("prepare", thread, "--ai", "Me", "-o", "set.jsonl")
    assert done.status == 0, done.err
    assert_no_silence_inside(texts_of(read_jsonl(tmp_path / "set.jsonl")), days=DAYS)


def test_no_example_that_finetune_trains_on_spans_a_silence(thread: Path) -> None:
    data = read_training_data([thread], PrepareOptions(ai=("Me",)), None)
    assert_no_silence_inside(texts_of(data.examples), days=DAYS)


def test_without_a_gap_threads_stay_whole_as_in_the_tutorials(
    chatexports: Callable[..., Any], thread: Path, tmp_path: Path
) -> None:
    arguments = ("prepare", thread, "--ai", "Me", "--gap", "none", "-o", "set.jsonl")
    assert chatexports(*arguments).status == 0
    parts = texts_of(read_jsonl(tmp_path / "set.jsonl"))
    assert {len(texts) for texts in parts} <= {
        6,
        7,
        8,
    }  # Without what follows the last answer.
    assert any(len(days_of(texts)) > 1 for texts in parts)
    assert any(len(days_of([text])) > 1 for texts in parts for text in texts)


@pytest.mark.parametrize("gap", ["auto", "none", "45m", "2d"])
def test_report_announces_what_prepare_writes(
    chatexports: Callable[..., Any], thread: Path, gap: str
) -> None:
    arguments = (thread, "--ai", "Me", "--gap", gap, "--json")
    report = json.loads(chatexports("report", *arguments).out)
    prepared = json.loads(chatexports("prepare", *arguments, "-o", "set.jsonl").out)
    assert report["examples"]["examples"] == prepared["examples_written"]
    assert report["examples"]["messages"] == sum(
        len(row["messages"]) for row in read_jsonl(thread.parent / "set.jsonl")
    )
    (steps,) = (export["steps"] for export in prepared["exports"])
    cut = [s["sessions_kept"] for s in steps if s["name"] == "SplitSessions"] or [1]
    assert report["pauses"]["conversations"] == cut[0]
    assert cut[0] == (DAYS if gap in {"auto", "45m"} else 1)


def test_a_reply_stays_with_what_it_quotes_for_half_a_day_only(
    chatexports: Callable[..., Any], tmp_path: Path
) -> None:
    hours = (0, 0, 6, 24)  # The third message answers the first, the fourth as well.
    rows = [
        {
            "conversation_id": "a",
            "message_id": f"m{number}",
            "sender": ("Hare", "Me")[number % 2],
            "text": str(number),
            "timestamp": 1_700_000_000 + 3600 * hour + number,
            **({"reply_to": "m0"} if number > 1 else {}),
        }
        for number, hour in enumerate(hours)
    ]
    write_jsonl(rows, tmp_path / "table.jsonl")
    arguments = ("table.jsonl", "--ai", "Me", "--gap", "1h", "--keep-trailing")
    assert chatexports("prepare", *arguments, "-o", "set.jsonl").status == 0
    texts = texts_of(read_jsonl(tmp_path / "set.jsonl"))
    assert texts == [["0", "1", "2"]]  # The last one answers nobody.


@pytest.mark.parametrize(
    ("text", "gap"),
    [
        ("auto", "auto"),
        ("none", None),
        ("45m", timedelta(minutes=45)),
        ("6h", timedelta(hours=6)),
        ("1.5h", timedelta(minutes=90)),
        ("2d", timedelta(days=2)),
    ],
)
def test_a_gap_is_a_word_or_a_number_with_its_unit(text: str, gap: object) -> None:
    assert parse_gap(text) == gap


@pytest.mark.parametrize("text", ["", "soon", "30", "0m", "-5m", "nanm", "1e99d", "5s"])
def test_another_gap_is_a_usage_error(
    chatexports: Callable[..., Any], thread: Path, text: str
) -> None:
    with pytest.raises(typer.BadParameter, match="45m, 6h, 2d"):
        parse_gap(text)
    done = chatexports("report", thread, "--gap", text)
    assert done.status == 2
    assert "--gap" in done.err


def test_the_deprecated_option_still_cuts_and_says_so(
    chatexports: Callable[..., Any], thread: Path, tmp_path: Path
) -> None:
    texts = []
    for option in (("--split-gap", 45), ("--gap", "45m")):
        done = chatexports(
            "prepare", thread, "--ai", "Me", *option, "-o", "set.jsonl", "--force"
        )
        assert done.status == 0, done.err
        assert ("--split-gap is deprecated" in done.err) == ("--split-gap" in option)
        texts.append(texts_of(read_jsonl(tmp_path / "set.jsonl")))
    assert texts[0] == texts[1]
    both = ("--split-gap", 45, "--gap", "45m")
    done = chatexports(
        "prepare", thread, "--ai", "Me", *both, "-o", "set.jsonl", "--force"
    )
    assert done.status == 2
    assert "use --gap alone" in done.err


def test_what_is_left_of_a_conversation_is_kept_where_threads_are_cut(
    chatexports: Callable[..., Any], thread: Path, tmp_path: Path
) -> None:
    numbers = []
    whole = ("--gap", "none")
    for option in ((), ("--no-keep-tail",), (*whole, "--keep-tail"), whole):
        done = chatexports(
            "prepare", thread, "--ai", "Me", *option, "-o", "set.jsonl", "--force"
        )
        assert done.status == 0, done.err
        numbers.append(sum(1 for _ in read_jsonl(tmp_path / "set.jsonl")))
    # In what is left of a day there is no answer that is not learned before.
    assert numbers == [DAYS, DAYS, 40, 39]


def test_a_gap_that_changes_nothing_in_examples_is_said(
    chatexports: Callable[..., Any], thread: Path
) -> None:
    chatexports("prepare", thread, "--ai", "Me", "-o", "set.jsonl")
    done = chatexports("prepare", "set.jsonl", "--gap", "6h", "-o", "again.jsonl")
    assert done.status == 0, done.err
    assert "warning: --gap: for exports only" in done.err


def test_pauses_of_the_thread_are_as_the_tests_suppose(thread: Path) -> None:
    times = [row["timestamp"] for row in read_jsonl(thread)]
    pauses = [after - before for before, after in pairwise(times)]
    assert sum(pause > NIGHT for pause in pauses) == DAYS - 1
    assert sum(400 < pause <= NIGHT for pause in pauses) == 0
