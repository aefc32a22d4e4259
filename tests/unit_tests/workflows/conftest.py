"""A server of OpenAI's protocol in place of this machine's local server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from langchain_chatexports.finetuning.connection import Clock
from tests.unit_tests.builders.kept_models import keep_model
from tests.unit_tests.builders.openai_server import BASE_MODEL, KEY, OpenAIServer

# The package has a function of that name.
TRAIN = import_module("langchain_chatexports.workflows.train")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(Clock, "sleep", lambda *_: None)
    with OpenAIServer().running() as running:
        yield running


@pytest.fixture
def here(
    server: OpenAIServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SimpleNamespace:
    """What stands in for a running local server, and the model that its jobs make."""
    name = keep_model(tmp_path / "data", "1" * 12)
    server.final = {"fine_tuned_model": name}
    server.models[name] = None
    where = SimpleNamespace(
        base_model=BASE_MODEL,
        base_url=server.base_url,
        api_key=KEY,
        data_dir=tmp_path / "data",
        is_running=True,
        is_shared=False,
    )

    @contextmanager
    def serve(*_: object, **__: object) -> Iterator[Any]:
        yield where

    monkeypatch.setattr(TRAIN, "LocalServer", serve)
    return where
