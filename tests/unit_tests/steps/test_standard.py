"""The standard suite on each step of ours, and on pipelines of them."""

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


class TestMergeChatRuns(SessionTransformUnitTests):
    @property
    def transform_class(self) -> type[MergeChatRuns]:
        return MergeChatRuns


class TestMergeChatRunsWithinAGap(TestMergeChatRuns):
    @property
    def transform_params(self) -> dict[str, Any]:
        return {"delimiter": "\n", "max_gap": timedelta(minutes=5)}


class TestMapAIMessagesOfTheOwner(SessionTransformUnitTests):
    @property
    def transform_class(self) -> type[MapAIMessages]:
        return MapAIMessages


class TestMapAIMessagesOfSeveralNames(TestMapAIMessagesOfTheOwner):
    @property
    def transform_params(self) -> dict[str, Any]:
        return {"sender": {"Hare", "hare@example.org"}}


class TestChunkSessions(SessionTransformUnitTests):
    @property
    def transform_class(self) -> type[ChunkSessions]:
        return ChunkSessions


class TestChunkSessionsWithTails(TestChunkSessions):
    @property
    def transform_params(self) -> dict[str, Any]:
        return {"size": 7, "overlap": 3, "keep_tail": True}


class TestSessionPipeline(SessionTransformUnitTests):
    @property
    def transform_class(self) -> type[SessionPipeline]:
        return SessionPipeline

    @property
    def transform_params(self) -> dict[str, Any]:
        return {
            "steps": (
                MergeChatRuns(),
                MapAIMessages(sender="Hare"),
                ChunkSessions(size=4, overlap=1),
            )
        }


class TestPipelineOfADataset(TestSessionPipeline):
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
