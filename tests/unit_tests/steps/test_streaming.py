"""Messages pass through steps one by one."""

import gc
from collections.abc import Iterable, Iterator
from typing import ClassVar, cast

from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import BaseMessage

from langchain_chatexports.chat_loaders.base import ChatExportLoader
from langchain_chatexports.chat_loaders.files import ExportFiles
from langchain_chatexports.chat_loaders.messages import (
    Conversation,
    DetectedOwner,
    Message,
)
from langchain_chatexports.chat_loaders.schema import ExportSession
from langchain_chatexports.steps import ChunkSessions, MapAIMessages, MergeChatRuns

LENGTH = 2000
PREPARE = MergeChatRuns() | MapAIMessages() | ChunkSessions(overlap_as_context=True)


class RaceLoader(ChatExportLoader):
    """Loads a conversation of many messages."""

    suffixes: ClassVar[tuple[str, ...]] = ()

    def conversations(self, files: ExportFiles) -> Iterator[Conversation]:
        del files
        rows = [
            Message(n * 10**6, ("Hare", "Hare", "Tortoise")[n % 3], f"Step {n}.")
            for n in range(LENGTH)
        ]
        yield Conversation("race", rows, owner=DetectedOwner("Tortoise"))


class FirstHalfLoader(RaceLoader):
    """Changes the sessions."""

    def lazy_load(self) -> Iterator[ExportSession]:
        for session in super().lazy_load():
            messages = session["messages"][: LENGTH // 2]
            yield {**session, "messages": messages}


class MergeLoudRuns(MergeChatRuns):
    """Changes the sessions of another step."""

    def transform_session(self, session: ChatSession) -> Iterable[ChatSession]:
        for merged in super().transform_session(session):
            for message in merged["messages"]:
                message.content = str(message.content).upper()
            yield merged


class CountSessions:
    """Counts the sessions of a step that it is combined with."""

    count: ClassVar[int] = 0

    def transform_session(self, session: ChatSession) -> Iterable[ChatSession]:
        type(self).count += 1
        return cast("MergeChatRuns", super()).transform_session(session)


class CountedMergeChatRuns(CountSessions, MergeChatRuns):
    """Merges and counts."""


def _messages(sessions: Iterable[ExportSession]) -> list[BaseMessage]:
    return [message for session in sessions for message in session["messages"]]


def test_only_the_messages_of_a_window_are_in_memory() -> None:
    gc.collect()
    before = sum(isinstance(item, BaseMessage) for item in gc.get_objects())
    sessions = iter(RaceLoader("race") | PREPARE)
    assert len(next(sessions)["messages"]) == 8
    after = sum(isinstance(item, BaseMessage) for item in gc.get_objects())
    assert after - before < 50


def test_result_is_that_of_whole_sessions() -> None:
    loaded = RaceLoader("race").load()
    assert [len(session["messages"]) for session in loaded] == [LENGTH]
    streamed = (RaceLoader("race") | PREPARE).load()
    assert streamed == PREPARE.invoke(cast("list[ChatSession]", loaded))
    assert all(type(session["messages"]) is list for session in streamed)


def test_own_methods_of_subclasses_are_used() -> None:
    half = (FirstHalfLoader("race") | MergeChatRuns()).load()
    assert str(_messages(half)[-1].content).endswith("Step 999.")
    loud = RaceLoader("race") | MergeLoudRuns() | MapAIMessages()
    assert _messages(loud)[0].content == "STEP 0.\n\nSTEP 1."


def test_own_methods_of_mixins_are_used() -> None:
    (RaceLoader("race") | CountedMergeChatRuns() | MapAIMessages()).load()
    assert CountedMergeChatRuns.count == 1
