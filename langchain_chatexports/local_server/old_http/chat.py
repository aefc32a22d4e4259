"""Chat completions with llama.cpp or transformers, scores and token counts."""

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
from langchain_chatexports.local_server.old_engines.llama_cpp import (
    EngineExitedError,
    LlamaCppEngine,
    ModelNotSupportedError,
)
from langchain_chatexports.local_server.old_engines.transformers import (
    EngineClosedError,
    GenerationRequest,
    ModelDeletedError,
    create_dry_breakers,
    score_conversation,
)
from langchain_chatexports.local_server.old_http.errors import ApiError
from langchain_chatexports.local_server.old_http.requests import (
    ChatRequest,
    ScoreRequest,
    TokenizeRequest,
)
from langchain_chatexports.local_server.storage.data_directory import new_id

if TYPE_CHECKING:
    from langchain_chatexports.local_server.old_http.service import (
        LocalService,
        ServedModel,
    )

Chunks: TypeAlias = AsyncGenerator[bytes, None]

_DEFAULT_TOKENS = 1024
_MAX_SCHEMA_BYTES = 65_536
_RANDOM_SEED = 0xFFFFFFFF  # llama.cpp uses a random seed for this value.
_POLL_SECONDS = 0.1
_OK, _SERVER_ERROR = 200, 500
_OPTIONAL_CHOICES = (None, "auto", "none")
# Passed to llama.cpp, which checks the values.
_LLAMA_CPP_ONLY = frozenset(
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
# Accepted but ignored.
_IGNORED = frozenset(
    {"metadata", "prompt_cache_key", "safety_identifier", "service_tier", "user"}
)


async def complete_chat(
    service: "LocalService", body: ChatRequest, request: Request
) -> Response:
    """Complete a chat, or raise an `ApiError`; a disconnected client cancels it."""
    model = service.find_model(body.model)
    _check_request(body)
    chunks = _respond(service, body, model)
    first = await _first_chunk(chunks, request)
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


async def _first_chunk(chunks: Chunks, request: Request) -> bytes | None:
    """Return the first chunk of a response; `None` if the client disconnects."""
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


async def _respond(
    service: "LocalService", body: ChatRequest, model: "ServedModel"
) -> Chunks:
    """Yield the body of a response, in chunks if streamed."""
    has_started = False
    for respond in (_pass_to_llama_cpp, _generate):
        try:
            async with aclosing(respond(service, body, model)) as chunks:
                async for chunk in chunks:
                    has_started = True
                    yield chunk
        except ApiError:
            raise
        except ModelNotSupportedError:
            continue
        except Exception as error:
            api_error = _to_api_error(error)
            if not has_started:
                raise api_error from error
            yield _encode_sse_event(api_error.body())
        return


async def _pass_to_llama_cpp(
    service: "LocalService", body: ChatRequest, model: "ServedModel"
) -> Chunks:
    """Pass a request to llama.cpp, and yield its response."""
    import httpx

    engine = service.llama_cpp
    if engine is None:
        raise ModelNotSupportedError
    content = await run_in_threadpool(_build_llama_cpp_body, service, body, model)
    try:
        async with engine.open_response(
            model.adapter, content, name=model.name
        ) as response:
            if response.status_code != _OK:
                raise _translate_llama_cpp_error(
                    engine, body, await response.aread(), response.status_code
                )
            if not body.stream:
                yield await response.aread()
                return
            async for chunk in response.aiter_raw():
                yield chunk
    except httpx.TransportError as error:
        raise EngineExitedError from error


def _token_limit(body: ChatRequest, model: "ServedModel") -> int:
    limit = body.max_completion_tokens or body.max_tokens
    if limit or body.is_structured:
        return limit or _DEFAULT_TOKENS
    return model.reply_tokens or _DEFAULT_TOKENS


def _build_llama_cpp_body(
    service: "LocalService", body: ChatRequest, model: "ServedModel"
) -> bytes:
    """Return the body of a request to llama.cpp, with explicit defaults."""
    template = service.tokenizer.template
    payload = {k: value for k, value in body.extras.items() if k in _LLAMA_CPP_ONLY}
    if payload.get("logprobs"):
        # llama.cpp returns none without at least one alternative.
        payload["top_logprobs"] = payload.get("top_logprobs") or 1
    if body.response_format:
        payload["response_format"] = body.response_format
    if tools := _offered_tools(body):
        if not template.has_tools:
            msg = (
                f"The chat template of {service.base_model} does not support tools. "
                "Use a base whose template does, or 'response_format' for JSON."
            )
            raise ApiError(msg, code="unsupported_parameter", param="tools")
        payload["tools"] = tools
        is_optional = body.tool_choice in _OPTIONAL_CHOICES
        payload["tool_choice"] = "auto" if is_optional else "required"
    if body.includes_usage:
        payload["stream_options"] = {"include_usage": True}
    payload.update(
        messages=_template_messages(body, template),
        stream=bool(body.stream),
        max_tokens=_token_limit(body, model),
        **asdict(body.sampling()),
        dry_sequence_breakers=create_dry_breakers(template.derived.assistant_header),
        top_k=0,
        # In transformers' order.
        samplers=["penalties", "dry", "temperature", "min_p", "top_p"],
        seed=_RANDOM_SEED if body.seed is None else body.seed % _RANDOM_SEED,
        stop=body.stop_sequences(),
        reasoning_format="none",
        cache_prompt=True,
    )
    # llama.cpp rejects lone surrogates.
    return json.dumps(payload, ensure_ascii=False).encode("utf-8", "replace")


def _template_messages(
    body: ChatRequest, template: ChatTemplate
) -> list[dict[str, Any]]:
    """Return the messages in the training format, except for tool calls."""
    messages = [
        message.model_dump(exclude_none=True, exclude={"weight", "refusal"})
        for message in body.messages
    ]
    has_calls = any(
        message["role"] == "tool" or message.get("tool_calls") for message in messages
    )
    if has_calls and template.has_tools:
        # JSON does not escape any character of a control token.
        text = template.escape_control_tokens(json.dumps(messages, ensure_ascii=False))
        return list(json.loads(text))
    try:
        return [*template.prepare_messages(messages)]
    except MessageError as error:
        raise _invalid_messages_error(error) from error


def _translate_llama_cpp_error(
    engine: LlamaCppEngine, body: ChatRequest, content: bytes, status: int
) -> ApiError:
    try:
        error = json.loads(content)["error"]
        reason = str(error["message"])
    except (ValueError, KeyError, TypeError):
        error, reason = {}, "unknown error"
    if error.get("type") == "exceed_context_size_error":
        return _context_length_error(engine.context)
    param = "tools" if body.tools else None
    param = "response_format" if body.response_format else param
    if status < _SERVER_ERROR or param:
        msg = f"llama.cpp rejected this request: {reason}"
        return ApiError(msg, code="invalid_value", param=param)
    return _to_api_error(EngineExitedError())


async def _generate(
    service: "LocalService", body: ChatRequest, model: "ServedModel"
) -> Chunks:
    """Generate a response with transformers."""
    _check_supported_parameters(service, body)
    prompt = await run_in_threadpool(_encode_prompt, service, body)
    request = GenerationRequest(
        prompt=prompt,
        max_tokens=min(
            _token_limit(body, model), service.tokenizer.context - len(prompt)
        ),
        adapter=model.adapter,
        sampling=body.sampling(),
        stops=body.stop_sequences(),
        seed=body.seed,
    )
    pieces: asyncio.Queue[str | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    is_cancelled = threading.Event()

    def put(piece: str | None) -> None:
        # The loop may be closed if the server stops during a request.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(pieces.put_nowait, piece)

    future = service.scorer.submit(request, put, is_cancelled.is_set)
    future.add_done_callback(lambda _: put(None))
    result = asyncio.wrap_future(future)
    head = {"id": new_id("chatcmpl-"), "created": int(time.time()), "model": model.name}
    try:
        text = ""
        if body.stream:
            yield _encode_chunk(head, {"role": "assistant", "content": ""})
        while (piece := await pieces.get()) is not None:
            text += piece
            if body.stream:
                yield _encode_chunk(head, {"content": piece})
        generation = await result
        usage = {
            "prompt_tokens": len(prompt),
            "completion_tokens": generation.tokens,
            "total_tokens": len(prompt) + generation.tokens,
        }
        if body.stream:
            yield _encode_chunk(head, {}, finish_reason=generation.finish_reason)
            if body.includes_usage:
                yield _encode_chunk(head, None, usage=usage)
            yield b"data: [DONE]\n\n"
            return
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text, "refusal": None},
            "finish_reason": generation.finish_reason,
            "logprobs": None,
        }
        completion = {"object": "chat.completion", "choices": [choice], "usage": usage}
        yield json.dumps({**head, **completion}).encode("ascii")
    finally:
        is_cancelled.set()
        result.cancel()


