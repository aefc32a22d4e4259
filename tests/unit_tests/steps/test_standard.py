"""The standard suite on each step of ours, and on a pipeline of all."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from langchain_chatexports.standard_tests import SessionTransformUnitTests
from langchain_chatexports.steps import (
    ChunkSessions,
    MapAIMessages,
    MergeChatRuns,
    SessionPipeline,
)


class TestMergeChatRuns(SessionTransformUnitTests):
    @property
    def transform_class(self) -> type[MergeChatRuns]:
        return MergeChatRuns


class TestMergeChatRunsWithinAGap(SessionTransformUnitTests):
    @property
    def transform_class(self) -> type[MergeChatRuns]:
        return MergeChatRuns

    @property
    def transform_params(self) -> dict[str, Any]:
        return {"delimiter": "\n", "max_gap": timedelta(minutes=5)}


class TestMapAIMessagesOfTheOwner(SessionTransformUnitTests):
    @property
    def transform_class(self) -> type[MapAIMessages]:
        return MapAIMessages


class TestMapAIMessagesOfSeveralNames(SessionTransformUnitTests):
    @property
    def transform_class(self) -> type[MapAIMessages]:
        return MapAIMessages

    @property
    def transform_params(self) -> dict[str, Any]:
        return {"sender": {"Hare", "hare@example.org"}}


class TestChunkSessions(SessionTransformUnitTests):
    @property
    def transform_class(self) -> type[ChunkSessions]:
        return ChunkSessions


class TestChunkSessionsWithTails(SessionTransformUnitTests):
    @property
    def transform_class(self) -> type[ChunkSessions]:
        return ChunkSessions

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
