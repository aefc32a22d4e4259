from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
from langchain_core.chat_loaders import BaseChatLoader
from langchain_core.chat_sessions import ChatSession
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)

from langchain_chatexports.chat_loaders.counts import Counts, sum_of
from langchain_chatexports.datasets.examples import to_training_examples
from langchain_chatexports.datasets.validation import validate_examples
from langchain_chatexports.exceptions import SenderNotFoundError


def session(*messages: BaseMessage, **metadata: Any) -> Any:
    return {"messages": list(messages), **({"metadata": metadata} if metadata else {})}


def hare(text: str = "Ready?", **kwargs: Any) -> HumanMessage:
    return HumanMessage(text, additional_kwargs={"sender": "Hare", **kwargs})


def tortoise(text: str = "Always.", **kwargs: Any) -> AIMessage:
    return AIMessage(text, additional_kwargs={"sender": "Tortoise", **kwargs})


def examples_of(*sessions: Any, **options: Any) -> list[Any]:
    return list(to_training_examples(sessions, **options))


def test_an_example_holds_roles_and_texts_only() -> None:
    given = session(hare(message_time=1, reactions=[{"emoji": "x"}]), tortoise())
    assert examples_of(given) == [
        {
            "messages": [
                {"role": "user", "content": "Ready?"},
                {"role": "assistant", "content": "Always."},
            ]
        }
    ]


def test_what_follows_the_last_answer_is_left_out_and_counted() -> None:
    counts: list[Counts] = []
    (example,) = examples_of(
        session(hare(), tortoise(), hare("Go!"), hare("Go!")), counts=counts
    )
    assert len(example["messages"]) == 2
    assert sum_of(counts, "Examples").skipped == {"trailing": 2}


def test_sessions_without_the_ai_are_left_out_and_counted() -> None:
    counts: list[Counts] = []
    examples = examples_of(
        session(hare()), session(hare(), tortoise()), session(), counts=counts
    )
    assert len(examples) == sum_of(counts, "Examples", "sessions").kept == 1
    assert sum_of(counts, "Examples", "sessions").skipped == {
        "no_assistant": 1,
        "empty": 1,
    }


def test_no_answers_at_all_is_an_error_with_the_senders() -> None:
    with pytest.raises(SenderNotFoundError, match=r"'Hare' \(3\)") as caught:
        examples_of(session(hare(), hare()), session(hare()))
    assert caught.value.senders == {"Hare": 3}


def test_sessions_that_are_all_empty_are_no_error() -> None:
    """There is no sender whom the user could name."""
    counts: list[Counts] = []
    assert examples_of(session(), session(), counts=counts) == []
    assert sum_of(counts, "Examples", "sessions").skipped == {"empty": 2}


def test_weights_are_carried_over() -> None:
    (example,) = examples_of(session(tortoise(weight=0), hare(), tortoise(weight=1)))
    assert [m.get("weight") for m in example["messages"]] == [0, None, 1]


def test_an_answer_to_nobody_stays_unless_it_is_not_wanted() -> None:
    counts: list[Counts] = []
    lone, pair = session(tortoise(), hare()), session(hare(), tortoise())
    assert len(examples_of(lone, pair)) == 2
    (example,) = examples_of(
        lone, pair, keep_lone=False, system="Be slow.", counts=counts
    )
    assert [m["role"] for m in example["messages"]] == ["system", "user", "assistant"]
    assert sum_of(counts, "Examples", "sessions").skipped == {"lone": 1}
    messages = sum_of(counts, "Examples")
    assert (messages.found, messages.kept, messages.skipped["lone"]) == (4, 3, 2)


def test_a_system_prompt_knows_the_session() -> None:
    (example,) = examples_of(
        session(hare(), tortoise(), title="Race", owner="Me"),
        system="{owner} chats with {others} about {title}; {other} braces {} stay.",
    )
    assert example["messages"][0] == {
        "role": "system",
        "content": "Me chats with Hare about Race; {other} braces {} stay.",
    }


def test_a_session_with_a_system_prompt_keeps_it() -> None:
    (example,) = examples_of(
        session(SystemMessage("Be slow."), hare(), tortoise()), system="Be quick."
    )
    assert [m["content"] for m in example["messages"]][:2] == ["Be slow.", "Ready?"]


def test_tool_calls_and_results_are_carried_over() -> None:
    call: Any = {"name": "race", "args": {"km": 3}, "id": "call_1", "type": "tool_call"}
    given = session(
        hare(),
        AIMessage("", tool_calls=[call]),
        ToolMessage("won", tool_call_id="call_1"),
        tortoise(),
    )
    examples = examples_of(given)
    assert examples[0]["messages"][1]["tool_calls"] == [
        {
            "id": "call_1",
            "type": "function",
            "function": {"name": "race", "arguments": '{"km": 3}'},
        }
    ]
    assert validate_examples(examples, minimum=1) == []


