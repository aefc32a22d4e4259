"""Lines of a text file, in blocks."""

from __future__ import annotations

from io import BytesIO
from itertools import chain

import pytest

from langchain_chatexports.chat_loaders.whatsapp.text_lines import (
    decode_head,
    read_lines,
)


def lines_of(data: bytes) -> list[str]:
    return list(chain.from_iterable(read_lines(BytesIO(data))))


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_lines_end_with_a_line_feed(end: bytes) -> None:
    assert lines_of(end.join([b"a", b"", b"b", b""])) == ["a", "", "b"]


@pytest.mark.parametrize("inner", ["\u2028", "\x85", "\x0c", "\x0b", "\x1c", "a\rb"])
def test_other_ends_of_lines_are_text(inner: str) -> None:
    assert lines_of(f"a{inner}b\r\nc\n".encode()) == [f"a{inner}b", "c"]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"]
)
def test_encodings_of_editors(encoding: str) -> None:
    mark = {"utf-16-le": "\ufeff", "utf-16-be": "\ufeff"}.get(encoding, "")
    data = f"{mark}Zeile 😂\nzwei".encode(encoding)
    assert lines_of(data) == ["Zeile 😂", "zwei"]
    assert decode_head(data) == ["Zeile 😂", "zwei"]


def test_characters_at_the_border_of_two_blocks_are_whole() -> None:
    text = "😂\r\n" * 200_000
    assert lines_of(f"x{text}".encode()) == ["x😂", *["😂"] * 199_999]


def test_a_far_too_long_line_is_cut() -> None:
    found = lines_of(b"x" * 3_000_000)
    assert len(found) > 2
    assert "".join(found) == "x" * 3_000_000


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert lines_of(b"a\xff\nb") == ["a\ufffd", "b"]
