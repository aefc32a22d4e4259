"""How tokens are chosen: what loops becomes unlikely, unless a request says so."""

import pytest

from langchain_chatexports.local_server.engines.transformers import (
    Sampling,
    dry_breakers,
)
from langchain_chatexports.local_server.http.requests import ChatRequest

_DRY = Sampling(dry_multiplier=1.0, dry_base=2.0, dry_allowed_length=2)


@pytest.mark.parametrize(
    ("tokens", "answered", "penalties"),
    [
        ([1, 2, 3, 4], 4, {}),
        ([1, 2, 3, 1], 4, {}),
        ([1, 2, 3, 1, 2], 5, {3: 1.0}),
        ([1, 2, 3, 4, 1, 2, 3], 7, {4: 2.0}),
        ([1, 2, 3, 9, 1, 2, 4, 9, 1, 2], 10, {3: 1.0, 4: 2.0}),
        # Said in the prompt, and said again.
        ([1, 2, 3, 7, 1, 2], 2, {3: 1.0}),
        # The headers before two answers are no repetition.
        ([7, 8, 1, 9, 7, 8], 0, {}),
        ([7, 8, 1, 2, 9, 7, 8, 1], 1, {}),
    ],
)
def test_what_continues_a_repetition_is_less_likely(
    tokens: list[int], answered: int, penalties: dict[int, float]
) -> None:
    assert _DRY.dry_penalties(tokens, answered) == penalties


def test_what_was_said_long_ago_may_be_repeated() -> None:
    near = Sampling(dry_multiplier=1.0, dry_allowed_length=2, dry_penalty_last_n=4)
    assert near.dry_penalties([1, 2, 3, 4, 5, 1, 2], 7) == {}


def test_a_request_replaces_each_default() -> None:
    asked = {"temperature": 0.2, "min_p": 0.0, "dry_multiplier": 0.0}
    found = _request(**asked).sampling()
    assert found == Sampling(temperature=0.2, min_p=0.0, dry_multiplier=0.0)
    assert _request().sampling() == Sampling()


def test_json_may_repeat_itself() -> None:
    asked = {"response_format": {"type": "json_object"}}
    assert _request(**asked).sampling() == Sampling().without_talk()
    assert _request(response_format={"type": "text"}).sampling() == Sampling()


def test_llama_cpp_reads_the_end_of_a_long_header() -> None:
    header = "<|start_header_id|>assistant<|end_header_id|>\n\n"
    (breaker,) = dry_breakers(header)
    assert len(breaker) == 40
    assert header.endswith(breaker)


def _request(**more: object) -> ChatRequest:
    message = {"role": "user", "content": "Ready?"}
    return ChatRequest.model_validate({"model": "m", "messages": [message], **more})
