"""Embeddings of texts by the base or a tuned model."""

from __future__ import annotations

import asyncio
import base64
import struct
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from langchain_chatexports.exceptions import LocalServerError
from langchain_chatexports.local_server.bases.chat_template import TemplateError
from langchain_chatexports.local_server.http.chat import engine_failure, too_busy
from langchain_chatexports.local_server.http.errors import ApiError
from langchain_chatexports.local_server.http.responses import (
    Embedding,
    EmbeddingResponse,
    EmbeddingUsage,
)
from langchain_chatexports.local_server.inference.engine import (
    EngineBusyError,
    RefusedRequestError,
)

if TYPE_CHECKING:
    from langchain_chatexports.local_server.http.requests import EmbeddingRequest
    from langchain_chatexports.local_server.http.service import LocalService

__all__ = ["embed_texts"]


async def embed_texts(
    service: LocalService, body: EmbeddingRequest
) -> EmbeddingResponse:
    """Return the embeddings of texts, which have length 1.

    Raises:
        ApiError: If the request cannot be served.
    """
    model = service.find_model(body.model)
    if "embeddings" not in service.engine.abilities:
        msg = (
            "Embeddings need llama.cpp, and the answers of this server are generated "
            f"by {service.choice}."
        )
        raise ApiError(msg, code="unsupported_parameter", param="model")
    prompts = await run_in_threadpool(_token_ids, service, body.texts())
    try:
        future = service.engine.embed(prompts, model.adapter)
    except EngineBusyError as error:
        raise too_busy() from error
    try:
        vectors = await asyncio.wrap_future(future)
    except RefusedRequestError as error:
        if str(error):
            raise engine_failure(error) from error
        msg = "A text is too long for an embedding; send shorter ones."
        raise ApiError(msg, code="context_length_exceeded", param="input") from error
    except Exception as error:
        raise engine_failure(error) from error
    data = [
        Embedding(index=index, embedding=_encoded(vector, body.encoding_format))
        for index, vector in enumerate(vectors)
    ]
    tokens = sum(map(len, prompts))
    usage = EmbeddingUsage(prompt_tokens=tokens, total_tokens=tokens)
    return EmbeddingResponse(model=model.name, data=data, usage=usage)


def _token_ids(service: LocalService, texts: list[str]) -> list[list[int]]:
    try:
        with service.parsing_lock:
            tokenizer = service.tokenizer.tokenizer
            # Tokenizers refuse a lone surrogate.
            ids = [
                list(tokenizer(text.encode("utf-8", "replace").decode())["input_ids"])
                for text in texts
            ]
    except (TemplateError, LocalServerError) as error:
        raise engine_failure(error) from error
    if not all(ids):
        msg = "A text to embed is empty."
        raise ApiError(msg, code="invalid_value", param="input")
    return ids


def _encoded(vector: list[float], encoding: str | None) -> list[float] | str:
    if encoding != "base64":
        return vector
    # As OpenAI's clients decode it: little-endian floats of 32 bits.
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")
