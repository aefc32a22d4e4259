"""Headers with their lines."""

from pathlib import Path
from typing import Any

import pytest

from langchain_chatexports.chat_loaders.whatsapp import WhatsAppChatLoader

FIRST, SECOND = "18/03/2022, 14:56 - ", "18/03/2022, 14:57 - "


def load(path: Path, text: str | bytes) -> list[Any]:
    """Return the messages of a file with this text."""
    file = path / "WhatsApp Chat with Ann.txt"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    (session,) = WhatsAppChatLoader(file, timezone="UTC", date_order="dmy").load()
    return [*session["messages"]]


def texts(path: Path, text: str | bytes) -> list[str]:
    return [m.content for m in load(path, text)]


IMPOSSIBLE = "18/03/2022, 25:61 - Bob: two"
PASTED = "[3/17/22, 10:00:00 AM] Cleo: hi"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{FIRST}Ann: one\n\ntwo\n{SECOND}Bob: x", ["one\n\ntwo", "x"]),
        (f"{FIRST}Ann: one\n\n\n{SECOND}Bob: x\n\n", ["one", "x"]),
        (f"{FIRST}Ann: a\n{PASTED}\n{SECOND}Bob: x", [f"a\n{PASTED}", "x"]),
        (f"{FIRST}Ann: a\n{FIRST}Cleo: b", ["a", "b"]),
        (f"{FIRST}Ann: a\n{IMPOSSIBLE}", [f"a\n{IMPOSSIBLE}"]),
    ],
    ids=["continued", "blank lines", "other layout", "same layout", "invalid time"],
)
def test_message_ends_at_the_next_header(
    tmp_path: Path, text: str, expected: list[str]
) -> None:
    assert texts(tmp_path, text) == expected


def test_header_with_an_impossible_date_is_text(tmp_path: Path) -> None:
    own = [f"{day // 3 + 13}/03/2022, 14:56 - Ann: {day}" for day in range(40)]
    pasted = ["03/19/2022, 14:57 - Bob: pasted", "too", "03/20/2022, 14:57 - Bob: more"]
    text = "\n".join(["03/29/2022, 10:00 - Bob: x", *own, *pasted, "end"])
    expected = [f"{day}" for day in range(39)]
    assert texts(tmp_path, text) == [*expected, "\n".join(["39", *pasted, "end"])]
    summary = WhatsAppChatLoader(tmp_path, timezone="UTC").inspect()
    assert summary.skipped == {"unreadable": 1}


@pytest.mark.parametrize("inner", ["\u2028", "\x85", "\x0c", "\x0b", "\x1c", "a\rb"])
def test_other_line_separators_are_text(tmp_path: Path, inner: str) -> None:
    assert texts(tmp_path, f"{FIRST}Ann: a{inner}b\r\nc\n") == [f"a{inner}b\nc"]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"]
)
def test_encodings_of_editors_are_read(tmp_path: Path, encoding: str) -> None:
    mark = {"utf-16-le": "\ufeff", "utf-16-be": "\ufeff"}.get(encoding, "")
    data = f"{mark}{FIRST}Ann: Zeile 😂\nzwei".encode(encoding)
    assert texts(tmp_path, data) == ["Zeile 😂\nzwei"]


def test_huge_line_is_read(tmp_path: Path) -> None:
    (text,) = texts(tmp_path, f"{FIRST}Ann: " + "x" * 3_000_000)
    assert text.replace("\n", "") == "x" * 3_000_000
