"""The suite for large exports bites, too."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
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

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        return write_source(tmp_path / "export", sessions=SESSIONS, lines=LINES)


class RemembersTexts(SoundLoader):
    """Keeps every text that it saw, as a loader that looks for duplicates may."""

    def lazy_load(self) -> Iterator[ChatSession]:
        seen = set()
        for session in super().lazy_load():
            seen |= {message.content for message in session["messages"]}
            yield session


class LosesASession(SoundLoader):
    def lazy_load(self) -> Iterator[ChatSession]:
        yield from list(super().lazy_load())[1:]


class Strict(TestSoundLoaderAtScale):
    __test__ = False

    @property
    def max_growth_bytes_per_message(self) -> float:
        return 0.0


@pytest.mark.parametrize(
    ("check", "loader_class", "message"),
    [
        ("test_holds_the_expected_sessions", LosesASession, None),
        ("test_memory_is_flat", RemembersTexts, r"bytes over [\d,]+ messages"),
    ],
)
def test_each_check_fails_a_broken_loader(
    tmp_path: Path, check: str, loader_class: type[SoundLoader], message: str | None
) -> None:
    source = write_source(tmp_path / "export", sessions=SESSIONS, lines=LINES)
    with pytest.raises(AssertionError, match=message):
        getattr(Strict(), check)(loader_class(source))


class StepSuite(SessionTransformIntegrationTests):
    @property
    def transform_class(self) -> type[SessionTransform]:
        return MergeChatRuns

    @property
    def max_growth_bytes_per_message(self) -> float:
        return 0.0


class TestMergeChatRunsAtScale(StepSuite):
    """The suite passes a sound step."""


class Remembers(SessionTransform):
    """Keeps every session that it passed on."""

    _kept: list[ChatSession] = PrivateAttr(default_factory=list)

    def transform_session(self, session: ChatSession) -> Iterable[ChatSession]:
        self._kept.append(session)
        return (session,)


def test_step_that_keeps_sessions_fails() -> None:
    lines = [f"Hare: {line} {'x' * 200}" for line in range(20)]
    with pytest.raises(AssertionError, match=r"bytes over [\d,]+ messages"):
        StepSuite().test_memory_is_flat(Remembers(), [talk(*lines) for _ in range(5)])
