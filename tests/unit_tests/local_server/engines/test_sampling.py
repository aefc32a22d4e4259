"""Sampling settings, and penalties for repetitions."""

import pytest

from langchain_chatexports.local_server.engines.sampling import (
    DEFAULT_TOKENS,
    Sampling,
    create_dry_breakers,
    read_sampling,
    token_limit,
)

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
    options = {"temperature": 1, "min_p": 0.0, "dry_multiplier": 0, "top_p": None}
    found = read_sampling(options)
    assert found == Sampling(temperature=1.0, min_p=0.0, dry_multiplier=0.0)
    assert isinstance(found.temperature, float)
    assert read_sampling({}) == Sampling()


def test_json_has_no_repetition_penalty() -> None:
    options = {"response_format": {"type": "json_object"}}
    assert read_sampling(options) == Sampling().for_structured_output()
    assert read_sampling({"response_format": {"type": "text"}}) == Sampling()


def test_limit_of_a_reply() -> None:
    assert token_limit({"max_tokens": 3, "max_completion_tokens": 5}, 7) == 5
    assert token_limit({"max_tokens": 3}, 7) == 3
    assert token_limit({}, 7) == 7
    assert token_limit({}, None) == DEFAULT_TOKENS
    assert token_limit({"tools": [{}]}, 7) == DEFAULT_TOKENS


def test_long_breaker_is_truncated() -> None:
    header = "<|start_header_id|>assistant<|end_header_id|>\n\n"
    (breaker,) = create_dry_breakers(header)
    assert len(breaker) == 40
    assert header.endswith(breaker)