def _encode_chunk(
    head: dict[str, Any],
    delta: dict[str, Any] | None,
    *,
    finish_reason: str | None = None,
    usage: dict[str, int] | None = None,
) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    choices = [] if delta is None else [choice]
    kind = "chat.completion.chunk"
    return _encode_sse_event(
        {**head, "object": kind, "choices": choices, "usage": usage}
    )


def _encode_prompt(
    service: "LocalService", body: ChatRequest | TokenizeRequest
) -> list[int]:
    messages = [
        message.model_dump(exclude_none=True) for message in body.messages or ()
    ]
    try:
        prompt = service.tokenizer.template.prompt_ids(messages)
    except MessageError as error:
        raise _invalid_messages_error(error) from error
    # Token counts are for shortening a chat, so they have no limit.
    if isinstance(body, ChatRequest) and len(prompt) >= service.tokenizer.context:
        raise _context_length_error(service.tokenizer.context)
    return prompt


async def score_messages(service: "LocalService", body: ScoreRequest) -> dict[str, Any]:
    """Score the assistant's messages in a chat."""
    model = service.find_model(body.model)
    messages = [message.model_dump(exclude_none=True) for message in body.messages]
    tokenizer = service.tokenizer
    future = service.scorer.run(
        lambda base: score_conversation(
            base,
            tokenizer.template,
            messages,
            adapter=model.adapter,
            context=tokenizer.context,
        )
    )
    try:
        scores = await asyncio.wrap_future(future)
    except MessageError as error:
        raise _invalid_messages_error(error) from error
    except Exception as error:
        raise _to_api_error(error) from error
    if scores is None:
        raise _context_length_error(tokenizer.context)
    turns = [asdict(score) for score in scores]
    return {"object": "score", "model": model.name, "turns": turns}


