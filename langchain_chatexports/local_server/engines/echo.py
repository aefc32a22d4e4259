"""An engine that repeats the last message, for tests."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from langchain_chatexports.local_server.bases.template import (
    MessageError,
    TemplateMessage,
    reduce_messages,
)
from langchain_chatexports.local_server.engines.engine import (
    create_profile,
    messages_error,
)
from langchain_chatexports.local_server.engines.replies import Reply, encode_reply
from langchain_chatexports.local_server.engines.sampling import (
    read_stops,
    token_limit,
)
from langchain_chatexports.local_server.workspace import Model


class EchoEngine:
    """Repeats the last message word by word; a word is a token."""

    description = "echo"

    def __init__(self, *, context: int = 2048, seconds_per_word: float = 0.0) -> None:
        """Initialize the engine; a stream waits before each word."""
        self._seconds_per_word = seconds_per_word
        self.profile: dict[str, Any] = create_profile(context)

    async def complete(
        self, model: Model, body: Mapping[str, Any]
    ) -> AsyncGenerator[bytes, None]:
        """Yield the last message."""
        chat = _reduce(body["messages"])
        text = chat[-1].text
        for stop in read_stops(body):
            text = text.partition(stop)[0]
        words, limit = text.split(" "), token_limit(body, model.reply_tokens)
        reply = Reply(model.name, prompt_tokens=sum(map(_count, chat)))
        reply.tokens = min(limit, len(words))
        reply.finish_reason = "stop" if len(words) <= limit else "length"

        async def pieces() -> AsyncGenerator[str, None]:
            for number, word in enumerate(words[:limit]):
                await asyncio.sleep(self._seconds_per_word)
                yield f" {word}" if number else word

        async for chunk in encode_reply(pieces(), reply, body):
            yield chunk

    async def score(
        self, model: Model, messages: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        """Return scores of one nat a word."""
        del model
        return [
            {
                "index": message.message_index,
                "nll": float(_count(message)),
                "end_nll": 1.0,
                "tokens": _count(message),
                "size_bytes": len(message.text.encode("utf-8")),
            }
            for message in _reduce(messages)
            if message.role == "assistant"
        ]

    async def tokenize(
        self, text: str | None, messages: Sequence[Mapping[str, Any]]
    ) -> list[int]:
        """Return the length of each word."""
        texts = [message.text for message in _reduce(messages)]
        joined = " ".join(texts) if text is None else text
        return [len(word) for word in joined.split(" ")]

    async def aclose(self) -> None:
        """Do nothing."""


def _reduce(messages: Sequence[Mapping[str, Any]]) -> list[TemplateMessage]:
    try:
        return reduce_messages(messages)
    except MessageError as error:
        raise messages_error(error) from error


def _count(message: TemplateMessage) -> int:
    return len(message.text.split(" "))
