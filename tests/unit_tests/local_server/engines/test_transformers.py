"""The order of answers, and cancelled ones."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from langchain_chatexports.local_server.bases.tokenizer import ChatTokenizer
from langchain_chatexports.local_server.engines.sampling import Sampling
from langchain_chatexports.local_server.engines.transformers import (
    EngineBusyError,
    Generation,
    GenerationRequest,
    LoadedBase,
    TextPiece,
    TransformersEngine,
)
from langchain_chatexports.local_server.http.app import create_app
from tests.unit_tests.local_server.conftest import KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from langchain_chatexports.local_server.http.service import LocalService

_LONG = 400


@pytest.fixture
def engine(tiny_base: Path) -> Iterator[TransformersEngine]:
    made = TransformersEngine(tiny_base, ChatTokenizer(tiny_base), threads=1)
    yield made
    made.close()


def _listener(
    name: str, told: list[tuple[str, TextPiece]]
) -> Callable[[TextPiece], None]:
    def note(piece: TextPiece) -> None:
        told.append((name, piece))
        assert piece.error is None, repr(piece.error)

    return note


def _order(engine: TransformersEngine, tokens: int) -> GenerationRequest:
    prompt = engine._tokenizer.template.prompt_ids(
        [{"role": "user", "content": "Ready?"}]
    )
    # The tiny base's likeliest words go on and on.
    return GenerationRequest(prompt, tokens, sampling=Sampling(temperature=0))


def _wait(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_one_answer_is_written_at_a_time_in_their_order(
    engine: TransformersEngine,
) -> None:
    told: list[tuple[str, TextPiece]] = []
    for name in ("first", "second", "third"):
        engine.submit(_order(engine, 20), _listener(name, told))
    _wait(lambda: sum(bool(piece.finish_reason) for _, piece in told) == 3)
    names = [who for who, _ in told]
    assert names == sorted(names, key=["first", "second", "third"].index)


def test_a_cancelled_answer_is_written_no_further(engine: TransformersEngine) -> None:
    told: list[tuple[str, TextPiece]] = []
    answer = engine.submit(_order(engine, _LONG), _listener("long", told))
    _wait(lambda: told)
    answer.cancel()
    engine.submit(_order(engine, 5), _listener("next", told))
    _wait(lambda: any(piece.finish_reason for _, piece in told))
    assert [who for who, piece in told if piece.finish_reason] == ["next"]


def test_the_engine_takes_no_more_than_its_bound(tiny_base: Path) -> None:
    engine = TransformersEngine(
        tiny_base, ChatTokenizer(tiny_base), threads=1, max_waiting=1
    )
    may_end = threading.Event()
    running = engine.run(lambda _: may_end.wait(240))
    _wait(running.running)
    engine.submit(_order(engine, 2), lambda _: None)
    with pytest.raises(EngineBusyError):
        engine.submit(_order(engine, 2), lambda _: None)
    may_end.set()
    engine.close()
    with pytest.raises(EngineBusyError):
        engine.submit(_order(engine, 2), lambda _: None)


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
    told: list[tuple[str, TextPiece]] = []
    engine.submit(_order(engine, 3), _listener("any", told))
    _wait(lambda: told and told[-1][1].finish_reason)
    assert "".join(piece.text for _, piece in told) == ""
    assert (told[-1][1].finish_reason, told[-1][1].tokens) == ("stop", 0)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_cancels_its_answer(
    service: LocalService, stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    answers: list[Generation] = []
    submit = service.scorer.submit
    begun, left, noticed = threading.Event(), asyncio.Event(), threading.Event()

    def noting(
        request: GenerationRequest, on_piece: Callable[[TextPiece], None]
    ) -> Generation:
        def tell(piece: TextPiece) -> None:
            begun.set()
            noticed.wait(240)
            on_piece(piece)

        answers.append(submit(request, tell))
        return answers[-1]

    service.scorer.submit = noting  # type: ignore[method-assign]  # looks, and hands on.
    body = {
        "model": "tiny",
        "messages": [{"role": "user", "content": "Ready?"}],
        "max_tokens": _LONG,
        "temperature": 0,
        "stream": stream,
    }
    requests = [{"type": "http.request", "body": json.dumps(body).encode()}]

    async def receive() -> dict[str, Any]:
        if requests:
            return requests.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        del message

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/chat/completions",
        "raw_path": b"/v1/chat/completions",
        "query_string": b"",
        "headers": [
            (b"host", b"127.0.0.1"),
            (b"authorization", b"Bearer " + KEY.encode()),
            (b"content-type", b"application/json"),
        ],
    }
    asked = asyncio.ensure_future(
        create_app(service, api_key=KEY)(scope, receive, send)
    )
    assert await asyncio.to_thread(begun.wait, 60)
    left.set()
    await asyncio.wait_for(asked, 240)
    noticed.set()
    (answer,) = answers
    assert answer.is_cancelled
    await asyncio.to_thread(_wait, lambda: not service.scorer._pending)
    # It is nothing that went wrong.
    assert not caplog.records
    service.scorer.close()
