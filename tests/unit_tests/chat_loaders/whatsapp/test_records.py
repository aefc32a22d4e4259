"""Headers and the lines that belong to them."""

from __future__ import annotations

from langchain_chatexports.chat_loaders.whatsapp.records import RawChat, read_records

FIRST, SECOND = "18/03/2022, 14:56 - ", "18/03/2022, 14:57 - "


def read(text: str) -> RawChat:
    return read_records([text.split("\n")])


def texts(chat: RawChat) -> list[str]:
    return [
        head if tail is None else f"{head}\n{tail}" for _, _, head, tail in chat.records
    ]


def test_lines_without_a_header_continue_the_message() -> None:
    chat = read(f"{FIRST}Ann: one\n\ntwo\n{SECOND}Bob: three")
    assert texts(chat) == ["Ann: one\n\ntwo", "Bob: three"]


def test_blank_lines_at_the_end_of_a_message_are_dropped() -> None:
    chat = read(f"{FIRST}Ann: one\n\n\n{SECOND}Bob: two\n\n")
    assert texts(chat) == ["Ann: one", "Bob: two"]


def test_other_ends_of_lines_stay_in_the_text() -> None:
    assert texts(read(f"{FIRST}Ann: one\u2028two\x85three")) == [
        "Ann: one\u2028two\x85three"
    ]


def test_a_pasted_header_of_another_layout_is_text() -> None:
    pasted = "[3/17/22, 10:00:00 AM] Cleo: hi"
    chat = read(f"{FIRST}Ann: look:\n{pasted}\n{SECOND}Bob: two")
    assert texts(chat) == [f"Ann: look:\n{pasted}", "Bob: two"]


def test_a_pasted_header_of_the_same_layout_splits_the_message() -> None:
    pasted = "17/03/2022, 10:00 - Cleo: hi"
    assert len(read(f"{FIRST}Ann: look:\n{pasted}\n{SECOND}Bob: two").records) == 3


def test_a_header_with_a_time_that_cannot_be_is_text() -> None:
    chat = read(f"{FIRST}Ann: one\n18/03/2022, 25:61 - Bob: two")
    assert texts(chat) == ["Ann: one\n18/03/2022, 25:61 - Bob: two"]


def test_dates_that_are_foreign_are_text() -> None:
    lines = [f"{FIRST}Ann: one", "3/19/2022, 14:57 - Bob: two"]
    chat = read_records([lines], [(0, "3/19/2022")])
    assert texts(chat) == ["\n".join(["Ann: one", lines[1]])]


def test_lines_before_the_first_header_are_counted() -> None:
    chat = read(f"Exported by me\n\nwith love\n{FIRST}Ann: one")
    assert (chat.lost_lines, chat.leading) == (2, ["Exported by me", "with love"])
    assert texts(chat) == ["Ann: one"]


def test_a_message_without_an_end_is_cut_and_counted() -> None:
    chat = read("\n".join([f"{FIRST}Ann: one", *["x" * 100_000] * 40]))
    ((_, _, _, tail),) = chat.records
    assert tail is not None
    assert len(tail) < 2_000_000
    assert chat.lost_lines == 40 - tail.count("x" * 100_000)


def test_a_text_without_headers_has_no_records() -> None:
    assert not read("just\nsome\ntext").records


def test_blocks_do_not_matter() -> None:
    lines = [f"{FIRST}Ann: one", "two", f"{SECOND}Bob: three"]
    assert texts(read_records([[line] for line in lines])) == [
        "Ann: one\ntwo",
        "Bob: three",
    ]
