"""Clients retry without pauses."""

import time
from types import SimpleNamespace

import pytest


@pytest.fixture(autouse=True)
def _no_retry_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    no_sleep = SimpleNamespace(sleep=lambda _: None, time=time.time)
    monkeypatch.setattr("openai._base_client.time", no_sleep)


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = SimpleNamespace(uniform=lambda *_: 1.0)
    monkeypatch.setattr("langchain_chatexports.finetuning.connection.random", exact)
