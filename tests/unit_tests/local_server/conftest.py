"""A tiny base, a service with it, and clients without a port."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI
from starlette.testclient import TestClient

from langchain_chatexports.local_server.bases import weights
from langchain_chatexports.local_server.bases.chat_template import ChatTokenizer
from langchain_chatexports.local_server.old_engines.choice import EngineChoice
from langchain_chatexports.local_server.old_http.app import create_app
from langchain_chatexports.local_server.old_http.service import LocalService
from langchain_chatexports.local_server.settings import ServerSettings
from langchain_chatexports.local_server.storage.data_directory import DataDirectory
from tests.unit_tests.builders.children import (
    call_in_process,
    derive_templates_in_process,
)
from tests.unit_tests.builders.gguf import write_gguf
from tests.unit_tests.builders.tiny_base import write_tiny_base

KEY = "a-key-for-tests-only-0123"


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base whose template and layers are in the session's cache."""
    base = write_tiny_base(tmp_path_factory.mktemp("bases") / "tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights, "call_in_child", call_in_process)
        weights.check_trainable(base)
        derive_templates_in_process(patch)
        ChatTokenizer(base)
    return base


@pytest.fixture(scope="session")
def tiny_gguf(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    return write_gguf(tiny_base, file)


@pytest.fixture
def templates_derived_in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Derive without a child process, which `test_derived_template.py` tests."""
    derive_templates_in_process(monkeypatch)


@pytest.fixture(scope="session")
def make_service(tiny_base: Path) -> Callable[..., Any]:
    def make(
        root: Path,
        *,
        base: Path = tiny_base,
        base_model: str = "tiny",
        choice: EngineChoice | None = None,
        **options: Any,
    ) -> LocalService:
        data = DataDirectory(root)
        data.prepare()
        return LocalService(
            ServerSettings(base=str(base), threads=1, **options),
            data,
            base_model=base_model,
            directory=base,
            choice=choice or EngineChoice(None, reason="for tests"),
        )

    return make


@pytest.fixture
def service(
    make_service: Callable[..., LocalService],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> LocalService:
    new_service = make_service(tmp_path / "data", aliases={"gpt-3.5-turbo": "tiny"})
    # Jobs stay queued.
    monkeypatch.setattr(new_service.queue, "start", lambda: None)
    return new_service


def make_client(service: LocalService, key: str | None = KEY) -> TestClient:
    app = create_app(service, api_key=KEY)
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return TestClient(app, base_url="http://127.0.0.1", headers=headers)


@pytest.fixture
def http(service: LocalService) -> Iterator[TestClient]:
    with make_client(service) as client:
        yield client


def openai_client(http: TestClient) -> OpenAI:
    # openai 2 and older starlettes use httpx, newer ones httpx2.
    if not isinstance(http, openai.DefaultHttpxClient.__mro__[1]):
        pytest.skip("openai and starlette use different releases of httpx")
    return openai.OpenAI(
        base_url="http://127.0.0.1/v1", api_key=KEY, http_client=http, max_retries=0
    )


@pytest.fixture
def client(http: TestClient) -> OpenAI:
    return openai_client(http)
