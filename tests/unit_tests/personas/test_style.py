"""The style card, which describes unusual habits only."""

import pytest

from langchain_chatexports.personas import style_card


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        (["so what"] * 12, "You begin without a capital letter."),
        (["So what"] * 12, "You begin with a capital letter."),
        (["So what."] * 12, "You often end with a period."),
        (["what\u2026"] * 12, "You often end with three dots."),
        (["no way"] * 12, "You use almost no emoji."),
        (["no \U0001f602", "yes"] * 12, "You use emoji often, mostly \U0001f602."),
        (
            ["yes \U0001f44d\U0001f3fd", "\U0001f1e9\U0001f1ea"] * 12,
            "mostly \U0001f44d\U0001f3fd \U0001f1e9\U0001f1ea.",
        ),
        (
            ["\u2764\ufe0f\u200d\U0001f525", "no"] * 12,
            "mostly \u2764\ufe0f\u200d\U0001f525.",
        ),
        (
            ["one two three"] * 12,
            "You write about 3 words in a message, seldom more than 3.",
        ),
        (["a\nb"] * 12, "You often send several messages in a row"),
    ],
)
def test_unusual_habits_are_described(texts: list[str], sentence: str) -> None:
    assert sentence in str(style_card(texts))


def test_usual_habits_are_not_described() -> None:
    card = str(style_card(["Yes", "no", "Well.", "hm", "Ok!", "sure..."] * 5))
    assert "capital" not in card
    assert "end with" not in card


def test_few_messages_have_no_style_card() -> None:
    assert style_card(["hi"] * 9) is None
    assert style_card([]) is None
