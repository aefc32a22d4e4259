"""What goes into a step is in its output or counted as left out, for every step."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage

from langchain_chatexports.steps import (
    ChunkSessions,
    LabelSpeakers,
    MapAIMessages,
    MergeChatRuns,
    Redact,
    SelectSessions,
    SplitSessions,
)

STEPS = [
    SplitSessions(),
    SplitSessions(gap=timedelta(minutes=5), max_messages=3),
    SelectSessions(min_turns=3),
    SelectSessions(min_ai_share=0.4, is_group=False),
    LabelSpeakers(),
    MapAIMessages(role="agent"),
    Redact(key="key", names=("Hare",)),
    ChunkSessions(size=4, overlap=1),
    ChunkSessions(size=3, overlap=2, overlap_as_context=True),
    ChunkSessions(size=None, max_tokens=9, count_tokens=len, overlap=2),
    ChunkSessions(max_tokens=7, count_tokens=len, keep_tail=True),
]

ROWS = st.lists(
    st.tuples(
        st.sampled_from(["Hare", "Tortoise", "Fox"]),
        st.integers(0, 9),
        st.booleans(),
        st.one_of(st.none(), st.integers(0, 10_000)),
    ),
    max_size=25,
)


def _session(rows: list[Any]) -> Any:
    messages = []
    for number, (sender, length, is_ai, moment) in enumerate(rows):
        kwargs = {"sender": sender, "number": number}
        if moment is not None:
            kwargs["message_time"] = moment
        kind = AIMessage if is_ai else HumanMessage
        messages.append(kind("x" * length, additional_kwargs=kwargs, id=f"m{number}"))
    return {"messages": messages, "metadata": {"id": "race"}}


@pytest.mark.parametrize("step", STEPS, ids=repr)
@settings(max_examples=40)
@given(rows=ROWS)
def test_every_message_is_in_the_output_or_counted(step, rows):
    session = _session(rows)
    there = {m.id for part in step.transform_session(session) for m in part["messages"]}
    assert len(there) + sum(step.left_out(session).values()) == len(rows)


@settings(max_examples=40)
@given(rows=ROWS)
def test_a_whole_pipe_adds_up_row_by_row(rows):
    from langchain_chatexports.chat_loaders.base import inspect_loader
    from langchain_chatexports.standard_tests.session_transforms import (
        CountingChatLoader,
    )

    pipe = (
        SplitSessions()
        | MergeChatRuns()
        | MapAIMessages(sender="Hare")
        | SelectSessions(min_turns=2)
        | ChunkSessions(size=3, overlap=0)
    )
    summary = inspect_loader(CountingChatLoader([_session(rows)]), pipe.flattened())
    before = summary.kept
    for row in summary.steps:
        assert row.messages_in == before
        if row.name != "MergeChatRuns":
            assert row.messages_in == row.messages_out + sum(row.left_out.values())
        before = row.messages_out
