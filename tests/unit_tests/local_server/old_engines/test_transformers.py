"""Answers by transformers: order and cancellation."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from langchain_chatexports.local_server.bases.chat_template import ChatTokenizer
from langchain_chatexports.local_server.old_engines.transformers import (
    EngineClosedError,
    GenerationRequest,
    LoadedBase,
    Sampling,
    TransformersEngine,
)
from langchain_chatexports.local_server.old_http.chat import complete_chat
from langchain_chatexports.local_server.old_http.requests import ChatRequest
from langchain_chatexports.local_server.old_http.service import LocalService
from tests.unit_tests.builders.waiting import wait_until

_LONG = 400


@pytest.fixture
def engine(tiny_base: Path) -> Iterator[TransformersEngine]:
    new_engine = TransformersEngine(tiny_base, ChatTokenizer(tiny_base), threads=1)
    yield new_engine
    new_engine.close()


def _request(engine: TransformersEngine, tokens: int) -> GenerationRequest:
    prompt = engine._tokenizer.template.prompt_ids(
        [{"role": "user", "content": "Ready?"}]
    )
    # The tiny base's greedy answer never ends.
    return GenerationRequest(prompt, tokens, sampling=Sampling(temperature=0))


def test_answers_are_generated_in_order(engine: TransformersEngine) -> None:
    pieces: list[str] = []
    names = ("first", "second", "third")

    def record(name: str) -> Callable[[str], None]:
        return lambda _: pieces.append(name)

    answers = [engine.submit(_request(engine, 20), record(name)) for name in names]
    assert all(answer.result(300).tokens for answer in answers)
    assert pieces == sorted(pieces, key=names.index)


def test_cancelled_answer_stops(engine: TransformersEngine) -> None:
    pieces: list[str] = []
    answer = engine.submit(_request(engine, _LONG), pieces.append, lambda: bool(pieces))
    engine.submit(_request(engine, 5), lambda _: None).result(300)
    assert answer.result().tokens < _LONG


def test_closed_engine_rejects_requests(engine: TransformersEngine) -> None:
    pieces: list[str] = []
    answers = [engine.submit(_request(engine, _LONG), pieces.append) for _ in range(2)]
    wait_until(lambda: pieces)
    engine.close()
    for answer in answers:
        with pytest.raises(EngineClosedError):
            answer.result()
    with pytest.raises(EngineClosedError):
        engine.submit(_request(engine, 2), pieces.append)


@pytest.mark.parametrize("own", [True, False])
def test_answer_stops_at_its_end_token(engine: TransformersEngine, own: bool) -> None:
    """Some models' settings have the end of a text only."""
    (end,) = engine._tokenizer.end_tokens
    likeliest = 7 if own else end

    def end_at_once(model: LoadedBase) -> None:
        import torch

        head = model._model.lm_head
        head.bias = torch.nn.Parameter(head.weight.new_zeros(len(head.weight)))
        head.bias.data[likeliest] = 1e4
        model.end_tokens = {7} if own else set()

    engine.run(end_at_once).result()
    pieces: list[str] = []
    assert engine.submit(_request(engine, 3), pieces.append).result(300) == ("stop", 0)
    assert pieces == []


@pytest.mark.parametrize("stream", [True, False])
async def test_disconnect_cancels_the_answer(
    service: LocalService, stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    submit = service.scorer.submit
    has_started, has_left = threading.Event(), asyncio.Event()
    is_done = threading.Event()
    cancelled: list[Callable[[], bool]] = []

    def submit_recorded(request: Any, on_text: Any, is_cancelled: Any) -> Any:
        def send(text: str) -> None:
            has_started.set()
            is_done.wait(240)
            on_text(text)

        cancelled.append(is_cancelled)
        return submit(request, send, is_cancelled)

    service.scorer.submit = submit_recorded  # type: ignore[assignment]  # a wrapper.
    body = {
        "model": "tiny",
        "messages": [{"role": "user", "content": "Ready?"}],
        "max_tokens": _LONG,
        "temperature": 0,
        "stream": stream,
    }

    async def receive() -> dict[str, Any]:
        await has_left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        del message

    async def ask() -> None:
        scope = {"type": "http"}
        chat = ChatRequest.model_validate(body)
        response = await complete_chat(service, chat, Request(scope, receive))
        await response(scope, receive, send)

    answered = asyncio.ensure_future(ask())
    assert await asyncio.to_thread(has_started.wait, 240)
    has_left.set()
    await asyncio.wait_for(answered, 240)
    is_done.set()
    assert cancelled[0]()
    await asyncio.to_thread(service.scorer.run(lambda _: None).result, 240)
    # A disconnect is not an error.
    assert not caplog.records
    service.scorer.close()
