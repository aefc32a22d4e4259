"""An OpenAI-compatible server in place of the local one."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.unit_tests.builders.local_jobs import quick_server, serve_locally
from tests.unit_tests.builders.openai_server import OpenAIServer


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    with quick_server(monkeypatch) as running:
        yield running


@pytest.fixture
def local_server(
    server: OpenAIServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SimpleNamespace:
    """The replaced local server, with `server`, and the model that its jobs create."""
    return serve_locally(server, monkeypatch, tmp_path / "data")
