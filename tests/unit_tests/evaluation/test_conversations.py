"""Conversations from sessions and from examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from langchain_chatexports.datasets.trace import (
    UNKNOWN_ORIGIN,
    ExampleOrigin,
    TracedExample,
    trace_examples,
)
from langchain_chatexports.evaluation.conversations import (
    PERSON,
    UNKNOWN_SPEAKER,
    Dialogue,
    data_from_examples,
    data_from_sessions,
)
from langchain_chatexports.steps import ChunkSessions

if TYPE_CHECKING:
    from langchain_core.chat_sessions import ChatSession


def message(
    kind: type[BaseMessage], sender: str, text: str, time: int = 0, **extra: Any
) -> BaseMessage:
    kwargs = {"sender": sender, "message_time": time, **extra}
    return kind(content=text, additional_kwargs=kwargs)


def session(name: str, *texts: str, friend: str = "Ben", time: int = 0) -> ChatSession:
    made: dict[str, Any] = {
        "messages": [
            message(HumanMessage, friend, text, time + at)
            if at % 2 == 0
            else message(AIMessage, "Mia", text, time + at)
            for at, text in enumerate(texts)
        ],
        "metadata": {"id": name, "participants": ["Mia", friend, "Zoe"]},
    }
    return cast("ChatSession", made)


def plain(*texts: str) -> TracedExample:
    roles = ("user", "assistant")
    return TracedExample(
        {
            "messages": [
                {"role": roles[at % 2], "content": text}
                for at, text in enumerate(texts)
            ]
        },
        UNKNOWN_ORIGIN,
    )


def said(conversation: Dialogue) -> list[tuple[str, str]]:
    return [(line.speaker, line.text) for line in conversation.lines]


def test_sessions_go_to_their_halves_by_time_and_others_nowhere() -> None:
    sessions = [
        session("b", "late", "yes", time=9),
        session("a", "early", "yes", time=5),
        session("c", "new", "no", time=20),
        session("d", "dropped", "no", time=30),
    ]
    parts = {"a": "train", "b": "train", "c": "test"}
    data = data_from_sessions(sessions, parts, person="Mia")
    assert [said(c)[0] for c in data.training] == [("p1", "late"), ("p1", "early")][
        ::-1
    ]
    assert [said(c) for c in data.held_out] == [[("p1", "new"), (PERSON, "no")]]


def test_people_become_ids_and_names_are_kept_apart() -> None:
    sessions = [session("a", "x", "y"), session("b", "x", "y", friend="Cleo")]
    data = data_from_sessions(sessions, {"a": "train", "b": "test"})
    assert said(data.held_out[0])[0][0] == "p2"
    assert data.names == frozenset(("Mia", "Ben", "Cleo", "Zoe"))
    assert data.held_out[0].participants == {"Mia", "Cleo", "Zoe"}


def test_forwarded_messages_are_marked() -> None:
    made = session("a", "x", "y")
    made["messages"] = [
        *made["messages"],
        message(HumanMessage, "Ben", "z"),
        message(AIMessage, "Mia", "copied", forwarded=True),
    ]
    data = data_from_sessions([made], {"a": "train"})
    assert data.training[0].replies() == ["y"]


def test_windows_of_a_conversation_are_put_together_again() -> None:
    texts = [f"line {number} of this talk" for number in range(31)]
    windows = ChunkSessions(size=8, overlap=2, keep_tail=True)
    traced = list(trace_examples(windows.invoke([session("a", *texts)])))
    assert len(traced) > 4
    data = data_from_examples(traced, [])
    assert [text for _, text in said(data.training[0])] == texts[:30]
    assert len(data.training) == 1


def test_windows_without_a_trace_are_put_together_too() -> None:
    texts = [f"line {number} of this talk" for number in range(31)]
    windows = ChunkSessions(size=8, overlap=2, keep_tail=True)
    traced = list(trace_examples(windows.invoke([session("a", *texts)])))
    plain_ones = [TracedExample(item.example, UNKNOWN_ORIGIN) for item in traced]
    data = data_from_examples([], plain_ones)
    assert [text for _, text in said(data.held_out[0])] == texts[:30]
    assert len(data.held_out) == 1
    assert data.names is None


def test_conversations_that_only_share_a_word_stay_apart() -> None:
    data = data_from_examples([plain("hi", "ok"), plain("ok", "fine")], [])
    assert len(data.training) == 2


def test_the_friend_is_whoever_is_not_in_all_examples() -> None:
    sessions = [session("a", "x", "y"), session("b", "x", "y", friend="Cleo")]
    data = data_from_examples(trace_examples(sessions), [])
    assert [said(c)[0][0] for c in data.training] == ["p1", "p2"]
    assert data.names == frozenset(("Mia", "Ben", "Cleo", "Zoe"))


def test_of_a_group_nobody_knows_who_said_what() -> None:
    origin = ExampleOrigin(session_id="g", senders=("Mia", "Ben", "Cleo"))
    other = ExampleOrigin(session_id="a", senders=("Mia", "Dan"))
    group = TracedExample(plain("x", "y").example, origin)
    alone = TracedExample(plain("x", "y").example, other)
    data = data_from_examples([group, alone], [])
    assert said(data.training[0])[0][0] == UNKNOWN_SPEAKER


def test_labels_tell_a_group_apart_and_are_not_the_texts() -> None:
    example = plain("Ben: x", "y").example
    origin = ExampleOrigin(session_id="g", senders=("Ben", "Mia", "Cleo"))
    other = ExampleOrigin(session_id="a", senders=("Mia", "Dan"))
    pair = TracedExample(plain("x", "y").example, other)
    data = data_from_examples([TracedExample(example, origin), pair], [])
    first = data.training[0].lines[0]
    assert (first.speaker, first.text, first.as_read) == ("p1", "x", "Ben: x")
    assert data.training[1].lines[0].as_read == "x"


def test_names_of_messages_tell_a_group_apart() -> None:
    example = plain("x", "y").example
    example["messages"][0]["name"] = "Ben"
    data = data_from_examples([TracedExample(example, UNKNOWN_ORIGIN)], [])
    assert said(data.training[0])[0][0] == "p1"


def test_the_system_prompt_of_the_examples_is_kept() -> None:
    item = plain("x", "y")
    item.example["messages"].insert(0, {"role": "system", "content": "Be Mia."})
    data = data_from_examples([item], [])
    assert data.training[0].system == "Be Mia."
    assert len(data.training[0].lines) == 2


def test_messages_that_training_keeps_apart_stay_apart() -> None:
    group: dict[str, Any] = {
        "messages": [
            message(HumanMessage, "Ben", "a question"),
            message(HumanMessage, "Cleo", "another one"),
            message(AIMessage, "Mia", "an answer"),
        ],
        "metadata": {"id": "g", "participants": ["Mia", "Ben", "Cleo"]},
    }
    of_session = cast("ChatSession", group)
    traced = list(trace_examples([of_session]))
    contents = [row["content"] for row in traced[0].example["messages"]]
    data = data_from_examples(traced, [])
    assert [text for _, text in said(data.training[0])] == contents
    assert len(contents) == 3
