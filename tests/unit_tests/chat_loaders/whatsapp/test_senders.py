"""Names: where they end, and how they are shown."""

import pytest

from langchain_chatexports.chat_loaders.whatsapp.chats import (
    Senders,
    clean_name,
    words_of_name,
)


def splitter(*heads: str) -> Senders:
    return Senders(heads)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("Ann: Hi!", ("Ann", "Hi!")),
        ("Ann: it is: so", ("Ann", "it is: so")),
        ("Ann: ", ("Ann", "")),
        ("Ann:", ("Ann", "")),
        ("Ann:.", ("Ann", "")),
        ("Ann - Work] 😂: Hi!", ("Ann - Work] 😂", "Hi!")),
        ("Ann left", (None, "Ann left")),
        ("see https://example.org", (None, "see https://example.org")),
    ],
)
def test_a_sender_ends_at_the_first_colon(
    head: str, expected: tuple[str | None, str]
) -> None:
    assert splitter(head).split(head) == expected


def test_a_name_may_hold_a_colon() -> None:
    split = splitter(*["Work: Ann: one: two"] * 3, "Bob: PS: three").split
    assert split("Work: Ann: four: five") == ("Work: Ann", "four: five")
    assert split("Bob: PS: three") == ("Bob", "PS: three")


def test_two_names_may_begin_alike() -> None:
    split = splitter(*["Work: Ann: one"] * 3, *["Work: Bob: two"] * 3).split
    assert split("Work: Bob: x")[0] == "Work: Bob"
    assert split("Work: Ann: x")[0] == "Work: Ann"


@pytest.mark.parametrize(
    "head",
    [
        'You changed the subject from "A: B" to "C"',
        "Ann hat den Betreff von „A: B“ zu „C“ geändert",
        "Анна изменила тему с «A: B» на «C»",
        "Ann ĝin nomis “A: B”",
    ],
)
def test_a_colon_in_quotation_marks_ends_no_name(head: str) -> None:
    assert splitter(head, "Ann: Hi!").split(head) == (None, head)


def test_a_name_with_a_quotation_mark_stays_a_name() -> None:
    heads = ['6" Ann: one', '6" Ann: two', '6" Ann: "']
    for order in (heads, heads[::-1]):
        assert splitter(*order).split('6" Ann: one') == ('6" Ann', "one")


def test_names_lose_marks_and_odd_spaces() -> None:
    assert clean_name("\u202a+49\u00a0170\u00a012\u20113\u202c") == "+49 170 12-3"


def test_a_profile_name_loses_its_tilde() -> None:
    senders = splitter("~ Ann: one", "~\u202fBob: two")
    assert senders.split("~ Ann: one") == ("Ann", "one")
    assert senders.split("~\u202fBob: two") == ("Bob", "two")
    assert senders.handles() == {"Ann": {"~ Ann"}, "Bob": {"~ Bob"}}


def test_a_profile_name_that_another_person_has_keeps_it() -> None:
    senders = splitter("~ Ann: one", "Ann: two")
    assert senders.split("~ Ann: one") == ("~ Ann", "one")
    assert senders.split("Ann: two") == ("Ann", "two")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Musk Elon", "Elon Musk"),
        ("Ann_Lee", "ann lee"),
        ("Ann 😂 Lee", "Ann Lee"),
        ("\u202a+49 170 1\u202c", "+49 170\u00a01"),
    ],
)
def test_names_that_are_equal(one: str, other: str) -> None:
    assert words_of_name(one) == words_of_name(other)
