"""Serialized steps: a change of a snapshot breaks stored chains of users."""

from datetime import timedelta
from typing import Any

import pytest
from langchain_core.load import dumpd
from syrupy.assertion import SnapshotAssertion

from langchain_chatexports.steps import ChunkSessions, MapAIMessages, MergeChatRuns

STEPS = [
    MergeChatRuns(),
    MergeChatRuns(delimiter="\n", max_gap=timedelta(minutes=30)),
    MapAIMessages(),
    MapAIMessages(sender="Hare"),
    MapAIMessages(sender={"hare@example.org", "Hare"}),
    ChunkSessions(),
    ChunkSessions(size=4, overlap=0, keep_tail=True),
    MergeChatRuns() | MapAIMessages(sender="Hare") | ChunkSessions(),
]


@pytest.mark.parametrize("step", STEPS, ids=repr)
def test_serialized_step(step: Any, snapshot: SnapshotAssertion) -> None:
    assert dumpd(step) == snapshot


def test_graph_of_a_pipeline(snapshot: SnapshotAssertion) -> None:
    assert STEPS[-1].get_graph().draw_mermaid() == snapshot
