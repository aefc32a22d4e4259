from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage
from pydantic import ValidationError

from langchain_chatexports.steps import ChunkSessions
from tests.unit_tests.builders.sessions import numbered, said, texts


def windows(length: int, **params: Any) -> list[list[int]]:
    output = ChunkSessions(**params).invoke(numbered(length))
    return [[int(text) for text in texts(session)] for session in output]


def test_tutorial_dialogues_give_100_windows() -> None:
    lengths = (71, 66, 82, 83, 71, 76, 70, 73, 55)
    assert sum(len(windows(length)) for length in lengths) == 100


SHAPES = st.integers(1, 12).flatmap(
    lambda size: st.tuples(st.just(size), st.integers(0, size - 1))
)


@given(st.integers(0, 60), SHAPES)
def test_default_matches_the_tutorial(length: int, shape: tuple[int, int]) -> None:
    size, overlap = shape
    expected = [
        [*range(length)][i : i + size]
        for i in range(0, length - size + 1, size - overlap)
    ]
    assert windows(length, size=size, overlap=overlap) == expected


@given(st.integers(0, 60), SHAPES)
def test_keep_tail_adds_a_shorter_window(length: int, shape: tuple[int, int]) -> None:
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


def test_first_window_contains_the_original_messages() -> None:
    session = numbered(14)
    first, second = ChunkSessions().invoke(session)
    messages = [*first["messages"], *second["messages"][2:]]
    assert list(map(id, messages)) == list(map(id, session["messages"]))


@pytest.mark.parametrize(
    "params", [{"size": 0}, {"overlap": -1}, {"size": 2}, {"size": 3, "overlap": 3}]
)
def test_invalid_windows_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"size|overlap"):
        ChunkSessions(**params)


def _session(*texts: str) -> Any:
    # Texts that begin with "!" are the AI's.
    return {"messages": [said("Hare", t, by_ai=t.startswith("!")) for t in texts]}


@given(st.lists(st.booleans(), max_size=30), st.integers(1, 7), st.integers(0, 6))
def test_answers_are_trained_once(answers: list[bool], size: int, overlap: int) -> None:
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


@pytest.mark.parametrize(
    ("texts", "weight", "overlap", "kept", "skipped"),
    [
        ("a !b c !d", 1, 1, ["a !b", "c !d"], {}),
        ("a !b c", 1, 1, ["a !b"], {"not_trained": 1}),
        # `MapAIMessages` sets the weight of forwarded messages to 0.
        ("a !b c !d", 0, 0, ["c !d"], {"not_trained": 2}),
    ],
)
def test_windows_without_trained_answers_are_skipped(
    texts: str, weight: int, overlap: int, kept: list[str], skipped: dict[str, int]
) -> None:
    session = _session(*texts.split())
    session["messages"][1].additional_kwargs["weight"] = weight
    step = ChunkSessions(size=2, overlap=overlap, overlap_as_context=True)
    windows = [[m.text for m in w["messages"]] for w in step.invoke(session)]
    assert windows == [window.split() for window in kept]
    assert step.skipped(session) == skipped


def test_changing_a_window_does_not_change_the_next() -> None:
    output = []
    for window in ChunkSessions(size=3, overlap=2).lazy_transform(numbered(5)):
        output.append(texts(window))
        for message in window["messages"]:
            message.content = "changed"
            message.additional_kwargs.clear()
    assert output == [["0", "1", "2"], ["1", "2", "3"], ["2", "3", "4"]]
