from datetime import timedelta
from typing import Any

from langchain_chatexports.datasets.trace import find_person, trace_examples
from langchain_chatexports.steps import ChunkSessions, MapAIMessages, MergeChatRuns
from tests.unit_tests.builders.conversations import conversation


def _prepared(*sessions: Any, size: int = 2, overlap: int = 0) -> list[Any]:
    steps = MapAIMessages() | ChunkSessions(size=size, overlap=overlap)
    return steps.invoke(list(sessions))


def test_origin_lists_the_messages_of_the_example() -> None:
    session = conversation("Ready?", " ", "Set", "Always.", "Trailing")
    (item,) = trace_examples(MapAIMessages().invoke(session))
    assert item.origin.message_ids == tuple(f"chat-1-1700000000-{i}" for i in (0, 2, 3))
    assert (item.origin.first, item.origin.last) == (1_700_000_000, 1_700_000_180)


def test_origin_lists_all_messages_of_a_run() -> None:
    session = conversation("One", "Two", "Yes", speakers=("Hare", "Hare", "Me"))
    steps = MergeChatRuns(max_gap=timedelta(hours=1)) | MapAIMessages()
    (item,) = trace_examples(steps.invoke(session))
    assert len(item.example["messages"]) == 2
    assert len(item.origin.message_ids) == 3


def test_session_without_metadata_has_no_id() -> None:
    session = conversation("Hi", "Ho")
    del session["metadata"]
    (item,) = trace_examples(MapAIMessages().invoke(session))
    assert item.origin.session_id is None
    assert item.origin.senders == ("Hare", "Me")


def test_repr_shows_no_names_ids_or_texts() -> None:
    (item,) = trace_examples(MapAIMessages().invoke(conversation("Hi", "Ho")))
    assert not any(text in repr(item) for text in ("Hare", "chat-1", "Hi", "Ho"))


def test_person_is_the_assistant() -> None:
    windows = _prepared(conversation("Hi", "Ho", "So", "Oh", speakers=("Hare", "Me")))
    assert find_person(trace_examples(windows)) == "Me"


def test_person_in_a_group_is_found() -> None:
    texts = ("One", "Two", "Three", "Four", "Five", "Six")
    group = conversation(*texts, speakers=("Hare", "Mole", "Me", "Fox", "Me", "Mole"))
    windows = _prepared(group, size=3, overlap=2)
    assert find_person(trace_examples(windows)) == "Me"


def test_person_who_answers_several_others_is_known() -> None:
    group = conversation("One", "Two", "Three", speakers=("Hare", "Mole", "Me"))
    (item,) = trace_examples(MapAIMessages().invoke(group))
    assert item.origin.person == find_person([item]) == "Me"
    assert item.origin.senders == ("Hare", "Mole", "Me")
