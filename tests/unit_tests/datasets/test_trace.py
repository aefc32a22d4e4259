from datetime import timedelta
from typing import Any

from langchain_chatexports.datasets.trace import speaker_of, trace_examples
from langchain_chatexports.steps import ChunkSessions, MapAIMessages, MergeChatRuns
from tests.unit_tests.builders.conversations import conversation


def _prepared(*sessions: Any, size: int = 2, overlap: int = 0) -> list[Any]:
    steps = MapAIMessages() | ChunkSessions(size=size, overlap=overlap)
    return steps.invoke(list(sessions))


def test_an_origin_names_the_messages_that_are_in_the_example() -> None:
    session = conversation("Ready?", " ", "Set", "Always.", "Trailing")
    (item,) = trace_examples(MapAIMessages().invoke(session))
    assert item.origin.message_ids == (
        "chat-1-1700000000-0",
        "chat-1-1700000000-2",
        "chat-1-1700000000-3",
    )
    assert (item.origin.first, item.origin.last) == (1_700_000_000, 1_700_000_180)


def test_every_message_of_a_merged_run_is_traced() -> None:
    session = conversation("One", "Two", "Yes", speakers=("Hare", "Hare", "Me"))
    steps = MergeChatRuns(max_gap=timedelta(hours=1)) | MapAIMessages()
    (item,) = trace_examples(steps.invoke(session))
    assert len(item.example["messages"]) == 2
    assert len(item.origin.message_ids) == 3


def test_sessions_of_other_packages_have_an_unknown_session() -> None:
    session = conversation("Hi", "Ho")
    del session["metadata"]
    (item,) = trace_examples(MapAIMessages().invoke(session))
    assert item.origin.session_id is None
    assert item.origin.senders == ("Hare", "Me")


def test_the_repr_shows_no_name_no_id_and_no_text() -> None:
    (item,) = trace_examples(MapAIMessages().invoke(conversation("Hi", "Ho")))
    assert not any(text in repr(item) for text in ("Hare", "chat-1", "Hi", "Ho"))


def test_the_speaker_is_who_writes_the_assistants_messages() -> None:
    windows = _prepared(conversation("Hi", "Ho", "So", "Oh", speakers=("Hare", "Me")))
    assert speaker_of(trace_examples(windows)) == "Me"


def test_in_a_group_the_speaker_is_known_from_what_the_assistant_begins() -> None:
    texts = ("One", "Two", "Three", "Four", "Five", "Six")
    group = conversation(*texts, speakers=("Hare", "Mole", "Me", "Fox", "Me", "Mole"))
    windows = _prepared(group, size=3, overlap=2)
    assert speaker_of(trace_examples(windows)) == "Me"
