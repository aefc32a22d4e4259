"""Tuners for the fake server, with a fake clock."""

from collections.abc import Callable
from typing import Any

import pytest
from langchain_openai.chat_models import _client_utils
from langchain_openai.chat_models.base import BaseChatOpenAI

from langchain_chatexports.finetuning import waiting
from langchain_chatexports.finetuning.tuner import ChatFineTuner
from tests.unit_tests.builders.openai_server import BASE_MODEL, KEY, OpenAIServer


class FakeClock:
    """A clock that advances only when the tuner sleeps."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.sleeps: list[float] = []
        self.on_sleep: Callable[[], None] | None = None

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.time += seconds
        if self.on_sleep is not None:
            self.on_sleep()

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(waiting, "now", self.now)
        monkeypatch.setattr(waiting, "sleep", self.sleep)


def make_tuner(server: OpenAIServer, **settings: Any) -> ChatFineTuner:
    """Create a tuner for a server."""
    defaults = {"model": BASE_MODEL, "base_url": server.base_url, "api_key": KEY}
    return ChatFineTuner(**{**defaults, **settings})


def make_examples(count: int = 10, marker: str = "") -> list[dict[str, Any]]:
    """Create different examples."""
    turns = ("user", "Who wins race {}?"), ("assistant", "The tortoise, {} to 0.")
    return [
        {
            "messages": [
                {"role": role, "content": f"{text.format(number)}{marker}"}
                for role, text in turns
            ]
        }
        for number in range(count)
    ]


def chat(model: BaseChatOpenAI, text: str = "Ready?") -> str:
    """Ask a model, and close its connections, which langchain-openai keeps open."""
    try:
        return str(model.invoke(text).content)
    finally:
        model.root_client.close()
        forget_clients()


async def achat(model: BaseChatOpenAI, text: str = "Ready?") -> str:
    """Ask a model asynchronously, with streaming."""
    try:
        return "".join([str(chunk.content) async for chunk in model.astream(text)])
    finally:
        await model.root_async_client.close()
        forget_clients()


def forget_clients() -> None:
    """Empty langchain-openai's cache of connections."""
    # It is keyed by URL, and a later server may have the same port.
    for name in ("_cached_sync_httpx_client", "_cached_async_httpx_client"):
        getattr(_client_utils, name).cache_clear()
