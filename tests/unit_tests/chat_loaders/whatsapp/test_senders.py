"""Names of senders in lines, and their display."""

import pytest

from langchain_chatexports.chat_loaders.whatsapp.chats import (
    Senders,
    clean_name,
    name_words,
)


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
def test_sender_ends_at_the_first_colon(
    head: str, expected: tuple[str | None, str]
) -> None:
    assert Senders([head]).split(head) == expected


def test_name_may_contain_a_colon() -> None:
    heads = [*["Work: Ann: one"] * 3, *["Work: Bob: two"] * 3, "Cleo: PS: three"]
    split = Senders(heads).split
    assert split("Work: Ann: four: five") == ("Work: Ann", "four: five")
    assert split("Work: Bob: x") == ("Work: Bob", "x")
    assert split("Cleo: PS: three") == ("Cleo", "PS: three")


@pytest.mark.parametrize(
    "head",
    [
        'You changed the subject from "A: B" to "C"',
        "Ann hat den Betreff von „A: B“ zu „C“ geändert",
        "Анна изменила тему с «A: B» на «C»",
        "Ann ĝin nomis “A: B”",
    ],
)
def test_name_does_not_end_inside_quotation_marks(head: str) -> None:
    assert Senders([head, "Ann: Hi!"]).split(head) == (None, head)


def test_name_may_contain_a_quotation_mark() -> None:
    heads = ['6" Ann: one', '6" Ann: two', '6" Ann: "']
    for order in (heads, heads[::-1]):
        assert Senders(order).split('6" Ann: one') == ('6" Ann', "one")


def test_marks_and_special_spaces_are_removed_from_names() -> None:
    assert clean_name("\u202a+49\u00a0170\u00a012\u20113\u202c") == "+49 170 12-3"


def test_tilde_is_removed_from_a_profile_name() -> None:
    senders = Senders(["~ Ann: one", "~\u202fBob: two"])
    assert senders.split("~ Ann: one") == ("Ann", "one")
    assert senders.split("~\u202fBob: two") == ("Bob", "two")
    assert senders.get_handles() == {"Ann": {"~ Ann"}, "Bob": {"~ Bob"}}


def test_tilde_distinguishes_two_people() -> None:
    senders = Senders(["~ Ann: one", "Ann: two"])
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
def test_spellings_of_a_name_are_equal(one: str, other: str) -> None:
    assert name_words(one) == name_words(other)