def tokenize(service: "LocalService", body: TokenizeRequest) -> dict[str, Any]:
    """Return the tokens of a string, or of a chat's prompt."""
    service.find_model(body.model)
    if body.messages is None:
        tokenizer = service.tokenizer.tokenizer
        tokens = tokenizer.encode(body.prompt, add_special_tokens=False)
    else:
        tokens = _encode_prompt(service, body)
    return {"count": len(tokens), "tokens": tokens}


def _check_request(body: ChatRequest) -> None:
    """Raise an error for unsupported parameters."""
    for name in body.extras.keys() - _LLAMA_CPP_ONLY - _IGNORED:
        msg = "Unrecognized request argument."
        raise ApiError(msg, code="unknown_parameter", param=name)
    for name in ("response_format", "tools"):
        if len(json.dumps(getattr(body, name))) > _MAX_SCHEMA_BYTES:
            msg = f"'{name}' is larger than {_MAX_SCHEMA_BYTES} bytes."
            raise ApiError(msg, code="invalid_value", param=name)
    if body.tool_choice not in _OPTIONAL_CHOICES and not _offered_tools(body):
        msg = "'tool_choice' must name a function in 'tools'."
        raise ApiError(msg, code="invalid_value", param="tool_choice")


def _check_supported_parameters(service: "LocalService", body: ChatRequest) -> None:
    """Raise an error for parameters that transformers does not support."""
    params = [*(_LLAMA_CPP_ONLY & body.extras.keys()) - {"parallel_tool_calls"}]
    if body.is_structured:
        params.append("tools" if body.tools else "response_format")
    if params:
        reason = service.choice.reason or "because llama.cpp cannot load this model"
        msg = (
            f"'{params[0]}' requires llama.cpp; this model is served by transformers, "
            f"{reason}."
        )
        raise ApiError(msg, code="unsupported_parameter", param=params[0])


def _offered_tools(body: ChatRequest) -> list[Any]:
    """Return the tools that the model may call."""
    choice, tools = body.tool_choice, body.tools or []
    if choice == "none":
        return []
    if isinstance(choice, dict):
        name = choice["function"]["name"]
        return [tool for tool in tools if tool["function"]["name"] == name]
    return list(tools)


def _encode_sse_event(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value).encode("ascii") + b"\n\n"


def _context_length_error(context: int) -> ApiError:
    msg = (
        f"This model accepts at most {context} tokens, but the messages have more. "
        "Send fewer or shorter messages."
    )
    return ApiError(msg, code="context_length_exceeded", param="messages")


def _invalid_messages_error(error: Exception) -> ApiError:
    msg = f"The messages are not supported: {error}."
    return ApiError(msg, code="invalid_value", param="messages")


def _to_api_error(error: BaseException) -> ApiError:
    """Convert an engine's error to an API error."""
    if isinstance(error, ModelDeletedError):
        msg = "The model was deleted."
        return ApiError(msg, status=404, code="model_not_found", param="model")
    if isinstance(error, EngineClosedError):
        msg = "The server is stopping."
    elif isinstance(error, LocalServerError):
        msg = f"The base model could not be loaded: {error}"
    elif isinstance(error, MemoryError) or "memory" in str(error).lower():
        msg = "Not enough memory to generate this response."
    else:
        msg = f"The response could not be generated ({type(error).__name__})."
    return ApiError(msg, status=503, code="server_error", kind="server_error")
