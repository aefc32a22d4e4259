"""Names of senders in lines, and their display."""

from pathlib import Path

import pytest

from langchain_chatexports.chat_loaders.whatsapp import WhatsAppChatLoader
from langchain_chatexports.chat_loaders.whatsapp.senders import name_words


def split(path: Path, *heads: str) -> list[tuple[str, str]]:
    """Return the sender and text of each line of a chat."""
    lines = [f"18/03/2022, 14:{10 + at} - {head}\n" for at, head in enumerate(heads)]
    file = path / "WhatsApp Chat with Zoe.txt"
    file.write_text("".join(lines), encoding="utf-8")
    (session,) = WhatsAppChatLoader(file, timezone="UTC", keep="system").load()
    return [
        (m.additional_kwargs["sender"], str(m.content)) for m in session["messages"]
    ]


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("Ann: Hi!", ("Ann", "Hi!")),
        ("Ann: it is: so", ("Ann", "it is: so")),
        ("Ann: \nHi!", ("Ann", "Hi!")),
        ("Ann:\nHi!", ("Ann", "Hi!")),
        ("Ann:.\nHi!", ("Ann", "Hi!")),
        ("Ann - Work] 😂: Hi!", ("Ann - Work] 😂", "Hi!")),
        ("Ann left", ("unknown", "Ann left")),
        ("see https://example.org", ("unknown", "see https://example.org")),
    ],
)
def test_sender_ends_at_the_first_colon(
    tmp_path: Path, head: str, expected: tuple[str, str]
) -> None:
    assert split(tmp_path, head) == [expected]


def test_name_may_contain_a_colon(tmp_path: Path) -> None:
    """The app wrote after one of these names."""
    heads = [*["Work: Ann: one: two"] * 3, *["Work: Bob: x"] * 3, "Cleo: PS: three"]
    assert ("Work", "Bob: x") in split(tmp_path, *heads)
    by_app = "Work: Bob: This message was deleted"
    assert split(tmp_path, *heads, by_app) == [
        *[("Work: Ann", "one: two")] * 3,
        *[("Work: Bob", "x")] * 3,
        ("Cleo", "PS: three"),
    ]


@pytest.mark.parametrize(
    "head",
    [
        'You changed the subject from "A: B" to "C"',
        "Ann hat den Betreff von „A: B“ zu „C“ geändert",
        "Анна изменила тему с «A: B» на «C»",
        "Ann ĝin nomis “A: B”",
    ],
)
def test_name_does_not_end_inside_quotation_marks(tmp_path: Path, head: str) -> None:
    assert split(tmp_path, head, "Ann: Hi!") == [("unknown", head), ("Ann", "Hi!")]


def test_name_may_contain_a_quotation_mark(tmp_path: Path) -> None:
    heads = ['6" Ann: one', '6" Ann: two', '6" Ann: "']
    for order in (heads, heads[::-1]):
        assert ('6" Ann', "one") in split(tmp_path, *order)


def test_marks_and_special_spaces_are_removed_from_names(tmp_path: Path) -> None:
    name = "\u202a+49\u00a0170\u00a012\u20113\u202c"
    assert split(tmp_path, f"{name}: Hi!") == [("+49 170 12-3", "Hi!")]


def test_tilde_is_removed_from_a_profile_name(tmp_path: Path) -> None:
    found = split(tmp_path, "~ Ann: one", "~\u202fBob: two")
    assert found == [("Ann", "one"), ("Bob", "two")]
    path = tmp_path / "WhatsApp Chat with Zoe.txt"
    (session,) = WhatsAppChatLoader(
        path, timezone="UTC", people={"Eve": "~ Bob"}
    ).load()
    senders = [m.additional_kwargs["sender"] for m in session["messages"]]
    assert senders == ["Ann", "Eve"]


def test_tilde_distinguishes_two_people(tmp_path: Path) -> None:
    found = split(tmp_path, "~ Ann: one", "Ann: two")
    assert found == [("~ Ann", "one"), ("Ann", "two")]


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
