"""Responses to chat requests in OpenAI's shape, from pieces of text."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

_DONE = b"data: [DONE]\n\n"
_POLL_SECONDS = 0.1
_CLIENT_LEFT = 499


@dataclass
class Reply:
    """What an engine adds to the pieces of a reply."""

    model: str
    prompt_tokens: int = 0
    tokens: int = 0
    finish_reason: str = "stop"
    head: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        """Create the fields that all parts of the response share."""
        self.head = {
            "id": f"chatcmpl-{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": self.model,
        }


async def encode_reply(
    pieces: AsyncGenerator[str, None], reply: Reply, body: Mapping[str, Any]
) -> AsyncGenerator[bytes, None]:
    """Yield the response to a request; `reply` is complete after the last piece."""
    async with aclosing(pieces):
        if not body.get("stream"):
            text = "".join([piece async for piece in pieces])
            yield _encode_completion(reply, text)
            return
        yield _encode_chunk(reply, {"role": "assistant", "content": ""})
        async for piece in pieces:
            yield _encode_chunk(reply, {"content": piece})
    yield _encode_chunk(reply, {}, finish_reason=reply.finish_reason)
    if (body.get("stream_options") or {}).get("include_usage"):
        yield _encode_chunk(reply, None, usage=_usage(reply))
    yield _DONE


def encode_event(content: bytes) -> bytes:
    """Return a server-sent event."""
    return b"data: " + content + b"\n\n"


async def respond(
    chunks: AsyncGenerator[bytes, None], request: Request, *, is_stream: bool
) -> Response:
    """Return the response of these chunks; a client that leaves ends them.

    Only an error before the first chunk is raised.
    """
    first = asyncio.ensure_future(anext(chunks))
    try:
        while not first.done():
            if await request.is_disconnected():
                return Response(status_code=_CLIENT_LEFT)
            await asyncio.wait({first}, timeout=_POLL_SECONDS)
        start = first.result()
    finally:
        first.cancel()
        await asyncio.wait({first})
        if not (is_stream and first.done() and not first.cancelled()):
            await chunks.aclose()
    if not is_stream:
        return Response(start, media_type="application/json")

    async def stream() -> AsyncIterator[bytes]:
        async with aclosing(chunks):
            yield start
            async for chunk in chunks:
                yield chunk

    headers = {"cache-control": "no-cache"}
    return StreamingResponse(stream(), media_type="text/event-stream", headers=headers)


def _encode_completion(reply: Reply, text: str) -> bytes:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text, "refusal": None},
        "finish_reason": reply.finish_reason,
        "logprobs": None,
    }
    completion = {"object": "chat.completion", "choices": [choice]}
    return _encode({**reply.head, **completion, "usage": _usage(reply)})


def _encode_chunk(
    reply: Reply,
    delta: dict[str, Any] | None,
    *,
    finish_reason: str | None = None,
    usage: dict[str, int] | None = None,
) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    chunk = {
        **reply.head,
        "object": "chat.completion.chunk",
        "choices": [] if delta is None else [choice],
        "usage": usage,
    }
    return encode_event(_encode(chunk))


def _usage(reply: Reply) -> dict[str, int]:
    return {
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.tokens,
        "total_tokens": reply.prompt_tokens + reply.tokens,
    }


def _encode(value: Any) -> bytes:
    return json.dumps(value).encode("ascii")
