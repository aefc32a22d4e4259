"""Sampling settings, and penalties for repetitions."""

import pytest

from langchain_chatexports.local_server.old_engines.transformers import (
    Sampling,
    create_dry_breakers,
)
from langchain_chatexports.local_server.old_http.requests import ChatRequest

_DRY = Sampling(dry_multiplier=1.0, dry_base=2.0, dry_allowed_length=2)


@pytest.mark.parametrize(
    ("tokens", "answered", "penalties"),
    [
        ([1, 2, 3, 4], 4, {}),
        ([1, 2, 3, 1], 4, {}),
        ([1, 2, 3, 1, 2], 5, {3: 1.0}),
        ([1, 2, 3, 4, 1, 2, 3], 7, {4: 2.0}),
        ([1, 2, 3, 9, 1, 2, 4, 9, 1, 2], 10, {3: 1.0, 4: 2.0}),
        # Repeats the prompt.
        ([1, 2, 3, 7, 1, 2], 2, {3: 1.0}),
        # Headers of answers are not repetitions.
        ([7, 8, 1, 9, 7, 8], 0, {}),
        ([7, 8, 1, 2, 9, 7, 8, 1], 1, {}),
    ],
)
def test_repetitions_are_penalized(
    tokens: list[int], answered: int, penalties: dict[int, float]
) -> None:
    assert _DRY.dry_penalties(tokens, answered) == penalties


def test_tokens_before_the_window_may_repeat() -> None:
    near = Sampling(dry_multiplier=1.0, dry_allowed_length=2, dry_penalty_last_n=4)
    assert near.dry_penalties([1, 2, 3, 4, 5, 1, 2], 7) == {}


def test_request_overrides_each_default() -> None:
    options = {"temperature": 0.2, "min_p": 0.0, "dry_multiplier": 0.0}
    found = _request(**options).sampling()
    assert found == Sampling(temperature=0.2, min_p=0.0, dry_multiplier=0.0)
    assert _request().sampling() == Sampling()


def test_json_has_no_repetition_penalty() -> None:
    options = {"response_format": {"type": "json_object"}}
    assert _request(**options).sampling() == Sampling().for_structured_output()
    assert _request(response_format={"type": "text"}).sampling() == Sampling()


def test_long_breaker_is_truncated() -> None:
    header = "<|start_header_id|>assistant<|end_header_id|>\n\n"
    (breaker,) = create_dry_breakers(header)
    assert len(breaker) == 40
    assert header.endswith(breaker)


def _request(**more: object) -> ChatRequest:
    message = {"role": "user", "content": "Ready?"}
    return ChatRequest.model_validate({"model": "m", "messages": [message], **more})
