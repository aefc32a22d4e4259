"""Serialized steps as they are stored: a change here breaks chains of users."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from langchain_core.load import dumpd

from langchain_chatexports.steps import ChunkSessions, MapAIMessages, MergeChatRuns

if TYPE_CHECKING:
    from typing import Any

    from syrupy.assertion import SnapshotAssertion


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
def test_serialized_step_is_as_it_was(step: Any, snapshot: SnapshotAssertion) -> None:
    assert dumpd(step) == snapshot


def test_graph_of_a_pipeline_is_as_it_was(snapshot: SnapshotAssertion) -> None:
    assert STEPS[-1].get_graph().draw_mermaid() == snapshot
