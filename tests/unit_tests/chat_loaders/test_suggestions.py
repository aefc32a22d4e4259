"""Names as people type them, and the names that occur."""

import pytest

from langchain_chatexports.chat_loaders.suggestions import matching_name, nearest_names

NAMES = ["Harry Potter", "Hermione Granger", "Draco Malfoy", "Hare"]


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("lea", "Lea Köhler"),
        ("LEA KOHLER", "Lea Köhler"),
        ("tom", None),
        ("to", None),
        ("nobody", None),
    ],
)
def test_a_beginning_is_enough_and_a_whole_first_word_before_others(
    asked: str, meant: str | None
) -> None:
    known = ["Lea Köhler", "lea_123", "Tom Ade", "Tom Bee"]
    assert matching_name(asked, known) == meant


def test_a_beginning_of_several_names_suggests_all_of_them() -> None:
    assert nearest_names("h", NAMES) == ["Hare", "Harry Potter", "Hermione Granger"]
