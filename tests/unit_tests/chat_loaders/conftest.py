"""Fixtures of several loaders."""

import os
import time
from collections.abc import Iterator

import pytest

from langchain_chatexports.chat_loaders import base
from langchain_chatexports.chat_loaders.conversation import to_session
from langchain_chatexports.chat_loaders.messages import Conversation
from langchain_chatexports.chat_loaders.reading import Reading
from langchain_chatexports.chat_loaders.recognition import PLATFORM_NAMES
from langchain_chatexports.chat_loaders.schema import ExportSession
from tests.unit_tests.builders.schema import find_errors


@pytest.fixture(scope="package", autouse=True)
def _check_keys() -> Iterator[None]:
    """Check the keys of each session that a test of an app reads."""

    def to_checked_session(
        conversation: Conversation, reading: Reading
    ) -> ExportSession | None:
        session = to_session(conversation, reading)
        if session is not None and reading.platform in {*PLATFORM_NAMES, "table"}:
            assert find_errors(session) == []
        return session

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "to_session", to_checked_session)
        yield


@pytest.fixture
def machine_in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set the machine's time zone to Berlin's."""
    if not hasattr(time, "tzset"):
        pytest.skip("needs time.tzset (POSIX)")
    monkeypatch.setitem(os.environ, "TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()
