"""Figures of a report, against the raw rows and records of exports.

What is expected is read with `sqlite3` and `json` alone, never by a loader; only how
long a pause must be to end a conversation is taken from the step that decides it.
"""

from __future__ import annotations

import json
import math
import random
import sqlite3
import statistics
from collections import Counter
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from langchain_chatexports.chat_loaders.recognition import open_export
from langchain_chatexports.report import build_report, render_report
from langchain_chatexports.samples import write_messenger
from langchain_chatexports.steps.pauses import automatic_gap
from tests.unit_tests.builders.chat_db import APPLE_EPOCH, ChatDb

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from langchain_chatexports.report import ExportReport

_DAY, _WEEK = 86_400, 7 * 86_400
# The first of January 1970 was a Thursday.
_THURSDAY = 3
_START = 1_600_000_000
_SIZE, _STEP = 8, 6


class Row(NamedTuple):
    """A message that a report should count, as the export has it."""

    thread: str
    sender: str
    is_ai: bool
    time: int
    text: str


class Case(NamedTuple):
    """An export, what is in it, and what was found in it altogether."""

    report: ExportReport
    rows: list[Row]
    found: int

    @property
    def threads(self) -> list[list[Row]]:
        by_thread = sorted(self.rows, key=lambda row: (row.thread, row.time))
        return [list(t) for _, t in groupby(by_thread, key=lambda row: row.thread)]


