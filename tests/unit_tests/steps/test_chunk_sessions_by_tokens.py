"""ChunkSessions by tokens, and with overlap as context only."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.load import dumpd
from langchain_core.messages import AIMessage, HumanMessage
from pydantic import ValidationError

from langchain_chatexports.exceptions import ChatExportError
from langchain_chatexports.steps import ChunkSessions


def _session(*texts: str) -> Any:
    # A text that begins with "!" is the AI's.
    return {
        "messages": [
            (AIMessage if text.startswith("!") else HumanMessage)(
                text, additional_kwargs={"sender": "Hare"}
            )
            for text in texts
        ]
    }


def _windows(step: ChunkSessions, *texts: str) -> list[list[str]]:
    return [
        [str(message.content) for message in window["messages"]]
        for window in step.invoke(_session(*texts))
    ]


def _by_length(**params: Any) -> ChunkSessions:
    return ChunkSessions(**{"size": None, "overlap": 0, "count_tokens": len, **params})


def test_a_window_ends_before_the_message_that_is_too_much() -> None:
    step = _by_length(max_tokens=6, keep_tail=True)
    assert _windows(step, "aaa", "bbb", "c", "dddd", "ee") == [
        ["aaa", "bbb"],
        ["c", "dddd"],
        ["ee"],
    ]


def test_a_message_that_is_too_long_alone_is_in_no_window() -> None:
    step = _by_length(max_tokens=3, keep_tail=True)
    session = _session("a", "bbbb", "c", "d")
    assert _windows(step, "a", "bbbb", "c", "d") == [["a"], ["c", "d"]]
    assert step.skipped(session) == {"too_long": 1}


def test_overlap_is_kept_as_far_as_there_is_room() -> None:
    step = _by_length(max_tokens=5, overlap=2, keep_tail=True)
    assert _windows(step, "a", "b", "ccc", "dd") == [["a", "b", "ccc"], ["ccc", "dd"]]


@given(
    st.lists(st.text("ab", max_size=9), max_size=30),
    st.integers(1, 12),
    st.integers(0, 3),
    st.sampled_from([None, 4, 7]),
)
def test_no_window_is_too_long_and_every_message_is_accounted_for(
    texts: list[str], most: int, overlap: int, size: int | None
) -> None:
    numbered = [f"{index:02}{text}" for index, text in enumerate(texts)]
    step = _by_length(size=size, max_tokens=most, overlap=overlap, keep_tail=True)
    windows = _windows(step, *numbered)
    assert all(sum(map(len, window)) <= most for window in windows)
    there = {text for window in windows for text in window}
    assert there == {text for text in numbered if len(text) <= most}
    skipped = Counter(step.skipped(_session(*numbered)))
    assert skipped.total() == len(numbered) - len(there)


@given(st.lists(st.booleans(), max_size=30), st.integers(1, 7), st.integers(0, 6))
def test_no_answer_is_trained_twice_and_none_is_forgotten(
    answers: list[bool], size: int, overlap: int
) -> None:
    texts = [f"{'!' * is_ai}{index}" for index, is_ai in enumerate(answers)]
    step = ChunkSessions(
        size=size,
        overlap=min(overlap, size - 1),
        keep_tail=True,
        overlap_as_context=True,
    )
    trained = Counter(
        str(message.content)
        for window in step.invoke(_session(*texts))
        for message in window["messages"]
        if isinstance(message, AIMessage)
        and message.additional_kwargs.get("weight") != 0
    )
    assert trained == Counter(text for text in texts if text.startswith("!"))


def test_a_window_whose_answers_are_all_context_is_left_out_and_counted() -> None:
    step = ChunkSessions(size=2, overlap=1, overlap_as_context=True)
    session = _session("a", "!b", "c", "!d")
    assert _windows(step, "a", "!b", "c", "!d") == [["a", "!b"], ["c", "!d"]]
    assert step.skipped(session) == {}
    assert step.skipped(_session("a", "!b", "c")) == {"not_trained": 1}


def test_a_window_whose_answers_are_not_to_be_trained_is_left_out_and_counted() -> None:
    """`MapAIMessages` gives what the AI only forwarded the weight 0."""
    session = _session("a", "!forwarded", "c", "!d")
    session["messages"][1].additional_kwargs["weight"] = 0
    step = ChunkSessions(size=2, overlap=0, overlap_as_context=True)
    (window,) = step.invoke(session)
    assert [message.content for message in window["messages"]] == ["c", "!d"]
    assert step.skipped(session) == {"not_trained": 2}


@pytest.mark.parametrize("joined", [False, True])
def test_a_function_that_a_dump_would_lose_is_an_error(joined: bool) -> None:
    step = _by_length(max_tokens=9)
    with pytest.raises(TypeError, match=r"count_tokens.*'o200k_base'"):
        dumpd(step | step if joined else step)


def test_without_a_bound_there_is_no_window() -> None:
    with pytest.raises(ValidationError, match="size or max_tokens"):
        ChunkSessions(size=None)


def test_an_encoding_that_is_not_here_is_an_error_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    step = ChunkSessions(max_tokens=9, count_tokens="cl100k_base")
    with pytest.raises(ChatExportError, match="count by 'bytes'"):
        step.invoke(_session("a"))
