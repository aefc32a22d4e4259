"""Answers by llama.cpp, with the base and its adapters in one child process.

Each request says which adapter it is for. Scores, and models that llama.cpp cannot
represent, are for transformers.
"""

import asyncio
import json
import logging
import secrets
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from langchain_chatexports.local_server.bases.base import Base
from langchain_chatexports.local_server.bases.gguf import (
    GGUFFile,
    has_current_adapter,
    write_adapter_in_child,
)
from langchain_chatexports.local_server.bases.gguf_adapter import (
    ADAPTER_FILE,
    GGUFNotSupportedError,
)
from langchain_chatexports.local_server.bases.template import (
    ChatTemplate,
    MessageError,
)
from langchain_chatexports.local_server.bases.weights import is_adapter
from langchain_chatexports.local_server.engines.child import (
    IDLE_SECONDS,
    Child,
    ChildEngine,
)
from langchain_chatexports.local_server.engines.engine import (
    context_error,
    create_profile,
    deleted_error,
    messages_error,
)
from langchain_chatexports.local_server.engines.sampling import (
    create_dry_breakers,
    offered_tools,
    read_extras,
    read_sampling,
    read_stops,
    token_limit,
)
from langchain_chatexports.local_server.engines.transformers import TransformersEngine
from langchain_chatexports.local_server.errors import RequestError
from langchain_chatexports.local_server.workspace import Model

logger = logging.getLogger(__name__)

_CHILD = "langchain_chatexports.local_server.engines.llama_cpp_child"
_RANDOM_SEED = 0xFFFFFFFF  # llama.cpp uses a random seed for this value.
_OPTIONAL_CHOICES = (None, "auto", "none")
_MIN_CONTEXT, _MAX_CONTEXT = 2048, 16_384
_SERVER_ERROR = 500
# While one child replaces another.
_MAX_CHILDREN = 2


