"""The routes that read chats: answers, whole or as a stream, and scores."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.http.errors import ApiError
from langchain_chatexports.local_server.inference.generation import (
    EngineBusyError,
    Order,
    Piece,
)
from langchain_chatexports.local_server.inference.scoring import (
    TurnScore,
    score_conversation,
)
from langchain_chatexports.local_server.storage.data_directory import new_id
from langchain_chatexports.local_server.training.labels import (
    MessageError,
    TemplateError,
    TooLongError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from langchain_chatexports.local_server.http.schemas import (
        ChatRequest,
        ScoreRequest,
    )
    from langchain_chatexports.local_server.http.service import LocalService
    from langchain_chatexports.local_server.inference.base_model import BaseModel
    from langchain_chatexports.local_server.inference.generation import Answer

__all__ = ["answer_chat", "score_messages"]

_DEFAULT_TOKENS = 1024


async def answer_chat(
    service: LocalService, asked: ChatRequest, request: Request
) -> Response | dict[str, Any]:
    """Answer a chat.

    Args:
        service: What answers it.
        asked: The chat.
        request: Where the chat came from: generation ends when its client leaves.

    Returns:
        OpenAI's chat completion object, or a stream of its chunks.

    Raises:
        ApiError: If the request cannot be served.
    """
    model = service.find_model(asked.model)
    order = await run_in_threadpool(_order, service, asked)
    pieces: asyncio.Queue[Piece] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def hand_over(piece: Piece) -> None:
        # The loop is closed when the server ends before the answer does.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(pieces.put_nowait, piece)

    try:
        answer = service.engine.submit(order, hand_over)
    except EngineBusyError as error:
        raise _busy() from error
    head = {
        "id": new_id("chatcmpl-"),
        "created": int(time.time()),
        "model": model.name,
        "system_fingerprint": None,
    }
    if asked.stream:
        options = asked.stream_options
        events = _events(
            answer, pieces, head, with_usage=bool(options and options.include_usage)
        )
        return StreamingResponse(
            events,
            media_type="text/event-stream",
            headers={"cache-control": "no-cache"},
        )
    return await _whole(request, answer, pieces, head)


def _order(service: LocalService, asked: ChatRequest) -> Order:
    engine = service.engine
    try:
        with service.reading:
            prompt = engine.template.prompt_ids(
                [message.model_dump(exclude_none=True) for message in asked.messages],
                max_length=engine.context,
            )
    except TooLongError as error:
        raise _too_long(engine.context, "more") from error
    except MessageError as error:
        msg = f"The messages cannot be used: {error}."
        raise ApiError(msg, code="invalid_value", param="messages") from error
    except (TemplateError, LocalServerError) as error:
        raise _unusable(error) from error
    room = engine.context - len(prompt)
    if room < 1:
        raise _too_long(engine.context, str(len(prompt)))
    model = service.find_model(asked.model)
    return Order(
        prompt=prompt,
        max_tokens=min(asked.token_limit() or _DEFAULT_TOKENS, room),
        adapter=model.adapter,
        temperature=1.0 if asked.temperature is None else asked.temperature,
        top_p=1.0 if asked.top_p is None else asked.top_p,
        stops=asked.stops(),
        seed=asked.seed,
    )


async def score_messages(service: LocalService, asked: ScoreRequest) -> dict[str, Any]:
    """Score the assistant's messages of a given chat.

    Raises:
        ApiError: If the request cannot be served.
    """
    model = service.find_model(asked.model)
    messages = [message.model_dump(exclude_none=True) for message in asked.messages]
    engine = service.engine

    def task(base: BaseModel) -> list[TurnScore] | None:
        return score_conversation(
            base,
            engine.template,
            messages,
            adapter=model.adapter,
            context=engine.context,
        )

    try:
        scores = await asyncio.wrap_future(engine.run(task))
    except EngineBusyError as error:
        raise _busy() from error
    except (MessageError, TemplateError) as error:
        msg = f"The messages cannot be scored: {error}."
        raise ApiError(msg, code="invalid_value", param="messages") from error
    except LocalServerError as error:
        raise _unusable(error) from error
    except Exception as error:
        raise _failed(error) from error
    if scores is None:
        msg = f"This model reads at most {engine.context} tokens."
        raise ApiError(msg, code="context_length_exceeded", param="messages")
    return {"object": "score", "model": model.name, "turns": scores}


async def _whole(
    request: Request, answer: Answer, pieces: asyncio.Queue[Piece], head: dict[str, Any]
) -> Response | dict[str, Any]:
    collecting = asyncio.ensure_future(_collect(pieces))
    leaving = asyncio.ensure_future(_until_gone(request))
    try:
        await asyncio.wait({collecting, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not collecting.done():
            return Response(status_code=499)
        text, last = collecting.result()
    finally:
        answer.cancel()
        collecting.cancel()
        leaving.cancel()
    if last.error is not None:
        raise _failed(last.error)
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {
        "index": 0,
        "message": message,
        "finish_reason": last.finish_reason,
        "logprobs": None,
    }
    return {
        **head,
        "object": "chat.completion",
        "choices": [choice],
        "usage": _usage(answer, last),
    }


async def _collect(pieces: asyncio.Queue[Piece]) -> tuple[str, Piece]:
    texts = []
    while True:
        piece = await pieces.get()
        texts.append(piece.text)
        if piece.finish_reason or piece.error is not None:
            return "".join(texts), piece


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _events(
    answer: Answer,
    pieces: asyncio.Queue[Piece],
    head: dict[str, Any],
    *,
    with_usage: bool,
) -> AsyncIterator[bytes]:
    head = {**head, "object": "chat.completion.chunk"}
    if with_usage:
        head["usage"] = None
    try:
        yield _event(head, {"role": "assistant", "content": ""})
        while True:
            piece = await pieces.get()
            if piece.error is not None:
                yield _data(_failed(piece.error).body())
                return
            if piece.text:
                yield _event(head, {"content": piece.text})
            if piece.finish_reason:
                break
        yield _event(head, {}, piece.finish_reason)
        if with_usage:
            yield _data({**head, "choices": [], "usage": _usage(answer, piece)})
        yield b"data: [DONE]\n\n"
    finally:
        # Also when the client is gone: nobody reads what would still be written.
        answer.cancel()


def _event(
    head: dict[str, Any], delta: dict[str, str], finish_reason: str | None = None
) -> bytes:
    choice = {
        "index": 0,
        "delta": delta,
        "finish_reason": finish_reason,
        "logprobs": None,
    }
    return _data({**head, "choices": [choice]})


def _data(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value).encode("ascii") + b"\n\n"


def _usage(answer: Answer, last: Piece) -> dict[str, int]:
    prompt = len(answer.order.prompt)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": last.tokens,
        "total_tokens": prompt + last.tokens,
    }


def _busy() -> ApiError:
    msg = "Too many chats wait for an answer; try again in a moment."
    return ApiError(msg, status=429, code="rate_limit_exceeded", kind="rate_limit")


def _too_long(context: int, tokens: str) -> ApiError:
    msg = (
        f"This model reads at most {context} tokens, and the messages have {tokens}. "
        "Send fewer or shorter messages."
    )
    return ApiError(msg, code="context_length_exceeded", param="messages")


def _unusable(error: Exception) -> ApiError:
    msg = f"The base model cannot be used: {error}"
    return ApiError(msg, status=503, code="server_error", kind="server_error")


def _failed(error: BaseException) -> ApiError:
    if isinstance(error, EngineBusyError):
        msg = "The server is stopping."
    elif isinstance(error, FileNotFoundError):
        msg = "The model was deleted."
        return ApiError(msg, status=404, code="model_not_found", param="model")
    elif isinstance(error, MemoryError) or "memory" in str(error).lower():
        msg = "There was not enough memory for this answer."
    else:
        msg = f"The answer could not be generated ({type(error).__name__})."
    return ApiError(msg, status=503, code="server_error", kind="server_error")
