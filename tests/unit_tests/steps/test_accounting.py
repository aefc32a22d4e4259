"""Every step returns or counts all messages of its input."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage

from langchain_chatexports.chat_loaders.pipe import read_loader
from langchain_chatexports.steps import (
    ChunkSessions,
    LabelSpeakers,
    MapAIMessages,
    MergeChatRuns,
    Redact,
    SelectSessions,
    SplitSessions,
)
from tests.unit_tests.builders.sessions import ExportLoader

STEPS = [
    SplitSessions(),
    SplitSessions(gap=timedelta(minutes=5)),
    SelectSessions(participants="Fox"),
    SelectSessions(is_group=False),
    LabelSpeakers(),
    MapAIMessages(role="agent"),
    Redact(key="key", names=("Hare",)),
    ChunkSessions(size=4, overlap=1),
    ChunkSessions(size=3, overlap=2, overlap_as_context=True),
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
@given(rows=ROWS)
def test_each_message_is_kept_or_counted(step: Any, rows: Any) -> None:
    session = _session(rows)
    kept = {m.id for part in step.transform_session(session) for m in part["messages"]}
    assert len(kept) + sum(step.skipped(session).values()) == len(rows)


@given(rows=ROWS)
def test_counts_of_a_pipeline_add_up(rows: Any) -> None:
    pipe = (
        SplitSessions()
        | MergeChatRuns()
        | MapAIMessages(sender="Hare")
        | SelectSessions(without="Tortoise")
        | ChunkSessions(size=3, overlap=1)
    )
    summary = _summary(pipe.flattened(), _session(rows))
    before = summary.kept
    for row in summary.steps:
        assert row.found == before
        assert "unnamed" not in row.skipped
        left = row.kept + sum(row.skipped.values())
        assert row.found + sum(row.added.values()) == left
        before = row.kept


def test_merged_and_repeated_messages_are_counted() -> None:
    rows = [("Hare", 1, False, None), ("Hare", 1, False, None), ("Fox", 1, False, None)]
    steps = (MergeChatRuns(), ChunkSessions(size=2, overlap=1, keep_tail=True))
    merged, windows = _summary(steps, _session([*rows, *rows])).steps
    assert (merged.found, merged.kept, merged.skipped) == (6, 4, {"merged": 2})
    assert (windows.found, windows.kept, windows.added) == (4, 6, {"repeated": 2})


def _summary(steps: Any, *sessions: Any) -> Any:
    return read_loader(ExportLoader(sessions), steps).inspect()
