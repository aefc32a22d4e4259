"""Clients retry without pauses, and the tuner waits by a fake clock."""

import time
from types import SimpleNamespace

import pytest

from tests.unit_tests.builders.tuners import FakeClock


@pytest.fixture(autouse=True)
def _no_retry_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    # The SDK's own pauses.
    no_sleep = SimpleNamespace(sleep=lambda _: None, time=time.time)
    monkeypatch.setattr("openai._base_client.time", no_sleep)


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = SimpleNamespace(uniform=lambda *_: 1.0)
    monkeypatch.setattr("langchain_chatexports.finetuning.connection.random", exact)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """The tuner's clock."""
    clock = FakeClock()
    clock.install(monkeypatch)
    return clock
