"""Names as people type them, and the names that occur."""

import pytest

from langchain_chatexports.chat_loaders.suggestions import (
    matching_name,
    nearest_names,
)

NAMES = ["Harry Potter", "Hermione Granger", "Draco Malfoy", "Hare"]


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("Hary Poter", "Harry Potter"),
        ("hermione", "Hermione Granger"),
        ("malfoi", "Draco Malfoy"),
        ("HARE", "Hare"),
    ],
)
def test_names_are_found_by_what_people_type(typed: str, first: str) -> None:
    assert nearest_names(typed, NAMES)[0] == first


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


def test_names_unlike_all_are_not_found() -> None:
    assert nearest_names("Zzyzx", NAMES) == []
    assert nearest_names("", NAMES) == []
