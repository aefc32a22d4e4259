"""Shared by all tests: no tracing, no key of the developer's, no stray warnings."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import settings

# Two slow, shared cores: how long one example takes says nothing.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")

# What a shell starts in the background ignores Ctrl-C, and so would the commands that
# tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_NOT_FOR_TESTS = (
    "LANGSMITH_TRACING",
    "LANGSMITH_API_KEY",
    "LANGCHAIN_TRACING_V2",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "OPENAI_API_BASE",
)
for _name in _NOT_FOR_TESTS:
    os.environ.pop(_name, None)


@pytest.fixture(autouse=True)
def _no_tracing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _NOT_FOR_TESTS:
        monkeypatch.delenv(name, raising=False)
