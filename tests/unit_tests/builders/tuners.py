"""Tuners for the fake server, with a fake clock."""

import asyncio
from collections.abc import Callable
from typing import Any

from langchain_openai.chat_models import _client_utils
from langchain_openai.chat_models.base import BaseChatOpenAI

from langchain_chatexports.finetuning.connection import Clock
from langchain_chatexports.finetuning.tuner import ChatFineTuner
from tests.unit_tests.builders.openai_server import BASE_MODEL, KEY, OpenAIServer


class FakeClock(Clock):
    """A clock that advances only when it sleeps."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.sleeps: list[float] = []
        self.on_sleep: Callable[[FakeClock], None] | None = None

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.time += seconds
        if self.on_sleep is not None:
            self.on_sleep(self)

    async def async_sleep(self, seconds: float) -> None:
        self.sleep(seconds)
        await asyncio.sleep(0)


def make_tuner(
    server: OpenAIServer, *, clock: Clock | None = None, **settings: Any
) -> ChatFineTuner:
    """Create a tuner for a server, with a fake clock by default."""
    defaults = {"model": BASE_MODEL, "base_url": server.base_url, "api_key": KEY}
    tuner = ChatFineTuner(**{**defaults, **settings})
    tuner._clock = clock or FakeClock()
    return tuner


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
