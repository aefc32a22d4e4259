"""OpenAI's clients with a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import openai

from tests.unit_tests.builders.sdk_tours import async_tour, tour

if TYPE_CHECKING:
    from langchain_chatexports.local_server import LocalServer


def test_the_synchronous_client_can_ask_everything(tiny_server: LocalServer) -> None:
    with openai.OpenAI(
        base_url=tiny_server.base_url, api_key=tiny_server.api_key
    ) as client:
        tour(client, "tiny")


async def test_the_asynchronous_client_can_ask_everything(
    tiny_server: LocalServer,
) -> None:
    async with openai.AsyncOpenAI(
        base_url=tiny_server.base_url, api_key=tiny_server.api_key
    ) as client:
        await async_tour(client, "tiny")
