"""Tuners for the tests' server, with a time that costs no time."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import TYPE_CHECKING, Any

from langchain_openai.chat_models import _client_utils

from langchain_chatexports.finetuning.connection import Clock
from langchain_chatexports.finetuning.tuner import ChatFineTuner
from tests.unit_tests.builders.openai_server import BASE_MODEL, KEY

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_openai.chat_models.base import BaseChatOpenAI

    from tests.unit_tests.builders.openai_server import OpenAIServer


class FakeClock(Clock):
    """A clock that sleeping moves, and nothing else."""

    def __init__(self, today: date = date(2026, 11, 20)) -> None:
        self.time = 1000.0
        self.sleeps: list[float] = []
        self.date = today
        self.on_sleep: Callable[[FakeClock], None] | None = None

    def now(self) -> float:
        return self.time

    def today(self) -> date:
        return self.date

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.time += seconds
        if self.on_sleep is not None:
            self.on_sleep(self)

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)
        await asyncio.sleep(0)

    def jitter(self) -> float:
        return 1.0


def make_tuner(server: OpenAIServer, **settings: Any) -> ChatFineTuner:
    """Make a tuner for a server; `clock` and `request_timeout` are settings, too."""
    clock = settings.pop("clock", None) or FakeClock()
    request_timeout = settings.pop("request_timeout", 5.0)
    if not {"client", "async_client"} & settings.keys():
        settings = {"base_url": server.base_url, "api_key": KEY, **settings}
    tuner = ChatFineTuner(**{"model": BASE_MODEL, **settings})
    tuner._clock = clock
    tuner._request_timeout = request_timeout
    return tuner


def make_examples(count: int = 10, marker: str = "") -> list[dict[str, Any]]:
    """Make examples that differ."""
    return [
        {
            "messages": [
                {"role": "user", "content": f"Who wins race {number}?{marker}"},
                {
                    "role": "assistant",
                    "content": f"The tortoise, {number} to 0.{marker}",
                },
            ]
        }
        for number in range(count)
    ]


def chat(model: BaseChatOpenAI, text: str = "Ready?") -> str:
    """Ask a model, and close its connections: langchain-openai keeps them open."""
    try:
        return str(model.invoke(text).content)
    finally:
        model.root_client.close()
        forget_clients()


async def achat(model: BaseChatOpenAI, text: str = "Ready?") -> str:
    """Ask a model asynchronously, in pieces."""
    try:
        return "".join([str(chunk.content) async for chunk in model.astream(text)])
    finally:
        await model.root_async_client.close()
        forget_clients()


def forget_clients() -> None:
    """Empty langchain-openai's cache of connections."""
    # It keeps them by their URL, and a later server could get the same port.
    for name in ("_cached_sync_httpx_client", "_cached_async_httpx_client"):
        getattr(_client_utils, name).cache_clear()
