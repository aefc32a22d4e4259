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


def examples_of(*sessions: Any, **options: Any) -> list[Any]:
    return list(to_training_examples(sessions, **options))


def _counted(counts: list[Counts], unit: str) -> Counts:
    (found,) = (one for one in counts if (one.name, one.unit) == ("Examples", unit))
    return found


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
    assert _counted(counts, "messages").skipped == {"trailing": 2}


def test_sessions_without_the_ai_are_left_out_and_counted() -> None:
    counts: list[Counts] = []
    examples = examples_of(
        session(hare()), session(hare(), tortoise()), session(), counts=counts
    )
    assert len(examples) == _counted(counts, "sessions").kept == 1
    assert _counted(counts, "sessions").skipped == {
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
    assert _counted(counts, "sessions").skipped == {"empty": 2}


def test_weights_are_carried_over() -> None:
    (example,) = examples_of(session(tortoise(weight=0), hare(), tortoise(weight=1)))
    assert [m.get("weight") for m in example["messages"]] == [0, None, 1]


def test_an_answer_to_nobody_is_no_example() -> None:
    counts: list[Counts] = []
    lone, pair = session(tortoise(), hare()), session(hare(), tortoise())
    (example,) = examples_of(
        lone, pair, system="Be slow.", keep_lone=False, counts=counts
    )
    assert [m["role"] for m in example["messages"]] == ["system", "user", "assistant"]
    assert _counted(counts, "sessions").skipped == {"lone": 1}
    messages = _counted(counts, "messages")
    assert (messages.found, messages.kept, messages.skipped["lone"]) == (4, 3, 2)


def test_a_system_prompt_knows_the_session() -> None:
    (example,) = examples_of(
        session(hare(), tortoise()), system="To {others}; {other} braces {} stay."
    )
    assert example["messages"][0] == {
        "role": "system",
        "content": "To Hare; {other} braces {} stay.",
    }


def test_a_session_with_a_system_prompt_keeps_it() -> None:
    (example,) = examples_of(
        session(SystemMessage("Be slow."), hare(), tortoise()), system="Be quick."
    )
    assert [m["content"] for m in example["messages"]][:2] == ["Be slow.", "Ready?"]


def test_chat_messages_keep_their_role_and_texts_in_parts_are_joined() -> None:
    (example,) = examples_of(
        session(
            ChatMessage(content="a", role="user"),
            AIMessage([{"type": "text", "text": "b"}, "c"]),
        )
    )
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
def test_words_for_user_and_assistant_are_langchains(messages: Any) -> None:
    (example,) = to_training_examples([{"messages": messages}])
    assert [one["role"] for one in example["messages"]] == ["user", "assistant"]


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
def test_what_is_not_text_is_a_type_error(message: BaseMessage) -> None:
    with pytest.raises(TypeError, match=f"A {type(message).__name__} with images"):
        examples_of(session(hare(), message, tortoise()))


def test_reading_is_lazy_and_closing_closes_the_loader() -> None:
    loader = ListLoader([session(hare(), tortoise())] * 9)
    examples: Any = to_training_examples(loader)
    assert loader.reads == 0
    next(examples)
    assert loader.reads == 1
    examples.close()
    assert loader.closed == 1
