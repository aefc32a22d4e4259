"""The suite for large exports bites, too."""

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.chat_loaders import BaseChatLoader
from langchain_core.chat_sessions import ChatSession
from pydantic import PrivateAttr

from langchain_chatexports.standard_tests import (
    ChatLoaderIntegrationTests,
    SessionTransformIntegrationTests,
)
from langchain_chatexports.steps import MergeChatRuns, SessionTransform
from tests.unit_tests.builders.sessions import talk
from tests.unit_tests.standard_tests.broken_loaders import SoundLoader, write_source

SESSIONS, LINES = 60, 100


class RemembersTexts(SoundLoader):
    """Keeps every text that it saw, as a loader that looks for duplicates may."""

    def lazy_load(self) -> Iterator[ChatSession]:
        seen = set()
        for session in super().lazy_load():
            seen |= {message.content for message in session["messages"]}
            yield session


class Slow(SoundLoader):
    def lazy_load(self) -> Iterator[ChatSession]:
        end = time.process_time() + 0.05
        yield from super().lazy_load()
        while time.process_time() < end:
            pass


class Suite(ChatLoaderIntegrationTests):
    @property
    def chat_loader_class(self) -> type[Any]:
        return SoundLoader

    @property
    def max_growth_bytes_per_message(self) -> float:
        return 0.0


def loader_of(kind: type[SoundLoader], tmp_path: Path) -> BaseChatLoader:
    return kind(write_source(tmp_path / "export", sessions=SESSIONS, lines=LINES))


def test_growing_memory_fails(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"bytes over [\d,]+ messages"):
        Suite().test_memory_is_flat(loader_of(RemembersTexts, tmp_path))


def test_low_throughput_fails(tmp_path: Path) -> None:
    class Demanding(Suite):
        @property
        def min_messages_per_second(self) -> float:
            return SESSIONS * LINES / 0.05

    with pytest.raises(AssertionError, match="messages a second"):
        Demanding().test_throughput(loader_of(Slow, tmp_path))


def test_other_counts_fail(tmp_path: Path) -> None:
    class Wrong(Suite):
        @property
        def expected_sessions(self) -> int:
            return SESSIONS - 1

    with pytest.raises(AssertionError):
        Wrong().test_holds_the_expected_sessions(loader_of(SoundLoader, tmp_path))


class TestSoundLoaderAtScale(ChatLoaderIntegrationTests):
    @property
    def chat_loader_class(self) -> type[Any]:
        return SoundLoader

    @property
    def expected_sessions(self) -> int:
        return SESSIONS

    @property
    def expected_messages(self) -> int:
        return SESSIONS * LINES

    @property
    def min_messages_per_second(self) -> float:
        return 1000.0

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        return write_source(tmp_path / "export", sessions=SESSIONS, lines=LINES)


class Remembers(SessionTransform):
    """Keeps every session that it passed on."""

    _kept: list[ChatSession] = PrivateAttr(default_factory=list)

    def transform_session(self, session: ChatSession) -> Iterable[ChatSession]:
        self._kept.append(session)
        return (session,)


class Dawdles(SessionTransform):
    def transform_session(self, session: ChatSession) -> Iterable[ChatSession]:
        end = time.process_time() + 0.01
        while time.process_time() < end:
            pass
        return (session,)


class StepSuite(SessionTransformIntegrationTests):
    @property
    def transform_class(self) -> type[SessionTransform]:
        return MergeChatRuns

    @property
    def max_growth_bytes_per_message(self) -> float:
        return 0.0


class TestMergeChatRunsAtScale(StepSuite):
    """The suite passes a sound step."""


SESSIONS_OF_STEPS = [
    talk(*(f"Hare: {n} {line} {'x' * 200}" for line in range(20))) for n in range(5)
]


def test_step_that_keeps_sessions_fails() -> None:
    with pytest.raises(AssertionError, match=r"bytes over [\d,]+ messages"):
        StepSuite().test_memory_is_flat(Remembers(), SESSIONS_OF_STEPS)


def test_step_that_is_slow_fails() -> None:
    with pytest.raises(AssertionError, match="messages a second"):
        StepSuite().test_throughput(Dawdles(), [talk("Hare: Hi")])
