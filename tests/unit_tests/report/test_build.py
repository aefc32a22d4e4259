"""The figures of a report, compared with independent computations."""

import tracemalloc
from collections import Counter
from datetime import datetime
from itertools import groupby, pairwise
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import pytest
from langchain_core.messages import BaseMessage

from langchain_chatexports._tokens import estimate_max_tokens
from langchain_chatexports.chat_loaders.pipe import TransformedChatLoader
from langchain_chatexports.datasets.estimate import example_tokens
from langchain_chatexports.datasets.examples import to_training_examples
from langchain_chatexports.datasets.system_prompts import persona_prompt
from langchain_chatexports.report import ExportReport, build_report
from langchain_chatexports.steps import (
    ChunkSessions,
    LabelSpeakers,
    MapAIMessages,
    MergeChatRuns,
    SplitSessions,
)
from langchain_chatexports.steps.pauses import automatic_gap
from tests.unit_tests.builders.sessions import ExportLoader, GrowingLoader, talk
from tests.unit_tests.builders.talks import PEOPLE, all_texts, talks

Row: TypeAlias = tuple[int, str, str, int | None]
ZONE = "Asia/Kathmandu"
OWNER = PEOPLE[0]


@pytest.fixture(scope="module")
def loader() -> ExportLoader:
    return talks()


@pytest.fixture(scope="module")
def report(loader: ExportLoader) -> ExportReport:
    return build_report(loader, time_zone=ZONE)


@pytest.fixture(scope="module")
def messages(loader: ExportLoader) -> list[Row]:
    """Thread, sender, text and Unix time of each message, in order."""
    return [
        (number, m.additional_kwargs["sender"], str(m.content), _time(m))
        for number, session in enumerate(loader.sessions)
        for m in session["messages"]
        if m is not None
    ]


def _time(message: BaseMessage) -> int | None:
    return message.additional_kwargs.get("message_time")


def _moments(messages: list[Row]) -> list[tuple[str, datetime]]:
    return [
        (sender, datetime.fromtimestamp(time, ZoneInfo(ZONE)))
        for _, sender, _, time in messages
        if time is not None
    ]


def test_messages_are_counted_by_person(
    report: ExportReport, messages: list[Row]
) -> None:
    counts = Counter(sender for _, sender, _, _ in messages)
    assert report.messages == len(messages)
    assert {p.name: p.messages for p in report.people} == dict(counts)
    assert [p.messages for p in report.people] == sorted(counts.values(), reverse=True)
    for person in report.people:
        own = [text for _, sender, text, _ in messages if sender == person.name]
        assert person.characters == sum(map(len, own))
    assert [p.name for p in report.people if p.is_ai] == [OWNER]


def test_source_has_owner_counts_and_times(
    report: ExportReport, loader: ExportLoader, messages: list[Row]
) -> None:
    source: Any = report.sources[0]
    found = sum(len(session["messages"]) for session in loader.sessions)
    assert (source.name, source.platform) == ("fenwick.json", "races")
    assert (source.owner, source.owner_found_by) == (OWNER, "option")
    assert (source.found, source.kept) == (found, len(messages))
    assert source.skipped == {"empty": found - len(messages)}
    assert source.chats == len(loader.sessions)
    times = [time for *_, time in messages if time is not None]
    assert source.first.timestamp() == min(times)
    assert source.last.timestamp() == max(times)


def test_messages_are_counted_by_hour_and_weekday(
    report: ExportReport, messages: list[Row]
) -> None:
    moments = [moment for _, moment in _moments(messages)]
    hours = Counter(moment.hour for moment in moments)
    weekdays = Counter(moment.isoweekday() for moment in moments)
    assert report.time.by_hour == tuple(hours[hour] for hour in range(24))
    assert report.time.by_weekday == tuple(weekdays[day] for day in range(1, 8))


