"""Chat completions by llama.cpp or transformers, and scores."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeAlias

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.chat_template import (
    ChatTemplate,
    MessageError,
)
from langchain_chatexports.local_server.engines.llama_cpp import (
    EngineEndedError,
    LlamaCppEngine,
    UnsuitableModelError,
)
from langchain_chatexports.local_server.engines.transformers import (
    EngineClosedError,
    GenerationRequest,
    dry_breakers,
    score_conversation,
)
from langchain_chatexports.local_server.http.errors import ApiError
from langchain_chatexports.local_server.http.requests import (
    ChatRequest,
    ScoreRequest,
    TokenizeRequest,
)
from langchain_chatexports.local_server.storage.data_directory import new_id

if TYPE_CHECKING:
    from langchain_chatexports.local_server.http.service import (
        LocalService,
        ServedModel,
    )

Chunks: TypeAlias = AsyncGenerator[bytes, None]

_DEFAULT_TOKENS = 1024
_MAX_SCHEMA_BYTES = 65_536
_MAX_SEED = 0xFFFFFFFF  # Means a random one to llama.cpp.
_POLL_SECONDS = 0.1
_OK, _SERVER_ERROR = 200, 500
_FREE_CHOICES = (None, "auto", "none")
# Only for llama.cpp, which checks the values.
_HANDED_ON = frozenset(
    {
        "frequency_penalty",
        "logit_bias",
        "logprobs",
        "n",
        "parallel_tool_calls",
        "presence_penalty",
        "top_logprobs",
    }
)
# Accepted, but without effect on a local machine.
_IGNORED = frozenset(
    {"metadata", "prompt_cache_key", "safety_identifier", "service_tier", "user"}
)


async def complete_chat(
    service: "LocalService", body: ChatRequest, request: Request
) -> Response:
    """Complete a chat, or raise an `ApiError`; it ends when its client disconnects."""
    model = service.find_model(body.model)
    _check_request(body)
    chunks = _answer(service, body, model)
    first = await _first_of(chunks, request)
    if first is None or not body.stream:
        await chunks.aclose()
        status = 499 if first is None else _OK
        return Response(first, status, media_type="application/json")

    async def stream() -> AsyncIterator[bytes]:
        async with aclosing(chunks):
            yield first
            async for chunk in chunks:
                yield chunk

    headers = {"cache-control": "no-cache"}
    return StreamingResponse(stream(), media_type="text/event-stream", headers=headers)


async def _first_of(chunks: Chunks, request: Request) -> bytes | None:
    """Return the beginning of a response; `None` if the client disconnects first."""
    first = asyncio.ensure_future(anext(chunks))
    try:
        while not first.done():
            if await request.is_disconnected():
                return None
            await asyncio.wait({first}, timeout=_POLL_SECONDS)
        return first.result()
    finally:
        first.cancel()
        await asyncio.wait({first})


async def _answer(
    service: "LocalService", body: ChatRequest, model: "ServedModel"
) -> Chunks:
    """Yield the body of the response, in parts if it is a stream."""
    has_begun = False
    for way in (_pass_to_llama_cpp, _generate):
        try:
            async with aclosing(way(service, body, model)) as chunks:
                async for chunk in chunks:
                    has_begun = True
                    yield chunk
        except ApiError:
            raise
        except UnsuitableModelError:
            continue
        except Exception as error:
            failure = _engine_failure(error)
            if not has_begun:
                raise failure from error
            yield _data(failure.body())
        return


async def _pass_to_llama_cpp(
    service: "LocalService", body: ChatRequest, model: "ServedModel"
) -> Chunks:
    """Pass a request to llama.cpp, and yield its response."""
    import httpx

    engine = service.llama_cpp
    if engine is None:
        raise UnsuitableModelError
    content = await run_in_threadpool(_llama_cpp_body, service, body, model)
    try:
        async with engine.answer(model.adapter, content, name=model.name) as response:
            if response.status_code != _OK:
                raise _refusal(
                    engine, body, await response.aread(), response.status_code
                )
            if not body.stream:
                yield await response.aread()
                return
            async for chunk in response.aiter_raw():
                yield chunk
    except httpx.TransportError as error:
        raise EngineEndedError from error


def _token_limit(body: ChatRequest, model: "ServedModel") -> int:
    given = body.max_completion_tokens or body.max_tokens
    if given or body.has_form:
        return given or _DEFAULT_TOKENS
    return model.reply_tokens or _DEFAULT_TOKENS


def _llama_cpp_body(
    service: "LocalService", body: ChatRequest, model: "ServedModel"
) -> bytes:
    """Return a request for llama.cpp, whose defaults differ from OpenAI's."""
    template = service.tokenizer.template
    given = {k: value for k, value in body.extras.items() if k in _HANDED_ON}
    if given.get("logprobs"):
        # llama.cpp sends log-probabilities only if at least one is requested.
        given["top_logprobs"] = given.get("top_logprobs") or 1
    if body.response_format:
        given["response_format"] = body.response_format
    if tools := _offered_tools(body):
        if not template.has_tools:
            msg = (
                f"The chat template of {service.base_model} has no tools. Use a base "
                "whose template does, or 'response_format' for structured answers."
            )
            raise ApiError(msg, code="unsupported_parameter", param="tools")
        given["tools"] = tools
        is_free = body.tool_choice in _FREE_CHOICES
        given["tool_choice"] = "auto" if is_free else "required"
    if body.includes_usage:
        given["stream_options"] = {"include_usage": True}
    given.update(
        messages=_messages(body, template),
        stream=bool(body.stream),
        max_tokens=_token_limit(body, model),
        **asdict(body.sampling()),
        dry_sequence_breakers=dry_breakers(template.derived.assistant_header),
        top_k=0,
        # The order of transformers' sampling.
        samplers=["penalties", "dry", "temperature", "min_p", "top_p"],
        seed=_MAX_SEED if body.seed is None else body.seed % _MAX_SEED,
        stop=body.stops(),
        reasoning_format="none",
        cache_prompt=True,
    )
    # llama.cpp refuses lone surrogates.
    return json.dumps(given, ensure_ascii=False).encode("utf-8", "replace")


