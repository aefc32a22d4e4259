from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_chatexports.datasets.examples import to_training_examples
from langchain_chatexports.datasets.splits import hold_out_validation, split_examples
from langchain_chatexports.datasets.trace import TracedExample, trace_examples
from langchain_chatexports.exceptions import TrainingDataError
from langchain_chatexports.steps import ChunkSessions, MapAIMessages, SplitSessions
from tests.unit_tests.builders.conversations import conversation, daily_conversations

DAY = 86_400
START = 1_700_000_000


def _texts(session: int, length: int = 6) -> list[str]:
    return [f"{session}: what number {index} says" for index in range(length)]


def _traced(sessions: Any, size: int = 4, overlap: int = 2) -> Iterator[Any]:
    steps = MapAIMessages() | ChunkSessions(size=size, overlap=overlap)
    return trace_examples(steps.invoke(sessions))


def _ids(part: list[TracedExample]) -> set[str | None]:
    return {item.origin.session_id for item in part}


def test_newest_conversations_are_the_test_part() -> None:
    sessions = daily_conversations()
    splits = split_examples(_traced(reversed(sessions)))
    assert _ids(splits.test) == {"chat-9"}
    assert _ids(splits.validation) == {"chat-8"}
    assert len(_ids(splits.train)) == 8


def test_parts_of_a_thread_are_separate_conversations() -> None:
    thread = conversation(*_texts(0))
    for n in range(1, 5):
        later = conversation(*_texts(n), start=START + DAY * n)
        thread["messages"] = [*thread["messages"], *later["messages"]]
    parts = SplitSessions(gap=timedelta(hours=1)).invoke(thread)
    splits = split_examples(_traced(parts), validation=0, test=0.2)
    assert splits.dialogues == 5
    assert _ids(splits.test) == {"chat-1#5"}
    assert splits.test[0].origin.thread_id == "chat-1"


def test_sessions_that_share_a_message_stay_together() -> None:
    sessions = daily_conversations(6)
    shared = sessions[5]["messages"][0].model_copy()
    sessions[0]["messages"].insert(0, shared)
    splits = split_examples(_traced(sessions), validation=0, test=0.3)
    assert splits.dialogues == 5
    assert not {"chat-0", "chat-5"} & _ids(splits.test)


STORY = "So I told the fox that the race would begin at noon, rain or shine."
VARIANTS = (
    STORY,
    STORY.upper(),
    f"  {STORY}\n",
    f"No way.\n\n{STORY}\n\nBelieve me, it was as I say, and nobody knows it yet.",
    f"ok\n{STORY}",
)


@given(
    places=st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 5), st.sampled_from(VARIANTS)),
        min_size=2,
        max_size=6,
    ),
    overlap=st.integers(0, 3),
)
def test_copies_are_in_one_part(places: list[Any], overlap: int) -> None:
    sessions = daily_conversations()
    for session, message, variant in places:
        sessions[session]["messages"][message].content = variant
    splits = split_examples(_traced(sessions, size=4, overlap=overlap))
    texts = [
        str([item.example for item in part]) for part in splits.non_empty().values()
    ]
    assert sum("the fox that" in text.casefold() for text in texts) <= 1


@pytest.mark.parametrize(("length", "crosses"), [(39, True), (40, False)])
def test_repeated_lines_of_40_characters_are_copies(length: int, crosses: bool) -> None:
    sessions = daily_conversations()
    for session in (sessions[0], sessions[9]):
        session["messages"][0].content = ("quite the same line, " * 2)[:length]
    splits = split_examples(_traced(sessions, size=6, overlap=0))
    assert bool(splits.test) == crosses
    messages = next(stage for stage in splits.stages if stage.unit == "messages")
    assert messages.skipped == ({} if crosses else {"older_text": 6})


def test_shared_system_prompt_is_not_a_copy() -> None:
    prompt = "You are chatting with {others}, who is an old friend of yours."
    mapped = MapAIMessages().invoke(daily_conversations())
    splits = split_examples(trace_examples(mapped, system=prompt))
    assert splits.skipped == {}
    assert len(splits.test) == 1


def test_conversations_without_times_are_trained_on() -> None:
    sessions = daily_conversations()
    for message in sessions[9]["messages"]:
        del message.additional_kwargs["message_time"]
    splits = split_examples(_traced(sessions))
    assert "chat-9" in _ids(splits.train)


@given(
    sizes=st.lists(st.integers(min_value=2, max_value=9), min_size=3, max_size=12),
    validation=st.sampled_from([0, 0.1, 0.3]),
    test=st.sampled_from([0, 0.1, 0.3, 0.6]),
)
def test_splits_cover_all_examples_in_order(
    sizes: list[int], validation: float, test: float
) -> None:
    sessions = [
        conversation(*_texts(n, size), session_id=f"{n}", start=START + DAY * n)
        for n, size in enumerate(sizes)
    ]
    examples = list(_traced(sessions, size=2, overlap=0))
    splits = split_examples(examples, validation=validation, test=test)
    found = splits.train + splits.validation + splits.test
    assert splits.examples == len(examples) == len(found) + splits.skipped.total()
    assert found == examples
    assert splits.train
    assert bool(splits.validation) == bool(validation)
    assert bool(splits.test) == bool(test)


def test_too_few_conversations_are_an_error() -> None:
    with pytest.raises(TrainingDataError, match="shorter pauses"):
        split_examples(_traced(daily_conversations(2)))


def test_examples_without_origin_are_an_error() -> None:
    examples: Any = to_training_examples(MapAIMessages().invoke(daily_conversations()))
    with pytest.raises(TrainingDataError, match="session of some examples is unknown"):
        split_examples(examples)


@pytest.mark.parametrize("fractions", [(-0.1, 0.1), (0.5, 0.5)])
def test_fractions_must_leave_something_to_train_on(
    fractions: tuple[float, float],
) -> None:
    with pytest.raises(ValueError, match="fractions"):
        split_examples([], validation=fractions[0], test=fractions[1])


def test_validation_is_a_tenth() -> None:
    splits = hold_out_validation(list(_traced(daily_conversations(30))))
    assert splits is not None
    assert _ids(splits.validation) == {"chat-27", "chat-28", "chat-29"}
    assert not splits.test


def test_validation_has_at_most_200_examples() -> None:
    splits = hold_out_validation(list(_traced(daily_conversations(1500))))
    assert splits is not None
    assert len(splits.validation) == 200


@pytest.mark.parametrize(
    "sessions",
    [
        daily_conversations(20),
        daily_conversations(1, length=200),
        daily_conversations(2, length=100),
    ],
    ids=["few examples", "one conversation", "half of the examples"],
)
def test_small_sets_have_no_validation(sessions: Any) -> None:
    assert hold_out_validation(list(_traced(sessions))) is None


def test_copies_are_found_despite_case_and_encoding() -> None:
    sessions = daily_conversations(2, length=2)
    texts = ("Cafe\u0301  \uff21", " caf\u00e9 a")
    for session, text in zip(sessions, texts, strict=True):
        question, answer = session["messages"]
        question.content, answer.content = text, "Yes"
    traced = _traced(sessions, size=2, overlap=0)
    assert not split_examples(traced, validation=0, test=0.5).test
