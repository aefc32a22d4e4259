"""The order of answers, and cancelled ones."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from langchain_chatexports.local_server.bases.chat_template import ChatTokenizer
from langchain_chatexports.local_server.engines.transformers import (
    EngineClosedError,
    GenerationRequest,
    LoadedBase,
    Sampling,
    TransformersEngine,
)
from langchain_chatexports.local_server.http.chat import complete_chat
from langchain_chatexports.local_server.http.requests import ChatRequest
from langchain_chatexports.local_server.http.service import LocalService
from tests.unit_tests.builders.waiting import wait_until

_LONG = 400


@pytest.fixture
def engine(tiny_base: Path) -> Iterator[TransformersEngine]:
    made = TransformersEngine(tiny_base, ChatTokenizer(tiny_base), threads=1)
    yield made
    made.close()


def _order(engine: TransformersEngine, tokens: int) -> GenerationRequest:
    prompt = engine._tokenizer.template.prompt_ids(
        [{"role": "user", "content": "Ready?"}]
    )
    # The tiny base's likeliest words go on and on.
    return GenerationRequest(prompt, tokens, sampling=Sampling(temperature=0))


def test_one_answer_is_written_at_a_time_in_their_order(
    engine: TransformersEngine,
) -> None:
    told: list[str] = []
    names = ("first", "second", "third")

    def note(name: str) -> Callable[[str], None]:
        return lambda _: told.append(name)

    answers = [engine.submit(_order(engine, 20), note(name)) for name in names]
    assert all(answer.result(300).tokens for answer in answers)
    assert told == sorted(told, key=names.index)


def test_a_cancelled_answer_is_written_no_further(engine: TransformersEngine) -> None:
    told: list[str] = []
    answer = engine.submit(_order(engine, _LONG), told.append, lambda: bool(told))
    engine.submit(_order(engine, 5), lambda _: None).result(300)
    assert answer.result().tokens < _LONG


def test_a_closed_engine_answers_no_more(engine: TransformersEngine) -> None:
    told: list[str] = []
    answers = [engine.submit(_order(engine, _LONG), told.append) for _ in range(2)]
    wait_until(lambda: told)
    engine.close()
    for answer in answers:
        with pytest.raises(EngineClosedError):
            answer.result()
    with pytest.raises(EngineClosedError):
        engine.submit(_order(engine, 2), told.append)


@pytest.mark.parametrize("own", [True, False])
def test_an_answer_ends_with_the_turn_whatever_the_model_says_of_its_end(
    engine: TransformersEngine, own: bool
) -> None:
    """Settings of some models name the end of a text only, not that of a turn."""
    (end,) = engine._tokenizer.end_tokens
    likeliest = 7 if own else end

    def end_at_once(model: LoadedBase) -> None:
        import torch

        head = model._model.lm_head
        head.bias = torch.nn.Parameter(head.weight.new_zeros(len(head.weight)))
        head.bias.data[likeliest] = 1e4
        model.end_tokens = {7} if own else set()

    engine.run(end_at_once).result()
    told: list[str] = []
    assert engine.submit(_order(engine, 3), told.append).result(300) == ("stop", 0)
    assert told == []


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_cancels_its_answer(
    service: LocalService, stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    submit = service.scorer.submit
    begun, left, noticed = threading.Event(), asyncio.Event(), threading.Event()
    cancelled: list[Callable[[], bool]] = []

    def noting(request: Any, on_text: Any, is_cancelled: Callable[[], bool]) -> Any:
        def tell(text: str) -> None:
            begun.set()
            noticed.wait(240)
            on_text(text)

        cancelled.append(is_cancelled)
        return submit(request, tell, is_cancelled)

    service.scorer.submit = noting  # type: ignore[assignment]  # looks, and hands on.
    body = {
        "model": "tiny",
        "messages": [{"role": "user", "content": "Ready?"}],
        "max_tokens": _LONG,
        "temperature": 0,
        "stream": stream,
    }

    async def receive() -> dict[str, Any]:
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        del message

    async def ask() -> None:
        scope = {"type": "http"}
        asked = ChatRequest.model_validate(body)
        response = await complete_chat(service, asked, Request(scope, receive))
        await response(scope, receive, send)

    asked = asyncio.ensure_future(ask())
    assert await asyncio.to_thread(begun.wait, 60)
    left.set()
    await asyncio.wait_for(asked, 240)
    noticed.set()
    assert cancelled[0]()
    await asyncio.to_thread(service.scorer.run(lambda _: None).result, 240)
    # It is nothing that went wrong.
    assert not caplog.records
    service.scorer.close()
