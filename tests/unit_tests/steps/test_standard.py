"""The standard suite on each step of this package, and on a pipeline."""

from datetime import timedelta
from typing import Any

import pytest

from langchain_chatexports.standard_tests import SessionTransformUnitTests
from langchain_chatexports.steps import (
    ChunkSessions,
    LabelSpeakers,
    MapAIMessages,
    MergeChatRuns,
    SelectSessions,
    SessionPipeline,
    SessionTransform,
    SplitSessions,
)

STEPS: list[SessionTransform] = [
    MergeChatRuns(),
    MergeChatRuns(delimiter="\n", max_gap=timedelta(minutes=5)),
    MapAIMessages(),
    MapAIMessages(sender={"Hare", "hare@example.org"}),
    MapAIMessages(sender=("Hare", "hare@example.org")),
    MapAIMessages(role="agent"),
    LabelSpeakers(only_groups=False),
    SelectSessions(participants={"hare", "Fox"}, without=["Wolf"], is_group=False),
    SplitSessions(),
    SplitSessions(gap=timedelta(hours=1), reply_within=timedelta(days=2)),
    ChunkSessions(),
    ChunkSessions(size=7, overlap=3, keep_tail=True),
    SplitSessions()
    | MergeChatRuns(delimiter="\n", max_gap=timedelta(hours=1))
    | MapAIMessages(sender="Hare")
    | SelectSessions(is_group=False)
    | LabelSpeakers(only_groups=False)
    | ChunkSessions(size=6, overlap=2, overlap_as_context=True),
]


@pytest.mark.parametrize("tested", STEPS, ids=repr)
class TestSteps(SessionTransformUnitTests):
    tested: SessionTransform

    @pytest.fixture(autouse=True)
    def _tested(self, tested: SessionTransform) -> None:
        self.tested = tested

    @property
    def transform_class(self) -> type[SessionTransform]:
        return type(self.tested)

    @property
    def transform_params(self) -> dict[str, Any]:
        return {name: value for name, value in self.tested if value is not None}


def test_pipeline_is_tested() -> None:
    assert isinstance(STEPS[-1], SessionPipeline)
