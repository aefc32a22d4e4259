"""What all engines promise: echo, llama.cpp and transformers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from langchain_chatexports.local_server.engines.echo import EchoEngine
from langchain_chatexports.local_server.engines.engine import Engine
from langchain_chatexports.local_server.errors import RequestError
from langchain_chatexports.local_server.workspace import Model
from tests.unit_tests.builders.engines import (
    HELLO,
    TINY,
    ask,
    open_llama_cpp,
    open_transformers,
    stream,
    text_of,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

_GREEDY: dict[str, Any] = {"temperature": 0}
_TOOL = {"type": "function", "function": {"name": "now"}}


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=["echo", "llama.cpp", "transformers"]
)
async def engine(
    request: Any, tiny_base: Path, tiny_gguf: Path
) -> AsyncIterator[Engine]:
    new_engine: Engine = EchoEngine()
    if request.param == "llama.cpp":
        pytest.importorskip("xllamacpp")
        new_engine = open_llama_cpp(tiny_base, tiny_gguf)
    elif request.param == "transformers":
        new_engine = open_transformers(tiny_base)
    yield new_engine
    await new_engine.aclose()


async def test_answer_has_its_usage(engine: Engine) -> None:
    answer = await ask(engine, max_tokens=3)
    assert answer.model == "tiny"
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 3
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 3


async def test_stream_has_the_same_text(engine: Engine) -> None:
    full_text = text_of(await ask(engine, max_tokens=5, **_GREEDY))
    chunks = await stream(engine, max_tokens=5, **_GREEDY)
    # llama.cpp does not stream a part of a character.
    assert text_of(chunks).rstrip("\ufffd") == full_text.rstrip("\ufffd")
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason == "length"
    assert {chunk.model for chunk in chunks} == {"tiny"}


async def test_stream_includes_usage_on_request(engine: Engine) -> None:
    options: dict[str, Any] = {"include_usage": True}
    chunks = await stream(engine, max_tokens=3, stream_options=options)
    assert chunks[-1].usage.completion_tokens == 3
    assert chunks[-1].choices == []
    assert all(chunk.usage is None for chunk in chunks[:-1])


async def test_stop_sequence_ends_the_answer(engine: Engine) -> None:
    full_text = text_of(await ask(engine, **_GREEDY))
    pairs = (full_text[at : at + 2] for at in range(1, len(full_text)))
    stop = next(pair for pair in pairs if "\ufffd" not in pair)
    answer = await ask(engine, stop=[stop, ""], **_GREEDY)
    assert text_of(answer) == full_text[: full_text.index(stop)]
    assert answer.choices[0].finish_reason == "stop"
    assert text_of(await stream(engine, stop=stop, **_GREEDY)) == text_of(answer)


async def test_reply_tokens_of_a_model_are_its_limit(engine: Engine) -> None:
    model = Model("tiny", reply_tokens=2)
    answer = await ask(engine, model, max_tokens=None)
    assert answer.usage is not None
    assert answer.usage.completion_tokens <= 2


async def test_scores_are_those_of_the_replies(engine: Engine) -> None:
    chat = [
        {"role": "system", "content": "Be slow."},
        {"role": "system", "content": "And steady."},
        {"role": "assistant", "content": "Hello."},
        *HELLO,
        {"role": "assistant", "content": "Slow and steady — ja!", "weight": 0},
        {"role": "user", "content": "never scored"},
    ]
    scores = await engine.score(TINY, chat)
    assert [score["index"] for score in scores] == [2, 4]
    assert [score["size_bytes"] for score in scores] == [6, 23]
    assert all(score["nll"] > 0 and score["end_nll"] > 0 for score in scores)
    assert all(score["tokens"] > 0 for score in scores)


async def test_tokens_of_a_prompt_are_counted(engine: Engine) -> None:
    usage = (await ask(engine, max_tokens=1)).usage
    assert usage is not None
    assert len(await engine.tokenize(None, HELLO)) == usage.prompt_tokens
    words = await engine.tokenize("ready?", ())
    assert 0 < len(words) < usage.prompt_tokens
    # There is no limit, because counts are for shortening chats.
    assert len(await engine.tokenize(None, HELLO * 400)) > 2000


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "tool", "content": "x", "tool_call_id": "1"}],
        [{"role": "user", "content": [{"type": "image_url"}]}],
    ],
)
async def test_message_without_text_is_refused(engine: Engine, messages: Any) -> None:
    with pytest.raises(RequestError, match="message 0") as caught:
        await ask(engine, messages=messages)
    assert (caught.value.status, caught.value.param) == (400, "messages")
    assert b'"type": "invalid_request_error"' in caught.value.body
    with pytest.raises(RequestError, match="message 0"):
        await engine.score(TINY, messages)


@pytest.mark.parametrize(
    "change",
    [
        {"n": 1, "logprobs": False, "presence_penalty": 0, "logit_bias": {}},
        {"tools": [], "response_format": {"type": "text"}, "stop": ""},
        {"temperature": None, "stop": None, "seed": None},
        {"temperature": 1e-300},
        {"temperature": 2, "top_p": 1e-9},
        {"tools": [_TOOL], "tool_choice": "none", "response_format": None},
        # A lone surrogate.
        {"messages": [{"role": "user", "content": "a\ud83d"}]},
    ],
)
async def test_neutral_values_are_accepted(
    engine: Engine, change: dict[str, Any]
) -> None:
    if "tool_choice" in change and not engine.profile["structured_output"]:
        pytest.skip("it has no tools")
    usage = (await ask(engine, **{"max_tokens": 1, **change})).usage
    assert usage is not None
    # Random weights can end an answer with the first token.
    assert usage.completion_tokens <= 1


async def test_abandoned_stream_ends(engine: Engine) -> None:
    body = {"messages": HELLO, "max_tokens": 400, "stream": True, **_GREEDY}
    async with aclosing(engine.complete(TINY, body)) as chunks:
        await anext(chunks)
    await asyncio.wait_for(ask(engine, max_tokens=2), 60)


async def test_profile_has_the_context(engine: Engine) -> None:
    assert engine.profile["max_input_tokens"] in {512, 2048}
    assert engine.description
