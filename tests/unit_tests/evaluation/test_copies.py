"""Messages that the training half contains."""

import pytest

from langchain_chatexports.evaluation.copies import CopyIndex, copied
from langchain_chatexports.evaluation.intervals import resampled

INDEX = CopyIndex(["The key lies under the third pot, as ever.\nok", "see you at nine"])


@pytest.mark.parametrize(
    ("bubble", "is_copy"),
    [
        ("the key lies under the third pot, as ever", True),
        ("KEY lies under the third pot as!", True),
        ("the key lies under the fourth pot", False),
        ("under the third pot as ever, friend", False),
        ("see you at nine", None),
        ("ever ok see you at nine", False),
    ],
)
def test_a_copy_is_a_whole_message_of_six_words(
    bubble: str, is_copy: bool | None
) -> None:
    assert INDEX.is_copy(bubble) is is_copy


def test_letters_count_as_words_where_there_are_no_spaces() -> None:
    index = CopyIndex(["\u4eca\u5929\u5929\u6c14\u771f\u597d"])
    assert index.is_copy("\u5929\u5929\u6c14\u771f\u597d\u5417") is False
    assert index.is_copy("\u4eca\u5929\u5929\u6c14\u771f\u597d") is True


def test_the_share_is_of_long_messages() -> None:
    weights = resampled(3, 50, 0)
    replies = ["the key lies under the third pot", "no", "where is it? " * 4]
    found = copied(INDEX, replies, [0, 1, 2], weights)
    assert found is not None
    assert found.value == 0.5
    assert copied(INDEX, ["no"], [0], weights) is None
