from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports.steps import MergeChatRuns
from tests.unit_tests.builders.sessions import START, said, talk, texts


def merged(*messages: Any, **params: Any) -> Any:
    (session,) = MergeChatRuns(**params).transform_session({"messages": messages})
    return session["messages"]


def test_consecutive_messages_of_a_sender_are_merged() -> None:
    session = talk("Hare: Speed", "Hare: is key!", "Tortoise: No.", "Hare: Why?")
    (output,) = MergeChatRuns().invoke(session)
    assert texts(output) == ["Speed\n\nis key!", "No.", "Why?"]


def test_merged_text_matches_langchain_community() -> None:
    run = merged(said("H", " a "), said("H", " b "), said("H", "c\n"))
    assert [message.content for message in run] == ["a \n\n b\n\nc"]


@pytest.mark.parametrize("blank", ["", " ", "\n\t"])
def test_blank_texts_are_skipped(blank: str) -> None:
    run = merged(said("H", "a"), said("H", blank), said("H", "b"))
    assert [message.content for message in run] == ["a\n\nb"]


@pytest.mark.parametrize("sender", [None, ""])
def test_messages_without_a_sender_are_not_merged(sender: str | None) -> None:
    assert len(merged(said(sender, "a"), said(sender, "b"))) == 2


def test_merged_message_keeps_fields_of_the_first() -> None:
    first = said("H", "a", at=0, message_id="m1", subject="Race")
    first.name = "hare"
    (message,) = merged(first, said("H", "b", at=9, message_id="m2", subject="Other"))
    assert (message.id, message.name) == ("m1", "hare")
    assert message.additional_kwargs["message_time"] == START
    assert message.additional_kwargs["subject"] == "Race"


@pytest.mark.parametrize("key", ["events", "reactions", "attachments"])
def test_lists_are_joined(key: str) -> None:
    one: Any = {key: [1]}
    two: Any = {key: [2]}
    (message,) = merged(said("H", "a"), said("H", "b", **one), said("H", "c", **two))
    assert message.additional_kwargs[key] == [1, 2]


def test_message_with_parts_is_not_merged() -> None:
    picture = ["b", {"type": "image_url", "image_url": {"url": "x"}}]
    run = [said("H", "a"), said("H", picture), said("H", "c"), said("H", "d")]
    assert [message.content for message in merged(*run)] == ["a", picture, "c\n\nd"]


def test_pause_longer_than_max_gap_ends_a_run() -> None:
    run = [said("H", "a", at=0), said("H", "b", at=60), said("H", "c", at=121)]
    output = merged(*run, max_gap=timedelta(minutes=1))
    assert [message.content for message in output] == ["a\n\nb", "c"]


def test_missing_time_does_not_end_a_run() -> None:
    run = [said("H", "a", at=0), said("H", "b"), said("H", "c", at=9999)]
    assert len(merged(*run, max_gap=timedelta(seconds=1))) == 1


LINES = st.lists(st.tuples(st.sampled_from("HT"), st.text(max_size=3)), max_size=12)


@given(LINES, st.none() | st.timedeltas(min_value=timedelta(0)))
def test_merging_twice_changes_nothing(
    lines: list[Any], max_gap: timedelta | None
) -> None:
    run = [said(*line, at=n * n * 100) for n, line in enumerate(lines)]
    once = merged(*run, max_gap=max_gap)
    assert merged(*once, max_gap=max_gap) == once


def test_merged_message_lists_all_ids() -> None:
    run = [said("H", "a", message_id="m1"), said("H", "b"), said("H", "c")]
    run[2].id = "m3"
    (message,) = merged(*run)
    assert message.additional_kwargs["message_ids"] == ["m1", "m3"]


def test_forwarded_and_written_messages_are_not_merged() -> None:
    kinds: list[dict[str, Any]] = [{}, {"forwarded": True}, {"forwarded": True}, {}]
    run = merged(*(said("Hare", str(n), **extra) for n, extra in enumerate(kinds)))
    assert [message.content for message in run] == ["0", "1\n\n2", "3"]
