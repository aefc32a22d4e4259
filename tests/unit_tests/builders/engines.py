"""Engines with a tiny base, and their answers."""

import json
from contextlib import aclosing
from pathlib import Path
from typing import Any

from openai.types.chat import ChatCompletion, ChatCompletionChunk

from langchain_chatexports.local_server.bases.base import Base
from langchain_chatexports.local_server.bases.gguf import GGUFFile
from langchain_chatexports.local_server.bases.gguf_adapter import (
    match_matrices,
    write_gguf_adapter,
)
from langchain_chatexports.local_server.bases.gguf_header import read_header
from langchain_chatexports.local_server.bases.preparation import load_tokenizer
from langchain_chatexports.local_server.bases.template import ChatTemplate, template_of
from langchain_chatexports.local_server.engines.engine import Engine
from langchain_chatexports.local_server.engines.llama_cpp import LlamaCppEngine
from langchain_chatexports.local_server.engines.transformers import TransformersEngine
from langchain_chatexports.local_server.workspace import Model

HELLO: list[Any] = [{"role": "user", "content": "Are you ready for the race?"}]
TINY = Model("tiny")


def tiny_template(base: Path) -> ChatTemplate:
    return template_of(*load_tokenizer(base))


def open_transformers(base: Path, **options: Any) -> TransformersEngine:
    """Return an engine for a base in transformers' format."""
    options = {"reason": "for tests", "threads": 1, **options}
    return TransformersEngine(base, tiny_template(base), **options)


def open_llama_cpp(base: Path, file: Path, **options: Any) -> LlamaCppEngine:
    """Return an engine for a base and its `.gguf` file."""
    template = options.pop("template", None) or tiny_template(base)
    return LlamaCppEngine(
        Base(str(file), "tiny", "gguf", file),
        template,
        GGUFFile(file, 1024, record=file),
        open_transformers(base),
        **{"threads": 1, **options},
    )


def write_gguf_for(base: Path, file: Path, adapter: Path) -> Model:
    """Write the GGUF file of an adapter; return its model."""
    header = read_header(file)
    write_gguf_adapter(adapter, header, match_matrices(base, header))
    return Model(f"ft:tiny:local::{adapter.name}", adapter)


async def ask(engine: Engine, model: Model = TINY, **options: Any) -> ChatCompletion:
    """Return the answer to a request."""
    body = {"messages": HELLO, "max_tokens": 12, "seed": 1, **options}
    async with aclosing(engine.complete(model, body)) as chunks:
        content = b"".join([chunk async for chunk in chunks])
    return ChatCompletion.model_validate(json.loads(content), strict=True)


async def stream(engine: Engine, model: Model = TINY, **options: Any) -> list[Any]:
    """Return the chunks of a streamed answer."""
    body = {"messages": HELLO, "max_tokens": 12, "seed": 1, **options, "stream": True}
    async with aclosing(engine.complete(model, body)) as chunks:
        text = b"".join([chunk async for chunk in chunks]).decode()
    *lines, done = text.strip().split("\n\n")
    assert done == "data: [DONE]"
    return [
        ChatCompletionChunk.model_validate_json(
            line.removeprefix("data: "), strict=True
        )
        for line in lines
    ]


def text_of(answer: Any) -> str:
    """Return the text of an answer, or of the chunks of a stream."""
    if isinstance(answer, list):
        choices = [choice for chunk in answer for choice in chunk.choices]
        return "".join(choice.delta.content or "" for choice in choices)
    return str(answer.choices[0].message.content)
