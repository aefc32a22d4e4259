"""The order of answers, and cancelled ones."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from langchain_chatexports.local_server.bases.tokenizer import ChatTokenizer
from langchain_chatexports.local_server.http.app import create_app
from langchain_chatexports.local_server.inference.engine import GenerationRequest
from langchain_chatexports.local_server.inference.transformers import (
    TransformersEngine,
    TransformersGeneration,
)
from tests.unit_tests.local_server.conftest import KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from langchain_chatexports.local_server.http.service import LocalService
    from langchain_chatexports.local_server.inference.engine import TextPiece

_LONG = 400


@pytest.fixture
def engine(tiny_base: Path) -> Iterator[TransformersEngine]:
    made = TransformersEngine(tiny_base, ChatTokenizer(tiny_base), threads=1)
    yield made
    made.close()


def _listener(
    name: str, told: list[tuple[str, TextPiece]]
) -> Callable[[TextPiece], None]:
    return lambda piece: told.append((name, piece))


def _order(engine: TransformersEngine, tokens: int) -> GenerationRequest:
    prompt = engine._tokenizer.template.prompt_ids(
        [{"role": "user", "content": "Ready?"}]
    )
    # The tiny base's likeliest words go on and on.
    return GenerationRequest(prompt, tokens, temperature=0)


def _wait(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_a_short_answer_does_not_wait_for_a_long_one(
    engine: TransformersEngine,
) -> None:
    told: list[tuple[str, TextPiece]] = []
    long, short = _order(engine, _LONG), _order(engine, 3)
    engine.submit(long, _listener("long", told))
    engine.submit(short, _listener("short", told))
    _wait(lambda: [who for who, piece in told if piece.finish_reason])
    assert next(who for who, piece in told if piece.finish_reason) == "short"


def test_those_who_wait_are_taken_in_their_order(
    engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "langchain_chatexports.local_server.inference.transformers._MAX_ACTIVE", 1
    )
    told: list[tuple[str, TextPiece]] = []
    for name in ("first", "second", "third"):
        engine.submit(_order(engine, 20), _listener(name, told))
    _wait(lambda: sum(bool(piece.finish_reason) for _, piece in told) == 3)
    ends = [who for who, piece in told if piece.finish_reason]
    assert ends == ["first", "second", "third"]


def test_a_cancelled_answer_is_written_no_further(engine: TransformersEngine) -> None:
    told: list[tuple[str, TextPiece]] = []
    answer = engine.submit(_order(engine, _LONG), _listener("long", told))
    _wait(lambda: told)
    answer.cancel()
    written = answer._tokens
    engine.submit(_order(engine, 20), _listener("next", told))
    _wait(lambda: any(piece.finish_reason for _, piece in told))
    # One may have been on its way.
    assert answer._tokens <= written + 1


@pytest.mark.parametrize("own", [True, False])
def test_an_answer_ends_with_the_turn_whatever_the_model_says_of_its_end(
    engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch, own: bool
) -> None:
    """Settings of some models name the end of a text only, not that of a turn."""
    import torch

    end = engine._tokenizer.template.end_of_turn
    assert end is not None
    model = engine._loaded_model()
    likeliest = torch.zeros(500)
    likeliest[7 if own else end] = 1
    ends = {7} if own else set()
    monkeypatch.setattr(type(model), "end_tokens", property(lambda _: ends))
    monkeypatch.setattr(model, "next_logits", lambda *_: likeliest)
    told: list[tuple[str, TextPiece]] = []
    engine.submit(_order(engine, 3), _listener("any", told))
    _wait(lambda: told and told[-1][1].finish_reason)
    assert [(piece.text, piece.finish_reason) for _, piece in told] == [("", "stop")]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_cancels_its_answer(
    service: LocalService, stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    answers: list[TransformersGeneration] = []
    submit = service.scorer.submit
    begun, left, noticed = threading.Event(), asyncio.Event(), threading.Event()

    def noting(
        request: GenerationRequest, on_piece: Callable[[TextPiece], None]
    ) -> TransformersGeneration:
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
        ],
    }
    asked = asyncio.ensure_future(
        create_app(service, api_key=KEY)(scope, receive, send)
    )
    assert await asyncio.to_thread(begun.wait, 240)
    left.set()
    await asyncio.wait_for(asked, 240)
    noticed.set()
    (answer,) = answers
    assert answer.is_cancelled
    await asyncio.to_thread(_wait, lambda: not service.scorer._active)
    assert answer._tokens < _LONG
    # It is nothing that went wrong.
    assert not caplog.records
    service.scorer.close()