def _messages(body: ChatRequest, template: ChatTemplate) -> list[dict[str, Any]]:
    """Return the messages as rendered in training; tool calls are unchanged."""
    messages = [
        message.model_dump(exclude_none=True, exclude={"weight", "refusal"})
        for message in body.messages
    ]
    has_calls = any(
        message["role"] == "tool" or message.get("tool_calls") for message in messages
    )
    if has_calls and template.has_tools:
        # No control token has a character that JSON would escape.
        text = template.without_control_tokens(json.dumps(messages, ensure_ascii=False))
        return list(json.loads(text))
    try:
        return [*template.as_rendered(messages)]
    except MessageError as error:
        raise _unusable_messages(error) from error


def _refusal(
    engine: LlamaCppEngine, body: ChatRequest, content: bytes, status: int
) -> ApiError:
    try:
        error = json.loads(content)["error"]
        reason = str(error["message"])
    except (ValueError, KeyError, TypeError):
        error, reason = {}, "it has failed"
    if error.get("type") == "exceed_context_size_error":
        return _too_long(engine.context)
    asked = "tools" if body.tools else None
    asked = "response_format" if body.response_format else asked
    if status < _SERVER_ERROR or asked:
        msg = f"llama.cpp cannot answer this request: {reason}"
        return ApiError(msg, code="invalid_value", param=asked)
    return _engine_failure(EngineEndedError())


async def _generate(
    service: "LocalService", body: ChatRequest, model: "ServedModel"
) -> Chunks:
    """Let transformers answer."""
    _check_plain(service, body)
    prompt = await run_in_threadpool(_prompt_ids, service, body)
    request = GenerationRequest(
        prompt=prompt,
        max_tokens=min(
            _token_limit(body, model), service.tokenizer.context - len(prompt)
        ),
        adapter=model.adapter,
        sampling=body.sampling(),
        stops=body.stops(),
        seed=body.seed,
    )
    pieces: asyncio.Queue[str | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    is_left = threading.Event()

    def put(piece: str | None) -> None:
        # The loop may be closed if the server stops during an answer.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(pieces.put_nowait, piece)

    generated = service.scorer.submit(request, put, is_left.is_set)
    generated.add_done_callback(lambda _: put(None))
    answered = asyncio.wrap_future(generated)
    head = {"id": new_id("chatcmpl-"), "created": int(time.time()), "model": model.name}
    try:
        text = ""
        if body.stream:
            yield _chunk(head, {"role": "assistant", "content": ""})
        while (piece := await pieces.get()) is not None:
            text += piece
            if body.stream:
                yield _chunk(head, {"content": piece})
        last = await answered
        usage = {
            "prompt_tokens": len(prompt),
            "completion_tokens": last.tokens,
            "total_tokens": len(prompt) + last.tokens,
        }
        if body.stream:
            yield _chunk(head, {}, finish_reason=last.finish_reason)
            if body.includes_usage:
                yield _chunk(head, None, usage=usage)
            yield b"data: [DONE]\n\n"
            return
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text, "refusal": None},
            "finish_reason": last.finish_reason,
            "logprobs": None,
        }
        answer = {"object": "chat.completion", "choices": [choice], "usage": usage}
        yield json.dumps({**head, **answer}).encode("ascii")
    finally:
        is_left.set()
        answered.cancel()


def _chunk(
    head: dict[str, Any],
    delta: dict[str, Any] | None,
    *,
    finish_reason: str | None = None,
    usage: dict[str, int] | None = None,
) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    choices = [] if delta is None else [choice]
    kind = "chat.completion.chunk"
    return _data({**head, "object": kind, "choices": choices, "usage": usage})


