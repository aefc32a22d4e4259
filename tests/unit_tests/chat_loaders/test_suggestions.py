"""Known names that match typed ones."""

import pytest

from langchain_chatexports.chat_loaders.suggestions import (
    find_similar_names,
    match_name,
)

NAMES = ["Harry Potter", "Hermione Granger", "Draco Malfoy", "Hare"]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        *(("lea", "Lea Köhler"), ("LEA KOHLER", "Lea Köhler")),
        *(("tom", None), ("to", None), ("x", None)),
    ],
)
def test_unique_prefix_or_first_word_matches(typed: str, expected: str | None) -> None:
    known = ["Lea Köhler", "lea_123", "Tom Ade", "Tom Bee"]
    assert match_name(typed, known) == expected


def test_shared_prefix_suggests_all_names() -> None:
    assert find_similar_names("h", NAMES) == [
        "Hare",
        "Harry Potter",
        "Hermione Granger",
    ]