def test_messages_are_counted_by_month(
    report: ExportReport, messages: list[Row]
) -> None:
    moments = _moments(messages)
    time = report.time
    assert time.zone == ZONE
    assert len(messages) > len(moments)
    assert time.first == min(moment for _, moment in moments)
    assert time.last == max(moment for _, moment in moments)
    assert time.active_days == len({moment.date() for _, moment in moments})
    assert time.unit == "month"
    ai = Counter(f"{m:%Y-%m-01}" for sender, m in moments if sender == OWNER)
    others = Counter(f"{m:%Y-%m-01}" for sender, m in moments if sender != OWNER)
    assert {str(p.start): p.ai for p in time.points if p.ai} == dict(ai)
    assert {str(p.start): p.others for p in time.points if p.others} == dict(others)
    assert all(
        (after.start - before.start).days in {28, 29, 30, 31}
        for before, after in pairwise(time.points)
    )


def test_chats_are_split_into_dialogues(
    report: ExportReport, messages: list[Row], loader: ExportLoader
) -> None:
    gaps = []
    for _, thread in groupby(messages, key=lambda row: row[0]):
        times = [time for *_, time in thread if time is not None]
        gaps.append(automatic_gap([b - a for a, b in pairwise(times)]))
    figures = report.dialogues
    assert (figures.shortest_gap, figures.longest_gap) == (min(gaps), max(gaps))
    assert figures.count == len(SplitSessions().invoke(loader))


def _windows(loader: ExportLoader) -> TransformedChatLoader:
    mapped = loader | SplitSessions() | MergeChatRuns() | MapAIMessages()
    windows = ChunkSessions(keep_tail=True, overlap_as_context=True)
    return mapped | LabelSpeakers() | windows


def test_examples_match_those_of_prepare(
    report: ExportReport, loader: ExportLoader
) -> None:
    examples = list(
        to_training_examples(
            _windows(loader), system=persona_prompt, keep_single_messages=False
        )
    )
    roles = Counter(m["role"] for example in examples for m in example["messages"])
    tokens = sum(example_tokens(example, estimate_max_tokens) for example in examples)
    figures: Any = report.examples
    assert (figures.examples, figures.tokens) == (len(examples), tokens)
    assert figures.answers == roles["assistant"]


def test_several_exports_add_up(loader: ExportLoader) -> None:
    other = talks(seed=2, threads=3, length=40)
    sources: tuple[Any, ...] = ([loader, other], loader, other)
    reports: Any = map(build_report, sources)
    both, one, two = reports
    assert both.messages == one.messages + two.messages
    dialogues = one.dialogues.count + two.dialogues.count
    assert both.dialogues.count == dialogues
    assert both.examples.examples == one.examples.examples + two.examples.examples
    assert both.sources == (*one.sources, *two.sources)


def test_ai_can_be_another_person(loader: ExportLoader) -> None:
    report = build_report(loader, ai=PEOPLE[1])
    assert [p.name for p in report.people if p.is_ai] == [PEOPLE[1]]
    assert not report.ai_is_owner


def test_unknown_ai_has_no_examples(loader: ExportLoader) -> None:
    report = build_report(loader, ai="Nobody")
    assert report.examples is None
    assert report.messages == len(all_texts(loader))


def test_empty_export_has_figures() -> None:
    report = build_report(ExportLoader([]))
    assert report.messages == 0
    assert report.time.points == ()
    assert report.dialogues.longest_gap is None


def test_unknown_time_zone_is_refused(loader: ExportLoader) -> None:
    with pytest.raises(ValueError, match="Europe/Berlin"):
        build_report(loader, time_zone="Mars/Olympus")


def test_times_out_of_range_are_ignored() -> None:
    session = talk("Hare: a", "Tortoise: b")
    session["messages"][0].additional_kwargs["message_time"] = 10**15
    report = build_report(ExportLoader([session]))
    assert sum(report.time.by_hour) == 1


@pytest.mark.benchmark
def test_memory_is_constant() -> None:
    def peak(sessions: int) -> int:
        tracemalloc.start()
        build_report(GrowingLoader(sessions), ai="H")
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    peak(5)  # Imports and caches.
    few, many = peak(20), peak(200)
    # The texts have half a megabyte, and the messages several.
    assert many - few < 250_000, f"{few:,} bytes for 400 messages, {many:,} for 4,000"
