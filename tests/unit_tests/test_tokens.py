import pytest

from langchain_chatexports._tokens import estimate_max_tokens, estimate_tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("", 0), ("x", 1), ("xxxx", 1), ("xxxxx", 2), ("é" * 4, 2), ("\ud83d", 1)],
)
def test_a_token_is_four_bytes(text: str, tokens: int) -> None:
    assert estimate_tokens(text) == tokens


def test_emoji_with_a_modifier_has_two_tokens() -> None:
    assert estimate_max_tokens("👍🏽") >= 2
