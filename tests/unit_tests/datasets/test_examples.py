from typing import Any

import pytest
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    HumanMessageChunk,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)

from langchain_chatexports.chat_loaders.counts import Counts
from langchain_chatexports.datasets.examples import to_training_examples
from langchain_chatexports.exceptions import SenderNotFoundError
from tests.unit_tests.builders.sessions import ListLoader


def session(*messages: BaseMessage, **metadata: Any) -> Any:
    return {"messages": list(messages), **({"metadata": metadata} if metadata else {})}


def hare(text: str = "Ready?", **kwargs: Any) -> HumanMessage:
    return HumanMessage(text, additional_kwargs={"sender": "Hare", **kwargs})


def tortoise(text: str = "Always.", **kwargs: Any) -> AIMessage:
    return AIMessage(text, additional_kwargs={"sender": "Tortoise", **kwargs})


def to_examples(*sessions: Any, **options: Any) -> list[Any]:
    return list(to_training_examples(sessions, **options))


def _find_counts(counts: list[Counts], unit: str) -> Counts:
    (found,) = (c for c in counts if (c.name, c.unit) == ("Examples", unit))
    return found


def test_example_contains_only_roles_and_texts() -> None:
    messages = hare(message_time=1, reactions=[{"emoji": "x"}]), tortoise()
    (example,) = to_examples(session(*messages))
    assert example == {
        "messages": [
            {"role": "user", "content": "Ready?"},
            {"role": "assistant", "content": "Always."},
        ]
    }


def test_messages_after_the_last_answer_are_skipped() -> None:
    counts: list[Counts] = []
    chat = session(hare(), tortoise(), hare("Go!"), hare("Go!"))
    (example,) = to_examples(chat, counts=counts)
    assert len(example["messages"]) == 2
    assert _find_counts(counts, "messages").skipped == {"trailing": 2}


def test_sessions_without_the_ai_are_skipped() -> None:
    counts: list[Counts] = []
    sessions = session(hare()), session(hare(), tortoise()), session()
    examples = to_examples(*sessions, counts=counts)
    counted = _find_counts(counts, "sessions")
    assert len(examples) == counted.kept == 1
    assert counted.skipped == {"no_assistant": 1, "empty": 1}


def test_error_without_answers_lists_senders() -> None:
    with pytest.raises(SenderNotFoundError, match=r"'Hare' \(3\)") as caught:
        to_examples(session(hare(), hare()), session(hare()))
    assert caught.value.senders == {"Hare": 3}


def test_only_empty_sessions_are_not_an_error() -> None:
    """They have no sender that the user could name."""
    counts: list[Counts] = []
    assert to_examples(session(), session(), counts=counts) == []
    assert _find_counts(counts, "sessions").skipped == {"empty": 2}


def test_weights_are_kept() -> None:
    (example,) = to_examples(session(tortoise(weight=0), hare(), tortoise(weight=1)))
    assert [m.get("weight") for m in example["messages"]] == [0, None, 1]


def test_lone_messages_are_skipped() -> None:
    counts: list[Counts] = []
    lone, pair = session(tortoise(), hare()), session(hare(), tortoise())
    (example,) = to_examples(
        lone, pair, system="Be slow.", keep_single_messages=False, counts=counts
    )
    assert [m["role"] for m in example["messages"]] == ["system", "user", "assistant"]
    assert _find_counts(counts, "sessions").skipped == {"lone": 1}
    messages = _find_counts(counts, "messages")
    assert (messages.found, messages.kept, messages.skipped["lone"]) == (4, 3, 2)


def test_system_prompt_is_formatted() -> None:
    (example,) = to_examples(
        session(hare(), tortoise()), system="To {others}; {other} braces {} stay."
    )
    prompt = "To Hare; {other} braces {} stay."
    assert example["messages"][0] == {"role": "system", "content": prompt}


def test_existing_system_prompt_is_kept() -> None:
    (example,) = to_examples(
        session(SystemMessage("Be slow."), hare(), tortoise()), system="Be quick."
    )
    assert [m["content"] for m in example["messages"]][:2] == ["Be slow.", "Ready?"]


def test_roles_are_kept_and_text_parts_joined() -> None:
    answer = AIMessage([{"type": "text", "text": "b"}, "c"])
    (example,) = to_examples(session(ChatMessage(content="a", role="user"), answer))
    assert example["messages"] == [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "bc"},
    ]


CALL: Any = {"name": "race", "args": {"km": 3}, "id": "call_1", "type": "tool_call"}
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.org/race.png"}}


@pytest.mark.parametrize(
    "messages",
    [
        [
            ChatMessage(content="Ready?", role="human"),
            ChatMessage(content="Always.", role="ai"),
        ],
        [HumanMessageChunk(content="Ready?"), AIMessageChunk(content="Always.")],
    ],
)
def test_langchain_roles_are_converted(messages: Any) -> None:
    (example,) = to_examples(session(*messages))
    assert [m["role"] for m in example["messages"]] == ["user", "assistant"]


@pytest.mark.parametrize(
    "message",
    [
        HumanMessage(["Look: ", IMAGE]),
        AIMessage("", tool_calls=[CALL]),
        ToolMessage("won", tool_call_id="call_1"),
        RemoveMessage(id="1"),
    ],
    ids=lambda message: message.type,
)
def test_non_text_content_is_a_type_error(message: BaseMessage) -> None:
    with pytest.raises(TypeError, match=f"A {type(message).__name__} with images"):
        to_examples(session(hare(), message, tortoise()))


def test_examples_are_lazy_and_close_the_loader() -> None:
    loader = ListLoader([session(hare(), tortoise())] * 9)
    examples: Any = to_training_examples(loader)
    assert loader.reads == 0
    next(examples)
    assert loader.reads == 1
    examples.close()
    assert loader.closed == 1
