"""Chat completions, complete or streamed, and scores of given chats."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.chat_template import (
    TemplateError,
    TooLongError,
)
from langchain_chatexports.local_server.bases.template_messages import MessageError
from langchain_chatexports.local_server.http.errors import ApiError
from langchain_chatexports.local_server.inference.generation import (
    EngineBusyError,
    GenerationRequest,
    TextPiece,
)
from langchain_chatexports.local_server.inference.scoring import (
    TurnScore,
    score_conversation,
)
from langchain_chatexports.local_server.storage.data_directory import new_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from langchain_chatexports.local_server.http.requests import (
        ChatRequest,
        ScoreRequest,
    )
    from langchain_chatexports.local_server.http.service import LocalService
    from langchain_chatexports.local_server.inference.generation import Generation
    from langchain_chatexports.local_server.inference.loaded_base import LoadedBase

__all__ = ["complete_chat", "score_messages"]

_DEFAULT_TOKENS = 1024


async def complete_chat(
    service: LocalService, body: ChatRequest, request: Request
) -> Response | dict[str, Any]:
    """Generation a chat.

    Args:
        service: The models and the engine.
        body: The body of the request.
        request: The request; generation is cancelled when its client disconnects.

    Returns:
        OpenAI's chat completion object, or a stream of its chunks.

    Raises:
        ApiError: If the request cannot be served.
    """
    model = service.find_model(body.model)
    generation_request = await run_in_threadpool(_generation_request, service, body)
    pieces: asyncio.Queue[TextPiece] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def on_piece(piece: TextPiece) -> None:
        # The loop is closed if the server stops during an answer.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(pieces.put_nowait, piece)

    try:
        generation = service.engine.submit(generation_request, on_piece)
    except EngineBusyError as error:
        raise _too_busy() from error
    fields = {
        "id": new_id("chatcmpl-"),
        "created": int(time.time()),
        "model": model.name,
        "system_fingerprint": None,
    }
    if body.stream:
        options = body.stream_options
        events = _stream_events(
            generation,
            pieces,
            fields,
            with_usage=bool(options and options.include_usage),
        )
        return StreamingResponse(
            events,
            media_type="text/event-stream",
            headers={"cache-control": "no-cache"},
        )
    return await _completion(request, generation, pieces, fields)


def _generation_request(service: LocalService, body: ChatRequest) -> GenerationRequest:
    engine = service.engine
    try:
        with service.parsing_lock:
            prompt = engine.template.prompt_ids(
                [message.model_dump(exclude_none=True) for message in body.messages],
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
    model = service.find_model(body.model)
    return GenerationRequest(
        prompt=prompt,
        max_tokens=min(body.token_limit() or _DEFAULT_TOKENS, room),
        adapter=model.adapter,
        temperature=1.0 if body.temperature is None else body.temperature,
        top_p=1.0 if body.top_p is None else body.top_p,
        stops=body.stops(),
        seed=body.seed,
    )


async def score_messages(service: LocalService, body: ScoreRequest) -> dict[str, Any]:
    """Score the assistant's messages of a given chat.

    Raises:
        ApiError: If the request cannot be served.
    """
    model = service.find_model(body.model)
    messages = [message.model_dump(exclude_none=True) for message in body.messages]
    engine = service.engine

    def task(base: LoadedBase) -> list[TurnScore] | None:
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
        raise _too_busy() from error
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


async def _completion(
    request: Request,
    generation: Generation,
    pieces: asyncio.Queue[TextPiece],
    fields: dict[str, Any],
) -> Response | dict[str, Any]:
    collecting = asyncio.ensure_future(_collect(pieces))
    disconnecting = asyncio.ensure_future(_wait_for_disconnect(request))
    try:
        await asyncio.wait(
            {collecting, disconnecting}, return_when=asyncio.FIRST_COMPLETED
        )
        if not collecting.done():
            return Response(status_code=499)
        text, last = collecting.result()
    finally:
        generation.cancel()
        collecting.cancel()
        disconnecting.cancel()
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
        **fields,
        "object": "chat.completion",
        "choices": [choice],
        "usage": _usage(generation, last),
    }


async def _collect(pieces: asyncio.Queue[TextPiece]) -> tuple[str, TextPiece]:
    texts = []
    while True:
        piece = await pieces.get()
        texts.append(piece.text)
        if piece.finish_reason or piece.error is not None:
            return "".join(texts), piece


async def _wait_for_disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _stream_events(
    generation: Generation,
    pieces: asyncio.Queue[TextPiece],
    fields: dict[str, Any],
    *,
    with_usage: bool,
) -> AsyncIterator[bytes]:
    fields = {**fields, "object": "chat.completion.chunk"}
    if with_usage:
        fields["usage"] = None
    try:
        yield _event(fields, {"role": "assistant", "content": ""})
        while True:
            piece = await pieces.get()
            if piece.error is not None:
                yield _data(_failed(piece.error).body())
                return
            if piece.text:
                yield _event(fields, {"content": piece.text})
            if piece.finish_reason:
                break
        yield _event(fields, {}, piece.finish_reason)
        if with_usage:
            yield _data({**fields, "choices": [], "usage": _usage(generation, piece)})
        yield b"data: [DONE]\n\n"
    finally:
        # Also if the client disconnects.
        generation.cancel()


def _event(
    fields: dict[str, Any], delta: dict[str, str], finish_reason: str | None = None
) -> bytes:
    choice = {
        "index": 0,
        "delta": delta,
        "finish_reason": finish_reason,
        "logprobs": None,
    }
    return _data({**fields, "choices": [choice]})


def _data(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value).encode("ascii") + b"\n\n"


def _usage(generation: Generation, last: TextPiece) -> dict[str, int]:
    prompt = len(generation.request.prompt)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": last.tokens,
        "total_tokens": prompt + last.tokens,
    }


def _too_busy() -> ApiError:
    msg = "Too many chats are waiting; try again in a moment."
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