class LlamaCppEngine(ChildEngine):
    """Answers with llama.cpp."""

    description = "llama.cpp"

    def __init__(
        self,
        base: Base,
        template: ChatTemplate,
        gguf: GGUFFile,
        scorer: TransformersEngine,
        *,
        threads: int,
        is_training: Callable[[], bool] = lambda: False,
        max_context: int | None = None,
    ) -> None:
        """Initialize the engine without starting a child."""
        super().__init__(_CHILD, threads=threads, is_training=is_training)
        self._base = base
        self._template = template
        self._gguf = gguf
        self._scorer = scorer
        limit = max_context or _fitting_context(gguf.bytes_per_token)
        self._context = min(template.context, limit, _MAX_CONTEXT)
        self._unsupported: set[Path] = set()
        self._writing = asyncio.Lock()
        self.profile = create_profile(
            self._context, has_tools=template.has_tools, has_schemas=True
        )

    async def complete(
        self, model: Model, body: Mapping[str, Any]
    ) -> AsyncGenerator[bytes, None]:
        """Yield the response to a chat request."""
        if model.folder is not None and not await self._has_adapter(model.folder):
            async with aclosing(self._scorer.complete(model, body)) as pieces:
                async for piece in pieces:
                    yield piece
            return
        payload = self._build_payload(model, body)

        def build(child: Child) -> bytes:
            choice = [
                {"id": number, "scale": model.strength * (folder == model.folder)}
                for number, folder in enumerate(child.adapters)
            ]
            content = json.dumps({**payload, "lora": choice}, ensure_ascii=False)
            # llama.cpp rejects lone surrogates.
            return content.encode("utf-8", "replace")

        answer = self.stream(model.folder, "/v1/chat/completions", build)
        chunks = _rename(answer, self._base.name, model.name)
        try:
            async with aclosing(chunks):
                async for chunk in chunks:
                    yield chunk
        except RequestError as error:
            if error.param is None and error.status < _SERVER_ERROR:
                error.param = _likely_param(body)
            raise

    async def score(
        self, model: Model, messages: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        """Return the score of each assistant message, from transformers."""
        return await self._scorer.score(model, messages)

    async def tokenize(
        self, text: str | None, messages: Sequence[Mapping[str, Any]]
    ) -> list[int]:
        """Return the tokens of a text, or of a chat's prompt."""
        if text is None:
            body = json.dumps({"messages": self._prepare(messages)}).encode("ascii")
            rendered = await self.post(None, "/apply-template", lambda _: body)
            text = json.loads(rendered)["prompt"]
            options = {"add_special": True, "parse_special": True}
        else:
            options = {"add_special": False, "parse_special": True}
        content = {"content": text, **options}
        encoded = json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")
        found = await self.post(None, "/tokenize", lambda _: encoded)
        return list(json.loads(found)["tokens"])

    async def aclose(self) -> None:
        """End all answers and children."""
        await asyncio.gather(super().aclose(), self._scorer.aclose())

    def settings(self, adapters: tuple[Path, ...]) -> dict[str, Any]:
        """Return the settings of a new child."""
        return {
            "model": str(self._gguf.path),
            "name": self._base.name,
            "adapters": [str(folder / ADAPTER_FILE) for folder in adapters],
            "template": self._template.jinja_with_tools,
            "key": secrets.token_urlsafe(32),
            "context": self._context,
            "idle_seconds": IDLE_SECONDS,
        }

    def translate(self, status: int, content: bytes) -> RequestError:
        """Return the error of a child's response, without its numbers."""
        try:
            error = json.loads(content)["error"]
            kind, reason = error.get("type"), str(error["message"])
        except (ValueError, KeyError, TypeError, AttributeError):
            kind, reason = None, "unknown error"
        if kind == "exceed_context_size_error":
            return context_error(self._context)
        # It fails with 500 for a schema or tool that it cannot compile.
        msg = f"llama.cpp rejected this request: {reason}"
        return RequestError(msg, status=status, code="invalid_value")

    async def _has_adapter(self, folder: Path) -> bool:
        """Return whether llama.cpp can use an adapter; write its file if needed."""
        if not is_adapter(folder):
            raise deleted_error()
        async with self._writing:
            if folder in self._unsupported:
                return False
            if not has_current_adapter(folder, self._gguf):
                try:
                    await asyncio.to_thread(write_adapter_in_child, self._base, folder)
                except GGUFNotSupportedError as error:
                    self._unsupported.add(folder)
                    logger.warning(
                        "llama.cpp cannot use %s, so transformers answers: %s",
                        folder.name,
                        error,
                    )
                    return False
        return True

    def _build_payload(self, model: Model, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return a request for llama.cpp, with explicit defaults."""
        payload = read_extras(body)
        if payload.get("logprobs"):
            # llama.cpp returns none without at least one alternative.
            payload["top_logprobs"] = payload.get("top_logprobs") or 1
        if body.get("response_format"):
            payload["response_format"] = body["response_format"]
        if tools := offered_tools(body):
            if not self._template.has_tools:
                msg = (
                    f"The chat template of {self._base.name} does not support tools. "
                    "Use a base whose template does, or 'response_format' for JSON."
                )
                raise RequestError(msg, code="unsupported_parameter", param="tools")
            payload["tools"] = tools
            is_optional = body.get("tool_choice") in _OPTIONAL_CHOICES
            payload["tool_choice"] = "auto" if is_optional else "required"
        if body.get("stream_options"):
            payload["stream_options"] = body["stream_options"]
        seed = body.get("seed")
        return {
            **payload,
            "model": model.name,
            "messages": self._prepare_with_calls(body["messages"]),
            "stream": bool(body.get("stream")),
            "max_tokens": token_limit(body, model.reply_tokens),
            **asdict(read_sampling(body)),
            "dry_sequence_breakers": create_dry_breakers(
                self._template.markup.reply_header
            ),
            "top_k": 0,
            # In transformers' order.
            "samplers": ["penalties", "dry", "temperature", "min_p", "top_p"],
            "seed": _RANDOM_SEED if seed is None else seed % _RANDOM_SEED,
            "stop": read_stops(body),
            "reasoning_format": "none",
            "cache_prompt": True,
        }

    def _prepare(self, messages: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
        try:
            return self._template.prepare(messages)
        except MessageError as error:
            raise messages_error(error) from error

    def _prepare_with_calls(self, messages: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Return the messages as in training, except for those with tool calls."""
        has_calls = any(
            message["role"] == "tool" or message.get("tool_calls")
            for message in messages
        )
        if not (has_calls and self._template.has_tools):
            return self._prepare(messages)
        return [
            {
                name: self._escape(value)
                for name, value in message.items()
                if name not in {"weight", "refusal"} and value is not None
            }
            for message in messages
        ]

    def _escape(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._template.escape(value)
        if isinstance(value, list):
            return [self._escape(each) for each in value]
        if isinstance(value, Mapping):
            return {name: self._escape(each) for name, each in value.items()}
        return value


async def _rename(
    chunks: AsyncGenerator[bytes, None], old: str, new: str
) -> AsyncGenerator[bytes, None]:
    """Replace the name of the model, which is the base's in each response."""
    before, after = (f'"model":{json.dumps(name)}'.encode() for name in (old, new))
    rest = b""
    async with aclosing(chunks):
        async for chunk in chunks:
            # In JSON's strings, such as a reply, quotation marks are escaped.
            *lines, rest = (rest + chunk).split(b"\n")
            if lines:
                text = b"".join(line + b"\n" for line in lines)
                yield text.replace(before, after)
    if rest:
        yield rest.replace(before, after)


def _likely_param(body: Mapping[str, Any]) -> str | None:
    if body.get("response_format"):
        return "response_format"
    return "tools" if body.get("tools") else None


def _fitting_context(bytes_per_token: int) -> int:
    """Return the number of tokens whose keys and values fit in a child's memory.

    All children together get a quarter of the machine's memory.
    """
    import psutil

    child_bytes = psutil.virtual_memory().total // 4 // _MAX_CHILDREN
    return max(_MIN_CONTEXT, int(child_bytes // bytes_per_token))
