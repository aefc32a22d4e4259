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
from langchain_chatexports.local_server.http.answer_format import (
    AnswerFormat,
    answer_format,
    check_abilities,
    engine_options,
)
from langchain_chatexports.local_server.http.choices import Choice, FormatLostError
from langchain_chatexports.local_server.http.errors import ApiError
from langchain_chatexports.local_server.http.tool_calls import (
    ToolMessageError,
    as_text_messages,
)
from langchain_chatexports.local_server.inference.engine import (
    EngineBusyError,
    GenerationRequest,
    RefusedRequestError,
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
    from langchain_chatexports.local_server.inference.engine import Generation
    from langchain_chatexports.local_server.inference.loaded_base import LoadedBase

__all__ = ["complete_chat", "engine_failure", "score_messages", "too_busy"]

_DEFAULT_TOKENS = 1024


async def complete_chat(
    service: LocalService, body: ChatRequest, request: Request
) -> Response | dict[str, Any]:
    """Complete a chat.

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
    check_abilities(body, service.engine.abilities, service.choice)
    generation_request, expected = await run_in_threadpool(_prepared, service, body)
    pieces: asyncio.Queue[TextPiece] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def on_piece(piece: TextPiece) -> None:
        # The loop is closed if the server stops during an answer.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(pieces.put_nowait, piece)

    try:
        generation = service.engine.submit(generation_request, on_piece)
    except EngineBusyError as error:
        raise too_busy() from error
    fields = {
        "id": new_id("chatcmpl-"),
        "created": int(time.time()),
        "model": model.name,
        "system_fingerprint": None,
    }
    answer = _Answer(body, expected, generation)
    if body.stream:
        options = body.stream_options
        with_usage = bool(options and options.include_usage)
        events = _stream_events(answer, pieces, fields, with_usage=with_usage)
        return StreamingResponse(
            events,
            media_type="text/event-stream",
            headers={"cache-control": "no-cache"},
        )
    return await _completion(request, answer, pieces, fields)


class _Answer:
    """The choices of a chat's answer as they arrive."""

    def __init__(
        self, body: ChatRequest, expected: AnswerFormat, generation: Generation
    ) -> None:
        self.generation = generation
        self.choices = [
            Choice(
                index,
                expected,
                has_logprobs=bool(body.logprobs),
                top_logprobs=body.top_logprobs or 0,
                has_stops=bool(body.stops()),
            )
            for index in range(body.n or 1)
        ]

    @property
    def is_complete(self) -> bool:
        return all(choice.finish_reason for choice in self.choices)

    def add(self, piece: TextPiece) -> list[dict[str, Any]]:
        """Return the choices of the chunks that a piece makes.

        Raises:
            ApiError: If the answer cannot be completed.
        """
        if piece.error is not None:
            raise engine_failure(piece.error)
        try:
            return self.choices[piece.index].add(piece)
        except FormatLostError as error:
            raise engine_failure(error) from error

    def usage(self) -> dict[str, Any]:
        """Return the tokens read and generated."""
        prompt = len(self.generation.request.prompt)
        generated = sum(choice.tokens for choice in self.choices)
        cached = max(choice.cached_tokens for choice in self.choices)
        return {
            "prompt_tokens": prompt,
            "completion_tokens": generated,
            "total_tokens": prompt + generated,
            "prompt_tokens_details": {"cached_tokens": cached},
        }


def _prepared(
    service: LocalService, body: ChatRequest
) -> tuple[GenerationRequest, AnswerFormat]:
    """Return what to ask the engine, and what its answer must be."""
    expected = answer_format(body)
    try:
        context = service.engine.context
        messages = as_text_messages(
            [message.model_dump(exclude_none=True) for message in body.messages],
            expected.tools,
        )
        with service.parsing_lock:
            prompt = service.tokenizer.template.prompt_ids(messages, max_length=context)
    except TooLongError as error:
        raise _too_long(context, "more") from error
    except (MessageError, ToolMessageError) as error:
        msg = f"The messages cannot be used: {error}."
        raise ApiError(msg, code="invalid_value", param="messages") from error
    except (TemplateError, LocalServerError) as error:
        raise _unusable(error) from error
    room = context - len(prompt)
    if room < 1:
        raise _too_long(context, str(len(prompt)))
    request = GenerationRequest(
        prompt=prompt,
        max_tokens=min(body.token_limit() or _DEFAULT_TOKENS, room),
        adapter=service.find_model(body.model).adapter,
        temperature=1.0 if body.temperature is None else body.temperature,
        top_p=1.0 if body.top_p is None else body.top_p,
        stops=body.stops(),
        seed=body.seed,
        choices=body.n or 1,
        options=engine_options(
            body, expected, vocabulary=len(service.tokenizer.tokenizer)
        ),
    )
    return request, expected


async def score_messages(service: LocalService, body: ScoreRequest) -> dict[str, Any]:
    """Score the assistant's messages of a given chat.

    Raises:
        ApiError: If the request cannot be served.
    """
    model = service.find_model(body.model)
    messages = [message.model_dump(exclude_none=True) for message in body.messages]
    tokenizer = service.tokenizer

    def task(base: LoadedBase) -> list[TurnScore] | None:
        return score_conversation(
            base,
            tokenizer.template,
            messages,
            adapter=model.adapter,
            context=tokenizer.context,
        )

    try:
        scores = await asyncio.wrap_future(service.scorer.run(task))
    except EngineBusyError as error:
        raise too_busy() from error
    except (MessageError, TemplateError) as error:
        msg = f"The messages cannot be scored: {error}."
        raise ApiError(msg, code="invalid_value", param="messages") from error
    except LocalServerError as error:
        raise _unusable(error) from error
    except Exception as error:
        raise engine_failure(error) from error
    if scores is None:
        msg = f"This model reads at most {tokenizer.context} tokens."
        raise ApiError(msg, code="context_length_exceeded", param="messages")
    return {"object": "score", "model": model.name, "turns": scores}


async def _completion(
    request: Request,
    answer: _Answer,
    pieces: asyncio.Queue[TextPiece],
    fields: dict[str, Any],
) -> Response | dict[str, Any]:
    collecting = asyncio.ensure_future(_collect(answer, pieces))
    disconnecting = asyncio.ensure_future(_wait_for_disconnect(request))
    try:
        await asyncio.wait(
            {collecting, disconnecting}, return_when=asyncio.FIRST_COMPLETED
        )
        if not collecting.done():
            return Response(status_code=499)
        collecting.result()
    finally:
        answer.generation.cancel()
        collecting.cancel()
        disconnecting.cancel()
    return {
        **fields,
        "object": "chat.completion",
        "choices": [choice.completed() for choice in answer.choices],
        "usage": answer.usage(),
    }


async def _collect(answer: _Answer, pieces: asyncio.Queue[TextPiece]) -> None:
    while not answer.is_complete:
        answer.add(await pieces.get())


async def _wait_for_disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _stream_events(
    answer: _Answer,
    pieces: asyncio.Queue[TextPiece],
    fields: dict[str, Any],
    *,
    with_usage: bool,
) -> AsyncIterator[bytes]:
    fields = {**fields, "object": "chat.completion.chunk"}
    if with_usage:
        fields["usage"] = None
    try:
        for choice in answer.choices:
            yield _data({**fields, "choices": [choice.opening()]})
        while not answer.is_complete:
            for sent in answer.add(await pieces.get()):
                yield _data({**fields, "choices": [sent]})
        if with_usage:
            yield _data({**fields, "choices": [], "usage": answer.usage()})
        yield b"data: [DONE]\n\n"
    except ApiError as error:
        yield _data(error.body())
    finally:
        # Also if the client disconnects.
        answer.generation.cancel()


def _data(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value).encode("ascii") + b"\n\n"


def too_busy() -> ApiError:
    """Return the error for a request that finds too many others waiting."""
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


def engine_failure(error: BaseException) -> ApiError:
    """Return the error for what an engine raised or sent."""
    if isinstance(error, (TemplateError, LocalServerError)):
        return _unusable(error)
    if isinstance(error, EngineBusyError):
        msg = "The server is stopping."
    elif isinstance(error, FileNotFoundError):
        msg = "The model was deleted."
        return ApiError(msg, status=404, code="model_not_found", param="model")
    elif isinstance(error, RefusedRequestError):
        reason = f": {error}" if str(error) else ""
        msg = f"llama.cpp cannot answer this request{reason}."
        return ApiError(msg, code="invalid_value")
    elif isinstance(error, FormatLostError):
        msg = f"The answer could not be kept to its format: {error}."
        return ApiError(msg, status=500, code="server_error", kind="server_error")
    elif isinstance(error, MemoryError) or "memory" in str(error).lower():
        msg = "There was not enough memory for this answer."
    else:
        msg = f"The answer could not be generated ({type(error).__name__})."
    return ApiError(msg, status=503, code="server_error", kind="server_error")
