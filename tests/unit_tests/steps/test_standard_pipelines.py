"""The standard suite on a pipeline of the steps that make a dataset."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from langchain_chatexports.standard_tests import SessionTransformUnitTests
from langchain_chatexports.steps import (
    ChunkSessions,
    LabelSpeakers,
    MapAIMessages,
    MergeChatRuns,
    SelectSessions,
    SessionPipeline,
    SplitSessions,
)


class TestPipelineOfADataset(SessionTransformUnitTests):
    @property
    def transform_class(self) -> type[SessionPipeline]:
        return SessionPipeline

    @property
    def transform_params(self) -> dict[str, Any]:
        return {
            "steps": (
                SplitSessions(max_messages=20),
                MergeChatRuns(delimiter="\n", max_gap=timedelta(hours=1)),
                MapAIMessages(sender="Hare"),
                SelectSessions(min_turns=2, min_ai_share=0.1),
                LabelSpeakers(only_groups=False),
                ChunkSessions(
                    size=6,
                    overlap=2,
                    max_tokens=80,
                    keep_tail=True,
                    overlap_as_context=True,
                ),
            )
        }
