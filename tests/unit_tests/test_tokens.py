"""Tokens are estimated by bytes."""

import pytest

from langchain_chatexports._tokens import max_tokens_by_bytes, tokens_by_bytes


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("", 0), ("x", 1), ("xxxx", 1), ("xxxxx", 2), ("é" * 4, 2), ("\ud83d", 1)],
)
def test_a_text_has_four_bytes_a_token_rounded_up(text: str, tokens: int) -> None:
    assert tokens_by_bytes(text) == tokens


def test_bytes_are_an_upper_bound_of_an_emoji() -> None:
    assert max_tokens_by_bytes("👍🏽") >= 2