def _prompt_ids(
    service: "LocalService", body: ChatRequest | TokenizeRequest
) -> list[int]:
    messages = [
        message.model_dump(exclude_none=True) for message in body.messages or ()
    ]
    try:
        prompt = service.tokenizer.template.prompt_ids(messages)
    except MessageError as error:
        raise _unusable_messages(error) from error
    # Others count tokens to shorten a chat.
    if isinstance(body, ChatRequest) and len(prompt) >= service.tokenizer.context:
        raise _too_long(service.tokenizer.context)
    return prompt


async def score_messages(service: "LocalService", body: ScoreRequest) -> dict[str, Any]:
    """Score the assistant's messages of a given chat."""
    model = service.find_model(body.model)
    messages = [message.model_dump(exclude_none=True) for message in body.messages]
    tokenizer = service.tokenizer
    scored = service.scorer.run(
        lambda base: score_conversation(
            base,
            tokenizer.template,
            messages,
            adapter=model.adapter,
            context=tokenizer.context,
        )
    )
    try:
        scores = await asyncio.wrap_future(scored)
    except MessageError as error:
        raise _unusable_messages(error) from error
    except Exception as error:
        raise _engine_failure(error) from error
    if scores is None:
        raise _too_long(tokenizer.context)
    turns = [asdict(score) for score in scores]
    return {"object": "score", "model": model.name, "turns": turns}


def tokenize(service: "LocalService", body: TokenizeRequest) -> dict[str, Any]:
    """Return the tokens of a text, or of a chat up to the answer."""
    service.find_model(body.model)
    if body.messages is None:
        tokenizer = service.tokenizer.tokenizer
        tokens = tokenizer.encode(body.prompt, add_special_tokens=False)
    else:
        tokens = _prompt_ids(service, body)
    return {"count": len(tokens), "tokens": tokens}


def _check_request(body: ChatRequest) -> None:
    """Raise an error for unsupported parameters."""
    for name in body.extras.keys() - _HANDED_ON - _IGNORED:
        msg = "Unrecognized request argument."
        raise ApiError(msg, code="unknown_parameter", param=name)
    for name in ("response_format", "tools"):
        if len(json.dumps(getattr(body, name))) > _MAX_SCHEMA_BYTES:
            msg = f"'{name}' is larger than {_MAX_SCHEMA_BYTES} bytes."
            raise ApiError(msg, code="invalid_value", param=name)
    if body.tool_choice not in _FREE_CHOICES and not _offered_tools(body):
        msg = "'tool_choice' needs a function that is in 'tools'."
        raise ApiError(msg, code="invalid_value", param="tool_choice")


def _check_plain(service: "LocalService", body: ChatRequest) -> None:
    """Raise an error for parameters that only llama.cpp supports."""
    asked = [*(_HANDED_ON & body.extras.keys()) - {"parallel_tool_calls"}]
    if body.has_form:
        asked.append("tools" if body.tools else "response_format")
    if asked:
        reason = service.choice.reason or "because llama.cpp cannot load this model"
        msg = f"'{asked[0]}' needs llama.cpp, and transformers answers, {reason}."
        raise ApiError(msg, code="unsupported_parameter", param=asked[0])


def _offered_tools(body: ChatRequest) -> list[Any]:
    """Return all tools, or the chosen one."""
    choice, tools = body.tool_choice, body.tools or []
    if choice == "none":
        return []
    if isinstance(choice, dict):
        wanted = choice["function"]["name"]
        return [tool for tool in tools if tool["function"]["name"] == wanted]
    return list(tools)


def _data(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value).encode("ascii") + b"\n\n"


def _too_long(context: int) -> ApiError:
    msg = (
        f"This model accepts at most {context} tokens, but the messages have more. "
        "Send fewer or shorter messages."
    )
    return ApiError(msg, code="context_length_exceeded", param="messages")


def _unusable_messages(error: Exception) -> ApiError:
    msg = f"The messages cannot be used: {error}."
    return ApiError(msg, code="invalid_value", param="messages")


def _engine_failure(error: BaseException) -> ApiError:
    """Return the response to an engine's error."""
    if isinstance(error, FileNotFoundError):
        msg = "The model was deleted."
        return ApiError(msg, status=404, code="model_not_found", param="model")
    if isinstance(error, EngineClosedError):
        msg = "The server is stopping."
    elif isinstance(error, LocalServerError):
        msg = f"The base model cannot be used: {error}"
    elif isinstance(error, MemoryError) or "memory" in str(error).lower():
        msg = "There was not enough memory for this answer."
    else:
        msg = f"The answer could not be generated ({type(error).__name__})."
    return ApiError(msg, status=503, code="server_error", kind="server_error")
