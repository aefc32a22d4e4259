"""Text that is streamed while it is generated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports.local_server.inference.text_stream import (
    StopFinder,
    TokenDecoder,
)
from tests.unit_tests.builders.tiny_base import tiny_tokenizer

if TYPE_CHECKING:
    from hypothesis.strategies import DataObject


_TOKENIZER = tiny_tokenizer()


@given(st.text(max_size=20))
def test_tokens_one_by_one_give_the_text_without_broken_characters(text: str) -> None:
    text = text.replace("\ufffd", "?")
    decoder = TokenDecoder(_TOKENIZER)
    ids = _TOKENIZER(text, add_special_tokens=False)["input_ids"]
    parts = [decoder.add(token) for token in ids]
    parts.append(decoder.finish())
    assert "".join(parts) == text
    assert not any("\ufffd" in part for part in parts)


@given(
    st.text(alphabet="ab#", max_size=12),
    st.lists(st.text(alphabet="ab#", min_size=1, max_size=3), max_size=4),
    st.data(),
)
def test_text_ends_before_the_first_stop_however_it_is_cut(
    text: str, stops: list[str], data: DataObject
) -> None:
    finder, shown, rest = StopFinder(stops), "", text
    while rest and not finder.is_found:
        length = data.draw(st.integers(1, len(rest)))
        shown += finder.add(rest[:length])
        rest = rest[length:]
    shown += finder.finish()
    ends = [i for i in range(len(text)) if any(text.startswith(s, i) for s in stops)]
    if not ends:
        assert shown == text
    else:
        assert finder.is_found
        assert any(text[len(shown) :].startswith(stop) for stop in stops)
        assert text.startswith(shown)


def test_what_may_become_a_stop_is_held_back() -> None:
    finder = StopFinder(["END"])
    assert finder.add("the E") == "the "
    assert finder.add("N") == ""
    assert finder.add("X") == "ENX"
    assert finder.finish() == ""


def test_of_two_stops_in_one_piece_the_first_ends_the_text() -> None:
    finder = StopFinder(["END", "stop"])
    assert finder.add("the stop, the END") == "the "
    assert finder.add("more") == ""
    assert finder.is_found
