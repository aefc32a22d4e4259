"""Headers with their lines."""

from io import BytesIO

import pytest

from langchain_chatexports.chat_loaders.whatsapp.records import Records, read_lines

FIRST, SECOND = "18/03/2022, 14:56 - ", "18/03/2022, 14:57 - "


def read(text: str) -> Records:
    return Records(text.split("\n"))


def texts(records: Records) -> list[str]:
    return ["\n".join(filter(None, record[3:])) for record in records.records]


def lines(data: bytes) -> list[str]:
    return list(read_lines(BytesIO(data)))


IMPOSSIBLE = "18/03/2022, 25:61 - Bob: two"
PASTED = "[3/17/22, 10:00:00 AM] Cleo: hi"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{FIRST}Ann: one\n\ntwo\n{SECOND}Bob: x", ["Ann: one\n\ntwo", "Bob: x"]),
        (f"{FIRST}Ann: one\n\n\n{SECOND}Bob: x\n\n", ["Ann: one", "Bob: x"]),
        (f"{FIRST}Ann: a\n{PASTED}\n{SECOND}Bob: x", [f"Ann: a\n{PASTED}", "Bob: x"]),
        (f"{FIRST}Ann: a\n{FIRST}Cleo: b", ["Ann: a", "Cleo: b"]),
        (f"{FIRST}Ann: a\n{IMPOSSIBLE}", [f"Ann: a\n{IMPOSSIBLE}"]),
    ],
    ids=["continued", "blank lines", "other layout", "same layout", "invalid time"],
)
def test_message_ends_at_the_next_header(text: str, expected: list[str]) -> None:
    assert texts(read(text)) == expected


def test_header_with_an_impossible_date_is_text() -> None:
    own = [f"{day:02}/03/2022, 14:56 - Ann: {day}" for day in range(13, 29)]
    pasted = ["03/19/2022, 14:57 - Bob: pasted", "too", "03/20/2022, 14:57 - Bob: more"]
    chat = read("\n".join(["03/29/2022, 10:00 - Bob: x", *own, *pasted, "end"]))
    chat.days(chat.orders(None))
    expected = [f"Ann: {day}" for day in range(13, 28)]
    assert texts(chat) == [*expected, "\n".join(["Ann: 28", *pasted, "end"])]
    assert chat.unreadable_lines == 1


@pytest.mark.parametrize("inner", ["\u2028", "\x85", "\x0c", "\x0b", "\x1c", "a\rb"])
def test_other_line_separators_are_text(inner: str) -> None:
    assert lines(f"a{inner}b\r\nc\n".encode()) == [f"a{inner}b", "c"]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"]
)
def test_encodings_of_editors_are_read(encoding: str) -> None:
    mark = {"utf-16-le": "\ufeff", "utf-16-be": "\ufeff"}.get(encoding, "")
    data = f"{mark}Zeile 😂\nzwei".encode(encoding)
    assert lines(data) == ["Zeile 😂", "zwei"]


def test_huge_line_is_split() -> None:
    found = lines(b"x" * 3_000_000)
    assert len(found) > 2
    assert "".join(found) == "x" * 3_000_000