@pytest.fixture(scope="module", params=["imessage", "messenger", "table"])
def case(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Case:
    """Write an export, read it raw, and count it."""
    folder = tmp_path_factory.mktemp(request.param)
    path, rows, found = {
        "imessage": _imessage,
        "messenger": _messenger,
        "table": _table,
    }[request.param](folder)
    owner = next(row.sender for row in rows if row.is_ai)
    # A name that is given must count as the owner does where the export knows one.
    ai = owner if request.param == "table" else ()
    loader = open_export(path).loader
    return Case(build_report(loader, ai=ai), rows, found)


def _talk(seed: int) -> Iterator[tuple[int, int, int, str]]:
    """Return thread, speaker, time and text of invented messages."""
    chance = random.Random(seed)
    for thread in range(7):
        time = _START + chance.randrange(90 * _DAY)
        for _ in range(chance.randrange(5, 90)):
            speaker = chance.choice((0, 0, 1, 1, 2))
            text = "n" * chance.randrange(1, 120) + chance.choice(("", " \U0001f600"))
            time += int(chance.lognormvariate(5, 3)) + 1
            yield thread, speaker, time, text


def _imessage(folder: Path) -> tuple[Path, list[Row], int]:
    path = folder / "chat.db"
    with ChatDb(path) as database:
        chats = [database.chat(f"+1555{i:07}", f"+1666{i:07}") for i in range(7)]
        for thread, speaker, time, text in _talk(1):
            others = chats[thread].addresses
            who: dict[str, Any] = {"mine": True}
            if speaker:
                who = {"sender": others[speaker - 1]}
            chats[thread].message(text, at=time, **who)
            if time % 5 == 0:  # A reaction, which is no message.
                chats[thread].message(
                    "Liked", at=time + 1, associated_message_type=2001, **who
                )
    with sqlite3.connect(path) as raw:
        (found,) = raw.execute("SELECT count(*) FROM message").fetchone()
        rows = [
            Row(chat, "Me" if mine else handle, bool(mine), int(time), text)
            for chat, mine, handle, time, text in raw.execute(
                "SELECT j.chat_id, m.is_from_me, h.id,"
                f" m.date / 1000000000 + {APPLE_EPOCH}, m.text"
                " FROM message m JOIN chat_message_join j ON j.message_id = m.ROWID"
                " LEFT JOIN handle h ON h.ROWID = m.handle_id"
                " WHERE m.associated_message_type = 0"
            )
        ]
    raw.close()
    return path, rows, found


def _messenger(folder: Path) -> tuple[Path, list[Row], int]:
    path = write_messenger(folder / "hogwarts")
    rows = []
    for file in path.rglob("*.json"):
        for record in json.loads(file.read_bytes())["messages"]:
            sender, text = (
                record[key].encode("latin-1").decode()
                for key in ("sender_name", "content")
            )
            time = record["timestamp_ms"] // 1000
            thread = file.parent.name
            rows.append(Row(thread, sender, sender == "Harry Potter", time, text))
    return path, rows, len(rows)


def _table(folder: Path) -> tuple[Path, list[Row], int]:
    path = folder / "desk.jsonl"
    names = ("Ann Lee", "Bob", "<i>Cid</i>")
    rows = [Row(f"t{t}", names[s], s == 0, time, x) for t, s, time, x in _talk(2)]
    records: list[dict[str, Any]] = [
        {"conversation_id": r.thread, "sender": r.sender, "time": r.time}
        | {"text": r.text}
        for r in rows
    ]
    records += [{**records[0], "text": ""}]
    lines = (json.dumps(record) + "\n" for record in records)
    path.write_text("".join(lines), encoding="utf-8")
    return path, rows, len(records)


def _conversations(case: Case) -> list[list[Row]]:
    found = []
    for thread in case.threads:
        gap = automatic_gap([b.time - a.time for a, b in pairwise(thread)])
        part = thread[:1]
        for before, row in pairwise(thread):
            if row.time - before.time > gap:
                found.append(part)
                part = []
            part.append(row)
        found.append(part)
    return found


def _examples(case: Case) -> list[list[tuple[str, str]]]:
    """Return role and text of each message in each window that has a new answer."""
    people: dict[str, set[str]] = {}
    for row in case.rows:
        people.setdefault(row.thread, set()).add(row.sender)
    found = []
    for conversation in _conversations(case):
        is_group = len(people[conversation[0].thread]) > 2
        runs = [[*rows] for _, rows in groupby(conversation, key=lambda r: r.sender)]
        for start in range(0, len(runs), _STEP):
            window = runs[start : start + _SIZE]
            while window and not window[-1][0].is_ai:
                window.pop()
            new = window[_SIZE - _STEP if start else 0 :]
            if len(window) > 1 and any(run[0].is_ai for run in new):
                prompt = _prompt(window)
                found.append(
                    [
                        *([("system", prompt)] if prompt else []),
                        *(_message(run, is_group=is_group) for run in window),
                    ]
                )
    return found


def _message(run: list[Row], *, is_group: bool) -> tuple[str, str]:
    text = "\n\n".join(row.text for row in run)
    label = "" if run[0].is_ai or not is_group else f"{run[0].sender}: "
    return "assistant" if run[0].is_ai else "user", f"{label}{text}"


def _prompt(window: list[list[Row]]) -> str:
    senders = {run[0].sender: run[0].is_ai for run in window}
    named = {name: is_ai for name, is_ai in senders.items() if name[0] != "+"}
    own = [name for name, is_ai in named.items() if is_ai and name != "Me"]
    others = [name for name, is_ai in named.items() if not is_ai]
    with_others = f"You are chatting with {' and '.join(others)}." if others else ""
    return " ".join([*(f"You are {name}." for name in own), with_others]).strip()


def test_what_is_found_kept_and_skipped(case: Case) -> None:
    (source,) = case.report.sources
    assert case.report.messages == source.kept == len(case.rows)
    assert source.found == case.found
    assert sum(source.skipped.values()) == case.found - len(case.rows)
    assert source.threads == len(case.threads)


def test_who_writes_how_much(case: Case) -> None:
    messages = Counter(row.sender for row in case.rows)
    found = {p.name: (p.messages, p.characters) for p in case.report.people}
    assert found == {
        name: (count, sum(len(r.text) for r in case.rows if r.sender == name))
        for name, count in messages.items()
    }
    assert [p.is_ai for p in case.report.people] == [
        any(r.is_ai for r in case.rows if r.sender == p.name)
        for p in case.report.people
    ]


def test_when_messages_were_sent_in_utc(case: Case) -> None:
    time = case.report.time
    assert time.zone == "UTC"
    weekdays = Counter((row.time // _DAY + _THURSDAY) % 7 for row in case.rows)
    assert time.by_weekday == tuple(weekdays[day] for day in range(7))
    hours = Counter(row.time % _DAY // 3600 for row in case.rows)
    assert time.by_hour == tuple(hours[hour] for hour in range(24))
    assert time.active_days == len({row.time // _DAY for row in case.rows})
    assert time.first is not None
    assert time.last is not None
    assert time.first.timestamp() == min(row.time for row in case.rows)
    assert time.last.timestamp() == max(row.time for row in case.rows)


def test_the_line_over_time_holds_each_message_once(case: Case) -> None:
    points = case.report.time.points
    edges = [(p.start.toordinal() - 719_163) * _DAY for p in points]
    for number, (point, edge) in enumerate(zip(points, edges, strict=True)):
        end = edges[number + 1] if number + 1 < len(edges) else math.inf
        own = [row.is_ai for row in case.rows if edge <= row.time < end]
        assert (point.ai, point.others) == (sum(own), len(own) - sum(own))
    assert sum(p.ai + p.others for p in points) == len(case.rows)


def test_pauses_and_conversations(case: Case) -> None:
    pauses = [b.time - a.time for t in case.threads for a, b in pairwise(t)]
    figures = case.report.pauses
    assert figures.pauses == len(pauses)
    for entry in figures.bins:
        below = math.inf if entry.below is None else entry.below
        expected = sum(entry.least <= pause < below for pause in pauses)
        assert entry.count == expected
    conversations = _conversations(case)
    assert figures.conversations == len(conversations)
    assert figures.boundaries == len(conversations) - len(case.threads)


def test_examples_and_their_tokens(case: Case) -> None:
    examples = _examples(case)
    figures = case.report.examples
    assert figures is not None
    assert figures.examples == len(examples)
    assert figures.messages == sum(map(len, examples))
    roles = Counter(role for window in examples for role, _ in window)
    assert figures.answers == roles["assistant"]
    tokens = [
        3
        + sum(
            3 + sum(math.ceil(len(text.encode()) / 2.8) for text in message)
            for message in window
        )
        for window in examples
    ]
    assert figures.total_tokens == sum(tokens)
    assert figures.tokens.most == max(tokens)
    assert figures.tokens.median == statistics.median_low(tokens)


def test_all_that_is_counted_stands_on_the_page(case: Case) -> None:
    page = render_report(case.report)
    examples = case.report.examples
    assert examples is not None
    for number in (
        len(case.rows),
        case.found,
        examples.examples,
        examples.total_tokens,
        case.report.pauses.conversations,
        case.report.pauses.boundaries,
    ):
        assert f"{number:,}" in page
    for row in case.rows:
        assert len(row.text) < 20 or row.text not in page
