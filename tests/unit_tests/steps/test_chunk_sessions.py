from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from langchain_chatexports.steps import ChunkSessions
from tests.unit_tests.builders.sessions import numbered, said, texts

if TYPE_CHECKING:
    from typing import Any


def windows(length: int, **params: Any) -> list[list[int]]:
    output = ChunkSessions(**params).invoke(numbered(length))
    return [[int(text) for text in texts(session)] for session in output]


@pytest.mark.parametrize(
    ("length", "expected"), [(0, 0), (3, 0), (7, 0), (8, 1), (9, 1), (13, 1), (14, 2)]
)
def test_default_gives_the_full_windows_of_the_tutorial(
    length: int, expected: int
) -> None:
    assert len(windows(length)) == expected


def test_the_tutorials_nine_dialogues_give_100_windows() -> None:
    lengths = (71, 66, 82, 83, 71, 76, 70, 73, 55)
    assert sum(len(windows(length)) for length in lengths) == 100


def test_keep_tail_adds_one_shorter_window_from_the_next_start() -> None:
    assert windows(9, keep_tail=True) == [[*range(8)], [6, 7, 8]]


def test_keep_tail_keeps_a_short_session() -> None:
    assert windows(3, keep_tail=True) == [[0, 1, 2]]


@pytest.mark.parametrize("length", [0, 8, 14])
def test_keep_tail_adds_nothing_where_nothing_is_left(length: int) -> None:
    assert windows(length, keep_tail=True) == windows(length)


SHAPES = st.integers(1, 12).flatmap(
    lambda size: st.tuples(st.just(size), st.integers(0, size - 1))
)


@given(st.integers(0, 60), SHAPES)
def test_default_is_the_tutorials_slicing(length: int, shape: tuple[int, int]) -> None:
    size, overlap = shape
    expected = [
        [*range(length)][i : i + size]
        for i in range(0, length - size + 1, size - overlap)
    ]
    assert windows(length, size=size, overlap=overlap) == expected


@given(st.integers(0, 60), SHAPES)
def test_keep_tail_puts_every_message_into_a_window(
    length: int, shape: tuple[int, int]
) -> None:
    size, overlap = shape
    output = windows(length, size=size, overlap=overlap, keep_tail=True)
    assert {n for window in output for n in window} == {*range(length)}


@given(st.integers(0, 60), SHAPES)
def test_keep_tail_adds_to_the_default_only_a_window_with_new_messages(
    length: int, shape: tuple[int, int]
) -> None:
    size, overlap = shape
    full = windows(length, size=size, overlap=overlap)
    output = windows(length, size=size, overlap=overlap, keep_tail=True)
    assert output[: len(full)] == full
    tails = output[len(full) :]
    assert len(tails) <= 1
    for tail in tails:
        assert tail[0] == len(full) * (size - overlap)
        assert len(tail) < size
        assert not {*tail} <= {n for window in full for n in window}


@given(st.integers(0, 60), SHAPES, st.booleans())
def test_left_out_counts_the_messages_without_a_window(
    length: int, shape: tuple[int, int], keep_tail: bool
) -> None:
    size, overlap = shape
    step = ChunkSessions(size=size, overlap=overlap, keep_tail=keep_tail)
    covered = {
        text for session in step.invoke(numbered(length)) for text in texts(session)
    }
    assert sum(step.skipped(numbered(length)).values()) == length - len(covered)


@given(st.integers(0, 40), SHAPES, st.booleans())
def test_no_message_object_is_in_two_windows(
    length: int, shape: tuple[int, int], keep_tail: bool
) -> None:
    size, overlap = shape
    step = ChunkSessions(size=size, overlap=overlap, keep_tail=keep_tail)
    messages = [m for s in step.invoke(numbered(length)) for m in s["messages"]]
    assert len({id(message) for message in messages}) == len(messages)
    assert len({id(m.additional_kwargs) for m in messages}) == len(messages)


def test_first_window_with_a_message_holds_the_object_itself() -> None:
    session = numbered(14)
    first, second = ChunkSessions().invoke(session)
    assert all(
        a is b for a, b in zip(first["messages"], session["messages"][:8], strict=True)
    )
    assert all(
        a is b
        for a, b in zip(second["messages"][2:], session["messages"][8:], strict=True)
    )


def test_repeated_message_is_equal_to_the_first() -> None:
    first, second = ChunkSessions().invoke(
        {"messages": [said("H", str(n), at=n, message_id=f"m{n}") for n in range(14)]}
    )
    assert second["messages"][:2] == first["messages"][-2:]


@pytest.mark.parametrize(
    "params", [{"size": 0}, {"overlap": -1}, {"size": 2}, {"size": 3, "overlap": 3}]
)
def test_impossible_windows_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"size|overlap"):
        ChunkSessions(**params)


def test_messages_in_a_tuple_are_read() -> None:
    messages = tuple(numbered(8)["messages"])
    assert len(ChunkSessions().invoke({"messages": messages})) == 1
