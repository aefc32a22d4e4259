"""A workspace, and an OpenAI-compatible server in place of the local one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from langchain_chatexports.local_server import Workspace
from tests.unit_tests.builders.local_jobs import quick_server, serve_locally
from tests.unit_tests.builders.openai_server import OpenAIServer


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    with quick_server(monkeypatch) as running:
        serve_locally(running, monkeypatch)
        yield running


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "data")
