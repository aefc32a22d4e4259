"""Answers and scores by transformers, in a child process.

It computes all scores, and answers for bases and models that llama.cpp cannot run.
"""

import json
import secrets
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from langchain_chatexports.local_server.bases.template import ChatTemplate
from langchain_chatexports.local_server.bases.weights import is_adapter
from langchain_chatexports.local_server.engines.child import (
    IDLE_SECONDS,
    ChildEngine,
)
from langchain_chatexports.local_server.engines.engine import (
    create_profile,
    deleted_error,
)
from langchain_chatexports.local_server.engines.sampling import (
    is_structured,
    read_extras,
)
from langchain_chatexports.local_server.errors import RequestError
from langchain_chatexports.local_server.workspace import Model

_CHILD = "langchain_chatexports.local_server.engines.transformers_child"


class TransformersEngine(ChildEngine):
    """Answers with transformers, one request at a time."""

    def __init__(
        self,
        directory: Path,
        template: ChatTemplate,
        *,
        reason: str,
        threads: int,
        is_training: Callable[[], bool] = lambda: False,
    ) -> None:
        """Initialize the engine; `reason` says why llama.cpp does not answer."""
        super().__init__(_CHILD, threads=threads, is_training=is_training)
        self.description = f"transformers, {reason}"
        self.profile = create_profile(template.context)
        self._directory = directory
        self._template = template
        self._reason = reason

    async def complete(
        self, model: Model, body: Mapping[str, Any]
    ) -> AsyncGenerator[bytes, None]:
        """Yield the response to a chat request."""
        self._check_supported(body)
        fields = {"body": dict(body), "reply_tokens": model.reply_tokens}
        request = self._encode(model, **fields)
        chunks = self.stream(None, "/complete", lambda _: request)
        async with aclosing(chunks):
            async for chunk in chunks:
                yield chunk

    async def score(
        self, model: Model, messages: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        """Return the score of each assistant message."""
        request = self._encode(model, messages=list(messages))
        return list(json.loads(await self.post(None, "/score", lambda _: request)))

    async def tokenize(
        self, text: str | None, messages: Sequence[Mapping[str, Any]]
    ) -> list[int]:
        """Return the tokens of a text, or of a chat's prompt."""
        request = json.dumps({"text": text, "messages": list(messages)}).encode("ascii")
        return list(json.loads(await self.post(None, "/tokenize", lambda _: request)))

    def settings(self, adapters: tuple[Path, ...]) -> dict[str, Any]:
        """Return the settings of a new child, which loads adapters itself."""
        del adapters
        return {
            "directory": str(self._directory),
            "template": asdict(self._template),
            "key": secrets.token_urlsafe(32),
            "idle_seconds": IDLE_SECONDS,
        }

    def _encode(self, model: Model, **fields: Any) -> bytes:
        if model.folder is not None and not is_adapter(model.folder):
            raise deleted_error()
        adapter = None if model.folder is None else str(model.folder)
        request = {
            "model": model.name,
            "adapter": adapter,
            "strength": model.strength,
            **fields,
        }
        return json.dumps(request).encode("ascii")

    def _check_supported(self, body: Mapping[str, Any]) -> None:
        """Raise an error for parameters that need llama.cpp."""
        params = [*read_extras(body).keys() - {"parallel_tool_calls"}]
        if is_structured(body):
            params.append("tools" if body.get("tools") else "response_format")
        if params:
            msg = (
                f"'{params[0]}' requires llama.cpp; this model is served by "
                f"transformers, {self._reason}."
            )
            raise RequestError(msg, code="unsupported_parameter", param=params[0])
