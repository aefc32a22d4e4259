"""The tests' servers speak plain HTTP at once: no authorities, no pauses."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.unit_tests.builders.openai_server import OpenAIServer


@pytest.fixture(scope="session", autouse=True)
def _one_authority_is_enough(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[None]:
    """Reading all of them costs a tenth of a second for each client."""
    certifi = pytest.importorskip("certifi")
    bundle = Path(certifi.where()).read_text(encoding="utf-8")
    end = "-----END CERTIFICATE-----\n"
    first = tmp_path_factory.mktemp("authorities") / "one.pem"
    first.write_text(bundle.partition(end)[0] + end, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(first))
        yield


@pytest.fixture(autouse=True)
def _the_sdk_retries_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = SimpleNamespace(sleep=lambda _: None, time=time.time)
    monkeypatch.setattr("openai._base_client.time", at_once)


@pytest.fixture(autouse=True)
def _pauses_are_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = SimpleNamespace(uniform=lambda *_: 1.0)
    monkeypatch.setattr("langchain_chatexports.finetuning.connection.random", exact)


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer().running() as running:
        yield running
