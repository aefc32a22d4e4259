"""The conversions have the same results as langchain-community's."""

import json
import pickle
import subprocess
import sys
from typing import Any

import pytest
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)

from langchain_chatexports.adapters.openai import (
    convert_message_to_dict,
    convert_messages_for_finetuning,
)

CALL = {"name": "race", "arguments": "{}"}
PART = {"type": "text", "text": "Hi"}
TOOL_CALL = {"id": "call_1", "type": "function", "function": CALL}

MESSAGES: list[tuple[BaseMessage, dict[str, Any]]] = [
    (HumanMessage("Ready?"), {"role": "user", "content": "Ready?"}),
    (AIMessage("Always."), {"role": "assistant", "content": "Always."}),
    (AIMessageChunk(content="Al"), {"role": "assistant", "content": "Al"}),
    (SystemMessage("Be slow."), {"role": "system", "content": "Be slow."}),
    (ChatMessage(content="Hop.", role="hare"), {"role": "hare", "content": "Hop."}),
    (
        FunctionMessage(content="won", name="race"),
        {"role": "function", "content": "won", "name": "race"},
    ),
    (
        ToolMessage("won", tool_call_id="call_1"),
        {"role": "tool", "content": "won", "tool_call_id": "call_1"},
    ),
    (
        AIMessage("", additional_kwargs={"function_call": CALL}),
        {"role": "assistant", "content": None, "function_call": CALL},
    ),
    (
        AIMessage("So:", additional_kwargs={"tool_calls": [TOOL_CALL]}),
        {"role": "assistant", "content": "So:", "tool_calls": [TOOL_CALL]},
    ),
    (
        AIMessage("", additional_kwargs={"context": {"a": 1}}),
        {"role": "assistant", "content": None, "context": {"a": 1}},
    ),
    (
        HumanMessage("Hi", name="ignored", additional_kwargs={"name": "Ann Lee"}),
        {"role": "user", "content": "Hi", "name": "Ann Lee"},
    ),
    (
        HumanMessage([PART], additional_kwargs={"sender": "A"}),
        {"role": "user", "content": [PART]},
    ),
    (AIMessage(""), {"role": "assistant", "content": ""}),
]


@pytest.mark.parametrize(("message", "expected"), MESSAGES)
def test_messages_are_converted(message: BaseMessage, expected: dict[str, Any]) -> None:
    assert convert_message_to_dict(message) == expected


def test_role_and_content_are_first_keys() -> None:
    keys = ["role", "content", "tool_calls"]
    assert list(convert_message_to_dict(MESSAGES[8][0])) == keys


def test_message_without_role_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="RemoveMessage") as caught:
        convert_message_to_dict(RemoveMessage(id="secret"))
    assert "secret" not in str(caught.value)


def test_sessions_without_ai_messages_are_skipped() -> None:
    sessions: list[Any] = [
        {"messages": [HumanMessage("a")]},
        {"messages": [HumanMessage("a"), AIMessage("b"), HumanMessage("c")]},
        {"messages": []},
    ]
    (messages,) = convert_messages_for_finetuning(sessions)
    expected = [convert_message_to_dict(m) for m in sessions[1]["messages"]]
    assert messages == expected


def test_generator_of_sessions_is_accepted() -> None:
    sessions = ({"messages": [AIMessage(str(number))]} for number in range(2))
    assert convert_messages_for_finetuning(sessions) == [  # type: ignore[arg-type] # dicts are sessions
        [{"role": "assistant", "content": "0"}],
        [{"role": "assistant", "content": "1"}],
    ]


def test_results_equal_community() -> None:
    """In a separate process, since importing langchain-community warns."""
    pytest.importorskip("langchain_community", exc_type=ImportError)
    program = (
        "import json, pickle, sys, warnings; warnings.simplefilter('ignore');"
        "from langchain_community.adapters.openai import *;"
        "given = pickle.load(sys.stdin.buffer);"
        "print(json.dumps([convert_message_to_dict(m) for m in given]))"
    )
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", program],
        input=pickle.dumps([message for message, _ in MESSAGES]),
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout) == [expected for _, expected in MESSAGES]