PNG = {"url": "data:image/png;base64,iVBORw0KGgo="}
SOUND = {"type": "audio", "base64": "AAAA", "mime_type": "audio/wav"}
THOUGHT = {"type": "reasoning", "reasoning": "Slow and steady."}


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image_url", "image_url": PNG},
        {"type": "image", "url": PNG["url"]},
        {"type": "image", "base64": "iVBORw0KGgo=", "mime_type": "image/png"},
        {
            "type": "image",
            "source_type": "base64",
            "data": "iVBORw0KGgo=",
            "mime_type": "image/png",
        },
        {
            "type": "image",
            "source": {
                "type": "base64",
                "media_type": "image/png",
                "data": "iVBORw0KGgo=",
            },
        },
    ],
    ids=["openai", "url", "base64", "version 0", "anthropic"],
)
def test_images_become_openais(block: Any) -> None:
    examples = examples_of(session(HumanMessage(["Look: ", block]), tortoise()))
    assert examples[0]["messages"][0]["content"] == [
        {"type": "text", "text": "Look: "},
        {"type": "image_url", "image_url": PNG},
    ]
    assert validate_examples(examples, minimum=1) == []


@pytest.mark.parametrize(
    "block",
    [
        SOUND,
        THOUGHT,
        {"type": "file", "base64": "AAAA", "mime_type": "application/pdf"},
        {"type": "video", "url": "https://example.org/race.mp4"},
        {"type": "image", "file_id": "file-1"},
        {"type": "image"},
        {"type": "image_url", "image_url": "https://example.org/race.png"},
        {"type": "tool_use", "id": "1", "name": "race", "input": {}},
        {"type": "tool_result", "tool_use_id": "1", "content": "won"},
        {"type": "text"},
        {"type": ["odd"]},
        {},
    ],
    ids=str,
)
def test_parts_without_a_place_are_left_out_and_counted(block: Any) -> None:
    counts: list[Counts] = []
    (example,) = examples_of(
        session(HumanMessage(["Look: ", block]), tortoise()), counts=counts
    )
    assert example["messages"][0]["content"] == [{"type": "text", "text": "Look: "}]
    parts = sum_of(counts, "Examples", "content parts")
    assert (parts.found, parts.kept) == (2, 1)
    assert parts.skipped == {"unsupported": 1}


def test_messages_of_unsupported_parts_are_left_out_and_counted() -> None:
    counts: list[Counts] = []
    (example,) = examples_of(
        session(HumanMessage([SOUND]), hare(" "), hare(), tortoise()), counts=counts
    )
    assert len(example["messages"]) == 2
    messages = sum_of(counts, "Examples")
    assert messages.skipped == {"unsupported": 1, "empty": 1}
    assert messages.adds_up


def test_calls_in_the_content_are_not_counted_as_lost() -> None:
    counts: list[Counts] = []
    call = {"type": "tool_call", "id": "1", "name": "race", "args": {}}
    answer = AIMessage(content_blocks=cast("Any", [THOUGHT, call]))
    examples = examples_of(session(hare(), answer), counts=counts)
    assert examples[0]["messages"][1]["tool_calls"][0]["id"] == "1"
    parts = sum_of(counts, "Examples", "content parts")
    assert parts.skipped == {"unsupported": 1}
    assert parts.adds_up


def test_chat_messages_keep_their_role() -> None:
    (example,) = examples_of(
        session(
            ChatMessage(content="a", role="human"),
            ChatMessage(content="b", role="assistant"),
        )
    )
    assert [m["role"] for m in example["messages"]] == ["user", "assistant"]


def test_a_message_without_a_role_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="RemoveMessage"):
        examples_of(session(RemoveMessage(id="1")))


class Watched(BaseChatLoader):
    """A loader that says how far it was read."""

    def __init__(self) -> None:
        self.read = 0
        self.closed = False

    def lazy_load(self) -> Iterator[ChatSession]:
        try:
            for _ in range(100):
                self.read += 1
                yield session(hare(), tortoise())
        finally:
            self.closed = True


def test_reading_is_lazy_and_closing_closes_the_loader() -> None:
    loader = Watched()
    examples: Any = to_training_examples(loader)
    assert loader.read == 0
    next(examples)
    assert loader.read == 1
    examples.close()
    assert loader.closed
