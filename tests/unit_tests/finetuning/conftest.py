"""The tests' servers answer at once, and clients repeat without pauses."""

import time
from types import SimpleNamespace

import pytest


@pytest.fixture(autouse=True)
def _the_sdk_retries_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = SimpleNamespace(sleep=lambda _: None, time=time.time)
    monkeypatch.setattr("openai._base_client.time", at_once)


@pytest.fixture(autouse=True)
def _pauses_are_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = SimpleNamespace(uniform=lambda *_: 1.0)
    monkeypatch.setattr("langchain_chatexports.finetuning.connection.random", exact)
